//! Whether another project of this engine runs the product on the same databases.

use std::collections::BTreeSet;

use crate::{
    event::Failure,
    ports::{
        Observe,
        docker::{Container, Select},
        product::databases,
        project::{Planned, named, networks, planned, repository, surroundings},
    },
};

/// A copy of the site folder, started beside the site, would have two releases work on the same databases.
pub(super) async fn none_beside(site: Observe<'_>) -> Result<(), Failure> {
    let (own, project) = (&site.site.databases, &site.site.project);
    let all = site.docker.containers(&Select::All).await?;
    let around = surroundings(&all, &project.name, &site.site.web.name);
    let (mut ours, mut told) = (networks(&around), told(&around));
    let planned =
        if around.is_empty() { planned(site.compose, site.site).await? } else { Planned::default() };
    ours.extend(planned.networks.iter().map(String::as_str));
    told.extend(planned.extra_hosts.iter().map(String::as_str));
    let server = server(&own.endpoint.host, &ours, &told, &all);
    for one in &all {
        let is_ours = one.labels.get("com.docker.compose.project").is_some_and(|name| *name == project.name);
        if is_ours || !one.is_up() || repository(&one.image) != site.site.web.repository {
            continue;
        }
        let Ok(theirs) = databases(&site.docker.environment(&one.id).await?) else { continue };
        let seen = self::server(&theirs.endpoint.host, &networks(&[one]), &self::told(&[one]), &all);
        let same = server.is_some() && seen == server && theirs.endpoint.port == own.endpoint.port;
        if same && theirs.primary() == own.primary() {
            let text = format!("`{}`, which is not of this site, runs on the same databases", one.name);
            return Err(Failure::new("databases_shared", text).hint(
                "if that is the site, go to its folder; if it is a copy that was started beside it, stop that one first",
            ));
        }
    }
    Ok(())
}

fn told<'a>(containers: &[&'a Container]) -> Vec<&'a str> {
    containers.iter().flat_map(|one| one.extra_hosts.iter().map(String::as_str)).collect()
}

/// Which server a container means by `host`: each network may have a `db` of its own. `None`: one inside the container.
fn server<'a>(
    host: &'a str,
    networks: &BTreeSet<&str>,
    told: &[&'a str],
    all: &'a [Container],
) -> Option<&'a str> {
    let is_itself = host.eq_ignore_ascii_case("localhost") || host.starts_with("127.") || host == "::1";
    if is_itself && !networks.contains("host") {
        return None;
    }
    let mut told = told.iter().filter_map(|line| line.split_once(':'));
    if let Some((_, address)) = told.find(|(name, _)| name.eq_ignore_ascii_case(host)) {
        return Some(address);
    }
    match named(all, networks, host).first() {
        Some((one, ..)) => Some(&one.id),
        None => Some(host),
    }
}
