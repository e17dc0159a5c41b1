use jiff::Timestamp;

use super::{
    paper::{Mark, Paper},
    words::{between, count, size},
};
use crate::{
    backups::{Level, Listed, Manifest, Part, Standing, Verification},
    event::{Failure, moment_of},
};

/// All backups, newest first. What cannot be relied on says so in its line.
pub fn sets(paper: &mut Paper, all: &[Listed], now: Timestamp, folder: &str, typed: &str) {
    if all.is_empty() {
        paper.paragraph(0, &format!("there is no backup in `{folder}`"));
        paper.labelled("next", "make one:");
        paper.line(&format!("{:12}  {typed} backup create", ""));
        return;
    }
    row(paper, ["backup (UTC)", "release", "age", "size", "proved", "made for"]);
    for set in all {
        let manifest = set.manifest.as_ref();
        let mut reason = manifest.map(|manifest| manifest.reason.clone()).unwrap_or_default();
        if set.pinned == Some(true) {
            reason.push_str(", pinned");
        }
        // That it is unfinished stands in its line.
        let name = set.set.trim_end_matches(".partial");
        let release = manifest.map(|manifest| manifest.version.as_str()).unwrap_or_default();
        row(paper, [name, release, &age(set, now), &size(set.bytes), word(&set.standing), &reason]);
        if let Some(why) = why(&set.standing) {
            paper.paragraph(4, why);
        }
        if let Some(lacks) = lacks(set) {
            paper.paragraph(4, &lacks);
        }
    }
}

/// What is known where no backup is found.
pub struct NoSets {
    /// Names of those that were made, newest first; `None` if the record of the runs cannot be read.
    pub made: Option<Vec<String>>,
    /// Where they are looked for, and whether that is there.
    pub folder: String,
    pub is_there: bool,
}

impl NoSets {
    fn in_words(&self) -> String {
        let Self { made, folder, is_there } = self;
        let Some(made) = made else { return format!("none in `{folder}`") };
        let Some(newest) = made.first() else { return "none yet".to_owned() };
        let were = if made.len() == 1 {
            format!("1 backup was made ({newest})")
        } else {
            format!("{} backups were made, the newest {newest}", made.len())
        };
        if *is_there {
            format!("NONE: {were}, and none is in `{folder}` any more")
        } else {
            format!("NONE: {were}, and `{folder}` is not there any more")
        }
    }
}

/// The newest backup that can be relied on, in a line.
pub(super) fn newest(all: &[Listed], none: Option<&NoSets>, now: Option<Timestamp>) -> String {
    let verified = all.iter().find(|set| set.standing.is_verified());
    let Some(set) = verified else {
        return match all.len() {
            0 => none.map_or_else(|| "none".to_owned(), NoSets::in_words),
            n => format!("none that is proved, of {n}"),
        };
    };
    let lacks = lacks(set).map(|lacks| format!(", {lacks}")).unwrap_or_default();
    let old = now.map(|now| format!(", {} old", age(set, now))).unwrap_or_default();
    format!("{}{old}, proved {}, {}{lacks}", set.set, word(&set.standing), size(set.bytes))
}

fn row(paper: &mut Paper, [set, release, age, size, proved, reason]: [&str; 6]) {
    paper.line(&format!("{set:<22}{release:<8} {age:<12}{size:<11}{proved:<14}{reason}"));
}

/// How long ago it was made.
fn age(set: &Listed, now: Timestamp) -> String {
    match set.date() {
        Some(at) if at > now => "not yet".to_owned(),
        Some(at) => between(at, now),
        None => "unknown".to_owned(),
    }
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Verified { level: Level::Restored, .. } => "by restoring",
        Standing::Verified { .. } => "by reading",
        Standing::Unproved { .. } => "UNPROVED",
        Standing::Damaged { .. } => "DAMAGED",
        Standing::Incomplete => "INCOMPLETE",
        Standing::Unknown { .. } => "UNKNOWN",
    }
}

fn why(standing: &Standing) -> Option<&str> {
    match standing {
        Standing::Unproved { why } | Standing::Damaged { why } | Standing::Unknown { why } => Some(why),
        Standing::Incomplete => Some("it was never finished: it is no backup"),
        Standing::Verified { .. } => None,
    }
}

/// What a set that has a manifest does not hold.
fn lacks(set: &Listed) -> Option<String> {
    let left_out = &set.manifest.as_ref()?.left_out;
    (!left_out.is_empty()).then(|| format!("without {}", left_out.join("; without ")))
}

/// One backup with all that is known of it.
pub fn set(paper: &mut Paper, set: &Listed, now: Timestamp, typed: &str) {
    let made = set.created_at.as_deref().map_or_else(|| "nobody knows when".to_owned(), moment_of);
    paper.labelled("backup", &format!("{}, made {made} ({} ago)", set.set, age(set, now)));
    paper.labelled("where", &set.path.display().to_string());
    let proved = match &set.standing {
        Standing::Verified { level, at } => format!("{}, {}", level_in_words(*level), moment_of(at)),
        other => format!("{}: {}", word(other), why(other).unwrap_or_default()),
    };
    paper.labelled("proved", &proved);
    if let Some(manifest) = &set.manifest {
        contents(paper, set, manifest);
    }
    paper.labelled("next", "prove it again, every byte of it:");
    paper.line(&format!("{:12}  {typed} backup verify {}", "", set.set));
}

fn contents(paper: &mut Paper, set: &Listed, manifest: &Manifest) {
    let pinned = if set.pinned == Some(true) { ", pinned" } else { "" };
    paper.labelled("made for", &format!("{} by uplift {}{pinned}", manifest.reason, manifest.tool.version));
    paper.labelled("site", &format!("`{}` at {}", manifest.site, manifest.version));
    if let Some(server) = &manifest.server {
        paper
            .labelled("server", &format!("PostgreSQL {} at {}:{}", server.version, server.host, server.port));
    }
    for database in &manifest.databases {
        let rows: u64 = database.tables.iter().map(|table| table.rows).sum();
        let tables = count(database.tables.len(), "table");
        let held = if database.rows_left_out {
            "its structure, rows left out".to_owned()
        } else {
            format!("{tables}, {rows} rows")
        };
        let text = format!("`{}`: {held}, {}", database.facts.name, size(database.bytes));
        paper.labelled(&database.role, &text);
    }
    if let Some(storage) = &manifest.storage {
        let (packed, checked) = (&storage.packed, &storage.checked);
        let mut text = format!("{} files, {}", packed.files, size(packed.bytes));
        if checked.blobs > 0 {
            text = format!("{text}, {} compared with their rows", checked.blobs);
        }
        if checked.wrong_blobs_count > 0 {
            text = format!("{text}; {} had no such file on the site either", checked.wrong_blobs_count);
        }
        paper.labelled("files", &text);
    }
    for file in &manifest.config {
        paper.labelled("config", &format!("`{}`", file.path));
    }
    if !manifest.left_out.is_empty() {
        paper.labelled("without", &manifest.left_out.join("; "));
    }
    if manifest.secrets_included {
        paper.labelled("secrets", "the settings in it hold secrets: only its owner can read it");
    }
}

fn level_in_words(level: Level) -> &'static str {
    match level {
        Level::Hashes => "every file has the hash that it was written with",
        Level::Decoded => "every dump was read to its end, with the rows that were counted in the databases",
        Level::Restored => {
            "every dump was loaded into a database of its own, with the rows that were counted"
        }
    }
}

/// Said before a look that may take minutes.
pub fn verifying(paper: &mut Paper, set: &Listed) {
    paper.marked(Mark::Going, &format!("reading all of `{}` ({})", set.set, size(set.bytes)), None);
}

/// What a look at all of a backup has found.
pub fn verified(
    paper: &mut Paper,
    set: &Listed,
    found: &Verification,
    restored: Option<u64>,
    not_noted: Option<&Failure>,
) {
    let read = format!("{} ({})", count(found.files, "file"), size(found.bytes));
    match found.level {
        Level::Hashes => {
            let why = found.why.as_deref().unwrap_or("nobody asked for more");
            let text = format!("`{}`: {read} are what was written, no more was proved: {why}", set.set);
            paper.marked(Mark::Warn, &text, None);
        }
        Level::Decoded | Level::Restored => {
            let rows = if set.parts.contains(&Part::Databases) {
                format!(", and {} rows are what was counted in the databases", found.rows)
            } else {
                String::new()
            };
            paper.marked(Mark::Ok, &format!("`{}`: {read} are what was written{rows}", set.set), None);
        }
    }
    if let Some(rows) = restored {
        let text = format!("loaded into databases of its own, {rows} rows counted there, and dropped again");
        paper.marked(Mark::Ok, &text, None);
    }
    if let Some(failure) = not_noted {
        paper.marked(Mark::Note, &format!("not noted beside the backup: {}", failure.message), None);
    }
}
