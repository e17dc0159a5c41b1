use serde::{Deserialize, Serialize};

use super::Question;

/// Why something could not be done, as a script can catch it and as a person reads it.
///
/// `Display` says the message alone; hint and evidence are shown beside it by `report`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable name of the reason in `snake_case`, for scripts and for `-o json`.
    pub code: String,
    /// What is wrong: lower case, values in backticks, no full stop.
    pub message: String,
    /// What to type or to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What was seen that shows it: a container's last lines, a command's output. Oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Where in the runbook it came from: the source lines with a mark, as text for a terminal without colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// The same call may succeed a moment later.
    #[serde(default)]
    pub retryable: bool,
    /// Nobody knows whether the effect happened: the answer was lost after work had begun.
    #[serde(default)]
    pub unknown: bool,
    /// What a person must choose before it can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<Question>>,
}

impl Failure {
    /// What to do about a mistake of uplift's own.
    pub const REPORT: &str =
        "this is a mistake in uplift: report it with this message and what `uplift show` prints";

    /// A failure with a stable `code` (`snake_case`) and a message in lower case, values in backticks.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            evidence: Vec::new(),
            excerpt: None,
            retryable: false,
            unknown: false,
            question: None,
        }
    }

    /// A mistake of uplift's own: nobody at the keyboard can mend it.
    pub fn inside(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, message).hint(Self::REPORT)
    }

    /// It cannot be done before a person has chosen.
    #[must_use]
    pub fn asks(code: &str, question: Question) -> Self {
        let question = Some(Box::new(question));
        Self { question, ..Self::new(code, "a person must choose first") }
    }

    /// Adds what to type or to change.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds lines that show it.
    #[must_use]
    pub fn evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }

    /// Says that the same call may succeed a moment later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Says that nobody knows whether the effect happened.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.unknown = true;
        self
    }
}

/// A failure found while only reading: the effect has not begun, nothing of it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error(transparent)]
pub struct Refusal(#[from] pub Failure);

/// "did you mean `x`?", or the list of what there is.
#[must_use]
pub fn suggest(wrong: &str, known: &[&str]) -> String {
    // Both measures: one knows swapped letters, the other long names with a common beginning.
    let likeness = |name: &str| {
        strsim::normalized_damerau_levenshtein(wrong, name).max(strsim::jaro_winkler(wrong, name) - 0.2)
    };
    let near =
        known.iter().map(|name| (likeness(name), *name)).max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((likeness, name)) if likeness > 0.6 => format!("did you mean `{name}`?"),
        _ if known.is_empty() => "it takes none".to_owned(),
        _ => {
            format!("known: {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    }
}
