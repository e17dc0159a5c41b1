//! Restart policies that are held at `no` while databases are moved.
//!
//! A container that starts in between would make a database whose name it does not find, and load an empty one. What
//! the policies were stands in a file of the run, so that whoever starts the very same containers gives them back.

use std::{collections::BTreeMap, path::PathBuf};

use super::as_before::{ServiceBefore, write_kept};
use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        docker::{Container, SetRestart},
        project::of_service,
    },
};

const NO: &str = "no";

/// Policies by the containers' ids.
type Policies = BTreeMap<String, String>;

pub(super) fn is_held(container: &Container) -> bool {
    container.restart_policy == NO
}

fn file(site: Observe<'_>) -> PathBuf {
    site.kept().join("restart-policies.json")
}

async fn written(site: Observe<'_>) -> Result<Policies, Failure> {
    let path = file(site);
    let Some(file) = site.files.read(&path).await? else { return Ok(Policies::new()) };
    serde_json::from_slice(&file.bytes).map_err(|error| {
        Failure::new("not_kept", format!("`{}` is not what was written: {error}", path.display()))
            .hint("see the restart policies with `docker inspect`, set them with `docker update --restart`")
    })
}

/// Writes down the policies of these services' containers, then sets them to `no`.
pub(super) async fn hold(services: &[ServiceBefore], site: Operate<'_>) -> Result<(), Failure> {
    let mut policies = written(site.observe()).await?;
    for container in services.iter().flat_map(|before| &before.containers) {
        policies.entry(container.id.clone()).or_insert_with(|| container.restart_policy.clone());
    }
    let text = super::contract::to_bytes(&policies)?;
    write_kept(&file(site.observe()), text, "restart policies, for the way back", site).await?;
    for before in services {
        for container in of_service(site.docker, &site.site.project, &before.service).await? {
            if !is_held(&container) {
                let (id, service) = (container.id, before.service.clone());
                let set = SetRestart { id, service, from: container.restart_policy, to: NO.to_owned() };
                site.docker.set_restart(&set).await?;
            }
        }
    }
    Ok(())
}

/// The policy that a held container had before.
pub(super) async fn policy_of(container: &Container, site: Observe<'_>) -> Result<Option<String>, Failure> {
    if !is_held(container) {
        return Ok(None);
    }
    let policy = written(site).await?.remove(&container.id);
    Ok(policy.filter(|policy| *policy != container.restart_policy))
}

/// Gives back their policies to the containers that were held and are still the same; new ones have their own.
pub(super) async fn release(services: &[ServiceBefore], site: Operate<'_>) -> Result<(), Failure> {
    for set in owed(services, site.observe()).await? {
        site.docker.set_restart(&set).await?;
    }
    Ok(())
}

/// What [`release`] would do now.
pub(super) async fn owed(services: &[ServiceBefore], site: Observe<'_>) -> Result<Vec<SetRestart>, Failure> {
    let policies = written(site).await?;
    let mut owed = Vec::new();
    for before in services {
        for container in of_service(site.docker, &site.site.project, &before.service).await? {
            let policy = policies.get(&container.id).filter(|policy| **policy != container.restart_policy);
            let Some(to) = policy.cloned() else { continue };
            let (id, service) = (container.id, before.service.clone());
            owed.push(SetRestart { id, service, from: container.restart_policy, to });
        }
    }
    Ok(owed)
}
