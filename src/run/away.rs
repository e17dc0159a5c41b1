//! What the record of a run tells of the site: whether it was changed, for how long each service was away, what was left stopped.

use jiff::Timestamp;

use crate::{
    journal::{Entry, Kind, RunRow, RunState, State, UndoRow},
    primitives::contract::Catalogue,
};

/// One service's time away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    pub service: String,
    pub from: Timestamp,
    /// `None` while it is away.
    pub until: Option<Timestamp>,
    /// Not for the first time in this run.
    pub again: bool,
    /// When it went, or whether it did, is not on record: no longer than this.
    pub at_most: bool,
    /// It was being told to stop when the run came to its end: perhaps it never was.
    pub in_doubt: bool,
}

/// A service goes when a call stops or replaces it, and is back once a wait has found it well. Taken back, it counts
/// as away until the whole site was compared: sooner cannot be proved from the record.
#[must_use]
pub fn away(run: &RunRow, calls: &[Entry]) -> Vec<Away> {
    let mut found: Vec<Away> = Vec::new();
    for call in calls {
        match call.verb.as_str() {
            "compose_stop" | "compose_up" if began(call) => {
                let Some(from) = call.attempts.first().map(|attempt| attempt.started) else { continue };
                let stopped = call.attempts.last().is_some_and(|last| last.state == State::Succeeded);
                // Where an attempt ended without a word nobody knows when, or whether, the service went.
                let at_most = call.attempts.len() > 1 || !stopped;
                let since = |service: &str| told(call, service).filter(|_| !at_most).unwrap_or(from);
                goes(&mut found, call, since, at_most);
                let at_work = run.state == RunState::Running && !run.interrupted;
                if call.verb == "compose_stop" && !stopped && !at_work {
                    let named = services(call);
                    for away in found.iter_mut().filter(|away| named.contains(&away.service)) {
                        away.in_doubt = away.until.is_none();
                    }
                }
            }
            "wait_healthy" if call.state == State::Succeeded => {
                let well = well_at(call);
                let also = call.input.get("also").and_then(|names| names.as_array()).into_iter().flatten();
                let names: Vec<_> = call.input.get("service").into_iter().chain(also).collect();
                for away in found.iter_mut().filter(|away| names.iter().any(|name| **name == *away.service)) {
                    away.until = away.until.or(well);
                }
            }
            _ => {}
        }
    }
    // On the way back what had come up goes once more.
    for call in calls.iter().filter(|call| call.verb == "compose_up") {
        let restored =
            |undone: &UndoRow| undone.value.as_ref().is_some_and(|value| value["undone"] == "restored");
        if let Some(undone) = call.undos.last().filter(|undone| restored(undone)) {
            let from = call.undos.first().map_or(undone.started, |first| first.started);
            goes(&mut found, call, |_| from, call.undos.len() > 1);
        }
    }
    let over = matches!(run.state, RunState::Done | RunState::TakenBack | RunState::RolledBack);
    // What a finished run has left stopped is away for as long as nobody starts it.
    let held = left_stopped(calls).filter(|_| run.state == RunState::Done).unwrap_or_default();
    for away in found.iter_mut().filter(|away| !held.contains(&away.service)) {
        away.until = away.until.or(run.ended.filter(|_| over));
    }
    found
}

/// The services of a call go, those that are still away aside.
fn goes(found: &mut Vec<Away>, call: &Entry, from: impl Fn(&str) -> Timestamp, at_most: bool) {
    for service in services(call) {
        let from = from(&service);
        let mut earlier = found.iter().filter(|away| away.service == service);
        if earlier.clone().all(|away| away.until.is_some()) {
            let again = earlier.next().is_some();
            found.push(Away { service, from, until: None, again, at_most, in_doubt: false });
        }
    }
}

/// When a call has told a service to stop, where it has noted that: not all are told when it begins.
fn told(call: &Entry, service: &str) -> Option<Timestamp> {
    call.attempts.last()?.value.as_ref()?.get("told")?.get(service)?.as_str()?.parse().ok()
}

fn began(call: &Entry) -> bool {
    call.intent.is_some() && !matches!(call.state, State::Refused | State::NotApplied)
}

/// A wait ends only after the service has stayed well for a while: that while does not count.
fn well_at(call: &Entry) -> Option<Timestamp> {
    let last = call.attempts.last()?;
    let stable = last.value.as_ref()?.get("stable_ms")?.as_i64()?;
    Some(last.ended? - jiff::SignedDuration::from_millis(stable))
}

/// By the record of a run: of the services that it has stopped or started, those that it has not started since. `None`
/// if it has stopped and started none.
#[must_use]
pub fn left_stopped(calls: &[Entry]) -> Option<Vec<String>> {
    let mut left: Option<Vec<String>> = None;
    for call in calls.iter().filter(|call| call.state == State::Succeeded) {
        let stops = match call.verb.as_str() {
            "compose_stop" => true,
            "compose_up" => false,
            _ => continue,
        };
        let (all, named) = (left.get_or_insert_default(), services(call));
        all.retain(|known| !named.contains(known));
        if stops {
            all.extend(named);
        }
    }
    left
}

/// The services that a run has begun to stop or to start, in whichever direction.
#[must_use]
pub fn touched(calls: &[Entry]) -> Vec<String> {
    let touches = |call: &&Entry| matches!(call.verb.as_str(), "compose_stop" | "compose_up") && began(call);
    calls.iter().filter(touches).flat_map(services).collect()
}

/// The services that an unfinished run has stopped, and has not begun to start in either direction.
#[must_use]
pub fn stopped_meanwhile(calls: &[Entry]) -> Vec<String> {
    let stops = |call: &&Entry| call.verb == "compose_stop";
    if calls.iter().filter(stops).any(|call| !call.undos.is_empty()) {
        return Vec::new();
    }
    let mut stopped = left_stopped(calls).unwrap_or_default();
    for call in calls.iter().filter(|call| call.verb == "compose_up" && began(call)) {
        let named = services(call);
        stopped.retain(|name| !named.contains(name));
    }
    stopped
}

/// Whether it is known of the calls of a run that they have changed no container, configuration or database.
#[must_use]
pub fn untouched(calls: &[Entry]) -> bool {
    !calls.is_empty() && !has_changed(&Catalogue::stock(), calls)
}

/// Whether the calls of a run may have changed containers, configuration or databases. One that is not in the catalogue may.
#[must_use]
pub(super) fn has_changed(catalogue: &Catalogue, calls: &[Entry]) -> bool {
    calls.iter().any(|call| {
        let changes =
            |intent| catalogue.get(&call.verb).is_none_or(|verb| !verb.only_adds(call.version, intent));
        call.kind == Kind::Effect && call.intent.as_ref().is_some_and(changes)
    })
}

/// The services that a call names.
fn services(call: &Entry) -> Vec<String> {
    let list = call.input.get("services").and_then(|list| list.as_array());
    list.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
