//! Tests of runbooks: a line each, and of those that failed all that tells why.

use super::{
    paper::{Mark, Paper},
    words::span,
};

/// What became of one test.
pub struct Tried<'a> {
    pub file: &'a str,
    pub test: &'a str,
    pub took_ms: u64,
    /// How many simulated sites it has made.
    pub sites: usize,
    /// Why it failed, with the lines of the file; `None` if it passed.
    pub text: Option<&'a str>,
    pub evidence: &'a [String],
    /// How its runs ended.
    pub runs: &'a [String],
    /// What it has printed.
    pub printed: &'a [String],
}

/// Above the tests of a file. `origin`: whose it is, where that is not plain.
pub fn test_file(paper: &mut Paper, file: &str, origin: &str, is_first: bool) {
    if !is_first {
        paper.blank();
    }
    paper.heading(&if origin.is_empty() { file.to_owned() } else { format!("{file} ({origin})") });
}

pub fn tested(paper: &mut Paper, tried: &Tried<'_>) {
    let mark = if tried.text.is_none() { Mark::Ok } else { Mark::Fail };
    let none = if tried.sites == 0 && tried.text.is_none() { " (looks at no site)" } else { "" };
    paper.marked(mark, &format!("{}{none}", tried.test), Some(&span(tried.took_ms)));
}

/// Why a test failed.
pub fn test_failed(paper: &mut Paper, tried: &Tried<'_>) {
    paper.blank();
    paper.heading(&format!("FAIL {}: {}", tried.file, tried.test));
    tried.text.unwrap_or_default().lines().for_each(|line| paper.line(line));
    if !tried.evidence.is_empty() {
        paper.quoted("found", tried.evidence);
    }
    for (at, run) in tried.runs.iter().enumerate() {
        paper.labelled(if at == 0 { "its runs" } else { "" }, run);
    }
    if !tried.printed.is_empty() {
        paper.quoted("it printed", tried.printed);
    }
}

/// The last line.
pub fn tests_ended(paper: &mut Paper, passed: usize, failed: usize, took_ms: u64) {
    paper.blank();
    paper.heading(&format!("{passed} passed, {failed} failed, in {}", span(took_ms)));
}
