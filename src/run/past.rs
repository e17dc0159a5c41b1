//! What of a run its record answers, and what is left of it.

use serde_json::Value;

use super::{
    context::Context,
    position::{Halt, Recorded, failed_last},
};
use crate::{
    event::{Failure, Refusal, Teller},
    journal::{Entry, State},
    ports::{docker::Container, project::of_service},
    primitives::contract::{Call, FORWARD, Found, Kind, Verb},
    script::{Answer, Asked, Stop},
};

/// What is known already of a run whose rest is rehearsed.
#[derive(Default)]
pub struct SoFar {
    /// What is recorded is not done again.
    pub entries: Vec<Entry>,
    /// What the run may do, if it is held to a plan.
    pub held_to: Option<Vec<String>>,
    /// Only the steps are wanted, to compare them: no ways back, no room.
    pub bare: bool,
}

/// What is recorded of a run whose rest is rehearsed; empty for one that has not begun.
pub(super) struct Past {
    recorded: Recorded,
    /// Numbers of calls that are made once more, because they failed last.
    again: Vec<i64>,
}

/// What a record says of a call, and so what a run that is taken up does with it.
pub(super) enum Replay {
    Answer(Result<Answer, Stop>),
    /// It began with this intent, and has no outcome that counts.
    Begun(Begun),
    /// It is still to be decided.
    Nothing,
}

/// An effect that began, as [`super::live::Live`] settles it.
pub(super) struct Begun {
    pub(super) intent: Value,
    pub(super) summary: String,
    how: How,
}

enum How {
    /// It is done again, with what was decided.
    OnceMore,
    /// The same, once its preconditions have been looked at again.
    CheckFirst,
    Probe,
    Ask,
    /// A person has said that it was done.
    Applied,
}

/// What a call comes to, before it is rehearsed.
pub(super) enum Decided {
    Known(Answer),
    Do(Option<Value>, String),
}

/// What a look at an effect that began comes to.
pub(super) enum Settled {
    Applied(Value),
    Execute,
    /// A person would be asked this.
    Ask(String),
}

impl Past {
    /// With the calls that are not made again.
    pub(super) fn of(entries: Vec<Entry>) -> (Self, Vec<Entry>) {
        let again = failed_last(&entries);
        let over = |entry: &&Entry| !entry.state.open() && !again.contains(&entry.seq);
        let over = entries.iter().filter(over).cloned().collect();
        // A block that was refused is decided anew as a whole.
        let anew = |entry: &Entry| {
            again.contains(&entry.seq) && entry.state == State::Refused && entry.group.is_some()
        };
        let entries = entries.into_iter().filter(|entry| !anew(entry)).collect();
        (Self { recorded: Recorded::new(entries), again }, over)
    }

    /// Whether the record answers nothing more.
    pub(super) fn is_used_up(&self) -> bool {
        self.recorded.is_used_up()
    }

    pub(super) fn refusal(&mut self, block: &[Asked]) -> Option<Failure> {
        self.recorded.refusal(block)
    }

    pub(super) fn replay(&mut self, asked: &Asked, version: u32, kind: Kind) -> Result<Replay, Stop> {
        let entry = self.recorded.take(asked, version).map_err(|halt| match halt {
            Halt::Diverged(failure) | Halt::Journal(failure) => Stop::Failed(failure),
            _ => Stop::Ends,
        })?;
        let Some(entry) = entry else { return Ok(Replay::Nothing) };
        let again = self.again.contains(&entry.seq);
        let last = entry.attempts.last();
        if entry.state.open()
            && self.recorded.has_later_than(&entry)
            && let Some(failure) = last.and_then(|last| last.failure.clone())
        {
            return Ok(Replay::Answer(Err(Stop::Failed(Failure { unknown: false, ..failure }))));
        }
        if !again && let Some(answer) = entry.answer() {
            let answer = answer.cloned().map(Answer::Known);
            return Ok(Replay::Answer(answer.map_err(|failure| Stop::Failed(failure.clone()))));
        }
        let how = how(&entry, again);
        let (Kind::Effect, Some(intent)) = (kind, entry.intent) else { return Ok(Replay::Nothing) };
        Ok(Replay::Begun(Begun { intent, summary: entry.summary, how }))
    }
}

/// Why a run does not go on that has changed nothing yet: what is looked at by this has let it begin.
pub(super) fn no_more(summary: &str, failure: Failure) -> Failure {
    let message = format!("when this run began it was well, and is no more ({summary}): {}", failure.message);
    Failure { message, ..failure }
}

/// As [`super::live::Live`] settles an effect that has no outcome, or that is tried once more.
fn how(entry: &Entry, again: bool) -> How {
    match entry.answered().map(|answer| answer.choice.as_str()).filter(|word| FORWARD.contains(word)) {
        Some("applied") => return How::Applied,
        Some("not-applied") => return How::CheckFirst,
        Some(_) => return How::OnceMore,
        None => {}
    }
    match (entry.state, entry.when_unknown.as_deref()) {
        (State::NotApplied, _) => How::CheckFirst,
        (State::Waiting, Some("ask")) | (_, Some("repeat")) => How::OnceMore,
        (_, Some("ask")) if again => How::OnceMore,
        (_, Some("probe")) => How::Probe,
        _ => How::Ask,
    }
}

impl Begun {
    /// Looks, where a run would look, what became of it.
    pub(super) async fn settle(
        &self,
        context: &Context,
        verb: &Verb,
        call: &dyn Call,
        tell: &Teller,
    ) -> Result<Settled, Failure> {
        let question = || Settled::Ask(format!("was this done or not: {}?", self.summary));
        match self.how {
            How::OnceMore => Ok(Settled::Execute),
            How::Applied => Ok(Settled::Applied(Value::Null)),
            How::Ask => Ok(question()),
            How::CheckFirst => checked(call.intend(context.observe(tell)).await),
            How::Probe => {
                let kept = context.kept(verb.name)?;
                match kept.probe(verb.version, self.intent.clone(), context.observe(tell)).await {
                    Ok(Found::Applied(value)) => Ok(Settled::Applied(value)),
                    Ok(Found::NotApplied) => checked(call.intend(context.observe(tell)).await),
                    Ok(Found::Partial(_)) => Ok(Settled::Execute),
                    Ok(Found::CannotTell(_)) | Err(_) => Ok(question()),
                }
            }
        }
    }
}

/// What is decided now does not count: the intent stays as it was recorded.
fn checked<T>(decided: Result<T, Refusal>) -> Result<Settled, Failure> {
    decided.map(|_| Settled::Execute).map_err(|refusal| refusal.0)
}

/// The services of the product of which nothing runs.
pub(super) async fn down(context: &Context) -> Vec<String> {
    let mut down = Vec::new();
    for service in context.site.product() {
        // What cannot be asked fails again later, where it is told.
        let found = of_service(&*context.ports.docker, &context.site.project, &service.name).await;
        if found.is_ok_and(|all| !all.iter().any(Container::is_running)) {
            down.push(service.name.clone());
        }
    }
    down
}
