//! Taking effects back: data from the journal, run by the core in reverse. No script is involved.

use serde_json::Value;

use super::{context::Context, execute::Record};
use crate::{
    event::{Event, Failure, Question},
    journal::{Choosing, Entry, JournalError, Kind},
    primitives::contract::{Back, Decision, FORWARD, Later, Undone, to_value},
    sim::Twin,
};

/// How an unwinding ended.
#[derive(Debug)]
pub(super) enum Unwound {
    /// Every effect is taken back or needed nothing.
    All,
    /// Nothing more was done: a person must choose first.
    Question(Question),
    /// It failed half way; later ones may depend on what failed.
    Stuck {
        failure: Failure,
        done: Vec<String>,
        not_done: Vec<String>,
    },
    Journal(Failure),
}

/// Takes back what `entries` began, last first. A rehearsal on a twin comes first: if a person has to choose,
/// that is known before anything is touched.
pub(super) async fn unwind(context: &Context, record: &Record, entries: &[Entry], because: &str) -> Unwound {
    let latest = latest_attempt(entries);
    let open: Vec<&Entry> = entries.iter().rev().filter(|entry| is_to_undo(entry)).collect();
    if let Some(question) = ask_first(context, entries, &open, latest).await {
        return Unwound::Question(question);
    }
    let (run, calls) = (context.run.clone(), open.len());
    context.tell.tell(Event::UndoStarted { run, calls, because: because.to_owned() });
    let mut done = Vec::new();
    for (at, entry) in open.iter().enumerate() {
        match take_back(context, record, entries, entry, latest).await {
            Ok(Undone::NeedsPerson { question }) => {
                let question = Question { address: entry.address.clone(), ..question };
                let stored = record.writer.needs_decision(&context.run, entry.seq, &question, context.now());
                return stored
                    .map_or_else(|error| Unwound::Journal(error.into()), |()| Unwound::Question(question));
            }
            Ok(Undone::Restored { what, .. } | Undone::Nothing { why: what }) => {
                done.push(format!("{}: {what}", entry.address));
            }
            Err(TakeBack::Failed(failure)) => {
                // What only adds stays anyway.
                let changes = |entry: &&&Entry| context.verb(&entry.verb).is_ok_and(|verb| !verb.adds_only);
                let not_done = open[at..].iter().filter(changes).map(|entry| left(context, entry)).collect();
                return Unwound::Stuck { failure, done, not_done };
            }
            Err(TakeBack::Journal(failure)) => return Unwound::Journal(failure),
        }
    }
    Unwound::All
}

enum TakeBack {
    Failed(Failure),
    Journal(Failure),
}

/// An effect with an intent that is not yet taken back, whatever became of it.
fn is_to_undo(entry: &Entry) -> bool {
    entry.kind == Kind::Effect && entry.intent.is_some() && entry.state.to_take_back()
}

/// What a person chose for the way back of this call. An answer about the way forward is none, and one that was given
/// before the run went on again (its attempts are of a later taking of the lock) does not count any more.
fn decision(entry: &Entry, latest: Option<i64>) -> Option<Decision> {
    let decided = entry.decisions.last().filter(|decided| Some(decided.epoch) > latest)?;
    let Choosing { choice, reason, by } = decided.decision.clone();
    (!FORWARD.contains(&choice.as_str())).then_some(Decision { choice, reason, by })
}

/// The taking of the lock under which something was last attempted.
fn latest_attempt(entries: &[Entry]) -> Option<i64> {
    entries.iter().flat_map(|entry| &entry.attempts).map(|attempt| attempt.epoch).max()
}

/// The first question that going back would meet. It is not recorded with the call: until something is taken back
/// the run may still go on, once its cause is mended.
async fn ask_first(
    context: &Context,
    entries: &[Entry],
    open: &[&Entry],
    latest: Option<i64>,
) -> Option<Question> {
    let twin = Twin::new(&context.ports, &context.site);
    let rehearsal = Context { ports: twin.ports(), ..context.clone() };
    for entry in open {
        // What fails here fails again below, where it is recorded and told.
        if let Ok(Undone::NeedsPerson { question }) = undo(&rehearsal, entries, entry, latest).await {
            return Some(Question { address: entry.address.clone(), ..question });
        }
    }
    None
}

/// What the run began after a call.
fn later(context: &Context, entries: &[Entry], than: &Entry, latest: Option<i64>) -> Vec<Later> {
    let begun = entries.iter().filter(|entry| entry.kind == Kind::Effect && entry.intent.is_some());
    let begun = begun.filter(|entry| entry.seq > than.seq);
    begun
        .map(|entry| Later {
            verb: entry.verb.clone(),
            address: entry.address.clone(),
            adds_only: context.verb(&entry.verb).is_ok_and(|verb| verb.adds_only),
            outcome: entry.attempts.last().and_then(|attempt| attempt.value.clone()),
            choice: decision(entry, latest).map(|decision| decision.choice),
        })
        .collect()
}

async fn undo(
    context: &Context,
    entries: &[Entry],
    entry: &Entry,
    latest: Option<i64>,
) -> Result<Undone, Failure> {
    let kept = context.kept(&entry.verb)?;
    let tell = context.tell.at(&entry.address);
    let intent = entry.intent.clone().unwrap_or(Value::Null);
    let back = Back { decision: decision(entry, latest), later: later(context, entries, entry, latest) };
    kept.undo(entry.version, intent, &back, context.operate(&tell)).await
}

async fn take_back(
    context: &Context,
    record: &Record,
    entries: &[Entry],
    entry: &Entry,
    latest: Option<i64>,
) -> Result<Undone, TakeBack> {
    let journal = &record.writer;
    let lost = |error: JournalError| TakeBack::Journal(error.into());
    let leaves_data = context.verb(&entry.verb).is_ok_and(|verb| verb.leaves_data);
    record.lock.stands(leaves_data).await.map_err(TakeBack::Journal)?;
    let started = context.now();
    journal.undo_started(&context.run, entry.seq, started).map_err(lost)?;
    let undone = undo(context, entries, entry, latest).await;
    match &undone {
        Ok(Undone::NeedsPerson { .. }) => {}
        Ok(done @ (Undone::Restored { what, .. } | Undone::Nothing { why: what })) => {
            let value = to_value(done).map_err(TakeBack::Failed)?;
            journal.undone(&context.run, entry.seq, value, context.now()).map_err(lost)?;
            context.tell.tell(Event::Undone {
                address: entry.address.clone(),
                took_ms: context.millis_since(started),
                result: what.clone(),
            });
        }
        Err(failure) => {
            journal.undo_failed(&context.run, entry.seq, failure, context.now()).map_err(lost)?;
            context.tell.tell(Event::UndoFailed { address: entry.address.clone(), failure: failure.clone() });
        }
    }
    undone.map_err(TakeBack::Failed)
}

/// What has not been taken back, in words.
fn left(context: &Context, entry: &Entry) -> String {
    let would = context
        .kept(&entry.verb)
        .and_then(|kept| kept.undo_summary(entry.version, entry.intent.clone().unwrap_or(Value::Null)))
        .unwrap_or_else(|_| entry.summary.clone());
    format!("{}: {would}", entry.address)
}
