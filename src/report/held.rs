//! What a run has left stopped because somebody wants it so: a worker whose queue is not yet as it should be.

use serde::Serialize;

use super::next::Next;
use crate::{
    journal::{Entry, State},
    run::left_stopped,
};

/// The services that a finished run has left stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub services: Vec<String>,
    /// The run had to do with the jobs of a queue that came back.
    queue: bool,
    /// What a person types for restart policies that could not be given back before these run.
    policies: Vec<String>,
}

impl Held {
    /// By the record of a run: of the services that it has stopped or started, those that it has not started since.
    /// `None` if it has stopped and started none.
    #[must_use]
    pub fn of(calls: &[Entry]) -> Option<Self> {
        let services = left_stopped(calls)?;
        let done = |call: &&Entry| call.state == State::Succeeded;
        let released = calls.iter().filter(done).filter(|call| call.verb == "compose_release");
        let later =
            released.filter_map(|call| call.attempts.last()?.value.as_ref()?.get("later")?.as_array());
        Some(Self {
            services,
            queue: calls.iter().any(|call| call.verb == "returned_jobs"),
            policies: later.flatten().filter_map(|command| command.as_str().map(str::to_owned)).collect(),
        })
    }

    pub(super) fn names(&self) -> String {
        self.services.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    /// How they are started, and get back what keeps them running. `compose` is how `docker compose` is called by hand.
    pub(super) fn start(&self, compose: &str) -> Next {
        let until = if self.queue { "the queue" } else { "everything" };
        let why = format!("once {until} is as you want it, start {}", self.names());
        let next = Next::new().then(&why, format!("{compose} up -d --no-deps {}", self.services.join(" ")));
        let also = "then give it its restart policy back, or a reboot leaves it down";
        self.policies.iter().fold(next, |next, command| next.then(also, command))
    }
}
