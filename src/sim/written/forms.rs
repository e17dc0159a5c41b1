//! What a world file may say. A key that is not here is refused.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    sim::{faults::Fault, notices::Notifier, postgres::Told, programs::Does, requests::Answers},
    site::{Size, Span},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) format: u32,
    /// When the world begins.
    pub(super) now: Option<Timestamp>,
    #[serde(default)]
    pub(super) site: Site,
    /// Lines of the env file over those of the plain site; an empty value takes the line out.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) file: Vec<File>,
    /// Commands that can be told of runs, by path.
    #[serde(default)]
    pub(super) notifier: BTreeMap<PathBuf, Notifier>,
    #[serde(default)]
    pub(super) program: Vec<Program>,
    #[serde(default)]
    pub(super) task: Vec<Task>,
    /// Services elsewhere.
    #[serde(default)]
    pub(super) answer: Vec<Answers>,
    /// What the database server answers.
    #[serde(default)]
    pub(super) query: Vec<Told>,
    /// By mount point.
    #[serde(default)]
    pub(super) disk: BTreeMap<PathBuf, Disk>,
    #[serde(default)]
    pub(super) engine: Engine,
    #[serde(default)]
    pub(super) container: Vec<Container>,
    #[serde(default)]
    pub(super) registry: Registry,
    #[serde(default)]
    pub(super) release: Vec<Release>,
    #[serde(default)]
    pub(super) server: Server,
    #[serde(default)]
    pub(super) database: BTreeMap<String, Database>,
    #[serde(default)]
    pub(super) job: Vec<Job>,
    #[serde(default)]
    pub(super) session: Vec<Session>,
    /// Replication slots.
    #[serde(default)]
    pub(super) slot: Vec<Slot>,
    #[serde(default)]
    pub(super) users: Users,
    #[serde(default)]
    pub(super) fault: Vec<OneFault>,
    pub(super) faults: Option<Failing>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Site {
    /// The worker's service; empty where web runs the jobs itself.
    pub(super) job: String,
    pub(super) health_check: bool,
    /// Web's port is bound on the host.
    pub(super) published: bool,
    /// The service that is the database server, where it is one of the project.
    pub(super) database: Option<String>,
    /// Services that somebody has stopped.
    pub(super) stopped: Vec<String>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            job: "job".to_owned(),
            health_check: true,
            published: true,
            database: None,
            stopped: Vec::new(),
        }
    }
}

/// One that runbooks can start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) does: Vec<Does>,
}

/// An image that runbooks can run, and what its containers do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub(super) image: String,
    pub(super) size: Option<Size>,
    /// It is on the host already.
    #[serde(default)]
    pub(super) here: bool,
    #[serde(default)]
    pub(super) does: Vec<Does>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// e.g. `0o600`.
    pub(super) mode: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub(super) free: Option<Size>,
    #[serde(default)]
    pub(super) network: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Engine {
    pub(super) reachable: bool,
    pub(super) version: Option<String>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { reachable: true, version: None }
    }
}

/// One that is not the product's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Registry {
    pub(super) reachable: bool,
    /// It refuses the host's login.
    pub(super) denied: bool,
}

impl Default for Registry {
    fn default() -> Self {
        Self { reachable: true, denied: false }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    pub(super) tag: String,
    /// The release that it is like, but for what is said here.
    #[serde(default = "plain")]
    pub(super) like: String,
    /// File names in `db/migrate` beside those of `like`.
    #[serde(default)]
    pub(super) migrations: Vec<String>,
    pub(super) boot: Option<Span>,
    pub(super) size: Option<Size>,
    /// `/up` answers 200 once it has booted.
    pub(super) healthy: Option<bool>,
    /// Counted from its first answer.
    pub(super) web_ends_after: Option<Span>,
    /// Counted from its start.
    pub(super) job_ends_after: Option<Span>,
    /// The migration that raises.
    pub(super) raises: Option<String>,
    pub(super) slow: Option<Slow>,
}

fn plain() -> String {
    "1.0.0".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slow {
    pub(super) migration: String,
    pub(super) takes: Span,
    /// The server goes on with it though the client is gone.
    #[serde(default)]
    pub(super) one_statement: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "what a server is and may is independent of each other")]
pub(super) struct Server {
    pub(super) reachable: bool,
    pub(super) standby: bool,
    pub(super) room: Option<Room>,
    pub(super) may_create: bool,
    /// What stands before it, e.g. `PgBouncer`.
    pub(super) pooler: Option<String>,
    /// The product's user may not connect to the maintenance database.
    pub(super) lock_denied: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            reachable: true,
            standby: false,
            room: None,
            may_create: true,
            pooler: None,
            lock_denied: false,
        }
    }
}

/// Free bytes for data, or `unknown`, as on a server that somebody else keeps.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Room(String);

impl Room {
    pub(super) fn bytes(&self) -> Result<Option<u64>, String> {
        match self.0.as_str() {
            "unknown" => Ok(None),
            text => Ok(Some(text.parse::<Size>()?.0)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    /// By table.
    #[serde(default)]
    pub(super) rows: BTreeMap<String, u64>,
    pub(super) size: Option<Size>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    pub(super) class: String,
    pub(super) claimed_by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) database: String,
    pub(super) user: String,
    pub(super) application: String,
    /// It connects again whenever it is ended.
    #[serde(default)]
    pub(super) comes_back: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slot {
    pub(super) database: String,
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Users {
    pub(super) orders_per_second: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneFault {
    /// The first write whose line begins with this, e.g. `up web`.
    pub(super) at: String,
    pub(super) how: Fault,
}

/// Faults that nobody has planned.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failing {
    pub(super) seed: u64,
    /// One write in so many, on average.
    pub(super) one_in: u64,
}
