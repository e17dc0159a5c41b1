use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Event;

/// What a number of a [`Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Bytes,
    /// Milliseconds of waiting.
    Milliseconds,
    /// Things, such as databases or containers.
    Items,
}

/// How far one thing inside a call has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What moves, in the operator's words: "dump of `strata_production`".
    pub what: String,
    pub done: u64,
    /// `None` where the end cannot be known.
    pub total: Option<u64>,
    pub unit: Unit,
}

/// After how many milliseconds progress is news again, of a call that has lasted `age` milliseconds: the longer it
/// lasts, the less is news.
#[must_use]
pub fn pace(age: u64) -> u64 {
    match age {
        0..60_000 => 10_000,
        60_000..600_000 => 30_000,
        600_000..3_600_000 => 60_000,
        _ => 300_000,
    }
}

/// Where events go. Cheap to clone; a call's teller knows the call's address.
#[derive(Clone)]
pub struct Teller {
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    address: Option<String>,
}

impl Teller {
    pub fn new(sink: Arc<dyn Fn(Event) + Send + Sync>) -> Self {
        Self { sink, address: None }
    }

    /// Nobody listens.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Arc::new(|_| {}))
    }

    /// The same listener, for the call at `address`.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self { sink: Arc::clone(&self.sink), address: Some(address.to_owned()) }
    }

    /// The call that this teller belongs to.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    pub fn tell(&self, event: Event) {
        (self.sink)(event);
    }

    /// Tells progress of the call that this teller belongs to; silently nothing outside a call.
    pub fn progress(&self, what: impl Into<String>, done: u64, total: Option<u64>, unit: Unit) {
        if let Some(address) = &self.address {
            let progress = Progress { what: what.into(), done, total, unit };
            self.tell(Event::CallProgress { address: address.clone(), progress });
        }
    }

    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note { address: self.address.clone(), text: text.into() });
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.tell(Event::Warning { address: self.address.clone(), text: text.into() });
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("address", &self.address).finish_non_exhaustive()
    }
}
