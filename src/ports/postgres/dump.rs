//! Dumps: what is asked for, what was made, and what is in one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::facts::TableRows;
use crate::{
    event::{Change, Write},
    ports::files::{quote, quoted},
    site::Endpoint,
};

/// A `pg_dump` that is on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpClient {
    pub path: PathBuf,
    /// e.g. `15.18`.
    pub version: String,
    pub major: u32,
}

/// Dumps several databases from one cut into files `NAME.dump.zst` in `folder` (`pg_dump -Fc -Z0` through zstd
/// level 1 with checksums), each under a `.partial` name until it is whole and synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    pub endpoint: Endpoint,
    pub client: DumpClient,
    pub databases: Vec<String>,
    pub folder: PathBuf,
    /// The database whose `active_storage_blobs` are written beside the dumps, as that cut has them.
    #[serde(default)]
    pub blobs_of: Option<String>,
    /// Bytes that the dump of a database takes, as far as an earlier one tells.
    #[serde(default)]
    pub expected: BTreeMap<String, u64>,
    /// Those of the databases whose rows are left out: all but of the tables in [`Dump::ALWAYS`]. The report has only these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without_rows: BTreeSet<String>,
}

/// What [`Postgres::dump`](super::Postgres::dump) made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpReport {
    /// `pg_current_snapshot()` of every session: equal texts, so one set of committed transactions.
    pub snapshot: String,
    /// How many tries it took until they were equal.
    pub tries: u32,
    pub wal_lsn: String,
    pub databases: Vec<DumpedDatabase>,
    /// The list of [`Blob`]s, one JSON line each, through zstd; `None` if there is no such table.
    #[serde(default)]
    pub blobs: Option<BlobList>,
}

/// A file with one [`Blob`] per line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobList {
    /// Name of the file in the folder.
    pub file: String,
    pub count: u64,
    pub bytes: u64,
    pub blake3: String,
}

/// One row of `active_storage_blobs`: a file that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    pub key: String,
    pub byte_size: u64,
    /// Base64 of the MD5, as the product writes it; `None` if it has none.
    pub checksum: Option<String>,
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
    /// `last_value` of every sequence, by `schema.name`, as the session saw it.
    #[serde(default)]
    pub sequences: BTreeMap<String, i64>,
}

/// What a dump holds, found by reading all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoded {
    pub bytes: u64,
    pub blake3: String,
    pub uncompressed_bytes: u64,
    pub uncompressed_blake3: String,
    /// Rows counted in what `pg_restore` writes out; `None` where no `pg_restore` is on this host.
    pub contents: Option<Contents>,
}

/// Rows and large objects of a database or of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Sorted by schema and name.
    pub tables: Vec<TableRows>,
    pub large_objects: u64,
}

impl BlobList {
    /// Its name in the folder.
    pub const FILE: &'static str = "blobs.zst";
}

impl Dump {
    /// By these the product knows which migrations a database has had: without their rows it would begin from the first one.
    pub const ALWAYS: [&'static str; 2] = ["ar_internal_metadata", "schema_migrations"];
    /// What a database takes on its server while it has no rows.
    pub const EMPTY: u64 = 8 << 20;

    /// `sizes` are the databases' sizes on the server: what a dump takes at the most, where no earlier one tells more.
    /// `blobs` are the bytes of the list of uploaded files, where one is written.
    #[must_use]
    pub fn changes(&self, sizes: &[(String, u64)], blobs: Option<u64>) -> Vec<Write> {
        let list = blobs.map(|bytes| Write {
            change: Change::Added {
                path: self.folder.join(BlobList::FILE).display().to_string(),
                bytes: Some(bytes),
                what: "list of the uploaded files".to_owned(),
            },
            shell: None,
        });
        self.databases
            .iter()
            .map(|name| {
                let to = self.folder.join(format!("{name}.dump.zst"));
                let most = || sizes.iter().find(|(known, _)| known == name).map(|(_, size)| *size);
                let expected = self.expected.get(name).copied();
                let limit = if expected.is_none() { ", at the most" } else { "" };
                let bare = self.without_rows.contains(name);
                let (what, left_out) =
                    if bare { ("structure", " --exclude-table-data='solid_*'") } else { ("dump", "") };
                Write {
                    shell: Some(format!(
                        "pg_dump -w -h {} -p {} -U {} -Fc -Z0{left_out} {} | zstd -1 --check > {}",
                        quote(&self.endpoint.host),
                        self.endpoint.port,
                        quote(&self.endpoint.user),
                        quote(name),
                        quoted(&to)
                    )),
                    change: Change::Added {
                        path: to.display().to_string(),
                        bytes: expected.or_else(most),
                        what: format!("{what} of `{name}`{limit}"),
                    },
                }
            })
            .chain(list)
            .collect()
    }
}
