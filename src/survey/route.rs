//! The way from this host to the database server that the containers know by a name of theirs.
//!
//! A name is looked up as a container looks it up: what it was told itself, then the engine's name server, then the
//! names that everybody knows. In another order a name that by chance means something here too would lead to another
//! server than the product's.

use std::{collections::BTreeSet, net::IpAddr};

use super::own::{FILE, own};
use crate::{
    event::Failure,
    ports::{
        Ports,
        docker::{Container, DockerRead, Select},
        postgres::{There, Way},
        project::{Planned, named, networks, planned, surroundings},
    },
    site::{Endpoint, Site, SslMode},
};

/// Finds the way to the site's server, whose endpoint names it as the containers do.
pub async fn way(ports: &Ports, site: &Site) -> Result<Way, Failure> {
    let endpoint = &site.databases.endpoint;
    let own = own(&site.project.dir, &*ports.files).await?;
    let containers = ports.docker.containers(&Select::All).await?;
    let around = surroundings(&containers, &site.project.name, &site.web.name);
    let planned = if around.is_empty() { planned(&*ports.compose, site).await? } else { Planned::default() };
    let (mut networks, mut told) = (networks(&around), Vec::new());
    networks.extend(planned.networks.iter().map(String::as_str));
    told.extend(around.iter().flat_map(|one| &one.extra_hosts).chain(&planned.extra_hosts).cloned());
    let empty = around.is_empty();
    let from = From { docker: &*ports.docker, containers: &containers, site, networks, told, empty };
    let (there, words) = match &own.host {
        Some(host) => (Ok(host.clone()), format!("`host` under `[database]` in `{FILE}`: {host}")),
        None => match looked_up(&from, &endpoint.host).await? {
            Found::AsItIs => (Ok(endpoint.host.clone()), Endpoint::AS_IT_IS.to_owned()),
            Found::At(host, words) => (Ok(host), words),
            Found::Nowhere(why) => (Err(why.clone()), why),
        },
    };
    let port = own.port.unwrap_or(endpoint.port);
    let words = if port == endpoint.port { words } else { format!("{words}, port {port} by `{FILE}`") };
    Ok(Way {
        host: endpoint.host.clone(),
        port: endpoint.port,
        there: there.map(|host| There { host, port }),
        words,
        roots: roots(&from, &around).await?,
    })
}

/// What a way is looked for from.
struct From<'a> {
    docker: &'a dyn DockerRead,
    /// All of the engine.
    containers: &'a [Container],
    site: &'a Site,
    /// Networks that the product is on.
    networks: BTreeSet<&'a str>,
    /// Names that the product's containers are told themselves, as `NAME:ADDRESS`.
    told: Vec<String>,
    /// The project has no container: all this is what its files say.
    empty: bool,
}

impl From<'_> {
    /// What `localhost` is to web: this host only where they share its network.
    fn itself(&self, host: &str) -> Found {
        let own = |network: &&str| *network == "host";
        if self.networks.is_empty() || self.networks.iter().any(own) {
            return Found::AsItIs;
        }
        let web = &self.site.web.name;
        Found::Nowhere(format!("`{host}` is the container of `{web}` itself, where no database is"))
    }
}

enum Found {
    AsItIs,
    At(String, String),
    Nowhere(String),
}

async fn looked_up(from: &From<'_>, host: &str) -> Result<Found, Failure> {
    let address = host.parse::<IpAddr>().ok();
    if host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback()) {
        return Ok(from.itself(host));
    }
    if address.is_some() {
        return Ok(Found::AsItIs);
    }
    let mut told = from.told.iter().filter_map(|line| line.split_once(':'));
    if let Some((_, address)) = told.find(|(name, _)| name.eq_ignore_ascii_case(host)) {
        return by_extra_hosts(from, host, address).await;
    }
    let found = named(from.containers, &from.networks, host);
    let running: Vec<_> = found.iter().filter(|(.., address)| !address.is_empty()).collect();
    match (running.as_slice(), found.first()) {
        ([(one, network, address)], _) => {
            let words = format!("`{host}` is the container `{}` on `{network}`, at {address}", one.name);
            Ok(Found::At((*address).to_owned(), words))
        }
        ([], Some((one, ..))) => {
            Ok(Found::Nowhere(format!("`{host}` is the container `{}`, which does not run", one.name)))
        }
        ([], None) if host == "host.docker.internal" => {
            let web = &from.site.web.name;
            Ok(Found::Nowhere(format!("`{host}` is not among the `extra_hosts` of `{web}`")))
        }
        // A name without a dot is one of a network, most likely of one that is not there yet.
        ([], None) if from.empty && !host.contains('.') && !from.networks.is_empty() => {
            let networks: Vec<_> = from.networks.iter().map(|name| format!("`{name}`")).collect();
            let words = format!("`{host}` as it is: no container has that name on {}", networks.join(", "));
            Ok(Found::At(host.to_owned(), words))
        }
        ([], None) => Ok(Found::AsItIs),
        (several, _) => {
            let names: Vec<_> = several.iter().map(|(one, ..)| format!("`{}`", one.name)).collect();
            Ok(Found::Nowhere(format!("`{host}` is the name of several containers: {}", names.join(", "))))
        }
    }
}

async fn by_extra_hosts(from: &From<'_>, host: &str, address: &str) -> Result<Found, Failure> {
    let web = &from.site.web.name;
    if address != "host-gateway" {
        let address = address.trim_matches(['[', ']']).to_owned();
        let words = format!("`extra_hosts` of `{web}` lead `{host}` to {address}");
        return Ok(Found::At(address, words));
    }
    Ok(match from.docker.gateway().await? {
        Some(address) => {
            let words = format!("`extra_hosts` of `{web}` lead `{host}` to this host, at {address}");
            Found::At(address, words)
        }
        None => Found::Nowhere(format!("`{host}` is this host, but the engine has no network `bridge`")),
    })
}

/// The certificates that the settings name, out of the container, where that has them.
async fn roots(from: &From<'_>, around: &[&Container]) -> Result<Option<String>, Failure> {
    if !matches!(from.site.databases.endpoint.ssl, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Ok(None);
    }
    let setting = |name: &str| from.site.settings.get(name).filter(|value| value.starts_with('/'));
    let Some(path) = setting("DB_SSLROOTCERT").or_else(|| setting("PGSSLROOTCERT")) else { return Ok(None) };
    for one in around {
        if let Some(bytes) = from.docker.file(&one.id, path).await? {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(None)
}
