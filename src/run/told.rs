//! What whoever watches a run is told of its calls.

use jiff::Timestamp;
use serde_json::Value;

use super::{live::Live, position::Halt};
use crate::{
    event::{Event, Failure, Question},
    script::Stop,
};

impl Live {
    pub(super) fn told_start(&self, address: &str, summary: &str) -> Timestamp {
        self.context
            .tell
            .tell(Event::CallStarted { address: address.to_owned(), summary: summary.to_owned() });
        self.context.now()
    }

    pub(super) fn told_failure(&self, address: &str, started: Timestamp, failure: &Failure) {
        self.context.tell.tell(Event::CallFailed {
            address: address.to_owned(),
            took_ms: self.context.millis_since(started),
            failure: failure.clone(),
        });
    }

    pub(super) fn told_end(
        &self,
        address: &str,
        started: Timestamp,
        answer: Result<(Value, String), Failure>,
    ) -> Result<Value, Stop> {
        match answer {
            Ok((value, result)) => {
                self.context.tell.tell(Event::CallEnded {
                    address: address.to_owned(),
                    took_ms: self.context.millis_since(started),
                    result,
                    replayed: false,
                });
                Ok(value)
            }
            Err(failure) => {
                self.told_failure(address, started, &failure);
                Err(Stop::Failed(failure))
            }
        }
    }

    /// A question ends the run where it stands; any other failure is the script's to catch.
    pub(super) fn told_look(
        &self,
        address: &str,
        started: Timestamp,
        answer: Result<(Value, String), Failure>,
    ) -> Result<Value, Stop> {
        self.told_end(address, started, answer).map_err(|stop| match stop {
            Stop::Failed(Failure { question: Some(question), .. }) => {
                self.halt(Halt::Person(Question { address: address.to_owned(), ..*question }))
            }
            stop => stop,
        })
    }
}
