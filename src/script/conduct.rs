use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{event::Failure, primitives::contract::Verb};

/// Where in a script something stands. Lines and columns count from 1; columns are characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file's name as the operator knows it, e.g. `compose/upgrade` or a path.
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// What `with #{ ... }` allows the single effects inside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Milliseconds without progress after which the outcome is unknown.
    pub timeout_ms: Option<u64>,
    /// How often a retryable failure is tried again.
    pub retries: Option<u32>,
}

/// One call that a script makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// `path/verb#n`: names the call in the journal, on the screen and on the command line.
    pub address: String,
    /// Names of steps, and hosts as `host:NAME`, joined by `/`; empty outside a step.
    pub path: String,
    pub verb: &'static str,
    /// The options as JSON: keys sorted, no NaN.
    pub input: Value,
    pub budget: Budget,
    pub place: Place,
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Known(Value),
    /// A rehearsal knows it but for these fields, with which it is as with [`Answer::Unknown`].
    Estimated {
        value: Value,
        fields: &'static [&'static str],
        why: String,
    },
    /// A rehearsal cannot know it: the script may pass it on, but the first look inside ends the certain part.
    Unknown {
        why: String,
    },
}

impl Answer {
    /// Of a call that was rehearsed; `made_up` says why nothing of it is known.
    #[must_use]
    pub fn rehearsed(verb: &Verb, value: Value, made_up: Option<String>) -> Self {
        if let Some(why) = made_up {
            return Self::Unknown { why };
        }
        if verb.estimated.is_empty() {
            return Self::Known(value);
        }
        let names: Vec<_> = verb.estimated.iter().map(|name| format!("`{name}`")).collect();
        let why = format!("what `{}` gives as {} is known once it is done", verb.name, names.join(" and "));
        Self::Estimated { value, fields: verb.estimated, why }
    }
}

/// Why a script does not get an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// The call failed: a script may catch it.
    Failed(Failure),
    /// The run ends here and no script can prevent it: cancel, unknown outcome, divergence, lost lock.
    /// The conductor remembers why; the script layer only unwinds.
    Ends,
}

/// What the script layer calls out to. Every mode of a run is one of these: the rehearsal on the twin, the real
/// thing with its journal, the replay.
pub trait Conduct: Send + Sync {
    /// One call, from the engine's own thread; blocks until it is answered.
    fn call(&self, asked: Asked) -> Result<Answer, Stop>;

    /// The effects of a `together` block, in script order: all intents first, then all side by side. The outcomes
    /// in script order, or the first failure in script order, after all have run to their end.
    fn together(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, Stop>;

    fn step_started(&self, path: &str);

    /// `well` is false when the step ends by a failure that passes through it.
    fn step_ended(&self, path: &str, well: bool);

    /// `print(...)` in a script.
    fn print(&self, text: &str, place: Place);

    /// Asked every few microseconds while a script runs: true ends it at once.
    fn cancelled(&self) -> bool;
}
