//! The last line of defence: nothing that a known secret stands in is written as it came.
//!
//! Text for people is masked. What a machine acts on later (options, intents, entry 0) is refused instead: an undo
//! that looked for a database called `[secret]_production` would do harm. Names that come out of the scripts
//! (addresses, paths, verbs) and the scripts themselves are kept as they are, because resume must find them byte for
//! byte: no setting is ever pasted into them, and whoever wrote them could read what he wrote.

use serde_json::Value;

use super::JournalError;
use crate::{
    event::{Choice, Ending, Failure, Question},
    site::Scrubber,
};

pub(super) struct Scrub(pub Scrubber);

impl Scrub {
    pub(super) fn text(&self, text: &str) -> String {
        self.0.scrub(text)
    }

    /// JSON that is acted on later, or a refusal that names the place of the secret in it.
    pub(super) fn exact(&self, what: &str, value: &Value) -> Result<String, JournalError> {
        match self.find(value) {
            None => Ok(value.to_string()),
            Some(pointer) => Err(JournalError::HoldsSecret { what: what.to_owned(), pointer }),
        }
    }

    /// JSON of what has happened already and must be recorded, and whether something in it was masked.
    pub(super) fn masked(&self, value: Value) -> (String, bool) {
        let (clean, as_it_was) = (self.0.scrub_json(&value), value);
        (clean.to_string(), clean != as_it_was)
    }

    pub(super) fn failure(&self, failure: &Failure) -> Failure {
        let Failure { code, message, hint, evidence, excerpt, retryable, unknown, question } = failure;
        Failure {
            code: code.clone(),
            message: self.text(message),
            hint: hint.as_deref().map(|hint| self.text(hint)),
            evidence: self.lines(evidence),
            excerpt: excerpt.as_deref().map(|excerpt| self.text(excerpt)),
            retryable: *retryable,
            unknown: *unknown,
            question: question.as_deref().map(|question| Box::new(self.question(question))),
        }
    }

    pub(super) fn question(&self, question: &Question) -> Question {
        let choice = |choice: &Choice| Choice {
            key: choice.key.clone(),
            does: self.text(&choice.does),
            costs: self.text(&choice.costs),
            also: choice.also.clone(),
        };
        Question {
            address: question.address.clone(),
            text: self.text(&question.text),
            found: self.lines(&question.found),
            choices: question.choices.iter().map(choice).collect(),
            flag: question.flag.clone(),
        }
    }

    pub(super) fn ending(&self, ending: &Ending) -> Ending {
        match ending {
            Ending::Done | Ending::Interrupted => ending.clone(),
            Ending::RolledBack { left } => Ending::RolledBack { left: self.lines(left) },
            Ending::NothingNeeded { why } => Ending::NothingNeeded { why: self.text(why) },
            Ending::Refused { failure } => Ending::Refused { failure: self.failure(failure) },
            Ending::TakenBack { failure, left } => {
                Ending::TakenBack { failure: self.failure(failure), left: self.lines(left) }
            }
            Ending::NeedsPerson { failure, question } => Ending::NeedsPerson {
                failure: failure.as_ref().map(|failure| self.failure(failure)),
                question: self.question(question),
            },
            Ending::Stuck { failure, cause, done, not_done } => Ending::Stuck {
                failure: self.failure(failure),
                cause: cause.as_ref().map(|cause| self.failure(cause)),
                done: self.lines(done),
                not_done: self.lines(not_done),
            },
            Ending::Unfinished { why, cause, question } => Ending::Unfinished {
                why: self.text(why),
                cause: cause.as_ref().map(|cause| self.failure(cause)),
                question: question.as_ref().map(|question| self.question(question)),
            },
            Ending::Closed { why } => Ending::Closed { why: self.text(why) },
        }
    }

    fn lines(&self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.text(line)).collect()
    }

    /// Where in `value` a secret stands, as a JSON pointer; the pointer itself is masked.
    fn find(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => (self.text(text) != *text).then(String::new),
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(n, item)| Some(format!("/{n}{}", self.find(item)?)))
            }
            Value::Object(map) => map.iter().find_map(|(key, item)| {
                let name = self.text(key);
                if name != *key {
                    return Some(format!("/{name}"));
                }
                Some(format!("/{key}{}", self.find(item)?))
            }),
            _ => None,
        }
    }
}
