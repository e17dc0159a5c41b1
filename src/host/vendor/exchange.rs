//! What changes where one bundle takes the place of another, or of what ships with uplift.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;

use super::{Pack, fits};
use crate::{
    event::Failure,
    host::{
        layer::{Layer, in_site},
        library::stock_text,
    },
    primitives::contract::Catalogue,
    script::Runbook,
    site::{Exchange, FileChange, FileIs, HookPlace},
};

/// Lines around a change.
const AROUND: usize = 3;

pub(super) async fn exchange(
    layer: Layer<'_>,
    (from, to): (Option<&Pack>, Option<&Pack>),
    catalogue: &Catalogue,
) -> Result<Exchange, Failure> {
    let notes = fits::stays_whole(layer, (from, to), catalogue).await?;
    let (mut hooks, mut renamed, mut now_here) = (Vec::new(), BTreeMap::new(), Vec::new());
    for name in fits::names(layer, to).await? {
        let Ok(now) = fits::load(&name, layer, to, catalogue).await else { continue };
        renamed.extend(now.header().renamed.clone());
        now_here.push(now);
    }
    let files = files((from, to), &renamed);
    for now in now_here.iter().filter(|now| !now.hooks().1.is_empty() && reaches(now, &files)) {
        let then = fits::load(now.name(), layer, from, catalogue).await.ok();
        hooks.extend(places(now, then.as_ref()));
    }
    Ok(Exchange {
        from: from.map(|pack| pack.shipped.clone()),
        to: to.map(|pack| pack.shipped.clone()),
        summary: to.map_or_else(String::new, |pack| pack.manifest().summary.clone()),
        files,
        hooks,
        notes,
    })
}

/// Whether one of these files is the runbook, or is imported by it, directly or not.
fn reaches(runbook: &Runbook, files: &[FileChange]) -> bool {
    let (bundle, mut seen) = (runbook.bundle(), BTreeSet::new());
    let mut open = vec![&bundle.main];
    while let Some(source) = open.pop() {
        if files.iter().any(|file| file.name == source.name) {
            return true;
        }
        if seen.insert(&source.name) {
            let named = fits::mentioned(source);
            open.extend(bundle.libs.iter().filter(|library| named.contains(&library.name)));
        }
    }
    false
}

/// Files that are others than before, sorted by name.
pub(super) fn files(
    (from, to): (Option<&Pack>, Option<&Pack>),
    renamed: &BTreeMap<String, String>,
) -> Vec<FileChange> {
    let names: BTreeSet<_> =
        from.iter().chain(&to).flat_map(|pack| &pack.content.files).map(|file| &file.name).collect();
    let change = |name: &String| {
        let text = |pack: Option<&Pack>| {
            let own = pack.and_then(|pack| pack.file(name)).map(|file| file.text.clone());
            own.or_else(|| stock_text(name).map(str::to_owned))
        };
        changed(name, text(from).as_deref(), text(to).as_deref(), renamed)
    };
    names.into_iter().filter_map(change).collect()
}

fn changed(
    name: &str,
    then: Option<&str>,
    now: Option<&str>,
    renamed: &BTreeMap<String, String>,
) -> Option<FileChange> {
    if then == now {
        return None;
    }
    let is = match (then, now) {
        (None, _) => FileIs::New,
        (_, None) => FileIs::Gone,
        _ => FileIs::Changed,
    };
    let (then, now) = (then.unwrap_or_default(), now.unwrap_or_default());
    let (old, new) = (steps(then), steps(now));
    let mut went: Vec<_> =
        old.keys().filter(|step| !new.contains_key(*step)).map(|step| (*step).to_owned()).collect();
    let mut came: Vec<_> =
        new.keys().filter(|step| !old.contains_key(*step)).map(|step| (*step).to_owned()).collect();
    let renamed: Vec<_> = renamed
        .iter()
        .filter(|(old, new)| went.contains(old) && came.contains(new))
        .map(|(old, new)| (old.clone(), new.clone()))
        .collect();
    went.retain(|step| renamed.iter().all(|(old, _)| old != step));
    came.retain(|step| renamed.iter().all(|(_, new)| new != step));
    Some(FileChange { name: name.to_owned(), is, diff: unified(name, then, now), came, went, renamed })
}

pub(super) fn unified(name: &str, then: &str, now: &str) -> String {
    let compared = TextDiff::from_lines(then, now);
    compared.unified_diff().context_radius(AROUND).header(name, name).to_string()
}

/// The steps of a text with their lines: from the one that names a step to that of the next.
fn steps(text: &str) -> BTreeMap<&str, String> {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    let mut at = None;
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let named = line.split_once("step \"").and_then(|(_, rest)| rest.split_once('"'));
        at = named.map(|(name, _)| name).or(at);
        if let Some(name) = at {
            let lines = found.entry(name).or_default();
            lines.push_str(line.trim());
            lines.push('\n');
        }
    }
    found
}

/// The site's changes in a runbook.
pub(super) fn places(now: &Runbook, then: Option<&Runbook>) -> Vec<HookPlace> {
    let lines = |runbook: &Runbook, step: &str| {
        runbook.bundle().sources().find_map(|source| steps(&source.text).remove(step))
    };
    let (file, hooks) = now.hooks();
    let place = |hook: &crate::script::Hook| HookPlace {
        runbook: now.name().to_owned(),
        step: hook.step.clone(),
        part: hook.part.as_str().to_owned(),
        function: hook.function.clone(),
        file: in_site(file),
        line: hook.line,
        step_changed: then.is_some_and(|then| lines(then, &hook.step) != lines(now, &hook.step)),
    };
    hooks.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_has_another_name_neither_came_nor_went() {
        let then = "step \"a\" { x(); }\nif y {\n    step \"b\" { z(); }\n}\n";
        let now = "step \"a\" { x(1); }\nstep \"c\" { z(); }\nstep \"d\" { }\n";
        let renamed = BTreeMap::from([("b".to_owned(), "c".to_owned()), ("e".to_owned(), "f".to_owned())]);
        let change = changed("compose/upgrade", Some(then), Some(now), &renamed).unwrap();
        assert_eq!((change.came, change.went), (vec!["d".to_owned()], Vec::new()));
        assert_eq!(change.renamed, [("b".to_owned(), "c".to_owned())]);
        assert_eq!(change.is, FileIs::Changed);
        assert!(change.diff.contains("\n+step \"a\" { x(1); }\n"), "{}", change.diff);
        assert_eq!(changed("a", Some(then), Some(then), &renamed), None);
    }
}
