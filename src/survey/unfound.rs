//! What runs where the site itself cannot be found: containers tell it even then.

use super::{
    Start,
    own::OwnSite,
    project::{Search, is_strata},
    status::{ServiceStatus, state},
};
use crate::ports::{
    Ports,
    docker::{Container, Select},
};

/// The product's containers that were made from the folder. None where the engine cannot be asked or nobody knows the folder:
/// why the site cannot be found says more of that.
pub async fn containers(ports: &Ports, start: &Start) -> Vec<ServiceStatus> {
    let Ok(all) = ports.docker.containers(&Select::All).await else { return Vec::new() };
    let Some(dir) = &start.dir else { return Vec::new() };
    let own = OwnSite::default();
    let search = Search { start, own: &own, containers: &all, recorded: None, files: &*ports.files };
    let mut found: Vec<_> = search.here(dir).await.unwrap_or_default();
    found.retain(|one| is_strata(one));
    found.sort_by_key(|one| one.service().map(str::to_owned));
    let shown = |one: &&Container| ServiceStatus {
        service: one.service().unwrap_or(&one.name).to_owned(),
        image: one.image.clone(),
        digest: None,
        state: state(one, ports.clock.now()),
        running: one.is_running(),
        // What starts it is compose, which needs the files.
        next: None,
        started: one.started,
        health: None,
    };
    found.iter().map(shown).collect()
}
