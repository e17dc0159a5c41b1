//! What an operator must know, or decide, before a backup set is restored on this site.

use crate::primitives::{
    return_point::Jobs,
    returned_jobs::web_question,
    set_config::Values,
    way_back::{also_found, jobs_words},
};
use crate::{
    backups::Manifest,
    event::Failure,
    ports::{
        Observe,
        docker::{Container, Select},
        product::{JOBS_IN_WEB, is_on, web_runs_jobs},
        project::repository,
    },
    site::Storage,
};

/// The set is of this site, as far as its name says.
pub(super) fn of_this_site(manifest: &Manifest, site: Observe<'_>) {
    let (then, now) = (&manifest.project, &site.site.project.name);
    if !then.is_empty() && then != now {
        site.tell.warn(format!("the set is of the project `{then}`, and this site is `{now}`"));
    }
}

/// Whoever restores it has to know what comes back without its rows.
pub(super) fn tell_bare(manifest: &Manifest, site: Observe<'_>) {
    if let Some(text) = bare(manifest) {
        site.tell.warn(text);
    }
}

/// Databases that come back without their rows.
pub(super) fn bare(manifest: &Manifest) -> Option<String> {
    let bare = manifest.databases.iter().filter(|one| one.rows_left_out);
    let names: Vec<_> = bare.map(|one| format!("`{}`", one.facts.name)).collect();
    (!names.is_empty()).then(|| format!("the set has no rows of {}: empty afterwards", names.join(", ")))
}

/// Web begins with the jobs of the restored queue as soon as it is up, so that somebody has to say so before; a worker
/// waits, and whoever has said nothing is told that the run will ask. `config` are the variables that web will have
/// where the configuration of the set goes back.
pub(super) fn decide_jobs(
    manifest: &Manifest,
    decided: Jobs,
    config: Option<&Values>,
    site: Observe<'_>,
) -> Result<(), Failure> {
    let rows = jobs_held(manifest);
    if decided == Jobs::Run || rows == 0 {
        return Ok(());
    }
    if !in_web(config, site) {
        if let Some(text) = also_found(&jobs_to_decide(manifest, config, site), decided) {
            site.tell.warn(format!("{}: {text}", jobs_found(manifest)));
        }
        return Ok(());
    }
    let found = vec![jobs_found(manifest)];
    Err(Failure::asks("choice_needed", web_question(rows, ("restore", "restored"), found)))
}

/// Whether web will run the jobs itself.
fn in_web(config: Option<&Values>, site: Observe<'_>) -> bool {
    let told = config.and_then(|values| values.get(JOBS_IN_WEB)).is_some_and(|value| is_on(value));
    told || web_runs_jobs(site.site)
}

/// What may be said beforehand of the jobs of the set's queue; nothing where it holds none.
pub(super) fn jobs_to_decide(manifest: &Manifest, config: Option<&Values>, site: Observe<'_>) -> Vec<String> {
    if jobs_held(manifest) == 0 { Vec::new() } else { jobs_words(in_web(config, site), site) }
}

pub(super) fn jobs_found(manifest: &Manifest) -> String {
    let rows = jobs_held(manifest);
    format!("the queue of the set holds {rows} jobs, those that were done then included")
}

fn jobs_held(manifest: &Manifest) -> u64 {
    let queue = manifest.databases.iter().find(|one| one.role == "queue");
    let tables = queue.iter().flat_map(|one| &one.tables);
    tables.filter(|table| table.name == "solid_queue_jobs").map(|table| table.rows).sum()
}

/// Names of containers that have the uploaded files mounted, and that nobody stops: until they are started again they
/// see the files that were replaced.
pub(super) async fn onlookers(site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let Storage::Local { volume, .. } = &site.site.storage else { return Ok(Vec::new()) };
    let all = site.docker.containers(&Select::All).await?;
    let looks = |one: &&Container| {
        one.is_up() && !is_stopped(one, site) && one.mounts.iter().any(|mount| mount.source == *volume)
    };
    Ok(all.iter().filter(looks).map(|one| one.name.clone()).collect())
}

/// The product's own, which `compose_stop` stops.
fn is_stopped(container: &Container, site: Observe<'_>) -> bool {
    let of_project = container.labels.get("com.docker.compose.project") == Some(&site.site.project.name);
    let product = site.site.product().any(|one| container.service() == Some(one.name.as_str()));
    let orphan = container.service().is_some_and(|name| !site.site.services.iter().any(|one| one == name))
        && repository(&container.image) == site.site.web.repository;
    of_project && (product || orphan)
}
