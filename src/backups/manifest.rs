use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    ports::{
        postgres::{BlobList, Contents, DatabaseFacts, Server, TableRows},
        trees::{Packed, TreeCheck, TreeFacts},
    },
    site::Project,
};

/// The manifest's format that this uplift writes. Older ones stay readable.
pub const FORMAT: u32 = 2;

/// `manifest.json` of a set, written last: a folder without one is no backup. Times are RFC 3339 in UTC, sizes are
/// bytes, hashes are BLAKE3 as 64 hex digits. It holds no secret; the configuration files beside it do.
///
/// Format 2 added what a set has been proved to be, uploaded files, sequences, the server's number and pins. A set may
/// hold some parts only: what it lacks is named in `left_out`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub set: String,
    pub created_at: String,
    pub finished_at: String,
    /// Why it was made: `pre-upgrade`, or `manual` where a person or a timer asked for it.
    pub reason: String,
    pub run: String,
    pub tool: ToolEntry,
    pub site: String,
    pub project: String,
    /// How compose was told which project this is: files, env files, profiles. `None` where an older uplift made the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<Project>,
    /// The tag in use.
    pub version: String,
    /// Images of the product's services, by service.
    pub images: BTreeMap<String, ImageEntry>,
    /// Of a set with databases.
    #[serde(default)]
    pub server: Option<ServerEntry>,
    /// Of a set with databases.
    #[serde(default)]
    pub snapshot: Option<SnapshotEntry>,
    pub databases: Vec<DatabaseEntry>,
    /// Uploaded files, if they are in it.
    #[serde(default)]
    pub storage: Option<StorageEntry>,
    pub config: Vec<ConfigFile>,
    /// Keyed fingerprints of the keys without which encrypted columns cannot be read, by name.
    pub key_fingerprints: BTreeMap<String, String>,
    /// Names of the things of a site that are not in this set.
    pub left_out: Vec<String>,
    pub secrets_included: bool,
    /// What was proved before this was written; `None` in format 1, which did not record it.
    #[serde(default)]
    pub verification: Option<Verification>,
    /// It stays until somebody removes it by hand.
    #[serde(default)]
    pub pinned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolEntry {
    pub version: String,
    /// Of the `pg_dump` that was used; empty if none was.
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
    /// `pg_control_system()`'s number of the cluster: equal means the very same server. Empty where it may not be read,
    /// and in format 1.
    #[serde(default)]
    pub system: String,
}

impl ServerEntry {
    #[must_use]
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
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
    pub facts: DatabaseFacts,
    /// Only its structure is in it: a database that is restored from it has no rows, but for its applied migrations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rows_left_out: bool,
    pub schema_versions: Vec<String>,
    pub file: String,
    pub bytes: u64,
    pub blake3: String,
    pub uncompressed_bytes: u64,
    pub uncompressed_blake3: String,
    pub compression: String,
    /// Rows as they were counted in the session that the dump was made from.
    pub tables: Vec<TableRows>,
    pub large_objects: u64,
    /// `last_value` of every sequence, by `schema.name`. Empty in format 1.
    #[serde(default)]
    pub sequences: BTreeMap<String, i64>,
}

impl DatabaseEntry {
    /// Rows and large objects as they were counted at the set's moment.
    #[must_use]
    pub fn counted(&self) -> Contents {
        Contents { tables: self.tables.clone(), large_objects: self.large_objects }
    }
}

/// Uploaded files: where they were, the packs that hold them, and how they compare with the rows of the same moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageEntry {
    /// The volume's name, or the folder that was mounted.
    pub volume: String,
    /// Where the containers have it.
    pub path: String,
    /// Where it was on the host.
    pub from: String,
    pub packed: Packed,
    /// The live tree, looked at before the copy.
    pub tree: TreeFacts,
    /// The file with all rows of `active_storage_blobs`, as the databases' moment had them; `None` if there is no such
    /// table, or if no databases are in the set.
    pub blobs: Option<BlobList>,
    /// How the packs compare with that list. Rows without a file were so on the live site: they are named here.
    pub checked: TreeCheck,
    /// The earlier set that packs were taken over from.
    pub previous: Option<String>,
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

/// How far a set has been proved. Each level holds what those before it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every file was read back and has the hash that was computed while it was written.
    Hashes,
    /// Every dump was read to its end, with the rows per table that were counted in the databases at the same moment,
    /// and every uploaded file has its hash.
    Decoded,
    /// Every dump was loaded into a database of its own, and the rows were counted there.
    Restored,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hashes => "hashes",
            Self::Decoded => "decoded",
            Self::Restored => "restored",
        })
    }
}

/// What was proved of a set, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// How far it was proved.
    pub level: Level,
    /// RFC 3339 in UTC. Empty in what an older uplift wrote.
    #[serde(default)]
    pub at: String,
    /// Files that were read.
    pub files: usize,
    /// Bytes of those.
    pub bytes: u64,
    /// Rows that were counted both in the databases and in the dumps.
    #[serde(default)]
    pub rows: u64,
    /// Why it is no higher level, where that was meant to be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a set can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Databases,
    UploadedFiles,
    Configuration,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Databases, Self::UploadedFiles, Self::Configuration];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Databases => "databases",
            Self::UploadedFiles => "uploaded files",
            Self::Configuration => "configuration",
        })
    }
}

/// Where databases of a set were.
#[derive(Debug, Clone)]
pub struct Home {
    /// The primary's name.
    database: String,
    /// The server's own number; where that may not be read, its place.
    system: String,
    place: String,
}

impl Home {
    /// The very same databases are meant.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (&self.database, &self.system) == (&other.database, &other.system)
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on `{}`", self.database, self.place)
    }
}

/// A file that belongs to a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<'a> {
    pub file: &'a str,
    pub bytes: u64,
    pub blake3: &'a str,
}

impl Manifest {
    /// The parts that are in it.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let there = [!self.databases.is_empty(), self.storage.is_some(), !self.config.is_empty()];
        Part::ALL.into_iter().zip(there).filter_map(|(part, there)| there.then_some(part)).collect()
    }

    /// An older server does not load what a newer one has dumped.
    pub fn loads_on(&self, server: &Server) -> Result<(), Failure> {
        let made_on = self.server.as_ref().map_or(0, ServerEntry::major);
        if server.major() >= made_on {
            return Ok(());
        }
        let text = format!("the backup is of PostgreSQL {made_on}, and this server is {}", server.major());
        Err(Failure::new("server_older", text).hint("take a server of that major, or a newer one"))
    }

    /// Which databases are in it, so that those of another server or name are told from them; `None` if none are.
    #[must_use]
    pub fn home(&self) -> Option<Home> {
        let (first, server) = (self.databases.first()?, self.server.as_ref()?);
        let primary = self.databases.iter().find(|one| one.role == "primary").unwrap_or(first);
        let (database, place) = (primary.facts.name.clone(), format!("{}:{}", server.host, server.port));
        // A server may be called by another name tomorrow, and another server by this one's.
        let system = Some(&server.system).filter(|system| !system.is_empty()).unwrap_or(&place).clone();
        Some(Home { database, system, place })
    }

    /// Every file of the set besides the manifest itself.
    pub fn files(&self) -> impl Iterator<Item = Stored<'_>> {
        let dumps = self.databases.iter().map(|one| stored(&one.file, one.bytes, &one.blake3));
        let config = self.config.iter().map(|one| stored(&one.file, one.bytes, &one.blake3));
        let tree = self.storage.iter().flat_map(|storage| {
            let packs = storage.packed.packs.iter().map(|pack| &pack.file);
            let packs = packs.chain([&storage.packed.index]);
            let packs = packs.map(|one| stored(&one.file, one.bytes, &one.blake3));
            packs.chain(storage.blobs.iter().map(|one| stored(&one.file, one.bytes, &one.blake3)))
        });
        dumps.chain(tree).chain(config)
    }

    /// Length of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files().map(|one| one.bytes).sum()
    }
}

fn stored<'a>(file: &'a str, bytes: u64, blake3: &'a str) -> Stored<'a> {
    Stored { file, bytes, blake3 }
}
