//! What happens in a run, as plain data: nothing here knows who tells it or who listens.
//!
//! The terminal, JSON lines, the journal's viewer and the tests all read this one stream, and none of them can
//! reach back into the work.

mod change;
mod ending;
mod failure;
mod letters;
mod moment;
mod progress;

pub use change::{Change, Planned, Sureness, Write};
pub use ending::{Choice, Ending, ExitClass, Question};
pub use failure::{Failure, Refusal, suggest};
pub use letters::is_turning;
pub use moment::{moment, moment_of, span};
pub use progress::{Progress, Teller, Unit, pace};

use serde::{Deserialize, Serialize};

/// One thing that happened, in the order in which it happened.
///
/// `-o json` prints one of these per line; the field `event` names the kind. Durations are milliseconds, times are
/// RFC 3339 in UTC, sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run was recorded in the journal; nothing has been changed yet.
    RunStarted { run: String, runbook: String, site: String, at: String, log: String },
    /// An unfinished run goes on from where it stopped.
    RunResumed { run: String, runbook: String, site: String, at: String, log: String },
    /// A step began. `path` holds its name, after the names of the steps and hosts around it, joined by `/`.
    StepStarted { path: String },
    /// A step ended well.
    StepEnded { path: String, took_ms: u64 },
    /// A call began: `summary` says in a few words what it is about to do.
    CallStarted { address: String, summary: String },
    /// A call goes on.
    CallProgress { address: String, progress: Progress },
    /// A call ended well. `replayed` means that the answer came from the journal and nothing was done again.
    CallEnded { address: String, took_ms: u64, result: String, replayed: bool },
    /// A call failed. Whether that ends the run is for the runbook to say.
    CallFailed { address: String, took_ms: u64, failure: Failure },
    /// Something that the operator should know although nothing is wrong.
    Note { address: Option<String>, text: String },
    /// Something that may become a problem.
    Warning { address: Option<String>, text: String },
    /// The effects of the run are now taken back, last first.
    UndoStarted { run: String, calls: usize, because: String },
    /// One effect was taken back, or needed nothing (`result` says which and why).
    Undone { address: String, took_ms: u64, result: String },
    /// One effect could not be taken back.
    UndoFailed { address: String, failure: Failure },
    /// The run is over, or stands still until somebody acts. Only warnings may follow: that nobody could be told of it.
    RunEnded { run: String, ending: Ending },
}
