//! What uplift said, to be held against what it should have said.

use std::fmt;

use serde_json::Value;
use uplift::event::Event;

use crate::lab::Ran;

#[derive(Debug, Clone)]
pub(super) struct Screen {
    words: String,
    ran: Ran,
}

impl Screen {
    pub(super) fn of(words: &str, ran: Ran) -> Self {
        Self { words: words.to_owned(), ran }
    }

    pub(super) fn exit(&self) -> Option<i32> {
        self.ran.code
    }

    /// It ended with this exit code.
    #[track_caller]
    pub(super) fn ends(self, code: i32) -> Self {
        assert_eq!(self.ran.code, Some(code), "\n{self}");
        self
    }

    /// Each of these stands on the screen.
    #[track_caller]
    pub(super) fn shows(self, texts: &[&str]) -> Self {
        // Long lines are wrapped between words.
        let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let all = joined(&self.everything());
        for text in texts {
            assert!(all.contains(&joined(text)), "`{text}` is not on the screen\n{self}");
        }
        self
    }

    pub(super) fn everything(&self) -> String {
        format!("{}\n{}", self.ran.stdout, self.ran.stderr)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.ran.took.as_secs_f64()
    }

    /// The one JSON value that `-o json` of a looking verb prints.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.ran.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// The events that `-o json` of a changing verb prints, a line each.
    #[track_caller]
    pub(super) fn events(&self) -> Vec<Event> {
        let lines = self.ran.stdout.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}\n{self}")))
            .collect()
    }

    /// Addresses of the calls that were made, in order.
    #[track_caller]
    pub(super) fn called(&self) -> Vec<String> {
        let address = |event| match event {
            Event::CallStarted { address, .. } => Some(address),
            _ => None,
        };
        self.events().into_iter().filter_map(address).collect()
    }
}

impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { code, stdout, stderr, took } = &self.ran;
        writeln!(f, "$ uplift {}\n(exit {code:?} after {took:.1?})", self.words)?;
        writeln!(f, "--- standard output\n{stdout}\n--- standard error\n{stderr}")
    }
}
