use serde_json::json;

use super::{session::Session, trouble::Trouble};
use crate::{
    event::{ExitClass, Failure},
    host::{HostError, RunRow, RunState, Runs, ServiceStatus, Sets, Status},
    report::{self, Held, Known, NoSets},
};

/// `uplift status`. What cannot be read is a line of it, never the end of it.
pub(super) async fn status(session: &mut Session) -> Result<ExitClass, Trouble> {
    let (site, runs, looked) = look(session).await;
    let now = looked.as_ref().map(Sets::now);
    let sets = match &looked {
        Some(sets) => Some(sets.all().await.map_err(|error| error.failure())),
        None => None,
    };
    let none = match (&looked, &sets) {
        (Some(looked), Some(Ok(all))) if all.is_empty() => Some(no_sets(looked, &runs).await),
        _ => None,
    };
    let last = match &runs {
        Ok(Some(runs)) => runs.unfinished().and_then(|open| match open {
            Some(run) => Ok(Some(run)),
            None => Ok(runs.all()?.into_iter().next()),
        }),
        Ok(None) => Ok(None),
        Err(failure) => Err(HostError::Site(failure.clone())),
    };
    let holder = runs.as_ref().ok().and_then(Option::as_ref).and_then(Runs::holder);
    let held = match (&runs, &site) {
        (Ok(Some(runs)), Ok(site)) => held(runs, site).ok().flatten(),
        _ => None,
    };
    let calls = match (&runs, &last) {
        (Ok(Some(runs)), Ok(Some(run))) if run.state.unfinished() => {
            runs.show(Some(&run.id)).map(|shown| shown.calls).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let unread = last.as_ref().err().map(HostError::failure);
    let last = last.ok().flatten();
    if session.json() {
        session.lines().json(&json!({
            "site": site.as_ref().ok(),
            "failure": site.as_ref().err(),
            "run": last,
            "held_by": holder,
            "left_stopped": held.as_ref().map(|(run, held)| json!({ "run": run.id, "left": held })),
            "unread": unread,
            "backups_made": none.as_ref().and_then(|none| none.made.as_ref()),
            "backups": sets.as_ref().and_then(|sets| sets.as_ref().ok()),
        }));
    } else {
        let known = Known {
            site: site.as_ref(),
            last: last.as_ref(),
            calls: &calls,
            holder: holder.as_ref(),
            held: held.as_ref().map(|(run, held)| (run, held)),
            unread: unread.as_ref(),
            sets: sets.as_ref().map(Result::as_deref),
            none: none.as_ref(),
            now,
            typed: &session.typed,
        };
        report::status(&mut session.sheet(), &known);
    }
    Ok(exit(site.is_ok() && unread.is_none(), last.as_ref()))
}

/// Where no backup is found, the record of the runs tells whether there should be some.
async fn no_sets(sets: &Sets, runs: &Result<Option<Runs>, Failure>) -> NoSets {
    let made = match runs {
        Ok(Some(runs)) => runs.backups_made().ok(),
        Ok(None) => Some(Vec::new()),
        Err(_) => None,
    };
    let is_there = sets.is_there().await.unwrap_or(true);
    NoSets { made, folder: sets.folder().display().to_string(), is_there }
}

/// The site if it can be found, and its record even if it cannot.
async fn look(
    session: &mut Session,
) -> (Result<Status, Failure>, Result<Option<Runs>, Failure>, Option<Sets>) {
    match session.open().await {
        Ok(host) => {
            let runs = host.runs().map(Some).map_err(|error| error.failure());
            (Ok(host.status().await), runs, Some(host.sets()))
        }
        Err(error) => {
            let runs = session.folder_runs().transpose().map_err(|error| error.failure());
            (Err(error.failure), runs, session.folder_sets().and_then(Result::ok))
        }
    }
}

/// What the newest run that stopped or started anything has left stopped, as far as it does not run since.
fn held(runs: &Runs, site: &Status) -> Result<Option<(RunRow, Held)>, HostError> {
    if site.services.iter().all(|service| service.running) {
        return Ok(None);
    }
    for run in runs.all()? {
        // What was taken back has left everything as it found it.
        match run.state {
            RunState::Done => {}
            RunState::Refused | RunState::TakenBack | RunState::RolledBack => continue,
            _ => return Ok(None),
        }
        let Some(mut held) = Held::of(&runs.show(Some(&run.id))?.calls) else { continue };
        let ended = run.ended.unwrap_or(run.started);
        held.services.retain(|name| {
            let of_name = |service: &&ServiceStatus| service.service == *name;
            let still =
                |service: &ServiceStatus| !service.running && service.started.is_none_or(|at| at < ended);
            let mut containers = site.services.iter().filter(of_name).peekable();
            containers.peek().is_some() && containers.all(still)
        });
        return Ok(Some((run, held)).filter(|(_, held)| !held.services.is_empty()));
    }
    Ok(None)
}

/// `told`: both the site and the record of its runs could be read.
fn exit(told: bool, last: Option<&RunRow>) -> ExitClass {
    match last.map(|run| (run.state, run.interrupted)) {
        Some((RunState::NeedsPerson | RunState::Stuck, _)) => ExitClass::NeedsPerson,
        Some((RunState::Unfinished, _) | (RunState::Running, true)) => ExitClass::Unfinished,
        _ if told => ExitClass::Done,
        _ => ExitClass::Refused,
    }
}
