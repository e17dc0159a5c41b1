use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The manifest's format that this uplift writes. Older ones stay readable.
pub const FORMAT: u32 = 1;

/// `manifest.json` of a set, written last: a folder without one is no backup. Times are RFC 3339 in UTC, sizes are
/// bytes, hashes are BLAKE3 as 64 hex digits. It holds no secret; the configuration files beside it do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub set: String,
    pub created_at: String,
    pub finished_at: String,
    /// Why it was made: `pre-upgrade`.
    pub reason: String,
    pub run: String,
    pub tool: ToolEntry,
    pub site: String,
    pub project: String,
    /// The tag in use.
    pub version: String,
    /// Images of the product's services, by service.
    pub images: BTreeMap<String, ImageEntry>,
    pub server: ServerEntry,
    pub snapshot: SnapshotEntry,
    pub databases: Vec<DatabaseEntry>,
    pub config: Vec<ConfigFile>,
    /// Keyed fingerprints of the keys without which encrypted columns cannot be read, by name.
    pub key_fingerprints: BTreeMap<String, String>,
    /// Names of the things of a site that are not in this set.
    pub left_out: Vec<String>,
    pub secrets_included: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolEntry {
    pub version: String,
    /// Of the `pg_dump` that was used.
    pub pg_dump: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageEntry {
    pub reference: String,
    pub id: String,
    pub digest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerEntry {
    pub version_num: u32,
    pub version: String,
    pub host: String,
    pub port: u16,
    pub wal_lsn: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// `pinned-equal`: all databases were seen at one moment, proved by equal snapshots.
    pub mode: String,
    pub text: String,
    pub tries: u32,
}

/// One database: what a restore must put back, and the file that holds its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseEntry {
    /// `primary`, `queue`, `cache` or `cable`.
    pub role: String,
    #[serde(flatten)]
    pub facts: crate::ports::postgres::DatabaseFacts,
    pub schema_versions: Vec<String>,
    pub file: String,
    pub bytes: u64,
    pub blake3: String,
    pub uncompressed_bytes: u64,
    pub uncompressed_blake3: String,
    pub compression: String,
    pub tables: Vec<crate::ports::postgres::TableRows>,
    pub large_objects: u64,
}

/// A configuration file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// Where it came from.
    pub path: String,
    /// Its name in the set.
    pub file: String,
    pub bytes: u64,
    pub blake3: String,
    /// Permission bits, e.g. 384 for 0600.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// How far a set has been proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// `hashes`: every file was read back from disk and has the hash that was computed while it was written.
    pub level: String,
    pub files: usize,
    pub bytes: u64,
}
