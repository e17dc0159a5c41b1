//! A run from its first step to its ending: forwards through the script, backwards through the journal.

use std::sync::Arc;

use serde_json::Value;

use super::{
    context::Context,
    live::Live,
    position::Halt,
    rehearse::perform,
    unwind::{Unwound, unwind},
    verify::{as_before, failure_of_differences},
};
use crate::{
    event::{Ending, Event, Failure, Question},
    journal::{Choosing, Entry, Kind, Reader, RunState, Writer},
    primitives::contract::Decision,
    script::{OnFailure, Runbook},
    survey::Before,
};

/// What a run executes: pinned in the journal before the first effect, and read from there by a resumption.
#[derive(Clone)]
pub struct Job {
    pub runbook: Arc<Runbook>,
    pub params: Value,
    /// What scripts read as `site::`.
    pub site: Value,
    /// The site before the run.
    pub before: Before,
}

/// Where a run's record is read back from while it is being written.
#[derive(Clone)]
pub struct Record {
    pub writer: Arc<Writer>,
    pub reader: Arc<Reader>,
}

impl Record {
    fn entries(&self, run: &str) -> Result<Vec<Entry>, Failure> {
        self.reader.entries(run).map_err(Failure::from)
    }
}

/// Runs `job`, or goes on with it where the record ends, and writes down how it ended.
pub async fn execute(context: Context, record: Record, job: Job) -> Ending {
    let ending = match record.entries(&context.run) {
        Ok(recorded) => forwards(&context, &record, &job, recorded).await,
        Err(failure) => unfinished(&failure),
    };
    ended(&context, &record, ending)
}

/// Takes an unfinished run back. `decision` is a person's answer to the open question ([`asked`]), with the number
/// of the call that it is about; `stay` closes the run as it stands.
pub async fn take_back(
    context: Context,
    record: Record,
    before: Before,
    decision: Option<(i64, Decision)>,
) -> Ending {
    let ending = match decision {
        Some((seq, decision)) => match decide(&context, &record, seq, &decision) {
            Err(failure) => unfinished(&failure),
            Ok(()) if decision.choice == STAY => {
                Ending::Closed { why: format!("left as it is by {}: {}", decision.by, decision.reason) }
            }
            Ok(()) => backwards(&context, &record, &before, None).await,
        },
        None => backwards(&context, &record, &before, None).await,
    };
    ended(&context, &record, ending)
}

/// The choice that every question about the way back offers: nothing more is done.
const STAY: &str = "stay";

/// What a person has to answer before a run can go on or back, with the number of the call that it is about.
/// `ending` is how the run came to stand still.
#[must_use]
pub fn asked(entries: &[Entry], ending: Option<&Ending>) -> Option<(i64, Question)> {
    let open = entries.iter().rev().find_map(|entry| Some((entry.seq, entry.question()?.clone())));
    open.or_else(|| {
        let question = ending?.question()?;
        let entry = entries.iter().find(|entry| entry.address == question.address)?;
        Some((entry.seq, question.clone()))
    })
}

fn decide(context: &Context, record: &Record, seq: i64, decision: &Decision) -> Result<(), Failure> {
    let Decision { choice, reason, by } = decision.clone();
    let stored = record.writer.decide(&context.run, seq, Choosing { choice, reason, by }, context.now());
    stored.map_err(Failure::from)
}

async fn forwards(context: &Context, record: &Record, job: &Job, recorded: Vec<Entry>) -> Ending {
    let live = Arc::new(Live::new(context.clone(), Arc::clone(&record.writer), recorded));
    let catalogue = Arc::clone(&context.catalogue);
    let (runbook, params, site) = (Arc::clone(&job.runbook), job.params.clone(), job.site.clone());
    let result = perform(runbook, catalogue, params, site, live.clone()).await;
    if let Some(halt) = live.halted() {
        if !live.changed() {
            return before_any_change(context, record, &halt).await;
        }
        return stopped(halt);
    }
    let error = match result {
        Ok(said) => return done(context, record, &said),
        Err(error) => error,
    };
    let failure = error.into_failure(job.runbook.bundle());
    if !live.changed() {
        clean_up(context, record).await;
        return Ending::Refused { failure };
    }
    match job.runbook.header().on_failure {
        OnFailure::Undo => backwards(context, record, &job.before, Some(failure)).await,
        OnFailure::Pause => Ending::Unfinished { why: failure.message, question: None },
    }
}

/// The runbook came to its end. If nothing was begun, nothing was needed; what it ended with says why.
fn done(context: &Context, record: &Record, said: &Value) -> Ending {
    match record.entries(&context.run) {
        Ok(entries) if entries.iter().any(|entry| entry.intent.is_some()) => Ending::Done,
        Ok(_) => Ending::NothingNeeded { why: why_nothing(said) },
        Err(failure) => unfinished(&failure),
    }
}

/// The words that a runbook ended with.
pub(super) fn why_nothing(said: &Value) -> String {
    said.as_str().map_or_else(|| "the runbook found nothing to do".to_owned(), str::to_owned)
}

fn stopped(halt: Halt) -> Ending {
    match halt {
        Halt::Cancelled => Ending::Unfinished { why: "stopped by a signal".to_owned(), question: None },
        Halt::Question(question) => {
            Ending::Unfinished { why: question.text.clone(), question: Some(question) }
        }
        Halt::Stalled { address, after } => Ending::Unfinished {
            why: format!("`{address}` made no progress for {after}; it may still go on by itself"),
            question: None,
        },
        Halt::Diverged(failure) | Halt::Journal(failure) => unfinished(&failure),
    }
}

/// Nothing but additions was begun: what they left half made goes, and the run is over.
async fn before_any_change(context: &Context, record: &Record, halt: &Halt) -> Ending {
    if let Halt::Journal(failure) | Halt::Diverged(failure) = halt {
        return unfinished(failure);
    }
    clean_up(context, record).await;
    match halt {
        Halt::Cancelled => Ending::Interrupted,
        other => match stopped(other.clone()) {
            Ending::Unfinished { why, .. } => Ending::Refused { failure: Failure::new("stopped", why) },
            ending => ending,
        },
    }
}

async fn clean_up(context: &Context, record: &Record) {
    let Ok(entries) = record.entries(&context.run) else { return };
    if !entries.iter().any(|entry| entry.kind == Kind::Effect && entry.intent.is_some()) {
        return;
    }
    // Additions cannot leave the site changed; what could not be removed is told as it happens.
    let quiet = Context { cancel: tokio_util::sync::CancellationToken::new(), ..context.clone() };
    unwind(&quiet, &record.writer, &entries, "").await;
}

/// Takes everything back and compares the site with what was recorded before the first change.
async fn backwards(context: &Context, record: &Record, before: &Before, failure: Option<Failure>) -> Ending {
    let entries = match record.entries(&context.run) {
        Ok(entries) => entries,
        Err(failure) => return unfinished(&failure),
    };
    let because = failure.as_ref().map_or("asked for", |failure| failure.message.as_str());
    let back = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return stopped(Halt::Cancelled),
        back = unwind(context, &record.writer, &entries, because) => back,
    };
    match back {
        Unwound::Question(question) => Ending::NeedsPerson { failure, question },
        Unwound::Journal(failure) => unfinished(&failure),
        Unwound::Stuck { failure: stuck, done, not_done } => Ending::Stuck { failure: stuck, done, not_done },
        Unwound::All => {
            // A person who chose to keep the moved schema has answered for it: only the rest must be as before.
            let keep_schema = entries.iter().any(|entry| !entry.decisions.is_empty());
            let verified = tokio::select! {
                biased;
                () = context.cancel.cancelled() => return stopped(Halt::Cancelled),
                verified = as_before(context, before, keep_schema) => verified,
            };
            match (verified, failure) {
                (Ok(()), Some(failure)) => Ending::TakenBack { failure },
                (Ok(()), None) => Ending::RolledBack,
                (Err(differences), failure) => Ending::Stuck {
                    failure: failure.unwrap_or_else(|| failure_of_differences(&differences)),
                    done: vec!["every change of the run was taken back".to_owned()],
                    not_done: differences,
                },
            }
        }
    }
}

fn unfinished(failure: &Failure) -> Ending {
    let mut why = failure.message.clone();
    for line in &failure.evidence {
        why.push('\n');
        why.push_str(line);
    }
    Ending::Unfinished { why, question: None }
}

/// The last commit of a run. If it fails the run is found unfinished next time, which is true.
fn ended(context: &Context, record: &Record, ending: Ending) -> Ending {
    let state = match &ending {
        Ending::Done | Ending::NothingNeeded { .. } => RunState::Done,
        Ending::Refused { .. } | Ending::Interrupted => RunState::Refused,
        Ending::TakenBack { .. } => RunState::TakenBack,
        Ending::RolledBack => RunState::RolledBack,
        Ending::NeedsPerson { .. } => RunState::NeedsPerson,
        Ending::Stuck { .. } => RunState::Stuck,
        Ending::Unfinished { .. } => RunState::Unfinished,
        Ending::Closed { .. } => RunState::Closed,
    };
    let ending = match record.writer.ended(&context.run, state, &ending, context.now()) {
        Ok(()) => ending,
        Err(error) => match ending {
            Ending::Unfinished { .. } => ending,
            _ => unfinished(&Failure::from(error)),
        },
    };
    let (run, told) = (context.run.clone(), ending.clone());
    context.tell.tell(Event::RunEnded { run, ending: told });
    ending
}
