use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An upgrade, as the record of its run has it: what ran before it, and what it left to return by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub run: String,
    pub command: String,
    pub ended: Timestamp,
    /// The tag that the settings asked for before it.
    pub from: String,
    /// The tag that it set.
    pub to: String,
    /// The older release runs again since, on the databases of the newer one, because a person chose so.
    #[serde(default)]
    pub code_only: bool,
    /// The newest later restore: migrations and rows of now may be those of a backup.
    #[serde(default)]
    pub restored: Option<String>,
    /// What the product's services really ran before it: web first.
    pub images: Vec<ImageThen>,
    /// Applied migrations by database before it.
    pub schemas: BTreeMap<String, Vec<String>>,
    pub savepoint: Option<SavepointThen>,
    /// Why this uplift cannot read what another one has written down of the savepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
    /// From when on users could write with the new release, where it was tried in the dark first.
    pub reached: Option<Moment>,
    /// What it also did that a return leaves as it is, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
}

/// What another uplift has written down and this one cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub text: String,
    /// Which one can.
    pub hint: String,
}

/// What one service ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageThen {
    pub service: String,
    /// The image without its tag.
    pub repository: String,
    /// The engine's own id.
    pub id: String,
    /// As `name@sha256:...`, where a registry knows it.
    pub digest: Option<String>,
}

/// Copies of the databases that a run made while the application stood still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavepointThen {
    pub made: Moment,
    /// Applied migrations by database in the copies.
    pub schemas: BTreeMap<String, Vec<String>>,
    /// Jobs of the queue that were not done then.
    pub jobs_waiting: u64,
    /// Some of them in words, those that a worker had taken first.
    pub jobs: Vec<String>,
}

/// A moment as the database server can tell it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// `pg_current_snapshot()` as text.
    pub snapshot: String,
    pub at: Timestamp,
    /// How far the numbers of the rows had come, by database; what is not there is not known.
    #[serde(default)]
    pub sequences: Sequences,
}

/// The last value that each sequence had given, by database.
pub type Sequences = BTreeMap<String, BTreeMap<String, i64>>;

/// An upgrade that can be returned from, and how the site stands to it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    #[serde(flatten)]
    pub point: Point,
    /// The tag that compose is to be given.
    pub tag: String,
    /// Names that images must get before, so that compose runs exactly them.
    pub names: Vec<NameToGive>,
    /// Images that are no longer on this host.
    pub missing: Vec<ImageThen>,
    /// The product's services run it now; a worker may be stopped.
    pub runs_now: bool,
    /// Databases that have other migrations than before.
    pub migrated: Vec<String>,
    /// The settings say that the release of before runs on these databases.
    pub compatible: bool,
    pub way: Way,
    /// Why it is this way, where that is not plain.
    pub why: Option<String>,
    /// What users wrote since, where it can be counted.
    pub written: Option<Written>,
    /// What `--jobs` may be where the data returns and jobs would run a second time: `hold`, `run`. Empty where nothing
    /// has to be said.
    #[serde(default)]
    pub jobs: Vec<String>,
}

impl Place {
    /// Jobs of the queue that would return.
    #[must_use]
    pub fn jobs_waiting(&self) -> u64 {
        self.point.savepoint.as_ref().map_or(0, |savepoint| savepoint.jobs_waiting)
    }

    /// Why the older release may not run on the databases as they are, e.g. "`1.1.0` has migrated `strata_production`".
    #[must_use]
    pub fn moved(&self) -> String {
        let names: Vec<_> = self.migrated.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        match &self.point.restored {
            None => format!("`{}` has migrated {names}", self.point.to),
            Some(run) => {
                format!("{names} is not on the migrations from before (run {run}, a restore, came since)")
            }
        }
    }

    /// What the figures hold that no user wrote.
    #[must_use]
    pub fn also_counted(&self) -> Option<String> {
        let run = self.point.restored.as_ref()?;
        Some(format!("rows that run {run}, a restore, has loaded are counted as written since"))
    }
}

/// An image and the name that it is to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameToGive {
    pub image: String,
    pub reference: String,
}

/// How a site can return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum Way {
    /// The older release runs on the databases as they are.
    Code,
    /// The copies of the savepoint take the databases' places: about a boot.
    Savepoint { copies: u64, bytes: u64 },
    /// The savepoint is gone, and a backup set is there: `uplift restore SET`.
    Set { set: String, path: String, created_at: String },
    /// The databases were migrated, and nothing is left to return them by.
    Nothing,
}

/// Rows that users wrote since a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub since: Timestamp,
    pub minutes: u64,
    /// Added and changed ones.
    pub rows: u64,
    /// Per table that has any.
    pub tables: Vec<WrittenTable>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenTable {
    pub database: String,
    pub table: String,
    pub rows: u64,
    /// How many of them were not there before, where that can be told.
    #[serde(default)]
    pub added: Option<u64>,
}

impl Written {
    /// What no figure here holds, because the server does not tell it.
    pub const UNCOUNTED: &str =
        "rows that were deleted since are in no figure: they come back if the data does";

    /// A sentence for each table, the largest first.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let line = |one: &WrittenTable| {
            let kinds = one.added.map_or(String::new(), |added| kinds(added, one.rows - added));
            format!("{} written in `{}`.`{}`{kinds} since", rows(one.rows), one.database, one.table)
        };
        self.tables.iter().map(line).collect()
    }

    /// e.g. `312 rows of 14 min (300 added, 12 changed)`.
    #[must_use]
    pub fn cost(&self) -> String {
        if self.rows == 0 {
            return "no rows".to_owned();
        }
        let added: Option<u64> = self.tables.iter().map(|table| table.added).sum();
        let kinds = added.map(|added| kinds(added, self.rows - added));
        format!("{} of {} min{}", rows(self.rows), self.minutes, kinds.unwrap_or_default())
    }

    /// What becomes of it where somebody has decided beforehand that the data returns, and of what `also` counts.
    #[must_use]
    pub fn put_aside(&self, also: Option<String>) -> String {
        if self.rows == 0 {
            return "no rows were written since; deleted ones are not counted".to_owned();
        }
        let lines: Vec<_> = self.in_words().into_iter().chain(also).collect();
        format!(
            "{} are put aside with the databases of now, which stay under another name: {}",
            self.cost(),
            lines.join("; ")
        )
    }
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// A row that was added is put aside; one that was changed becomes what it was.
fn kinds(added: u64, changed: u64) -> String {
    match (added, changed) {
        (_, 0) => " (all added)".to_owned(),
        (0, _) => " (all changed)".to_owned(),
        _ => format!(" ({added} added, {changed} changed)"),
    }
}
