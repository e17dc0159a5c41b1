//! What primitives and survey ask of a project's containers again and again.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    compose::ComposeRead,
    docker::{Container, DockerRead, Select},
};
use crate::{
    event::Failure,
    site::{Project, Site},
};

/// The containers of one service, in the order of their names.
pub async fn of_service(
    docker: &dyn DockerRead,
    project: &Project,
    service: &str,
) -> Result<Vec<Container>, Failure> {
    let mut all = docker.containers(&Select::Project(project.name.clone())).await?;
    all.retain(|container| container.service() == Some(service));
    Ok(all)
}

/// How the container is called in which a run tries a release where no user reaches it.
#[must_use]
pub fn trial_name(project: &Project, run: &str) -> String {
    format!("{}{TRIAL}{run}", project.name)
}

const TRIAL: &str = "-trial-";

/// How the container is called in which a run does a task of its runbook; `mark` tells several apart.
#[must_use]
pub fn task_name(project: &Project, run: &str, mark: &str) -> String {
    format!("{}{TASK}{run}-{mark}", project.name)
}

const TASK: &str = "-task-";

/// Whether a run does a task of its runbook in this container.
#[must_use]
pub fn is_task(container: &Container, project: &Project) -> bool {
    container.name.strip_prefix(project.name.as_str()).is_some_and(|rest| rest.starts_with(TASK))
}

/// The run that tries a release in this container, or does a task of its runbook, if that is what it is for.
#[must_use]
pub fn run_of<'a>(container: &'a Container, project: &Project) -> Option<&'a str> {
    let rest = container.name.strip_prefix(project.name.as_str())?;
    rest.strip_prefix(TRIAL).or_else(|| {
        let marked = rest.strip_prefix(TASK)?.trim_end_matches("-undo");
        marked.rsplit_once('-').map(|(run, _)| run)
    })
}

/// The containers whose surroundings the product's are: those of its web, or, where that has none, all of its project.
#[must_use]
pub fn surroundings<'a>(containers: &'a [Container], project: &str, web: &str) -> Vec<&'a Container> {
    let of_project =
        |one: &&Container| one.labels.get("com.docker.compose.project").is_some_and(|name| name == project);
    let all: Vec<_> = containers.iter().filter(of_project).collect();
    let of_web: Vec<_> = all.iter().copied().filter(|one| one.service() == Some(web)).collect();
    if of_web.is_empty() { all } else { of_web }
}

/// The networks that any of these is on.
#[must_use]
pub fn networks<'a>(containers: &[&'a Container]) -> BTreeSet<&'a str> {
    containers.iter().flat_map(|one| one.networks.keys().map(String::as_str)).collect()
}

/// Where a project's web will be, by the project's files: a host that has lost its containers is told nothing else.
#[derive(Default)]
pub struct Planned {
    pub networks: Vec<String>,
    /// Names that it is told itself, as `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
}

/// Reads [`Planned`]; empty where the files have no web.
pub async fn planned(compose: &dyn ComposeRead, site: &Site) -> Result<Planned, Failure> {
    let mut config = compose.config(&site.project, &BTreeMap::new()).await?;
    let Some(web) = config.services.remove(&site.web.name) else { return Ok(Planned::default()) };
    let networks = web.networks.iter().filter_map(|name| config.networks.remove(name)).collect();
    Ok(Planned { networks, extra_hosts: web.extra_hosts })
}

/// The containers that `name` leads to on one of these networks, each with its address there; empty for one that does
/// not run.
#[must_use]
pub fn named<'a>(
    containers: &'a [Container],
    networks: &BTreeSet<&str>,
    name: &str,
) -> Vec<(&'a Container, &'a str, &'a str)> {
    // The engine's name server does not serve its default network.
    let shared = |network: &&String| *network != "bridge" && networks.contains(network.as_str());
    let mut found: Vec<(&Container, &str, &str)> = Vec::new();
    for one in containers {
        let answers = |network: &&String| {
            one.aliases
                .get(network.as_str())
                .is_some_and(|all| all.iter().any(|alias| alias.eq_ignore_ascii_case(name)))
        };
        let network = one.networks.keys().filter(shared).find(answers);
        if let Some((network, address)) = network.and_then(|network| one.networks.get_key_value(network)) {
            found.push((one, network, if one.is_running() { address } else { "" }));
        }
    }
    found
}

/// The image that each service would run now, by the project's files as they are.
pub async fn configured_images(
    compose: &dyn ComposeRead,
    project: &Project,
) -> Result<BTreeMap<String, String>, Failure> {
    let config = compose.config(project, &BTreeMap::new()).await?;
    Ok(config.services.into_iter().filter_map(|(name, service)| Some((name, service.image?))).collect())
}

/// `repository:tag` for every repository that the product's services run from, each once.
#[must_use]
pub fn references(site: &Site, tag: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for service in site.product() {
        let reference = format!("{}:{tag}", service.repository);
        if !found.contains(&reference) {
            found.push(reference);
        }
    }
    found
}

/// An image reference without its tag or digest. A port in the registry's address is no tag.
#[must_use]
pub fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rfind(':') {
        Some(at) if !name[at..].contains('/') => &name[..at],
        _ => name,
    }
}

/// The tag of a reference; `latest` where none is written, as Docker reads it.
#[must_use]
pub fn tag(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    name.strip_prefix(repository(reference)).and_then(|rest| rest.strip_prefix(':')).unwrap_or("latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        for (reference, name, tagged) in [
            ("localhost:5000/strata/server:1.0.0", "localhost:5000/strata/server", "1.0.0"),
            ("localhost:5000/strata/server", "localhost:5000/strata/server", "latest"),
            ("strata@sha256:ab", "strata", "latest"),
        ] {
            assert_eq!((repository(reference), tag(reference)), (name, tagged));
        }
    }
}
