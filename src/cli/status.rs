use serde_json::{Value, json};

use super::{session::Session, show::at_work, trouble::Trouble};
use crate::{
    event::{ExitClass, Failure},
    host::{Entry, Footprint, Host, HostError, Listed, RunRow, RunState, Runs, ServiceStatus, Sets, Status},
    report::{self, AtWork, Held, Known, NoSets},
};

/// `uplift status`. What cannot be read is a line of it, never the end of it.
pub(super) async fn status(session: &mut Session) -> Result<ExitClass, Trouble> {
    let (host, runs, looked) = look(session).await;
    let site = of_site(&host).await;
    let containers = if site.is_err() { session.containers().await } else { Vec::new() };
    let now = looked.as_ref().map(Sets::now);
    let sets = match &looked {
        Some(sets) => Some(sets.all().await.map_err(|error| error.failure())),
        None => None,
    };
    let none = match (&looked, &sets) {
        (Some(looked), Some(Ok(all))) if all.is_empty() => Some(no_sets(looked, &runs, site.is_ok()).await),
        _ => None,
    };
    let own =
        own(host.as_ref().ok(), &site, &runs, sets.as_ref().and_then(|sets| sets.as_deref().ok())).await;
    let last = last(&runs);
    let holder = recorded(&runs).and_then(Runs::holder);
    let held =
        recorded(&runs).zip(site.as_ref().ok()).and_then(|(runs, site)| held(runs, site).ok().flatten());
    let (calls, at_work) = match (&runs, &last) {
        (Ok(Some(runs)), Ok(Some(run))) if run.state.unfinished() => open(runs, run).await,
        _ => Default::default(),
    };
    let left = recorded(&runs).and_then(|runs| runs.partly_taken_back().ok().flatten());
    let unread = last.as_ref().err().map(HostError::failure);
    let last = last.ok().flatten();
    let known = Known {
        site: site.as_ref(),
        containers: &containers,
        last: last.as_ref(),
        calls: &calls,
        holder: holder.as_ref(),
        left: left.as_ref(),
        at_work: &at_work,
        held: held.as_ref().map(|(run, held)| (run, held)),
        unread: unread.as_ref(),
        sets: sets.as_ref().map(Result::as_deref),
        none: none.as_ref(),
        own: own.as_ref(),
        now,
        typed: &session.typed,
    };
    if session.json() {
        session.lines().json(&as_json(&known));
    } else {
        report::status(&mut session.sheet(), &known);
    }
    Ok(exit(site.is_ok() && unread.is_none(), last.as_ref()))
}

fn as_json(known: &Known<'_>) -> Value {
    json!({
        "site": known.site.ok(),
        "failure": known.site.err(),
        "containers": known.site.is_err().then_some(known.containers),
        "run": known.last,
        "held_by": known.holder,
        "at_work": known.at_work.all(),
        "partly_taken_back": known.left,
        "left_stopped": known.held.map(|(run, held)| json!({ "run": run.id, "left": held })),
        "unread": known.unread,
        "backups_made": known.none.and_then(|none| none.made.as_ref()),
        "backups": known.sets.and_then(Result::ok),
        "own": known.own,
    })
}

/// The record, where there is one and it can be read.
fn recorded(runs: &Result<Option<Runs>, Failure>) -> Option<&Runs> {
    runs.as_ref().ok().and_then(Option::as_ref)
}

async fn of_site(host: &Result<Host, Failure>) -> Result<Status, Failure> {
    match host {
        Ok(host) => Ok(host.status().await),
        Err(failure) => Err(failure.clone()),
    }
}

/// The run that is not over, else the newest.
fn last(runs: &Result<Option<Runs>, Failure>) -> Result<Option<RunRow>, HostError> {
    match runs {
        Ok(Some(runs)) => Ok(match runs.unfinished()? {
            Some(run) => Some(run),
            None => runs.newest(1)?.pop(),
        }),
        Ok(None) => Ok(None),
        Err(failure) => Err(HostError::Site(failure.clone())),
    }
}

/// What uplift itself takes of the disk, and whether some of it is old: that is asked where the databases answer, which know
/// what one can return to.
async fn own(
    host: Option<&Host>,
    site: &Result<Status, Failure>,
    runs: &Result<Option<Runs>, Failure>,
    sets: Option<&[Listed]>,
) -> Option<Footprint> {
    let Ok(Some(runs)) = runs else { return None };
    let own = runs.footprint().await?;
    let answers = site.as_ref().is_ok_and(|site| site.database.is_some());
    let old = match (host, sets) {
        (Some(host), Some(sets)) if answers => host.has_old(sets).await.ok(),
        _ => None,
    };
    Some(Footprint { old, ..own })
}

/// The calls of a run that is not over, and what it is at.
async fn open(runs: &Runs, run: &RunRow) -> (Vec<Entry>, AtWork) {
    let Ok(shown) = runs.show(Some(&run.id)) else { return Default::default() };
    let at_work = at_work(runs, &shown).await;
    (shown.calls, at_work)
}

/// Where no backup is found, the record of the runs tells whether there should be some.
async fn no_sets(sets: &Sets, runs: &Result<Option<Runs>, Failure>, found: bool) -> NoSets {
    let made = match runs {
        Ok(Some(runs)) => runs.backups_made().ok(),
        Ok(None) => Some(Vec::new()),
        Err(_) => None,
    };
    // A folder that is no site tells nothing of one.
    let made = made.filter(|made| found || !made.is_empty());
    let is_there = sets.is_there().await.unwrap_or(true);
    NoSets { made, folder: sets.folder().display().to_string(), is_there }
}

/// The site if it can be found, and its record even if it cannot.
async fn look(session: &mut Session) -> (Result<Host, Failure>, Result<Option<Runs>, Failure>, Option<Sets>) {
    match session.open().await {
        Ok(host) => {
            let runs = host.runs().map(Some).map_err(|error| error.failure());
            let sets = host.sets();
            (Ok(host), runs, Some(sets))
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
