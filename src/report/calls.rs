//! The calls of a run as the record has them.

use super::{
    paper::{Mark, Paper},
    words::{between, step_of},
};
use crate::journal::{Choosing, Entry, Kind, State};

/// Every call with how it ended, under its step. `alive`: somebody works on them.
pub(super) fn all(paper: &mut Paper, calls: &[Entry], alive: bool) {
    let mut step = "";
    for call in calls {
        if call.path != step {
            step = &call.path;
            paper.blank();
            paper.heading(&step.replace('/', " / "));
        }
        if alive && at_work(call) {
            paper.marked(Mark::Going, &format!("{}: at work", call.summary), None);
        } else {
            one(paper, call);
        }
    }
}

/// It has begun, and its end is not recorded.
pub(super) fn at_work(call: &Entry) -> bool {
    matches!(call.state, State::Started | State::UndoStarted)
}

/// What was begun on the site, in order, with where it stands.
pub(super) fn changes(paper: &mut Paper, calls: &[Entry]) {
    for call in calls.iter().filter(|call| call.kind == Kind::Effect && call.intent.is_some()) {
        one(paper, call);
    }
}

pub(super) fn one(paper: &mut Paper, call: &Entry) {
    let last = call.attempts.last();
    let time = last.and_then(|last| Some(between(last.started, last.ended?)));
    let time = time.filter(|_| call.kind == Kind::Effect);
    let asks = asks(call);
    let mark = if asks.is_some() { Mark::Unknown } else { mark(call.state) };
    paper.marked(mark, &asks.map_or_else(|| words(call), str::to_owned), time.as_deref());
}

/// What a look at the site waits for a person to say: nothing has failed there.
fn asks(call: &Entry) -> Option<&str> {
    let failure = call.attempts.last()?.failure.as_ref()?;
    let stands = call.kind == Kind::Read && call.state == State::Failed;
    failure.question.as_ref().filter(|_| stands).map(|question| question.text.as_str())
}

fn mark(state: State) -> Mark {
    match state {
        State::Succeeded => Mark::Ok,
        State::Failed | State::Refused | State::UndoFailed => Mark::Fail,
        State::Unknown | State::Started | State::UndoStarted | State::NeedsDecision => Mark::Unknown,
        State::Undone => Mark::Back,
        State::Waiting | State::NotApplied | State::Absent => Mark::Going,
    }
}

fn words(call: &Entry) -> String {
    let failure = call.attempts.last().and_then(|last| last.failure.as_ref());
    let undo = call.undos.last();
    let more = match call.state {
        State::Failed | State::Refused => failure.map(|failure| failure.message.clone()),
        State::Unknown | State::Started => Some("nobody knows yet whether it was done".to_owned()),
        State::NotApplied => Some("proved not done".to_owned()),
        State::Waiting => Some("will be tried again".to_owned()),
        State::NeedsDecision => Some("taking it back needs a decision".to_owned()),
        State::UndoStarted => Some("taking it back has begun and was not finished".to_owned()),
        State::UndoFailed => {
            let failure = undo.and_then(|undo| undo.failure.as_ref());
            failure.map(|failure| format!("could not be taken back: {}", failure.message))
        }
        State::Undone => undo.and_then(|undo| undone(undo.value.as_ref()?)),
        // What somebody has answered a look with; a choice for the way back says nothing of how a call went.
        State::Succeeded => call.chosen().filter(|_| call.kind == Kind::Read).map(|chosen| {
            let Choosing { choice, reason, by } = chosen;
            format!("{by} said `{choice}`: {reason}")
        }),
        State::Absent => None,
    };
    match more {
        Some(more) => format!("{}: {more}", call.summary),
        None => call.summary.clone(),
    }
}

/// What taking it back said that it did.
fn undone(value: &serde_json::Value) -> Option<String> {
    let found = ["what", "why"].iter().find_map(|key| find(value, key));
    found.map(str::to_owned)
}

fn find<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a str> {
    let map = value.as_object()?;
    let direct = map.get(key).and_then(serde_json::Value::as_str);
    direct.or_else(|| map.values().find_map(|inner| find(inner, key)))
}

/// The call that the run stopped at, with its step.
pub(super) fn stopped_at(calls: &[Entry]) -> Option<(&Entry, &str)> {
    let failed =
        |call: &&Entry| call.state.open() || call.attempts.last().is_some_and(|last| last.failure.is_some());
    let call = calls.iter().rev().find(failed)?;
    Some((call, step_of(&call.address)))
}

/// The folder of the backup that the run made and verified.
pub(super) fn backup(calls: &[Entry]) -> Option<String> {
    let made = calls.iter().rev().find(|call| {
        call.verb == "backup" && call.attempts.iter().any(|one| one.state == State::Succeeded)
    })?;
    let value = made.attempts.iter().rev().find_map(|one| one.value.as_ref())?;
    value.get("path")?.as_str().map(str::to_owned)
}

/// What a return or a restore has replaced, by the names that it has now: databases, then the folder of uploaded files.
pub(super) fn put_aside(calls: &[Entry]) -> Option<String> {
    let outcome = |verb: &str| {
        let call = calls.iter().find(|call| call.verb == verb && call.state == State::Succeeded)?;
        call.attempts.last()?.value.as_ref()?.get("aside").cloned()
    };
    let databases = outcome("pg_return").or_else(|| outcome("pg_swap"));
    let names = databases.as_ref().and_then(|names| names.as_array()).into_iter().flatten();
    let files = outcome("storage_swap");
    let all: Vec<_> = names.chain(&files).filter_map(|name| Some(format!("`{}`", name.as_str()?))).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whether the run has brought another release, from which one can return.
pub(super) fn brought(calls: &[Entry]) -> bool {
    let did = |verb: &str| calls.iter().any(|call| call.verb == verb && call.state == State::Succeeded);
    did("compose_pull") && did("env_set") && did("verify_running")
}

/// What hooks of the site's own have done and nobody has taken back, in the order in which they did.
pub(super) fn of_hooks(calls: &[Entry]) -> Vec<String> {
    let hook = |call: &&Entry| call.address.contains("/before/") || call.address.contains("/after/");
    let done = calls.iter().filter(|call| call.kind == Kind::Effect && call.state == State::Succeeded);
    done.filter(hook)
        .map(|call| format!("what the site's own hook did: {} (`{}`)", call.summary, call.address))
        .collect()
}

/// The tag that the run has proved to be what runs.
pub(super) fn proved(calls: &[Entry]) -> Option<String> {
    let proof =
        calls.iter().rev().find(|call| call.verb == "verify_running" && call.state == State::Succeeded)?;
    proof.input.get("tag")?.as_str().map(str::to_owned)
}
