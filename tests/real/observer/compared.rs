//! What was foretold, held against what was seen, in both directions.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    super::Field,
    Seen,
    fact::Facts,
    files,
    foretold::{Added, Foretold},
    names::Names,
};

/// Room is given in blocks: below one, a size says nothing.
const BLOCK: u64 = 4096;

/// What goes away again and stands in no plan: what the way back itself looks at, and a mark of the unpacking.
const PASSING: [&str; 2] =
    ["./.uplift/backups/.uploads-plan-again", "VOLUME/uplift-restore-plan/.uplift-unpacked"];

/// What was seen and not foretold, or foretold and not seen, a line each.
pub(super) fn unlike(told: &Foretold, seen: &Seen, names: &Names) -> Vec<String> {
    let (facts, seen_facts) = (told.facts(), seen.facts(names));
    let mut found = between(&facts, &seen_facts);
    let places: BTreeMap<_, _> =
        seen.after.keys().map(|path| (names.plain_path(path), path.clone())).collect();
    for (name, added) in &told.added {
        found.extend(wrong_size(name, added, seen, &places, names));
    }
    for name in files::passing(&seen.names, &seen.before, &seen.after, names) {
        let known = told.ever.contains(&name) || told.ever.iter().any(|one| name == format!("{one}.partial"));
        if !known && !PASSING.iter().any(|one| name.starts_with(one)) {
            found.push(format!("not foretold: {name} was there for a while"));
        }
    }
    found
}

pub(super) fn between(told: &Facts, seen: &Facts) -> Vec<String> {
    let unforeseen = seen.beyond(told).into_iter().map(|fact| format!("not foretold: {fact}"));
    unforeseen.chain(told.beyond(seen).into_iter().map(|fact| format!("not seen: {fact}"))).collect()
}

fn wrong_size(
    name: &str,
    added: &Added,
    seen: &Seen,
    places: &BTreeMap<String, PathBuf>,
    names: &Names,
) -> Option<String> {
    let swapped = files::exchanged(&seen.before, &seen.after, names);
    let aside = swapped.is_some_and(|aside| names.plain_path(&aside) == name);
    let path = if aside { Some(&names.uploads) } else { places.get(name) };
    let Some(planned) = added.bytes else {
        let there = path.is_some_and(|path| files::is_folder(&seen.after, path));
        return (!there).then(|| format!("not seen: the folder {name}"));
    };
    let made = files::size(&seen.after, path?)?;
    if added.what.ends_with(", at the most") {
        return (made > planned)
            .then(|| format!("{name} takes {made} bytes, and at most {planned} were told"));
    }
    if planned == 0 && files::is_linked(&seen.after, path?) {
        return None;
    }
    let what = format!("{name} ({})", added.what);
    (!is_close(planned, made)).then(|| format!("{what} takes {made} bytes, and {planned} were told"))
}

fn is_close(planned: u64, made: u64) -> bool {
    planned.abs_diff(made) <= (planned / 4).max(BLOCK)
}

/// Databases whose size is another than was foretold, a line each.
pub(super) fn sizes(told: &Foretold, field: &Field, run: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, planned) in &told.databases {
        let name = name.replace("plan", &run.replace('-', "_"));
        let made = field.stack.psql("postgres", &format!("SELECT pg_database_size('{name}')"));
        let made: u64 = made.unwrap().parse().unwrap();
        if !is_close(*planned, made) {
            found.push(format!("`{name}` takes {made} bytes, and {planned} were told"));
        }
    }
    found
}

/// Bytes of the dumps, as they were told and as they were made.
pub(super) fn dumps(told: &Foretold, seen: &Seen, names: &Names) -> (u64, u64) {
    let are = |name: &String| told.added.get(name).filter(|added| added.what.starts_with("dump of "));
    let made = seen.after.keys().filter_map(|path| {
        let added = are(&names.plain_path(path))?;
        Some((added.bytes?, files::size(&seen.after, path)?))
    });
    made.fold((0, 0), |(told, made), (one, other)| (told + one, made + other))
}
