//! Taking effects back: data from the journal, run by the core in reverse. No script is involved.

use super::{
    context::Context,
    done::{self, Done, Unwinding, Words},
    execute::Record,
    going_back,
};
use crate::{
    event::{Event, Failure, Question},
    journal::{Entry, JournalError},
    primitives::contract::{Undone, to_value},
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
pub(super) async fn unwind(
    context: &Context,
    record: &Record,
    (entries, words): (&[Entry], Words),
    because: &str,
) -> Unwound {
    let begun = Unwinding::of(done::of_record(context, entries, words));
    // It is not recorded with the call: until something is taken back the run may still go on, once its cause is mended.
    let twin = Twin::new(&context.ports, &context.site);
    if let Some(question) = going_back::question(context, &twin, &begun.done).await {
        return Unwound::Question(question);
    }
    let open = begun.to_take_back();
    let (run, calls) = (context.run.clone(), open.len());
    context.tell.tell(Event::UndoStarted { run, calls, because: because.to_owned() });
    let mut done = Vec::new();
    for (nth, at) in open.iter().enumerate() {
        let one = &begun.done[*at];
        match take_back(context, record, &begun, *at).await {
            Ok(Undone::NeedsPerson { question }) => {
                let question = Question { address: one.address.clone(), ..question };
                let stored = record.writer.needs_decision(&context.run, one.seq, &question, context.now());
                return stored
                    .map_or_else(|error| Unwound::Journal(error.into()), |()| Unwound::Question(question));
            }
            Ok(Undone::Restored { what, .. } | Undone::Nothing { why: what }) => {
                done.push(format!("{}: {what}", one.address));
            }
            Err(TakeBack::Failed(failure)) => {
                // What only adds stays anyway.
                let not_done = open[nth..].iter().map(|at| &begun.done[*at]).filter(|one| !one.adds_only);
                let not_done = not_done.map(|one| left(context, one)).collect();
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

async fn take_back(
    context: &Context,
    record: &Record,
    begun: &Unwinding,
    at: usize,
) -> Result<Undone, TakeBack> {
    let (journal, one) = (&record.writer, &begun.done[at]);
    let lost = |error: JournalError| TakeBack::Journal(error.into());
    let leaves_data = context.verb(&one.verb).is_ok_and(|verb| verb.leaves_data);
    record.lock.stands(leaves_data).await.map_err(TakeBack::Journal)?;
    let started = context.now();
    journal.undo_started(&context.run, one.seq, started).map_err(lost)?;
    let undone = begun.undo(context, at).await;
    match &undone {
        Ok(Undone::NeedsPerson { .. }) => {}
        Ok(done @ (Undone::Restored { what, .. } | Undone::Nothing { why: what })) => {
            let value = to_value(done).map_err(TakeBack::Failed)?;
            journal.undone(&context.run, one.seq, value, context.now()).map_err(lost)?;
            context.tell.tell(Event::Undone {
                address: one.address.clone(),
                took_ms: context.millis_since(started),
                result: what.clone(),
            });
        }
        Err(failure) => {
            journal.undo_failed(&context.run, one.seq, failure, context.now()).map_err(lost)?;
            context.tell.tell(Event::UndoFailed { address: one.address.clone(), failure: failure.clone() });
        }
    }
    undone.map_err(TakeBack::Failed)
}

/// What has not been taken back, in words.
fn left(context: &Context, one: &Done) -> String {
    let would = context.kept(&one.verb).and_then(|kept| kept.undo_summary(one.version, one.intent.clone()));
    format!("{}: {}", one.address, would.unwrap_or_else(|_| one.summary.clone()))
}
