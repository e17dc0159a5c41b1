//! How a site can return from a finished upgrade, and what each way costs: looked at now, decided by nobody.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{check_release::is_moving, return_point::Jobs};
use crate::{
    backups,
    event::Failure,
    ports::{
        Observe,
        docker::Container,
        postgres::{Kept, KeptDatabase},
        product::web_runs_jobs,
        project::of_service,
    },
    site::{ImageThen, Moment, NameToGive, Place, Point, Way, Written, WrittenTable},
};

/// Databases whose rows nobody misses: they are made anew by use.
const PASSING: [&str; 2] = ["cache", "cable"];
/// Tables that releases write, and users never. The worker's heartbeat is one.
const NOT_USERS: [&str; 3] = ["schema_migrations", "ar_internal_metadata", "solid_queue_processes"];

/// How the site stands to each of these now.
pub(crate) async fn places(points: Vec<Point>, site: Observe<'_>) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for point in points {
        places.push(place(point, site).await?);
    }
    Ok(places)
}

/// How the site stands to one finished upgrade.
pub(super) async fn place(point: Point, site: Observe<'_>) -> Result<Place, Failure> {
    let mut missing = Vec::new();
    for image in &point.images {
        if site.docker.image(&image.id).await?.is_none() {
            missing.push(image.clone());
        }
    }
    let images: Vec<_> = point.images.iter().map(|one| (one.repository.clone(), one.id.clone())).collect();
    let (tag, names) = tag(&point.from, &point.run, &images, site).await?;
    let runs_now = runs(&point.images, site).await?;
    let migrated = migrated(&point, site).await?;
    let (way, since) = match &point.unread {
        Some(_) => (Way::Nothing, None),
        None if migrated.is_empty() => (Way::Code, None),
        None => way(&point, site).await?,
    };
    let (written, why) = match since {
        Some(since) => match written(&since, site).await {
            Ok(written) => (Some(written), None),
            Err(failure) => (None, Some(format!("what was written since cannot be counted: {failure}"))),
        },
        None => (None, None),
    };
    let compatible = site.site.compatible.contains(&point.to);
    let mut place = Place {
        point,
        tag,
        names,
        missing,
        runs_now,
        migrated,
        compatible,
        way,
        why,
        written,
        jobs: Vec::new(),
    };
    if matches!(place.way, Way::Savepoint { .. }) && place.jobs_waiting() > 0 {
        place.jobs = jobs_words(web_runs_jobs(site.site), site);
    }
    Ok(place)
}

/// Whether `rollback --list` shows a way back to what ran before an upgrade: the code alone, or with the data.
pub(super) async fn offers(point: &Point, site: Observe<'_>) -> Result<bool, Failure> {
    let compatible = site.site.compatible.contains(&point.to);
    if compatible || migrated(point, site).await?.is_empty() {
        return Ok(true);
    }
    Ok(way(point, site).await?.0 != Way::Nothing)
}

/// What may be said beforehand of jobs that would run a second time: where web runs them they cannot be held.
pub(super) fn jobs_words(in_web: bool, site: Observe<'_>) -> Vec<String> {
    let words: &[&str] = match (in_web, &site.site.job) {
        (true, _) => &["run"],
        (false, Some(_)) => &["hold", "run"],
        (false, None) => &[],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What else is typed beside a choice, so that the run need not ask about the jobs once web runs.
pub(super) fn also(words: &[String], said: Jobs) -> String {
    match words.first() {
        Some(word) if said == Jobs::Ask => format!("--jobs {word}"),
        _ => String::new(),
    }
}

/// Why it is typed, and what else could be.
pub(super) fn also_found(words: &[String], said: Jobs) -> Option<String> {
    let word = words.first().filter(|_| said == Jobs::Ask)?;
    Some(match word.as_str() {
        "hold" => "`--jobs hold` keeps the worker from them until you start it, `--jobs run` lets it run them; without \
                   either the run stops once web runs, and asks if any waits"
            .to_owned(),
        _ => "web runs the jobs itself, so they cannot be held: `--jobs run` says that it may".to_owned(),
    })
}

/// The tag under which compose finds exactly these images, each given by its repository and id, and the names that they
/// need for that. `wanted` is what ran as it was called: where that may mean another image tomorrow, or does now, the
/// images get a name of ours, with the run or set that they belong to.
pub(super) async fn tag(
    wanted: &str,
    of: &str,
    images: &[(String, String)],
    site: Observe<'_>,
) -> Result<(String, Vec<NameToGive>), Failure> {
    let ours = format!("uplift-{of}");
    let mut stays = !is_moving(wanted);
    let mut names: Vec<NameToGive> = Vec::new();
    for (repository, id) in images {
        let found = site.docker.image(&format!("{repository}:{wanted}")).await?;
        stays &= found.is_some_and(|found| found.id == *id);
        let reference = format!("{repository}:{ours}");
        if !names.iter().any(|known| known.reference == reference) {
            names.push(NameToGive { image: id.clone(), reference });
        }
    }
    Ok(if stays { (wanted.to_owned(), Vec::new()) } else { (ours, names) })
}

/// Whether all the product's services run these images now, but for a worker that was stopped: a return that holds it
/// leaves its old container there.
async fn runs(images: &[ImageThen], site: Observe<'_>) -> Result<bool, Failure> {
    let mut all = !images.is_empty();
    for image in images {
        let now = of_service(site.docker, &site.site.project, &image.service).await?;
        let worker = site.site.job.as_ref().is_some_and(|job| job.name == image.service);
        let runs =
            |one: &Container| (one.is_running() && one.image_id == image.id) || (worker && !one.is_up());
        all &= !now.is_empty() && now.iter().all(runs);
    }
    Ok(all)
}

/// Databases whose migrations are not the ones from before.
async fn migrated(point: &Point, site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let mut moved = Vec::new();
    for (database, then) in &point.schemas {
        let now = site.postgres.schema_versions(&site.site.databases.endpoint, database).await?;
        if now.unwrap_or_default() != *then {
            moved.push(database.clone());
        }
    }
    Ok(moved)
}

/// How migrated databases can return, and the moment that they would return to.
async fn way(point: &Point, site: Observe<'_>) -> Result<(Way, Option<Moment>), Failure> {
    let users = point.reached.clone().or_else(|| Some(point.savepoint.as_ref()?.made.clone()));
    let copies = copies(&point.run, site).await?;
    let count = copies.len() as u64;
    if point.savepoint.is_some() && copies.len() == site.site.databases.all.len() {
        let bytes = copies.iter().map(|one| one.size).sum();
        return Ok((Way::Savepoint { copies: count, bytes }, users));
    }
    let sets = backups::list(site.files, &backups::folder(site.site)).await?;
    let of_run = |name: &str| name == point.run || name.starts_with(&format!("{}-", point.run));
    let set = sets.into_iter().find(|one| of_run(&one.set) && one.standing.is_verified());
    let Some((set, manifest)) = set.and_then(|one| Some((one.clone(), one.manifest?))) else {
        return Ok((Way::Nothing, users));
    };
    let at: Option<Timestamp> = manifest.created_at.parse().ok();
    let sequences = manifest.databases.into_iter().map(|one| (one.facts.name, one.sequences)).collect();
    let since = at.zip(manifest.snapshot).map(|(at, moment)| Moment { snapshot: moment.text, at, sequences });
    let path = set.path.display().to_string();
    Ok((Way::Set { set: set.set, path, created_at: manifest.created_at }, since))
}

/// The copies that the savepoint of a run has left on the server.
pub(super) async fn copies(run: &str, site: Observe<'_>) -> Result<Vec<KeptDatabase>, Failure> {
    let all = &site.site.databases;
    let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
    let mut kept = site.postgres.kept(&all.endpoint, &names).await?;
    kept.retain(|one| one.mark.as_ref().is_some_and(|mark| mark.kind == Kept::Savepoint && mark.run == run));
    Ok(kept)
}

/// What users wrote since a moment, counted in every database whose rows somebody would miss.
pub(super) async fn written(since: &Moment, site: Observe<'_>) -> Result<Written, Failure> {
    let all = &site.site.databases;
    let unknown = BTreeMap::new();
    let (mut tables, mut rows) = (Vec::new(), 0);
    for database in all.all.iter().filter(|one| !PASSING.contains(&one.role.as_str())) {
        let sequences = since.sequences.get(&database.name).unwrap_or(&unknown);
        let tables_of =
            site.postgres.written_since(&all.endpoint, &database.name, &since.snapshot, sequences).await?;
        for table in tables_of {
            if NOT_USERS.contains(&table.name.as_str()) {
                continue;
            }
            rows += table.rows;
            tables.push(WrittenTable {
                database: database.name.clone(),
                table: table.name,
                rows: table.rows,
                added: table.added,
            });
        }
    }
    tables.sort_by_key(|one| std::cmp::Reverse(one.rows));
    let seconds = site.clock.now().duration_since(since.at).as_secs().unsigned_abs();
    Ok(Written { since: since.at, minutes: seconds.div_ceil(60), rows, tables })
}
