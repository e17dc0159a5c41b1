//! What goes into the journal and what comes out of it. All views serialise for `show -o json`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state::{RunState, State};
use crate::event::{Ending, Failure, Question};

/// A run about to begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub id: String,
    pub runbook: String,
    /// The command line as it was typed, for people.
    pub command: String,
    /// Who began it: user and host.
    pub by: String,
    pub at: Timestamp,
    pub params: Value,
    /// The runbook's failure policy: `undo` or `pause`.
    pub on_failure: String,
    /// Every script that the run may load: its name and its text. Resume reads these and never the disk.
    pub bundle: Vec<(String, String)>,
    /// Entry 0: the site before the run, as versioned JSON.
    pub before: Value,
    /// The version of uplift.
    pub uplift: String,
}

/// A call about to be made.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// `path/verb#n`, unique within the run.
    pub address: String,
    pub path: String,
    pub verb: String,
    /// The primitive's version, which the intent can be read with.
    pub version: u32,
    pub effect: bool,
    pub input: Value,
    /// `file:line:column` in the runbook.
    pub place: String,
    pub summary: String,
    /// `repeat`, `probe` or `ask`; effects only.
    pub when_unknown: Option<String>,
    pub intent: Option<Value>,
    /// Equal for the calls of one `together`.
    pub group: Option<u64>,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choosing {
    /// The key of the [`crate::event::Choice`], or `applied`, `not-applied`, `retry`.
    pub choice: String,
    pub reason: String,
    /// Who decided: user and host.
    pub by: String,
}

/// A decision as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The entry that it is about; 0 is the run as a whole.
    pub seq: i64,
    #[serde(flatten)]
    pub decision: Choosing,
    pub at: Timestamp,
    /// The taking of the lock under which it was recorded: before anything that the same taking did.
    pub epoch: i64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub id: String,
    pub runbook: String,
    pub command: String,
    pub by: String,
    pub started: Timestamp,
    /// When it ended or last stood still.
    pub ended: Option<Timestamp>,
    pub state: RunState,
    /// Recorded as running, and nobody is at work on it: a crash, a kill, a power cut.
    pub interrupted: bool,
    /// Taking it back has begun: from there it cannot go on any more.
    #[serde(default)]
    pub going_back: bool,
    /// How it ended, or why it stands still.
    pub ending: Option<Ending>,
    pub params: Value,
    pub on_failure: String,
    pub uplift: String,
    /// How often it was taken up again.
    pub resumed: u32,
    /// Decisions about the run as a whole.
    pub decisions: Vec<Decided>,
}

impl RunRow {
    /// What a run that was taken back has left as it is, a sentence each.
    #[must_use]
    pub fn left(&self) -> &[String] {
        match &self.ending {
            Some(Ending::TakenBack { left, .. } | Ending::RolledBack { left }) => left,
            _ => &[],
        }
    }

    /// Where it stands, as one word: its state, or `interrupted` where nobody works on what is recorded as running.
    #[must_use]
    pub fn state_word(&self) -> String {
        if self.interrupted { "interrupted".to_owned() } else { self.state.to_string().replace('_', " ") }
    }
}

/// Whether a call only looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Read,
    Effect,
}

/// One call, with all that happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: i64,
    pub address: String,
    pub path: String,
    pub verb: String,
    pub version: u32,
    pub kind: Kind,
    pub input: Value,
    /// [`super::input_hash`] of the options as they were given, before secrets were masked.
    pub input_hash: String,
    pub place: String,
    pub summary: String,
    pub when_unknown: Option<String>,
    /// The latest: one that was proved not applied may have been decided anew.
    pub intent: Option<Value>,
    pub group: Option<u64>,
    /// Folded from the attempts and undos below.
    pub state: State,
    pub may_have_applied: bool,
    /// Oldest first; their number is what a budget counts, whatever restarts lie between.
    pub attempts: Vec<Attempt>,
    /// Oldest first.
    pub undos: Vec<UndoRow>,
    /// Oldest first.
    pub decisions: Vec<Decided>,
}

impl Entry {
    /// What replay answers with: the value or the failure of a call that has ended.
    #[must_use]
    pub fn answer(&self) -> Option<Result<&Value, &Failure>> {
        if !matches!(self.state, State::Succeeded | State::Failed | State::Refused) {
            return None;
        }
        let last = self.attempts.last()?;
        last.value.as_ref().map(Ok).or(last.failure.as_ref().map(Err))
    }

    /// A person's answer to what became of the latest attempt. One that is older than this attempt was about an
    /// earlier one.
    #[must_use]
    pub fn answered(&self) -> Option<&Choosing> {
        let latest = self.attempts.last()?.epoch;
        self.decisions.last().filter(|decided| decided.epoch > latest).map(|decided| &decided.decision)
    }

    /// What a person chose in answer to the latest attempt, also where another has begun since under the same taking of
    /// the lock.
    #[must_use]
    pub fn chosen(&self) -> Option<&Choosing> {
        let asked = self.attempts.iter().rev().find(|attempt| attempt.failure.is_some())?.epoch;
        let last = self.decisions.last().filter(|decided| decided.epoch > asked)?;
        Some(&last.decision)
    }

    /// When the next attempt is due, while it waits for one.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.attempts.last().filter(|_| self.state == State::Waiting)?.next_at
    }

    /// The question that stands open, if a person must answer one.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        match self.state {
            State::NeedsDecision => self.undos.last()?.question.as_ref(),
            State::Unknown => self.attempts.last()?.question.as_ref(),
            // A look that ended in a question: the run stands still there, because no script can catch that.
            State::Failed if self.kind == Kind::Read => {
                self.attempts.last()?.failure.as_ref()?.question.as_deref()
            }
            _ => None,
        }
    }
}

/// One attempt at a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub n: u32,
    /// `started`, `succeeded`, `failed`, `refused`, `waiting`, `unknown` or `not_applied`.
    pub state: State,
    /// The taking of the lock under which it began.
    pub epoch: i64,
    /// The kernel's name of the boot in which it began.
    pub boot: String,
    /// The process of uplift that made it.
    pub pid: u32,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    pub next_at: Option<Timestamp>,
    pub value: Option<Value>,
    /// Also says why an end is unknown, or how absence was proved.
    pub failure: Option<Failure>,
    /// The value held a known secret: what is kept has it masked and must not be used as an answer.
    pub masked: bool,
    pub question: Option<Question>,
}

/// One attempt at taking an effect back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoRow {
    /// Counted from 1.
    pub n: u32,
    /// `undo_started`, `undone`, `undo_failed` or `needs_decision`.
    pub state: State,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// The decision that it acts on.
    pub decision: Option<Choosing>,
    pub value: Option<Value>,
    pub failure: Option<Failure>,
    pub question: Option<Question>,
}
