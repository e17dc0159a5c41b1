//! What can be returned to, from the record of the site's runs.

use std::path::PathBuf;

use serde_json::Value;

use super::{door::Host, error::HostError, zero::EntryZero};
use crate::{
    event::{Failure, Teller},
    journal::{Entry, Folder, Kind, Reader, RunRow, RunState, State},
    ports::points::{PastRun, PointsRead},
    primitives::{contract::Catalogue, savepoint_then, trial_ended, way_back::places},
    run,
    site::{ImageThen, Place, Point, Service, Site, Unread},
    survey::Before,
};

/// The record in a state folder.
pub(super) struct Recorded {
    pub(super) state: PathBuf,
}

impl Recorded {
    fn reader(&self) -> Result<Option<Reader>, Failure> {
        match Folder::find(&self.state) {
            Some(folder) => Ok(Reader::open(&folder)?),
            None => Ok(None),
        }
    }

    /// All of them, newest first, those included that this uplift cannot return to.
    fn all(&self) -> Result<Vec<Point>, Failure> {
        let Some(reader) = self.reader()? else { return Ok(Vec::new()) };
        let (mut points, mut restored, mut returned_from) = (Vec::new(), None, None);
        for row in reader.runs().map_err(Failure::from)? {
            if has_restored(&row) && restored.is_none() {
                restored = Some(row.id);
            } else if let Some(run) = returned(&row).filter(|_| returned_from.is_none()) {
                // Whatever came after that one was left with it.
                returned_from = Some(run);
            } else if !RETURNS.contains(&row.runbook.as_str()) {
                if returned_from.as_ref().is_some_and(|run| *run != row.id) {
                    continue;
                }
                returned_from = None;
                let found = point(&reader, row)?;
                points.extend(found.map(|point| Point { restored: restored.clone(), ..point }));
            }
        }
        Ok(points)
    }
}

impl PointsRead for Recorded {
    fn points(&self) -> Result<Vec<Point>, Failure> {
        self.all()?.into_iter().map(readable).collect()
    }

    fn point(&self, run: &str) -> Result<Option<Point>, Failure> {
        self.all()?.into_iter().find(|point| point.run == run).map(readable).transpose()
    }

    fn runs(&self) -> Result<Vec<PastRun>, Failure> {
        let Some(reader) = self.reader()? else { return Ok(Vec::new()) };
        let past = |row: RunRow| PastRun {
            over: !row.state.unfinished(),
            state: row.state_word(),
            ended: row.ended,
            tidied: row.runbook == TIDIES,
            run: row.id,
        };
        Ok(reader.runs()?.into_iter().map(past).collect())
    }
}

/// Runs of these go back themselves: `upgrade` is the way forward again.
const RETURNS: [&str; 2] = ["compose/rollback", RESTORES];

/// The runbook that puts a backup in the place of the site.
const RESTORES: &str = "compose/restore";

/// The runbook that removes what is old.
pub(super) const TIDIES: &str = "compose/prune";

impl Host {
    /// Upgrades that the site can return from, newest first, with what each way costs now.
    pub async fn places(&self) -> Result<Vec<Place>, HostError> {
        let (site, tell) = (&self.0.site, Teller::silent());
        let points = Recorded { state: site.state.clone() }.all()?;
        Ok(places(points, self.0.ports.observe(site, "places", &tell)).await?)
    }

    /// Whether one can return from a run.
    pub fn is_upgrade(&self, run: &str) -> Result<bool, HostError> {
        let points = Recorded { state: self.0.site.state.clone() }.all()?;
        Ok(points.iter().any(|point| point.run == run))
    }

    /// The newest run that has left another release, or was closed before it came so far. What came to nothing, and
    /// what only adds (a backup, say), does not stand between a person and the upgrade that they mean.
    pub fn last_switch(&self) -> Result<Option<RunRow>, HostError> {
        let Some(folder) = Folder::find(&self.0.site.state) else { return Ok(None) };
        let Some(reader) = Reader::open(&folder)? else { return Ok(None) };
        for row in reader.runs()? {
            let switched = point(&reader, row.clone())?.is_some();
            if switched || row.state == RunState::Closed {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// One that was closed in its middle may have.
fn has_restored(row: &RunRow) -> bool {
    row.runbook == RESTORES && matches!(row.state, RunState::Done | RunState::Closed)
}

/// The upgrade that a run has returned from.
fn returned(row: &RunRow) -> Option<String> {
    let is_return = row.runbook == RETURNS[0] && row.state == RunState::Done;
    row.params.get("run").filter(|_| is_return)?.as_str().map(str::to_owned)
}

/// `None` if the run left neither another release nor the databases of one.
fn point(reader: &Reader, row: RunRow) -> Result<Option<Point>, Failure> {
    let over = [RunState::Done, RunState::Closed, RunState::RolledBack];
    if !over.contains(&row.state) {
        return Ok(None);
    }
    // Most runs are no upgrades: their calls need not be read.
    if !reader.called(&row.id, "env_set")? || !reader.called(&row.id, "compose_up")? {
        return Ok(None);
    }
    let entries = reader.entries(&row.id).map_err(Failure::from)?;
    let code_only = row.state == RunState::RolledBack;
    if code_only && !run::schema_left(&entries) {
        return Ok(None);
    }
    let is_done = |state| state == State::Succeeded || (code_only && state == State::Undone);
    let all = |verb: &'static str| entries.iter().filter(move |one| one.verb == verb && is_done(one.state));
    let done = |verb| all(verb).next();
    // A runbook of the site's own may set other values too.
    let to = all("env_set").find_map(|one| one.input.get("STRATA_VERSION")?.as_str());
    let (Some(to), Some(_)) = (to, done("compose_up")) else { return Ok(None) };
    let zero = EntryZero::read(reader.before(&row.id).map_err(Failure::from)?)?;
    let (savepoint, unread) = match done("pg_savepoint") {
        Some(entry) => match savepoint_then(entry.version, entry.intent.clone().unwrap_or_default()) {
            Ok(savepoint) => (savepoint, None),
            Err(failure) => (None, Some(of_another(failure, &row)?)),
        },
        None => (None, None),
    };
    let reached = match done("compose_trial").and_then(|entry| entry.attempts.last()) {
        Some(last) => {
            last.value.clone().zip(last.ended).map(|(value, at)| trial_ended(value, at)).transpose()?
        }
        None => None,
    };
    Ok(Some(Point {
        to: to.to_owned(),
        images: images(&zero.site, &zero.before),
        from: zero.site.version,
        code_only,
        restored: None,
        schemas: zero.before.schemas,
        savepoint,
        unread,
        reached,
        beside: beside(&entries),
        ended: row.ended.unwrap_or(row.started),
        command: row.command,
        run: row.id,
    }))
}

/// Calls that are about something else than the product: a runbook that returns knows nothing of them.
const BESIDE: [&str; 5] = ["docker_run", "exec", "file_put", "http_request", "template"];

/// What a run has done beside the switch, and has not taken back itself.
fn beside(entries: &[Entry]) -> Vec<String> {
    let stock = Catalogue::stock();
    let removed = |name: &Value| {
        let mut all =
            entries.iter().filter(|one| one.verb == "docker_remove" && one.state == State::Succeeded);
        all.any(|one| one.input.get("name") == Some(name))
    };
    let stays = |one: &&Entry| match one.verb.as_str() {
        "docker_run" => !one.input.get("name").is_some_and(removed),
        "env_set" => one.input.as_object().is_some_and(|set| set.keys().any(|name| name != "STRATA_VERSION")),
        other => BESIDE.contains(&other) || stock.get(other).is_none(),
    };
    let done = entries.iter().filter(|one| one.kind == Kind::Effect && one.state == State::Succeeded);
    let adds = |one: &Entry| {
        let only = |intent| stock.get(&one.verb).is_some_and(|verb| verb.only_adds(one.version, intent));
        one.intent.as_ref().is_some_and(only)
    };
    let leaves = done.filter(|one| !adds(one));
    leaves.filter(stays).map(|one| format!("{} (`{}`)", one.summary, one.address)).collect()
}

/// What this uplift cannot read of an earlier run, another can.
fn of_another(failure: Failure, row: &RunRow) -> Result<Unread, Failure> {
    if failure.code != "intent_version" {
        return Err(failure);
    }
    let RunRow { id, uplift, .. } = row;
    let text = format!("run `{id}` cannot be returned from with this uplift: {}", failure.message);
    let hint = format!("return from it with uplift {uplift}, which made it: `uplift rollback {id}`");
    Ok(Unread { text, hint })
}

/// A savepoint that is not understood is not taken for none: that would send people to a restore, and away its copies.
fn readable(point: Point) -> Result<Point, Failure> {
    match point.unread {
        Some(Unread { text, hint }) => Err(Failure::new("intent_version", text).hint(hint)),
        None => Ok(point),
    }
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
