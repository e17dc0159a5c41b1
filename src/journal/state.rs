//! Where an entry and a run may stand, and how they may move: no clock, no file, no database.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where one call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not in the journal.
    Absent,
    /// Its intent is committed and it may be at work.
    Started,
    /// Failed in a way that may pass; it will be tried again.
    Waiting,
    /// Ended well; its outcome is known.
    Succeeded,
    /// Ended badly, and no earlier attempt is in doubt. Some of it may be there: undo takes it back.
    Failed,
    /// Its preconditions refused it: nothing of it was ever begun.
    Refused,
    /// It began, and nobody knows how it ended.
    Unknown,
    /// It began, and a look at the site or a person has proved that nothing of it is there.
    NotApplied,
    /// It is being taken back, or was when the run stopped.
    UndoStarted,
    /// A person must choose before it can be taken back.
    NeedsDecision,
    /// Taken back.
    Undone,
    /// Could not be taken back: the run is stuck.
    UndoFailed,
}

impl State {
    pub const ALL: [Self; 12] = [
        Self::Absent,
        Self::Started,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Refused,
        Self::Unknown,
        Self::NotApplied,
        Self::UndoStarted,
        Self::NeedsDecision,
        Self::Undone,
        Self::UndoFailed,
    ];

    /// Whether it belongs to the frontier: it has begun and a run cannot go past it.
    #[must_use]
    pub fn open(self) -> bool {
        matches!(self, Self::Started | Self::Waiting | Self::Unknown | Self::NotApplied)
    }

    /// Whether nothing of it is in doubt: a run may only end with a good word if this holds for all its entries.
    #[must_use]
    pub fn settled(self) -> bool {
        !matches!(
            self,
            Self::Started | Self::Unknown | Self::UndoStarted | Self::NeedsDecision | Self::UndoFailed
        )
    }

    /// Whether something of an effect may be on the site, so that the way back must go through it.
    #[must_use]
    pub fn to_take_back(self) -> bool {
        !matches!(self, Self::Absent | Self::Refused | Self::NotApplied | Self::Undone)
    }
}

/// What can happen to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// An attempt begins.
    Attempt,
    /// The attempt, or a later look, showed that it is done.
    Succeed,
    /// The attempt failed for good.
    Fail,
    /// The attempt failed in a way that may pass.
    RetryLater,
    /// The answer was lost after work had begun.
    Lose,
    /// Proved that nothing of it is there.
    ProveAbsent,
    /// Its preconditions refused it.
    Refuse,
    /// A person wants what failed or was refused to be tried once more.
    Reopen,
    UndoStart,
    UndoDone,
    UndoFail,
    /// Taking it back needs a person's choice.
    UndoAsk,
}

impl Move {
    pub const ALL: [Self; 12] = [
        Self::Attempt,
        Self::Succeed,
        Self::Fail,
        Self::RetryLater,
        Self::Lose,
        Self::ProveAbsent,
        Self::Refuse,
        Self::Reopen,
        Self::UndoStart,
        Self::UndoDone,
        Self::UndoFail,
        Self::UndoAsk,
    ];
}

/// A move that the rules do not know. It is always a mistake of the program, never of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a call that is `{from}` cannot `{step}`")]
pub struct Illegal {
    pub from: State,
    pub step: Move,
}

/// Where an entry stands, with what a later attempt must not wipe out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    pub state: State,
    /// Some attempt's end is unknown. Only a success, a proof or an undo clears it: a later attempt that fails for
    /// certain says nothing about the earlier one.
    pub may_have_applied: bool,
}

impl Standing {
    pub const ABSENT: Self = Self { state: State::Absent, may_have_applied: false };

    /// The one place that knows the rules.
    pub fn next(self, step: Move) -> Result<Self, Illegal> {
        use Move as M;
        use State as S;
        let doubt = self.may_have_applied;
        let to = |state, may_have_applied| Ok(Self { state, may_have_applied });
        match (self.state, step) {
            (S::Absent | S::Waiting | S::Unknown | S::NotApplied, M::Attempt) => to(S::Started, doubt),
            // Waiting ones too: a look may find done what an earlier attempt, or a person since, has done.
            (S::Started | S::Unknown | S::Waiting, M::Succeed) => to(S::Succeeded, false),
            (S::Started, M::Fail) if doubt => to(S::Unknown, true),
            (S::Started, M::Fail) => to(S::Failed, false),
            (S::Started, M::RetryLater) | (S::Failed, M::Reopen) => to(S::Waiting, doubt),
            (S::Started | S::Unknown, M::Lose) => to(S::Unknown, true),
            (S::Unknown | S::Waiting | S::NotApplied, M::ProveAbsent) | (S::Refused, M::Reopen) => {
                to(S::NotApplied, false)
            }
            (S::Absent | S::NotApplied, M::Refuse) => to(S::Refused, false),
            // A started attempt must be given an end before it can be taken back: it may still be at work.
            (
                S::Waiting
                | S::Succeeded
                | S::Failed
                | S::Unknown
                | S::NotApplied
                | S::UndoStarted
                | S::NeedsDecision
                | S::UndoFailed,
                M::UndoStart,
            ) => to(S::UndoStarted, doubt),
            (S::UndoStarted, M::UndoDone) => to(S::Undone, false),
            (S::UndoStarted, M::UndoFail) => to(S::UndoFailed, doubt),
            (S::UndoStarted, M::UndoAsk) => to(S::NeedsDecision, doubt),
            (from, step) => Err(Illegal { from, step }),
        }
    }

    /// Where `moves` lead, from the beginning: recovery is nothing but this.
    pub fn fold(moves: impl IntoIterator<Item = Move>) -> Result<Self, Illegal> {
        moves.into_iter().try_fold(Self::ABSENT, Self::next)
    }
}

/// Where a run stands, as it is stored. Whether a `Running` one is alive is not stored: the kernel's lock says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Somebody works on it; if nobody holds the lock, it was interrupted.
    Running,
    Done,
    /// Ended before anything was changed.
    Refused,
    /// Failed, and everything was taken back.
    TakenBack,
    /// Taken back because a person asked for it.
    RolledBack,
    /// Stands still until a person has chosen.
    NeedsPerson,
    /// Taking it back failed half way.
    Stuck,
    /// Stopped in the middle, in good order.
    Unfinished,
    /// A person chose to leave the site as it is.
    Closed,
}

impl RunState {
    pub const ALL: [Self; 9] = [
        Self::Running,
        Self::Done,
        Self::Refused,
        Self::TakenBack,
        Self::RolledBack,
        Self::NeedsPerson,
        Self::Stuck,
        Self::Unfinished,
        Self::Closed,
    ];

    /// Whether `resume` and `rollback` wait to be typed, and no new run may begin.
    #[must_use]
    pub fn unfinished(self) -> bool {
        matches!(self, Self::Running | Self::NeedsPerson | Self::Stuck | Self::Unfinished)
    }
}

/// Writes the names of a state as JSON has them: one spelling in the database, on the screen and in messages.
macro_rules! named {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Serialize::serialize(self, f)
            }
        }
    )*};
}
named!(State, Move, RunState);
