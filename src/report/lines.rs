use std::io::Write;

use serde::Serialize;
use serde_json::json;

use crate::{
    event::{ExitClass, Failure},
    site::Scrubber,
};

/// What programs read: one JSON object per line, without any secret. An output that is gone is ignored: a run does
/// not end because nobody reads it.
pub struct Lines {
    out: Box<dyn Write + Send>,
    scrubber: Scrubber,
}

impl Lines {
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, scrubber: Scrubber::default() }
    }

    /// From now on the secrets that `scrubber` knows are taken out.
    pub fn hide(&mut self, scrubber: &Scrubber) {
        self.scrubber = scrubber.clone();
    }

    pub fn json<T: Serialize>(&mut self, object: &T) {
        if let Ok(value) = serde_json::to_value(object) {
            let value = self.scrubber.scrub_json(&value);
            let _gone = writeln!(self.out, "{value}").and_then(|()| self.out.flush());
        }
    }

    /// Why there is no run: `code`, `message`, `hint`, `evidence`, `excerpt` of the runbook, and the exit code.
    pub fn failure(&mut self, failure: &Failure, exit: ExitClass) {
        let mut object = json!({
            "code": failure.code,
            "message": failure.message,
            "hint": failure.hint,
            "evidence": failure.evidence,
            "exit": exit.code(),
        });
        if let Some(excerpt) = &failure.excerpt {
            object["excerpt"] = json!(excerpt);
        }
        if let Some(question) = &failure.question {
            object["question"] = json!(question);
        }
        self.json(&object);
    }

    /// Text that is data: a runbook.
    pub fn text(&mut self, text: &str) {
        let text = self.scrubber.scrub(text);
        let _gone = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}
