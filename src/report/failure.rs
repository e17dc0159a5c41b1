use std::path::PathBuf;

use super::paper::Paper;
use crate::event::{ExitClass, Failure};

/// Lines of evidence that a screen shows; the run's log holds them all.
const MOST: usize = 20;

/// What is wrong before there is a run: nothing was changed, but that the command has `written` files first.
pub fn failure(paper: &mut Paper, failure: &Failure, at: Option<&str>, exit: ExitClass, written: &[PathBuf]) {
    match exit {
        // Nothing went wrong: somebody did not want it.
        ExitClass::Interrupted => paper.heading(&failure.message),
        _ => paper.heading(&format!("error: {}", failure.message)),
    }
    if let Some(at) = at {
        paper.labelled("at", at);
    }
    if let Some(excerpt) = &failure.excerpt {
        let excerpt = excerpt.strip_prefix("note: in the runbook, here\n").unwrap_or(excerpt);
        paper.quoted("where", &[excerpt.to_owned()]);
    }
    if !failure.evidence.is_empty() {
        paper.quoted("found", &last(&failure.evidence));
    }
    if let Some(hint) = &failure.hint {
        paper.labelled("next", hint);
    }
    let state = match exit {
        ExitClass::Unfinished | ExitClass::NeedsPerson => "this command has changed nothing",
        _ => "nothing was changed",
    };
    match written {
        [] => paper.labelled("state", state),
        files => paper.labelled("state", &wrote_only(files)),
    }
}

/// Of a command that has written files before it failed, or before somebody said no.
pub(super) fn wrote_only(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|path| format!("`{}`", path.display())).collect();
    let verb = if files.len() == 1 { "was written and stays" } else { "were written and stay" };
    format!("{} {verb}; nothing else was changed", names.join(" and "))
}

/// The same below the screen of a run that was not begun.
pub fn wrote(paper: &mut Paper, files: &[PathBuf]) {
    paper.labelled("written", &wrote_only(files));
}

/// Why a run failed: the words, the place in the runbook, and what was seen.
pub(super) fn why(paper: &mut Paper, failure: &Failure) {
    paper.labelled("why", &failure.message);
    if let Some(excerpt) = &failure.excerpt {
        let excerpt = excerpt.strip_prefix("note: in the runbook, here\n").unwrap_or(excerpt);
        paper.quoted("runbook", &[excerpt.to_owned()]);
    }
    if !failure.evidence.is_empty() {
        let label = if is_log(failure) { "last lines" } else { "seen" };
        paper.quoted(label, &last(&failure.evidence));
    }
    if let Some(hint) = &failure.hint {
        paper.labelled("hint", hint);
    }
}

/// What was seen are the last lines of a container's log.
fn is_log(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "container_died" | "not_healthy")
}

fn last(lines: &[String]) -> Vec<String> {
    let cut = lines.len().saturating_sub(MOST);
    let mut shown = Vec::new();
    if cut > 0 {
        shown.push(format!("({cut} earlier lines are left out here)"));
    }
    shown.extend_from_slice(&lines[cut..]);
    shown
}
