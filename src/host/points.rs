//! What can be returned to, from the record of the site's runs.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::{door::Host, error::HostError, zero::EntryZero};
use crate::{
    event::{Failure, Teller},
    journal::{Entry, Folder, Reader, RunRow, RunState, State},
    ports::points::PointsRead,
    primitives::way_back::places,
    site::{ImageThen, Moment, Place, Point, SavepointThen, Service, Site},
    survey::Before,
};

/// The record in a state folder.
pub(super) struct Recorded {
    pub(super) state: PathBuf,
}

impl PointsRead for Recorded {
    fn points(&self) -> Result<Vec<Point>, Failure> {
        let Some(folder) = Folder::find(&self.state) else { return Ok(Vec::new()) };
        let Some(reader) = Reader::open(&folder).map_err(Failure::from)? else { return Ok(Vec::new()) };
        let mut points = Vec::new();
        for row in reader.runs().map_err(Failure::from)? {
            if row.state == RunState::Done && !RETURNS.contains(&row.runbook.as_str()) {
                points.extend(point(&reader, row)?);
            }
        }
        Ok(points)
    }
}

/// Runs of these go back themselves: `upgrade` is the way forward again.
const RETURNS: [&str; 2] = ["compose/rollback", "compose/restore"];

impl Host {
    /// Finished upgrades that the site can return from, newest first, with what each way costs now.
    pub async fn places(&self) -> Result<Vec<Place>, HostError> {
        let (site, tell) = (&self.0.site, Teller::silent());
        let points = Recorded { state: site.state.clone() }.points()?;
        Ok(places(points, self.0.ports.observe(site, "places", &tell)).await?)
    }

    /// Whether a run is a finished upgrade, so that one can return from it.
    pub fn is_upgrade(&self, run: &str) -> Result<bool, HostError> {
        let points = Recorded { state: self.0.site.state.clone() }.points()?;
        Ok(points.iter().any(|point| point.run == run))
    }
}

/// `None` if the run switched no release.
fn point(reader: &Reader, row: RunRow) -> Result<Option<Point>, Failure> {
    let entries = reader.entries(&row.id).map_err(Failure::from)?;
    let done = |verb: &str| entries.iter().find(|one| one.verb == verb && one.state == State::Succeeded);
    let to = done("env_set").and_then(|one| one.input.get("STRATA_VERSION")?.as_str());
    let (Some(to), Some(_)) = (to, done("compose_up")) else { return Ok(None) };
    let zero = EntryZero::read(reader.before(&row.id).map_err(Failure::from)?)?;
    let savepoint = done("pg_savepoint").and_then(savepoint);
    Ok(Some(Point {
        to: to.to_owned(),
        images: images(&zero.site, &zero.before),
        from: zero.site.version,
        schemas: zero.before.schemas,
        savepoint,
        reached: done("compose_trial").and_then(reached),
        ended: row.ended.unwrap_or(row.started),
        command: row.command,
        run: row.id,
    }))
}

fn images(site: &Site, before: &Before) -> Vec<ImageThen> {
    let of = |service: &Service| {
        let ran = before.containers.values().find(|one| one.service == service.name)?;
        let known = |full: &&String| full.split_once('@').is_some_and(|(name, _)| name == service.repository);
        Some(ImageThen {
            service: service.name.clone(),
            repository: service.repository.clone(),
            id: ran.image_id.clone(),
            digest: ran.digests.iter().find(known).cloned(),
        })
    };
    site.product().filter_map(of).collect()
}

/// As `pg_savepoint` wrote it down; what cannot be read was not made by this version and is left out.
fn savepoint(entry: &Entry) -> Option<SavepointThen> {
    let intent = entry.intent.as_ref()?;
    if !intent["none"].is_null() {
        return None;
    }
    let jobs: Vec<Value> = intent["jobs"].as_array().cloned().unwrap_or_default();
    let job = |job: &Value| {
        let taken = job["claimed_by"].as_str().map(|by| format!(", taken by {by}")).unwrap_or_default();
        format!("{} {}{taken}", job["class"].as_str().unwrap_or("?"), job["id"])
    };
    let schemas: BTreeMap<String, Vec<String>> = serde_json::from_value(intent["schemas"].clone()).ok()?;
    Some(SavepointThen {
        made: moment(&intent["copies"]["snapshot"], &intent["copies"]["made_at"])?,
        schemas,
        jobs_waiting: intent["jobs_waiting"].as_u64().unwrap_or(0),
        jobs: jobs.iter().map(job).collect(),
    })
}

fn reached(entry: &Entry) -> Option<Moment> {
    let last = entry.attempts.last()?;
    let outcome = last.value.as_ref()?;
    let snapshot = outcome.get("snapshot")?.as_str()?.to_owned();
    let sequences = serde_json::from_value(outcome["sequences"].clone()).unwrap_or_default();
    Some(Moment { snapshot, at: last.ended?, sequences })
}

fn moment(snapshot: &Value, at: &Value) -> Option<Moment> {
    let at: Timestamp = at.as_str()?.parse().ok()?;
    Some(Moment { snapshot: snapshot.as_str()?.to_owned(), at, sequences: BTreeMap::new() })
}
