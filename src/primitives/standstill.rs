//! Whether the product stands still, without which no database and no folder of its can be moved, and making it so where
//! somebody has started it in the middle.

use crate::{
    event::Failure,
    ports::{Observe, Operate, docker::Stop, project::of_service},
};

/// Refuses while a container of the product runs: a copy of what is being written to would be of no moment.
pub(super) async fn still(site: Observe<'_>) -> Result<(), Failure> {
    for service in site.site.product() {
        for container in of_service(site.docker, &site.site.project, &service.name).await? {
            if container.is_up() {
                let text = format!("`{}` still runs, so its databases cannot be moved", service.name);
                return Err(Failure::new("still_running", text)
                    .hint(format!(
                        "where somebody has started it by hand, stop it: `docker stop {}`; else the runbook stops it in an earlier step",
                        container.name
                    )));
            }
        }
    }
    Ok(())
}

/// Stops whatever of the product runs. Sessions of a database could be ended, and come back at once; a folder that takes
/// another's place is not seen by a container that has the other mounted.
pub(super) async fn stop_what_runs(site: Operate<'_>) -> Result<(), Failure> {
    for service in site.site.product() {
        for container in of_service(site.docker, &site.site.project, &service.name).await? {
            if container.is_up() {
                let stop = Stop { id: container.id, service: service.name.clone(), timeout: None };
                site.docker.stop(&stop).await?;
            }
        }
    }
    still(site.observe()).await
}
