//! What differs between a container and what the files say of its service.

use std::collections::BTreeMap;

use super::{
    Compared,
    advice::{Differs, Kind},
};
use crate::{
    event::Failure,
    ports::{
        Observe,
        compose::{Config, ConfiguredMount, ServiceConfig},
        docker::{Container, Mount},
        product::{DB_NAME, FILES_AT, OLDER_DB_NAME, primary, same_place},
    },
    site::{KEYS, Secret},
};

/// Settings that say where the data is, with what the product takes where they are not set.
const DATA: [(&str, &str); 6] = [
    ("DB_HOST", ""),
    ("DB_PORT", "5432"),
    (DB_NAME, ""),
    ("STORAGE_BACKEND", "local"),
    ("S3_BUCKET", ""),
    ("S3_ENDPOINT", ""),
];

pub(super) async fn differences(
    container: &Container,
    config: &Config,
    of: Compared,
    site: Observe<'_>,
) -> Result<Vec<Differs>, Failure> {
    let Some(configured) = container.service().and_then(|name| config.services.get(name)) else {
        return Ok(Vec::new());
    };
    let made_with = site.docker.environment(&container.id).await?;
    if of == Compared::Data {
        return Ok(data(container, configured, &made_with, &[]).into_iter().collect());
    }
    let mut found = Vec::from_iter(image(container, configured, site).await?);
    found.extend(variables(container, configured, &made_with, !found.is_empty()));
    let brought = site.docker.image_environment(&container.image_id).await?;
    found.extend(taken_out(container, configured, &made_with, &brought));
    found.extend(policy(container, configured));
    found.extend(data(container, configured, &made_with, &KEYS));
    found.extend(command(container, configured));
    found.extend(ports(container, configured));
    found.extend(mounts(container, configured, config));
    Ok(found)
}

/// Compose makes as many containers of a service as the files say, and removes the others.
pub(super) fn count(service: &str, there: usize, configured: &ServiceConfig) -> Option<Differs> {
    let (there, asked) = (there as u64, configured.replicas);
    (there != asked).then(|| {
        let containers = if there == 1 { "container" } else { "containers" };
        let text = format!("`{service}` has {there} {containers}, and the files say {asked}");
        Differs { text, kind: Kind::Count { service: service.to_owned(), there } }
    })
}

fn service(container: &Container) -> &str {
    container.service().unwrap_or(&container.name)
}

async fn image(
    container: &Container,
    configured: &ServiceConfig,
    site: Observe<'_>,
) -> Result<Option<Differs>, Failure> {
    let Some(meant) = &configured.image else { return Ok(None) };
    let id = site.docker.image(meant).await?.map(|image| image.id);
    let runs_it = id.as_ref() == Some(&container.image_id);
    Ok((!runs_it).then(|| Differs::image(container, meant, id.is_some())))
}

fn policy(container: &Container, configured: &ServiceConfig) -> Option<Differs> {
    let normal = |policy: &str| if policy.is_empty() { "no".to_owned() } else { policy.to_owned() };
    let (runs, files) = (normal(&container.restart_policy), normal(&configured.restart));
    let text =
        format!("`{}` has the restart policy `{runs}` and the files say `{files}`", service(container));
    let update = format!("docker update --restart {files} {}", container.name);
    (runs != files).then_some(Differs { text, kind: Kind::Policy { update } })
}

/// [`data`] tells it.
fn is_data(name: &str) -> bool {
    name == OLDER_DB_NAME || KEYS.contains(&name) || DATA.iter().any(|(one, _)| *one == name)
}

/// Names alone: values may be secrets. Those of [`data`] are not told twice, nor is another release.
fn variables(
    container: &Container,
    configured: &ServiceConfig,
    made_with: &BTreeMap<String, Secret>,
    release: bool,
) -> Option<Differs> {
    let told = |name: &str| is_data(name) || (release && name == "STRATA_VERSION");
    let set = configured.environment.iter().filter(|(name, _)| !told(name));
    let differs = set.filter(|(name, value)| made_with.get(*name) != Some(value));
    other_values(container, Kind::Other, differs.map(|(name, _)| name.as_str()))
}

/// Variables that neither the files give any more nor the image: made anew, the container would lose them. So it would those
/// that compose has once got from somebody's shell.
fn taken_out(
    container: &Container,
    configured: &ServiceConfig,
    made_with: &BTreeMap<String, Secret>,
    brought: &BTreeMap<String, Secret>,
) -> Option<Differs> {
    // Compose gives every container those of the docker client's own settings.
    let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
    let own = made_with.iter().filter(|(name, value)| brought.get(*name) != Some(value));
    let gone = own.map(|(name, _)| name.as_str()).filter(|name| !configured.environment.contains_key(*name));
    let gone: Vec<_> =
        gone.filter(|name| !is_data(name) && !is_proxy(name)).map(|name| format!("`{name}`")).collect();
    let text =
        format!("`{}` was started with {}, which the files do not give", service(container), gone.join(", "));
    (!gone.is_empty()).then(|| Differs::other(text))
}

/// An edit of `DB_HOST` that nobody has applied would have another database backed up than the one in use, and with
/// other `keys` it could not be read. What was taken out of the files counts as well.
fn data(
    container: &Container,
    configured: &ServiceConfig,
    made_with: &BTreeMap<String, Secret>,
    keys: &[&'static str],
) -> Option<Differs> {
    let keys = keys.iter().map(|name| (*name, ""));
    let differs = DATA.into_iter().chain(keys).filter(|(name, usual)| {
        let (was, is) = (said_of(made_with, name, usual), said_of(&configured.environment, name, usual));
        was != is
    });
    other_values(container, Kind::Data, differs.map(|(name, _)| name))
}

/// What a variable means; the database's name can stand in either of two.
fn said_of<'a>(of: &'a BTreeMap<String, Secret>, name: &str, usual: &'a str) -> &'a str {
    let set = |name: &str| of.get(name).map(|value| value.reveal().trim()).filter(|value| !value.is_empty());
    if name == DB_NAME { primary(set) } else { set(name).unwrap_or(usual) }
}

fn other_values<'a>(
    container: &Container,
    kind: Kind,
    names: impl Iterator<Item = &'a str>,
) -> Option<Differs> {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let text = format!(
        "`{}` was started with other values of {} than the files give",
        service(container),
        names.join(", ")
    );
    (!names.is_empty()).then_some(Differs { text, kind })
}

/// One that the files do not name is the image's own.
fn command(container: &Container, configured: &ServiceConfig) -> Option<Differs> {
    let differs = !configured.command.is_empty() && configured.command != container.command;
    let text = format!("`{}` was started with another `command` than the files give", service(container));
    differs.then(|| Differs::other(text))
}

/// A port of the container may be published several times; the engine tells one of them.
fn ports(container: &Container, configured: &ServiceConfig) -> Option<Differs> {
    let wanted = |target: u16| configured.ports.iter().filter(move |port| port.target == target);
    let moved = configured.ports.iter().find(|port| {
        let bound = container.ports.get(&port.target).map(|binding| binding.host_port);
        port.published.is_some() && !wanted(port.target).any(|one| one.published == bound)
    })?;
    let published = moved.published.unwrap_or_default();
    let text =
        format!("the files publish `{}` on port {published} and it runs without that", service(container));
    Some(Differs::other(text))
}

/// Volumes and folders of the host that the files mount. What a container has besides may come from its image, or from
/// another container.
fn mounts(container: &Container, configured: &ServiceConfig, config: &Config) -> Option<Differs> {
    let source = |mount: &ConfiguredMount| {
        config.volumes.get(&mount.source).cloned().unwrap_or_else(|| mount.source.clone())
    };
    let named = |mount: &&ConfiguredMount| {
        ["volume", "bind"].contains(&mount.kind.as_str()) && !mount.source.is_empty()
    };
    let missing = configured.mounts.iter().filter(named).find(|mount| {
        let is =
            |one: &Mount| same_place(&one.target, &mount.target) && same_place(&one.source, &source(mount));
        !container.mounts.iter().any(is)
    })?;
    let text = format!(
        "the files mount `{}` at `{}` in `{}` and it runs without that",
        source(missing),
        missing.target,
        service(container)
    );
    let kind = if same_place(&missing.target, FILES_AT) { Kind::Data } else { Kind::Other };
    Some(Differs { text, kind })
}
