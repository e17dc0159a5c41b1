//! Whether the product stands still, without which no database and no folder of its can be moved, and making it so where
//! somebody has started it in the middle.

use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        docker::{Container, Select, Stop},
        project::{is_task, of_service, repository},
    },
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
    if let Some(task) = tasks(site).await?.first() {
        let text =
            format!("the task in `{}` still runs, so the product's databases cannot be moved", task.name);
        return Err(Failure::new("still_running", text)
            .hint("let the runbook do it before or after, and not beside (`together`) what moves them"));
    }
    Ok(())
}

/// Tasks of runbooks that run from the product's image: they write to its databases as the product does.
async fn tasks(site: Observe<'_>) -> Result<Vec<Container>, Failure> {
    let mut all = site.docker.containers(&Select::All).await?;
    all.retain(|one| {
        let is_ours = is_task(one, &site.site.project);
        is_ours && one.is_up() && repository(&one.image) == site.site.web.repository
    });
    Ok(all)
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
    for task in tasks(site.observe()).await? {
        site.docker.stop(&Stop { id: task.id, service: task.name, timeout: None }).await?;
    }
    still(site.observe()).await
}
