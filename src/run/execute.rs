//! A run from its first step to its ending: forwards through the script, backwards through the journal.

use std::sync::Arc;

use serde_json::Value;

use super::{
    context::Context,
    done::Words,
    doubts,
    live::Live,
    on_its_thread::perform,
    position::Halt,
    shared_lock::SharedLock,
    unwind::{Unwound, unwind},
    verify::{Allowed, as_before, failure_of_differences, in_words, left},
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
    /// The addresses of the effects that it may do; `None`: whatever its runbook asks for.
    pub held_to: Option<Vec<String>>,
}

/// Where a run's record is read back from while it is being written, and the lock without which nothing begins.
#[derive(Clone)]
pub struct Record {
    pub writer: Arc<Writer>,
    pub reader: Arc<Reader>,
    pub lock: Arc<SharedLock>,
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
/// of the call that it is about; `stay` closes the run as it stands. `asks` says that the run stands at a question: else what
/// was chosen before, and never acted on, was said of a site that may have gone on since.
pub async fn take_back(
    context: Context,
    record: Record,
    before: Before,
    (decision, asks): (Option<(i64, Decision)>, bool),
) -> Ending {
    let words = if asks { Words::All } else { Words::Since(record.writer.epoch()) };
    let ending = match decision {
        Some((seq, decision)) => match decide(&context, &record, seq, &decision) {
            Err(failure) => unfinished(&failure),
            Ok(()) if decision.choice == STAY => {
                Ending::Closed { why: format!("left as it is by {}: {}", decision.by, decision.reason) }
            }
            Ok(()) => backwards(&context, &record, (&before, words), None).await,
        },
        None => backwards(&context, &record, (&before, words), None).await,
    };
    ended(&context, &record, ending)
}

/// The choice of a question about the way back that ends the run as it stands.
pub(super) const STAY: &str = "stay";

/// What a person can answer before a run goes on or back, each with the number of the call that it is about. First what was
/// asked last, which `ending` holds: a way back may ask something else than what stands open with a call.
#[must_use]
pub fn asked(entries: &[Entry], ending: Option<&Ending>) -> Vec<(i64, Question)> {
    let last = ending.and_then(Ending::question).and_then(|question| {
        let entry = entries.iter().find(|entry| entry.address == question.address)?;
        Some((entry.seq, question.clone()))
    });
    let goes_back = entries.iter().any(|entry| !entry.undos.is_empty());
    // Once something is taken back nothing is asked about going on.
    let open = entries.iter().rev().filter(|entry| !(goes_back && entry.kind == Kind::Read));
    let open = open.filter_map(|entry| Some((entry.seq, entry.question()?.clone())));
    last.into_iter().chain(open).collect()
}

fn decide(context: &Context, record: &Record, seq: i64, decision: &Decision) -> Result<(), Failure> {
    let Decision { choice, reason, by } = decision.clone();
    let stored = record.writer.decide(&context.run, seq, Choosing { choice, reason, by }, context.now());
    stored.map_err(Failure::from)
}

async fn forwards(context: &Context, record: &Record, job: &Job, recorded: Vec<Entry>) -> Ending {
    let live = Arc::new(Live::new(context.clone(), record, recorded, job.held_to.clone()));
    let catalogue = Arc::clone(&context.catalogue);
    let (runbook, params, site) = (Arc::clone(&job.runbook), job.params.clone(), job.site.clone());
    let result = perform(runbook, catalogue, params, site, live.clone()).await;
    if let Some(halt) = live.halted() {
        if !live.changed() {
            return before_any_change(context, record, &halt).await;
        }
        return stopped(halt);
    }
    let failure = match result {
        Err(error) => error.into_failure(job.runbook.bundle()),
        Ok(said) => match done(context, record, &said).await {
            Ok(ending) => return ending,
            Err(in_doubt) => in_doubt,
        },
    };
    if !live.changed() {
        return cleaned_up(context, record, Ending::Refused { failure }).await;
    }
    match job.runbook.header().on_failure {
        OnFailure::Undo => backwards(context, record, (&job.before, Words::All), Some(failure)).await,
        OnFailure::Pause => {
            let why = "the runbook leaves what to do next to a person".to_owned();
            Ending::Unfinished { why, cause: Some(failure), question: None }
        }
    }
}

/// The runbook came to its end. If nothing was begun, nothing was needed; what it ended with says why. A call that
/// only half happened is no good end, whatever the runbook made of it.
async fn done(context: &Context, record: &Record, said: &Value) -> Result<Ending, Failure> {
    let entries = match record.entries(&context.run) {
        Ok(entries) => entries,
        Err(failure) => return Ok(unfinished(&failure)),
    };
    doubts::cleared(context, record, &entries).await?;
    let begun = entries.iter().any(|entry| entry.intent.is_some());
    Ok(if begun { Ending::Done } else { Ending::NothingNeeded { why: why_nothing(said) } })
}

/// The words that a runbook ended with: a text, or a list of its lines.
pub(super) fn why_nothing(said: &Value) -> String {
    let lines = said.as_array().map(|lines| lines.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    match (said.as_str(), lines) {
        (Some(text), _) => text.to_owned(),
        (None, Some(lines)) if !lines.is_empty() => lines.join("\n"),
        (None, _) => "the runbook came to its end, and had nothing to change".to_owned(),
    }
}

fn stopped(halt: Halt) -> Ending {
    let unfinished_by = |why: String| Ending::Unfinished { why, cause: None, question: None };
    match halt {
        Halt::Cancelled => unfinished_by("stopped by a signal".to_owned()),
        Halt::Question(question) => {
            Ending::Unfinished { why: question.text.clone(), cause: None, question: Some(question) }
        }
        Halt::Person(question) => Ending::NeedsPerson { failure: None, question },
        Halt::Stalled { address, after } => unfinished_by(format!(
            "`{address}` made no progress for {after} and was given up; what the engine or the database had begun \
             of it may go on"
        )),
        Halt::Diverged(failure) | Halt::Journal(failure) => unfinished(&failure),
    }
}

/// Nothing but additions was begun: what they left half made goes, and the run is over.
async fn before_any_change(context: &Context, record: &Record, halt: &Halt) -> Ending {
    match halt {
        Halt::Journal(failure) | Halt::Diverged(failure) => return unfinished(failure),
        // Nothing could have said it in advance, so the answer has to find the run where it stands.
        Halt::Person(question) if question.flag.as_ref().is_some_and(String::is_empty) => {
            return Ending::NeedsPerson { failure: None, question: question.clone() };
        }
        _ => {}
    }
    let over = match halt {
        Halt::Cancelled => Ending::Interrupted,
        other => match stopped(other.clone()) {
            Ending::Unfinished { why, .. } => {
                Ending::Refused { failure: Failure::new("stopped", why).hint("type the command again") }
            }
            Ending::NeedsPerson { question, .. } => {
                Ending::Refused { failure: Failure::asks("choice_needed", question) }
            }
            ending => ending,
        },
    };
    cleaned_up(context, record, over).await
}

/// `ending`, once half made additions are gone; they cannot have changed the site.
async fn cleaned_up(context: &Context, record: &Record, ending: Ending) -> Ending {
    let entries = match record.entries(&context.run) {
        Ok(entries) => entries,
        Err(failure) => return unfinished(&failure),
    };
    if !entries.iter().any(|entry| entry.kind == Kind::Effect && entry.intent.is_some()) {
        return ending;
    }
    // A signal that stopped the run must not stop this too.
    let quiet = Context { cancel: tokio_util::sync::CancellationToken::new(), ..context.clone() };
    match unwind(&quiet, record, (&entries, Words::All), "").await {
        Unwound::All => ending,
        Unwound::Question(question) => Ending::NeedsPerson { failure: None, question },
        Unwound::Stuck { failure, done, not_done } => Ending::Stuck { failure, cause: None, done, not_done },
        Unwound::Journal(failure) => unfinished(&failure),
    }
}

/// Takes everything back and compares the site with what was recorded before the first change.
async fn backwards(
    context: &Context,
    record: &Record,
    (before, words): (&Before, Words),
    cause: Option<Failure>,
) -> Ending {
    let entries = match record.entries(&context.run) {
        Ok(entries) => entries,
        Err(failure) => return unfinished(&failure),
    };
    let because = cause.as_ref().map_or("asked for", |failure| failure.message.as_str());
    let cancelled =
        |cause| Ending::Unfinished { why: "stopped by a signal".to_owned(), cause, question: None };
    let back = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return cancelled(cause),
        back = unwind(context, record, (&entries, words), because) => back,
    };
    match back {
        Unwound::Question(question) => Ending::NeedsPerson { failure: cause, question },
        Unwound::Journal(failure) => {
            let at_first = cause.map(|cause| format!("at first: {cause}"));
            unfinished(&failure.evidence(at_first))
        }
        Unwound::Stuck { failure, done, not_done } => Ending::Stuck { failure, cause, done, not_done },
        Unwound::All => {
            let left = match record.entries(&context.run) {
                Ok(entries) => left(&entries),
                Err(failure) => return unfinished(&failure),
            };
            let allowed = Allowed { left, server_down: record.lock.is_missing().await };
            let verified = tokio::select! {
                biased;
                () = context.cancel.cancelled() => return cancelled(cause),
                verified = as_before(context, before, &allowed) => verified,
            };
            let mut left = in_words(&allowed.left);
            if let Ok(unseen) = &verified {
                left.extend(unseen.clone());
            }
            match (verified, cause) {
                (Ok(_), Some(failure)) => Ending::TakenBack { failure, left },
                (Ok(_), None) => Ending::RolledBack { left },
                (Err(differences), cause) => Ending::Stuck {
                    failure: failure_of_differences(&differences),
                    cause,
                    done: vec!["every change of the run was taken back".to_owned()],
                    not_done: differences,
                },
            }
        }
    }
}

fn unfinished(failure: &Failure) -> Ending {
    Ending::Unfinished { why: failure.message.clone(), cause: Some(failure.clone()), question: None }
}

/// The last commit of a run. If it fails the run is found unfinished next time, which is true.
fn ended(context: &Context, record: &Record, ending: Ending) -> Ending {
    let state = match &ending {
        Ending::Done | Ending::NothingNeeded { .. } => RunState::Done,
        Ending::Refused { .. } | Ending::Interrupted => RunState::Refused,
        Ending::TakenBack { .. } => RunState::TakenBack,
        Ending::RolledBack { .. } => RunState::RolledBack,
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
