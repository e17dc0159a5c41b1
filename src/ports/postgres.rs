//! The PostgreSQL server that the product's databases live on.
//!
//! Passwords are not part of any request: a client is made with the settings of its site.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::files::{quote, quoted};
use crate::{
    event::{Change, Failure, Teller, Write},
    site::Endpoint,
};

/// The server, as one session saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// e.g. `150018`.
    pub version_num: u32,
    /// e.g. `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    pub in_recovery: bool,
    /// The session's user may create databases.
    pub may_create: bool,
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
    pub owner: String,
    pub size: u64,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    pub connection_limit: i32,
    /// `pg_database.datacl` items as text.
    pub acl: Vec<String>,
    /// `ALTER DATABASE ... SET` items as `name=value`, with the role in front where there is one.
    pub settings: Vec<String>,
    pub comment: Option<String>,
    pub extensions: Vec<Extension>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub name: String,
    pub version: String,
    pub schema: String,
}

/// A `pg_dump` that is on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpClient {
    pub path: PathBuf,
    /// e.g. `15.18`.
    pub version: String,
    pub major: u32,
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
}

/// Dumps several databases from one cut into files `NAME.dump.zst` in `folder` (`pg_dump -Fc -Z0` through zstd
/// level 1 with checksums), each under a `.partial` name until it is whole and synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    pub endpoint: Endpoint,
    pub client: DumpClient,
    pub databases: Vec<String>,
    pub folder: PathBuf,
}

/// What [`Postgres::dump`] made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpReport {
    /// `pg_current_snapshot()` of every session: equal texts, so one set of committed transactions.
    pub snapshot: String,
    /// How many tries it took until they were equal.
    pub tries: u32,
    pub wal_lsn: String,
    pub databases: Vec<DumpedDatabase>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpedDatabase {
    pub name: String,
    /// Name of the file in the folder.
    pub file: String,
    pub bytes: u64,
    /// BLAKE3 of the file, 64 hex digits.
    pub blake3: String,
    /// Length and BLAKE3 of what `pg_dump` wrote, before compression.
    pub uncompressed_bytes: u64,
    pub uncompressed_blake3: String,
    /// Rows counted in the session that exported the snapshot.
    pub tables: Vec<TableRows>,
    pub large_objects: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    pub schema: String,
    pub name: String,
    pub rows: u64,
}

#[async_trait]
pub trait PostgresRead: Send + Sync {
    /// Fails with `database_unreachable` (retryable), `password_refused`, `database_denied` or `tls_refused`.
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure>;
    /// Facts of those of `names` that exist, in their order.
    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure>;
    /// `schema_migrations` of one database, sorted; `None` if it has no such table.
    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure>;
    /// Sessions in these databases other than our own.
    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure>;
    /// The `pg_dump` of exactly this major. Fails with `dump_client_missing`, naming both versions.
    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure>;
    /// Tables and large objects that the session's user may not read; a dump needs all.
    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure>;
}

#[async_trait]
pub trait Postgres: PostgresRead {
    /// Tells bytes per database while it goes. Leaves no `.partial` file behind when it fails or is dropped.
    async fn dump(&self, request: &Dump, tell: &Teller) -> Result<DumpReport, Failure>;
}

impl Dump {
    /// `sizes` are the databases' sizes on the server: the estimate for the room that a dump needs.
    #[must_use]
    pub fn changes(&self, sizes: &[(String, u64)]) -> Vec<Write> {
        self.databases
            .iter()
            .map(|name| {
                let to = self.folder.join(format!("{name}.dump.zst"));
                let bytes = sizes.iter().find(|(known, _)| known == name).map(|(_, size)| *size);
                Write {
                    shell: Some(format!(
                        "pg_dump -w -h {} -p {} -U {} -Fc -Z0 {} | zstd -1 --check > {}",
                        quote(&self.endpoint.host),
                        self.endpoint.port,
                        quote(&self.endpoint.user),
                        quote(name),
                        quoted(&to)
                    )),
                    change: Change::Added {
                        path: to.display().to_string(),
                        bytes,
                        what: format!("dump of `{name}`"),
                    },
                }
            })
            .collect()
    }
}
