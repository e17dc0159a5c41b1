use serde::{Deserialize, Serialize};

use super::Failure;

/// Exit codes of the command line, which are an interface: scripts may branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitClass {
    /// 0: done, or nothing needed.
    Done,
    /// 1: refused or failed; nothing was changed.
    Refused,
    /// 2: usage, settings or runbook invalid; nothing was changed.
    Invalid,
    /// 5: another run holds the site; nothing was changed.
    Held,
    /// 6: failed, taken back and verified: the site is as before.
    TakenBack,
    /// 7: a person must decide.
    NeedsPerson,
    /// 9: stopped in the middle, or an outcome is unknown.
    Unfinished,
    /// 130: interrupted before anything was changed.
    Interrupted,
}

impl ExitClass {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Invalid => 2,
            Self::Held => 5,
            Self::TakenBack => 6,
            Self::NeedsPerson => 7,
            Self::Unfinished => 9,
            Self::Interrupted => 130,
        }
    }
}

/// One thing that a person may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The word to type: after the question's flag, after `--choose`, or after `--outcome`.
    pub key: String,
    /// What will be done.
    pub does: String,
    /// What it costs: time, rows, risk.
    pub costs: String,
    /// What else is typed with it so that nothing more has to be asked, e.g. `--jobs hold`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub also: String,
}

/// What only a person can decide, with what was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The call that it is about.
    pub address: String,
    pub text: String,
    /// What was looked at and what was found, a line each.
    pub found: Vec<String>,
    pub choices: Vec<Choice>,
    /// The runbook's parameter that answers it in advance. It is about the way forward then: `resume` takes the answer. Empty
    /// where it is about that too, and no parameter can answer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

/// How a run ended, or why it stands still. The words around it are made by `report`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    Done,
    /// The runbook found that the site is already as it should be.
    NothingNeeded {
        why: String,
    },
    /// Failed before anything was changed.
    Refused {
        failure: Failure,
    },
    /// Failed, taken back, and compared with what was recorded before the first change.
    TakenBack {
        failure: Failure,
        /// What was left as it is because a person decided so, a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
    /// The operator asked for the way back, and the site is as before.
    RolledBack {
        /// What was left as it is because a person decided so, or could not be compared, a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
    /// Stands still until a person has chosen.
    NeedsPerson {
        failure: Option<Failure>,
        question: Question,
    },
    /// Taking it back failed half way: a page of what is and is not done.
    Stuck {
        /// Why it could not be taken back.
        failure: Failure,
        /// Why it was to be taken back, if that was a failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Failure>,
        done: Vec<String>,
        not_done: Vec<String>,
    },
    /// Stopped in the middle by a signal, a lost lock or an answer that never came.
    Unfinished {
        why: String,
        /// The failure that it stopped at, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Failure>,
        /// What a person has to answer before it can go on, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<Question>,
    },
    /// Stopped before anything was changed.
    Interrupted,
    /// A person chose to leave the site as it is.
    Closed {
        why: String,
    },
}

impl Ending {
    #[must_use]
    pub fn exit(&self) -> ExitClass {
        match self {
            Self::Done | Self::NothingNeeded { .. } | Self::RolledBack { .. } | Self::Closed { .. } => {
                ExitClass::Done
            }
            Self::Refused { failure } if failure.question.is_some() => ExitClass::NeedsPerson,
            Self::Refused { .. } => ExitClass::Refused,
            Self::TakenBack { .. } => ExitClass::TakenBack,
            Self::NeedsPerson { .. } | Self::Stuck { .. } => ExitClass::NeedsPerson,
            Self::Unfinished { .. } => ExitClass::Unfinished,
            Self::Interrupted => ExitClass::Interrupted,
        }
    }

    /// What a person has to answer, if that is why the run stands still.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        match self {
            Self::NeedsPerson { question, .. } => Some(question),
            Self::Unfinished { question, .. } => question.as_ref(),
            _ => None,
        }
    }
}
