//! For how long each service was away, from the record of a run.

use jiff::Timestamp;

use super::{
    calls::services,
    held::Held,
    words::{hour, millis_between, span},
};
use crate::journal::{Entry, RunRow, RunState, State, UndoRow};

/// One service's time away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) service: String,
    from: Timestamp,
    /// `None` while it is away.
    until: Option<Timestamp>,
    /// Not for the first time in this run.
    again: bool,
}

impl Away {
    pub(super) fn in_words(&self) -> String {
        let again = if self.again { "again " } else { "" };
        match self.until {
            Some(until) => format!("`{}` {again}{}", self.service, span(millis_between(self.from, until))),
            None => format!("`{}` {again}since {}", self.service, hour(self.from)),
        }
    }
}

/// A service goes when a call stops or replaces it, and is back once a wait has found it well. Taken back, it counts
/// as away until the whole site was compared: sooner cannot be proved from the record.
pub(super) fn away(run: &RunRow, calls: &[Entry]) -> Vec<Away> {
    let mut found: Vec<Away> = Vec::new();
    for call in calls {
        match call.verb.as_str() {
            "compose_stop" | "compose_up" if began(call) => {
                let Some(from) = call.attempts.first().map(|attempt| attempt.started) else { continue };
                goes(&mut found, call, from);
            }
            "wait_healthy" if call.state == State::Succeeded => {
                let well = well_at(call);
                let service = call.input.get("service").and_then(|name| name.as_str());
                for away in found.iter_mut().filter(|away| Some(away.service.as_str()) == service) {
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
            goes(&mut found, call, undone.started);
        }
    }
    let over = matches!(run.state, RunState::Done | RunState::TakenBack | RunState::RolledBack);
    // What a finished run has left stopped is away for as long as nobody starts it.
    let held =
        Held::of(calls).filter(|_| run.state == RunState::Done).map_or_else(Vec::new, |held| held.services);
    for away in found.iter_mut().filter(|away| !held.contains(&away.service)) {
        away.until = away.until.or(run.ended.filter(|_| over));
    }
    found
}

/// The services of a call go, those that are still away aside.
fn goes(found: &mut Vec<Away>, call: &Entry, from: Timestamp) {
    for service in services(call) {
        let mut earlier = found.iter().filter(|away| away.service == service);
        if earlier.clone().all(|away| away.until.is_some()) {
            let again = earlier.next().is_some();
            found.push(Away { service, from, until: None, again });
        }
    }
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
