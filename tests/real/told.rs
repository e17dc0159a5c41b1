//! Waiting for a run to come to a point, by the events that it tells with `-o json`.

use std::time::Duration;

use crate::lab::{Started, wait_until};

/// Long enough on any machine.
const LIMIT: Duration = Duration::from_mins(5);
/// What the last lines of a run are worth in a test's output.
const LINES: usize = 12;

/// Comes back once the call at `address` is at work.
#[track_caller]
pub(super) fn until_it_begins(run: &Started, address: &str) {
    until(run, "call_started", address);
}

/// Comes back once `event` has been told of the call at `address`; a run that ends before that fails the test at once.
#[track_caller]
pub(super) fn until(run: &Started, event: &str, address: &str) {
    let named = format!("\"{address}\"");
    let told = || run.stdout().lines().any(|line| line.contains(event) && line.contains(&named));
    let mut over = false;
    let waited = wait_until(address, LIMIT, || {
        // Looked at first: what it told last is there once it is over.
        over = run.is_over();
        told() || over
    });
    if waited.is_err() || !told() {
        let why = if over { "it ended" } else { "it did not come so far in time" };
        panic!("no `{event}` of `{address}`: {why}\n{}", last_words(run));
    }
}

/// The end of what a run said.
pub(super) fn last_words(run: &Started) -> String {
    let end = |text: String| {
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    };
    format!("{}\n{}", end(run.stdout()), end(run.stderr()))
}
