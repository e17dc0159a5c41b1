//! Bundles of runbooks, and in what a site differs from what ships with uplift.

use std::path::Path;

use super::paper::Paper;
use crate::site::{Deviations, Exchange, FileChange, FileIs, HookPlace, OwnScript, Shipped};

/// What was packed.
pub struct Shipment<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub files: &'a [String],
    pub path: &'a Path,
    /// What it is called once it is signed.
    pub bundle: &'a Path,
    /// The id of the key that has signed it, and what a site that trusts it writes down.
    pub by: Option<(&'a str, &'a str)>,
    /// How many of its tests were run, all of which passed; `None` where none was to be run.
    pub tests: Option<usize>,
}

pub fn packed(paper: &mut Paper, packed: &Shipment<'_>) {
    let Shipment { name, version, files, path, bundle, by, tests } = packed;
    let files = files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
    paper.paragraph(0, &format!("packed `{name}` {version}: {files}"));
    paper.paragraph(
        0,
        &match tests {
            Some(0) => "tests: it has none".to_owned(),
            Some(passed) => format!("tests: all {passed} passed"),
            None => "tests: not run, because of `--untested`".to_owned(),
        },
    );
    let path = path.display();
    let Some((id, public)) = by else {
        paper.paragraph(0, &format!("wrote `{path}`, which nobody has signed: no site installs it"));
        paper.blank();
        paper.labelled("next", "sign it, and put both together:");
        paper.line(&format!("              minisign -S -m {path}"));
        paper.line(&format!("              cat {path} {path}.minisig > {}", bundle.display()));
        return;
    };
    paper.paragraph(0, &format!("wrote `{path}`, signed by the key {id}"));
    paper.blank();
    paper.labelled("next", "publish the file, and once the key, so that sites can trust it:");
    paper.line(&format!("              uplift init --trust {public}"));
    paper.line(&format!("              uplift runbook install {path}"));
}

fn named(shipped: Option<&Shipped>) -> String {
    shipped.map_or_else(|| "what ships with uplift".to_owned(), |one| format!("the bundle {one}"))
}

pub fn exchange(paper: &mut Paper, change: &Exchange) {
    let signed = |one: &Shipped| format!(", signed by the key {}", one.key);
    let by = change.to.as_ref().map(signed).unwrap_or_default();
    paper.labelled("brings", &format!("{}{by}", named(change.to.as_ref())));
    if !change.summary.is_empty() {
        paper.labelled("", &change.summary);
    }
    paper.labelled("instead of", &named(change.from.as_ref()));
    files(paper, &change.files);
    if change.files.is_empty() {
        paper.labelled("changes", "no file is another than before");
    }
    if !(change.hooks.is_empty() && change.notes.is_empty()) {
        paper.blank();
    }
    for (at, hook) in change.hooks.iter().enumerate() {
        paper.labelled(if at == 0 { "site's own" } else { "" }, &place(hook));
    }
    for note in &change.notes {
        paper.labelled("note", note);
    }
}

/// What the tests say of it: how many passed and failed, and why. `None`: they were not run.
pub fn exchange_tests(paper: &mut Paper, summary: Option<(usize, usize)>, failing: &[String]) {
    paper.blank();
    let text = match summary {
        None => "not run, because of `--untested`".to_owned(),
        Some((0, 0)) => "neither the bundle nor this site has any".to_owned(),
        Some((passed, 0)) => format!("all {passed} passed: the bundle's, and the site's own with it"),
        Some((passed, failed)) => {
            format!(
                "{failed} FAILED, {passed} passed: the bundle's, and the site's own with it; `-y` does not install it"
            )
        }
    };
    paper.labelled("tests", &text);
    for text in failing {
        paper.blank();
        text.lines().for_each(|line| paper.line(&format!("  {line}")));
    }
}

pub fn exchanged(paper: &mut Paper, change: &Exchange, typed: &str) {
    paper.blank();
    paper.paragraph(
        0,
        &format!(
            "from the next run on it is {}; a run that has begun goes on, and back, with what it began with",
            named(change.to.as_ref())
        ),
    );
    let older =
        change.from.as_ref().zip(change.to.as_ref()).is_some_and(|(from, to)| to.version < from.version);
    if change.to.is_some() && !older {
        paper.labelled("next", "the way back, should it be needed:");
        paper.line(&format!("              {typed} runbook revert"));
    }
}

fn files(paper: &mut Paper, files: &[FileChange]) {
    for file in files {
        let word = match file.is {
            FileIs::New => "new",
            FileIs::Changed => "changed",
            FileIs::Gone => "gone",
        };
        paper.blank();
        paper.heading(&format!("{}: {word}", file.name));
        // Of what goes nothing runs any more.
        if file.is != FileIs::Gone {
            file.diff.lines().for_each(|line| paper.line(&format!("  {line}")));
        }
        let list =
            |steps: &[String]| steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ");
        if !file.came.is_empty() {
            paper.labelled("new steps", &list(&file.came));
        }
        if !file.went.is_empty() {
            paper.labelled("gone steps", &list(&file.went));
        }
        for (old, new) in &file.renamed {
            paper.labelled("renamed", &format!("step `{old}` is called `{new}` now"));
        }
    }
}

fn place(hook: &HookPlace) -> String {
    let HookPlace { runbook, step, part, function, file, line, step_changed } = hook;
    let place = if part == "replace" { "in the place of" } else { part };
    let changed = if *step_changed { "; that step is another than before" } else { "" };
    format!("`{runbook}`, {place} `{step}`: `{function}`, `{file}:{line}`{changed}")
}

pub fn deviations(paper: &mut Paper, found: &Deviations) {
    if found.is_none() {
        paper.paragraph(0, "nothing differs from stock");
        return;
    }
    if let Some(bundle) = &found.bundle {
        paper.labelled("bundle", &format!("{bundle}, signed by the key {}", bundle.key));
        files(paper, &found.bundled);
    }
    for own in &found.own {
        script(paper, own);
    }
    if !found.hooks.is_empty() {
        paper.blank();
    }
    for (at, hook) in found.hooks.iter().enumerate() {
        paper.labelled(if at == 0 { "hooks" } else { "" }, &place(hook));
    }
    if !found.settings.is_empty() {
        paper.blank();
    }
    for (at, (name, value)) in found.settings.iter().enumerate() {
        paper.labelled(if at == 0 { "settings" } else { "" }, &format!("`{name}` is `{value}`"));
    }
    for wrong in &found.wrong {
        paper.blank();
        paper.heading("WRONG");
        wrong.lines().for_each(|line| paper.line(&format!("  {line}")));
    }
}

fn script(paper: &mut Paper, own: &OwnScript) {
    let OwnScript { file, instead, diff, outdated } = own;
    let Some(name) = instead else {
        let what = if file.starts_with("uplift/lib/") { "library" } else { "runbook" };
        paper.labelled(what, &format!("`{file}` is the site's own"));
        return;
    };
    paper.blank();
    paper.heading(&format!("{file}: the site's own, in the place of {name}"));
    if let Some(from) = outdated {
        paper.labelled("copied from", &format!("{from}, which is no longer what ships"));
    }
    if diff.is_empty() {
        paper.labelled("differs", "in nothing: it only keeps what is mended there away");
    }
    diff.lines().for_each(|line| paper.line(&format!("  {line}")));
}
