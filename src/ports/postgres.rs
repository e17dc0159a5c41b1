//! The PostgreSQL server that the product's databases live on.
//!
//! Passwords are not part of any request: a client is made with the settings of its site.

mod change;
mod dump;
mod facts;
mod query;
mod way;

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{
    change::{Admit, CopyDatabase, DropDatabase, EndSessions, Equip, LoadDump, Renaming, Swap},
    dump::{Blob, BlobList, Contents, Decoded, Dump, DumpClient, DumpReport, DumpedDatabase},
    facts::{
        Activity, DatabaseFacts, Extension, Kept, KeptDatabase, Mark, Obstacle, Server, Session, TableRows,
        WrittenRows,
    },
    query::{Query, Rows},
    way::{There, Way},
};
use crate::{
    event::{Failure, Teller},
    site::Endpoint,
};

/// What lets an administrator do what the site's own user may not, in words that can stand in a hint.
pub const NAME_AN_ADMINISTRATOR: &str = "name an administrator, `export UPLIFT_DB_ADMIN_URL=postgres://USER:PASSWORD@HOST/postgres` \
                                         (with `sudo` it takes `sudo --preserve-env=UPLIFT_DB_ADMIN_URL uplift ...`)";

#[async_trait]
pub trait PostgresRead: Send + Sync {
    /// From now on the site's server is reached by this way. Endpoints name it as the containers do, also those that a
    /// journal holds: an address that was found once may be another's by the next command.
    fn go_by(&self, _way: &Way) {}
    /// Fails with `database_unreachable` (retryable), `password_refused`, `database_denied` or `tls_refused`.
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure>;
    /// Fails with `pooled` if a connection pooler stands before the server.
    async fn direct(&self, endpoint: &Endpoint, database: &str) -> Result<(), Failure>;
    /// Fails with `lock_denied` where [`Postgres::lock`] would: it is not taken for this.
    async fn lockable(&self, endpoint: &Endpoint) -> Result<(), Failure>;
    /// Facts of those of `names` that exist, in their order.
    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure>;
    /// `schema_migrations` of one database, sorted; `None` if it has no such table.
    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure>;
    /// Sessions in these databases other than our own; what the server does there by itself, its vacuum above all, is none.
    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure>;
    /// The `pg_dump` of exactly this major. Fails with `dump_client_missing`, naming both versions.
    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure>;
    /// Tables and large objects that the session's user may not read; a dump needs all.
    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure>;
    /// Statements at work in these databases, oldest first.
    async fn activity(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Activity>, Failure>;
    /// What keeps these databases from being copied or renamed. A standby of the whole server counts once for each.
    async fn obstacles(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Obstacle>, Failure>;
    /// Databases on the server that uplift made of these, by name.
    async fn kept(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<KeptDatabase>, Failure>;
    /// Rows of every table and large objects, counted now.
    async fn contents(&self, endpoint: &Endpoint, database: &str) -> Result<Contents, Failure>;
    /// Rows of `active_storage_blobs` whose files the product keeps on a disk, counted now; 0 without such a table.
    async fn listed_uploads(&self, endpoint: &Endpoint, database: &str) -> Result<u64, Failure>;
    /// `pg_current_snapshot()` as text.
    async fn snapshot(&self, endpoint: &Endpoint, database: &str) -> Result<String, Failure>;
    /// Rows that were inserted or changed by transactions which `snapshot` does not see, per table that has any.
    /// A migration that rewrote a table has written all its rows. The server must be the one that gave the snapshot.
    /// `sequences` are those of the database at that moment: a row with a higher number has been added since. Empty
    /// where they are not known.
    async fn written_since(
        &self,
        endpoint: &Endpoint,
        database: &str,
        snapshot: &str,
        sequences: &BTreeMap<String, i64>,
    ) -> Result<Vec<WrittenRows>, Failure>;
    /// The last value that every sequence of a database has given, by `schema.name`; those that have given none are left
    /// out.
    async fn sequences(&self, endpoint: &Endpoint, database: &str) -> Result<BTreeMap<String, i64>, Failure>;
    /// Jobs of a queue database, oldest first, at most `limit`; with how many there are in all. `until` leaves out those
    /// with a higher number: they were enqueued later.
    async fn jobs(
        &self,
        endpoint: &Endpoint,
        database: &str,
        until: Option<i64>,
        limit: usize,
    ) -> Result<Jobs, Failure>;
    /// Asks what somebody has written, and changes nothing. Fails with `query_failed` where the server does not understand it,
    /// or would have to change something.
    async fn query(&self, request: &Query) -> Result<Rows, Failure>;
    /// Free bytes on the file system of the server's data, where that can be known.
    async fn room(&self, endpoint: &Endpoint) -> Result<Option<u64>, Failure>;
    /// Reads a dump from its first byte to its last: hash, checksum of every frame, and, where a `pg_restore` of the
    /// server's major is on this host, every row. Writes nothing.
    async fn decode(&self, major: u32, file: &Path, tell: &Teller) -> Result<Decoded, Failure>;
}

#[async_trait]
pub trait Postgres: PostgresRead {
    /// Tells bytes per database while it goes. Leaves no `.partial` file behind when it fails or is dropped.
    async fn dump(&self, request: &Dump, tell: &Teller) -> Result<DumpReport, Failure>;
    async fn admit(&self, request: &Admit) -> Result<(), Failure>;
    /// How many were ended. Fails with `sessions_remain`, naming each, if one does not go or comes back.
    async fn end_sessions(&self, request: &EndSessions) -> Result<u64, Failure>;
    async fn copy_database(&self, request: &CopyDatabase, tell: &Teller) -> Result<(), Failure>;
    /// What is in the new database, counted there.
    async fn load_dump(&self, request: &LoadDump, tell: &Teller) -> Result<Contents, Failure>;
    async fn equip(&self, request: &Equip) -> Result<(), Failure>;
    async fn swap(&self, request: &Swap) -> Result<(), Failure>;
    async fn drop_database(&self, request: &DropDatabase) -> Result<(), Failure>;
    /// The site's lock in the maintenance database `postgres`, for as long as the value lives. Fails with
    /// `site_held`, naming the holder, if somebody has it; with `pooled` behind a pooler; with `lock_denied` where
    /// the user may not connect to `postgres`.
    async fn lock(&self, request: &LockSite) -> Result<Box<dyn SiteLock>, Failure>;
}

/// Whose lock, and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSite {
    pub endpoint: Endpoint,
    /// Name of the site's primary database: the key derives from it.
    pub primary: String,
    /// Shown to others: run, user and host, e.g. `uplift 20261124-031500-7f3a ann@web1`.
    pub holder: String,
}

/// A lock that is held while the value lives.
#[async_trait]
pub trait SiteLock: Send + Sync {
    /// Whether its session still stands: asked before every effect.
    async fn is_held(&self) -> bool;
}

/// Jobs of the queue that are not done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// Not finished, claimed or not.
    pub waiting: u64,
    /// Taken by a worker and not finished.
    pub claimed: u64,
    /// The highest number of those that wait; 0 if none does.
    pub newest: i64,
    pub oldest: Vec<Job>,
}

/// One job of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: i64,
    pub class: String,
    pub claimed_by: Option<String>,
}
