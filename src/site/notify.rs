use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Reference, Secret, is_secret};

/// When somebody is told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It begins, or is taken up again to go on or back.
    Start,
    /// It stands still until a person has answered.
    Question,
    /// It is over, or stopped in the middle.
    End,
    /// Its runbook says something on the way.
    Message,
}

impl Occasion {
    pub const ALL: [Self; 4] = [Self::Start, Self::Question, Self::End, Self::Message];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Question => "question",
            Self::End => "end",
            Self::Message => "message",
        }
    }
}

/// Who is told of runs, by the settings file.
#[derive(Clone, PartialEq, Eq)]
pub struct Notify {
    /// The program and its arguments, which no shell reads; empty where there is only a chat. Arguments may hold a key:
    /// they are never shown.
    pub command: Vec<String>,
    /// Where the address of a chat is that takes `{"text": ...}`. Whoever has it may write there, so it is a secret.
    pub webhook: Option<Reference>,
    pub on: Vec<Occasion>,
    /// For how long one call of either may last.
    pub timeout: Duration,
}

impl Notify {
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    #[must_use]
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// Arguments that must never be seen: addresses, which as a rule have a key in them, and what a flag or a name says
    /// to be a secret.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let mut found = Vec::new();
        let mut named = false;
        for word in self.command.iter().skip(1) {
            let (name, value) = word.split_once('=').unwrap_or(("", word));
            let flag = name.is_empty() && word.starts_with('-');
            if word.contains("://") || (named && !flag) {
                found.push(Secret::new(word));
            } else if !name.is_empty() && is_secret(name, value) {
                found.push(Secret::new(value));
            }
            named = flag && is_secret(word, "");
        }
        found
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("program", &self.program())
            .field("webhook", &self.webhook)
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_among_the_arguments_are_known_and_plain_words_are_not() {
        let words = [
            "tell",
            "--room",
            "operators",
            "--token",
            "t-123456",
            "--api-key=k-123456",
            "https://chat.example/T0/B0",
        ];
        let command = words.map(str::to_owned).to_vec();
        let notify = Notify { command, webhook: None, on: Occasion::ALL.to_vec(), timeout: Notify::TIMEOUT };
        let found: Vec<_> = notify.secrets().iter().map(|secret| secret.reveal().to_owned()).collect();
        assert_eq!(found, ["t-123456", "k-123456", "https://chat.example/T0/B0"]);
        assert!(!format!("{notify:?}").contains("123456"), "{notify:?}");
    }
}
