//! What a server and its databases are.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The server, as one session saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// e.g. `150018`.
    pub version_num: u32,
    /// e.g. `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    pub in_recovery: bool,
    /// The session's user, or the administrator where there is one, may create databases.
    pub may_create: bool,
    /// The same for settings of other roles in a database: `ALTER ROLE ... IN DATABASE ... SET`.
    #[serde(default = "yes")]
    pub may_set_roles: bool,
    /// `pg_control_system()`'s number of the cluster: equal means the very same server. Empty where it may not be read.
    #[serde(default)]
    pub system: String,
    /// Words that say what stands between, where the server is not spoken to directly: `PgBouncer`.
    #[serde(default)]
    pub pooler: Option<String>,
}

impl Server {
    #[must_use]
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}

/// A database that exists, with all that a restore must put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    pub name: String,
    /// Tells a database from another that got its name: a rename keeps it. 0 in what an older uplift wrote.
    #[serde(default)]
    pub oid: u32,
    pub owner: String,
    pub size: u64,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// `c` (libc), `i` (ICU), `b` (built in). Empty in what an older uplift wrote: libc.
    #[serde(default)]
    pub locale_provider: String,
    #[serde(default)]
    pub icu_locale: Option<String>,
    pub connection_limit: i32,
    /// `ALLOW_CONNECTIONS`.
    #[serde(default = "yes")]
    pub open: bool,
    /// `pg_database.datacl` items as text.
    pub acl: Vec<String>,
    /// `ALTER DATABASE ... SET` items as `name=value`, with the role in front where there is one.
    pub settings: Vec<String>,
    pub comment: Option<String>,
    pub extensions: Vec<Extension>,
}

impl DatabaseFacts {
    /// A setting that another role than `user` has in this database, as `ROLE: NAME=VALUE`.
    #[must_use]
    pub fn setting_of_another(&self, user: &str) -> Option<&str> {
        let of_another = |item: &&String| {
            let role = item.split_once(": ").map(|(role, _)| role).filter(|role| !role.contains('='));
            role.is_some_and(|role| role.trim_matches('"') != user)
        };
        self.settings.iter().find(of_another).map(String::as_str)
    }

    /// What of all that a rename or a copy can lose is other in `now`, in words; whether it is open is not part of it.
    #[must_use]
    pub fn unlike(&self, now: &Self) -> Vec<&'static str> {
        let sorted = |items: &[String]| {
            let mut items = items.to_vec();
            items.sort_unstable();
            items
        };
        let pairs = [
            (self.owner != now.owner, "owner"),
            (sorted(&self.acl) != sorted(&now.acl), "rights"),
            (sorted(&self.settings) != sorted(&now.settings), "settings"),
            (self.connection_limit != now.connection_limit, "connection limit"),
            (self.comment != now.comment, "comment"),
        ];
        pairs.into_iter().filter_map(|(other, what)| other.then_some(what)).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub name: String,
    pub version: String,
    pub schema: String,
    /// A database's owner may create it; else only a superuser may.
    #[serde(default = "yes")]
    pub trusted: bool,
}

fn yes() -> bool {
    true
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    pub schema: String,
    pub name: String,
    pub rows: u64,
}

/// Rows of one table that were written after a moment and are there still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenRows {
    pub schema: String,
    pub name: String,
    /// Added and changed ones.
    pub rows: u64,
    /// How many of them were not there at the moment; `None` where nothing tells new rows from changed ones.
    pub added: Option<u64>,
}

/// A session on the server, not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub pid: i32,
    pub database: String,
    pub user: String,
    pub application: String,
    pub client: String,
    pub state: String,
    /// First 200 characters of what it runs or ran last; literals masked.
    pub query: String,
    pub seconds: u64,
    /// Milliseconds since it last began or ended a statement or a transaction.
    #[serde(default)]
    pub quiet_ms: u64,
}

/// A statement that is at work in a database, of whoever: what a wait shows, and counts as progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub pid: i32,
    pub database: String,
    pub application: String,
    /// First 200 characters of the statement; literals masked.
    pub query: String,
    /// How long the statement has run.
    pub seconds: u64,
    /// It holds an advisory lock, as Rails does while it migrates.
    pub migrating: bool,
    /// What the server says of how far it is, e.g. `building index, 340 of 1000 blocks`.
    pub progress: Option<String>,
    /// Waits for a lock that these backends hold.
    pub blocked_by: Vec<i32>,
}

/// Something in a database that keeps it from being copied or renamed, and that ending the sessions which may be ended
/// does not remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    pub database: String,
    /// `replication_slot`, `prepared_transaction`, `standby`, `subscription`, `session`: one that our user may not end.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A database that uplift made: a savepoint, one that was swapped out, or one that is being loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDatabase {
    pub name: String,
    pub owner: String,
    pub oid: u32,
    pub size: u64,
    /// What its comment says; `None` if it says nothing that can be read.
    pub mark: Option<Mark>,
}

/// The comment on a database of uplift's, as JSON behind `uplift: `. So it can be told from others without a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub kind: Kept,
    /// The database that it is a copy of, or whose name it had.
    pub of: String,
    /// The run that made it.
    pub run: String,
    /// RFC 3339 in UTC.
    pub made: String,
    /// Until when nobody should drop it; RFC 3339 in UTC.
    pub expires: String,
    /// `pg_current_snapshot()` when it was made: what is newer was written since.
    pub snapshot: String,
}

/// Why uplift keeps a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// `NAME__pre_RUN`: as it was when the last writer had stopped.
    Savepoint,
    /// `NAME__failed_RUN`: what a swap has put aside.
    Failed,
    /// `NAME__restore_RUN`: being loaded, or loaded and not yet swapped in.
    Restoring,
    /// `NAME__check_RUN`: a dump that is loaded to be counted, and dropped.
    Checking,
}

impl Kept {
    /// For how long nobody should drop one: what users may still want back for a week, what a run needs only while it works
    /// for a day.
    #[must_use]
    pub const fn stays(self) -> SignedDuration {
        match self {
            Self::Savepoint | Self::Failed => SignedDuration::from_hours(7 * 24),
            Self::Restoring | Self::Checking => SignedDuration::from_hours(24),
        }
    }

    /// Until when nobody should drop one that is made `now`; RFC 3339 in UTC.
    #[must_use]
    pub fn until(self, now: Timestamp) -> String {
        now.checked_add(self.stays()).unwrap_or(Timestamp::MAX).to_string()
    }

    /// The mark of one that `run` makes `now`; what a snapshot says of it is for those who have one.
    #[must_use]
    pub fn mark(self, of: &str, run: &str, now: Timestamp) -> Mark {
        Mark {
            kind: self,
            of: of.to_owned(),
            run: run.to_owned(),
            made: now.to_string(),
            expires: self.until(now),
            snapshot: String::new(),
        }
    }

    /// The name for a database of this kind: `strata_production__pre_20261124_031500_7f3a`. Names of PostgreSQL end
    /// at 63 bytes; a longer one is cut and made unique by a hash.
    #[must_use]
    pub fn name(self, of: &str, run: &str) -> String {
        let word = match self {
            Self::Savepoint => "pre",
            Self::Failed => "failed",
            Self::Restoring => "restore",
            Self::Checking => "check",
        };
        let end = format!("__{word}_{}", run.replace('-', "_"));
        if of.len() + end.len() <= 63 {
            return format!("{of}{end}");
        }
        let hash = blake3::hash(of.as_bytes()).to_hex();
        let mut at = 63 - end.len() - 9;
        while !of.is_char_boundary(at) {
            at -= 1;
        }
        format!("{}_{}{end}", &of[..at], &hash[..8])
    }

    /// What such a database is, in words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Savepoint => "savepoint",
            Self::Failed => "what was replaced",
            Self::Restoring => "unfinished restore",
            Self::Checking => "trial restore",
        }
    }

    /// So many of them that one run made, in words.
    #[must_use]
    pub fn of_run(self, count: usize, run: &str) -> String {
        let databases = if count == 1 { "database" } else { "databases" };
        match self {
            Self::Savepoint if count == 1 => format!("1 copy from before run {run}"),
            Self::Savepoint => format!("{count} copies from before run {run}"),
            Self::Failed => format!("{count} {databases} that run {run} has put aside"),
            Self::Restoring => format!("{count} {databases} that run {run} has loaded and not let in"),
            Self::Checking => format!("{count} {databases} of a trial restore ({run})"),
        }
    }

    /// The kind that a name is of, by its form alone.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let kinds = [
            ("__pre_", Self::Savepoint),
            ("__failed_", Self::Failed),
            ("__restore_", Self::Restoring),
            ("__check_", Self::Checking),
        ];
        kinds.into_iter().find_map(|(word, kind)| name.contains(word).then_some(kind))
    }
}

impl Mark {
    const BEFORE: &'static str = "uplift: ";

    /// As it stands in the comment.
    #[must_use]
    pub fn comment(&self) -> String {
        format!("{}{}", Self::BEFORE, serde_json::to_string(self).unwrap_or_default())
    }

    /// Whether the comment says the same of a database, at whatever time it was said.
    #[must_use]
    pub fn is_said_by(&self, comment: Option<&str>) -> bool {
        let said = comment.and_then(Self::read);
        said.is_some_and(|said| (said.kind, &said.of, &said.run) == (self.kind, &self.of, &self.run))
    }

    #[must_use]
    pub fn read(comment: &str) -> Option<Self> {
        serde_json::from_str(comment.strip_prefix(Self::BEFORE)?).ok()
    }
}
