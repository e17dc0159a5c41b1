//! What of a run is still to be done, by its record.

use serde_json::Value;

use super::{
    context::Context,
    position::{Halt, Recorded, failed_last},
};
use crate::{
    event::Failure,
    journal::Entry,
    ports::{docker::Container, project::of_service},
    script::{Answer, Asked, Stop},
};

/// The recorded part of a run whose rest is rehearsed; empty for one that has not begun.
pub(super) struct Rest {
    entries: Vec<Entry>,
    recorded: Recorded,
    /// Numbers of calls that are made once more, because they failed last.
    again: Vec<i64>,
}

/// What a record says of a call.
pub(super) enum Replay {
    Answer(Result<Answer, Stop>),
    /// It began with this intent, and has no outcome; with the words for it.
    Begun(Value, String),
    /// It is still to be made.
    Nothing,
}

impl Rest {
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        let again = failed_last(&entries);
        Self { recorded: Recorded::new(entries.clone()), entries, again }
    }

    /// Whether nothing, or nothing more, is answered by the record.
    pub(super) fn is_all(&self) -> bool {
        self.recorded.is_used_up()
    }

    /// The calls that are not made again.
    pub(super) fn over(&self) -> Vec<Entry> {
        let over = |entry: &&Entry| !entry.state.open() && !self.again.contains(&entry.seq);
        self.entries.iter().filter(over).cloned().collect()
    }

    pub(super) fn refusal(&mut self, block: &[Asked]) -> Option<Failure> {
        self.recorded.refusal(block)
    }

    pub(super) fn replay(&mut self, asked: &Asked, version: u32) -> Result<Replay, Stop> {
        let entry = self.recorded.take(asked, version).map_err(|halt| match halt {
            Halt::Diverged(failure) | Halt::Journal(failure) => Stop::Failed(failure),
            _ => Stop::Ends,
        })?;
        let Some(entry) = entry.filter(|entry| !self.again.contains(&entry.seq)) else {
            return Ok(Replay::Nothing);
        };
        if let Some(answer) = entry.answer() {
            let answer = answer.cloned().map(Answer::Known);
            return Ok(Replay::Answer(answer.map_err(|failure| Stop::Failed(failure.clone()))));
        }
        Ok(entry.intent.map_or(Replay::Nothing, |intent| Replay::Begun(intent, entry.summary)))
    }
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
