use std::{path::Path, time::Duration};

use crate::{
    event::Failure,
    ports::{
        files::{File, not_unpacked},
        postgres::{BlobList, Decoded, Dump, DumpReport, DumpedDatabase},
    },
    sim::{
        archive::{self, Dumped, compress},
        server::{Db, Table},
        state::State,
    },
};

/// Bytes per second that a dump takes off the server.
const DUMP: u64 = 64 << 20;

impl State {
    /// All databases are dumped as they are at its beginning.
    pub(super) fn dump(&mut self, request: &Dump) -> Result<DumpReport, Failure> {
        let snapshot = self.server.snapshot();
        let wal_lsn = format!("0/{:X}", self.server.transaction * 4096);
        let mut cut = Vec::new();
        for name in &request.databases {
            cut.push(self.database(&request.endpoint, name)?.clone());
        }
        let mut databases = Vec::new();
        for db in &cut {
            let what = format!("dump {}", db.facts.name);
            databases.push(self.write(&what, |state| state.dump_one(request, db))?);
        }
        let of = cut.iter().find(|db| Some(&db.facts.name) == request.blobs_of.as_ref());
        let of = of.filter(|db| db.table("active_storage_blobs").is_some());
        let blobs = match of {
            Some(db) => {
                let what = format!("list the files of {}", db.facts.name);
                Some(self.write(&what, |state| state.list_blobs(&request.folder, db))?)
            }
            None => None,
        };
        Ok(DumpReport { snapshot, tries: 1, wal_lsn, databases, blobs })
    }

    fn dump_one(&mut self, request: &Dump, db: &Db) -> Result<DumpedDatabase, Failure> {
        let name = &db.facts.name;
        let without_rows = request.without_rows.contains(name);
        let is_bare = |one: &Table| without_rows && !Dump::ALWAYS.contains(&one.name.as_str());
        let mut counted = db.clone();
        counted.tables.retain(|table| !is_bare(table));
        if let Some(table) = db.unreadable.first() {
            let message = format!("`pg_dump` of `{name}` failed: permission denied for `{table}`");
            return Err(Failure::new("dump_failed", message));
        }
        let mut dumped = db.clone();
        for table in &mut dumped.tables {
            if db.lost_by_dumps.as_ref() == Some(&table.name) {
                table.rows.clear();
            }
        }
        let plain = archive::write(&dumped, is_bare)?;
        let bytes = compress(&plain)?;
        self.pass(Duration::from_secs(1 + db.facts.size / DUMP));
        let file = format!("{name}.dump.zst");
        let contents = counted.contents();
        let report = DumpedDatabase {
            name: name.clone(),
            file: file.clone(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
            uncompressed_bytes: plain.len() as u64,
            uncompressed_blake3: blake3::hash(&plain).to_hex().to_string(),
            tables: contents.tables,
            large_objects: contents.large_objects,
            sequences: db.sequences(),
        };
        self.disk.put(&request.folder.join(file), File { bytes, mode: 0o600, uid: 0, gid: 0 })?;
        Ok(report)
    }

    fn list_blobs(&mut self, folder: &Path, db: &Db) -> Result<BlobList, Failure> {
        let lines: Vec<_> = db.blobs.iter().filter_map(|blob| serde_json::to_string(blob).ok()).collect();
        let bytes = compress(lines.join("\n").as_bytes())?;
        let file = BlobList::FILE.to_owned();
        let list = BlobList {
            file: file.clone(),
            count: lines.len() as u64,
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
        };
        self.disk.put(&folder.join(file), File { bytes, mode: 0o600, uid: 0, gid: 0 })?;
        Ok(list)
    }

    pub(super) fn decode(&self, major: u32, path: &Path) -> Result<Decoded, Failure> {
        let file = self.disk.readable(path)?.ok_or_else(|| damaged(path, "it is missing"))?;
        let (plain, Dumped { db, bare }) = self.undumped(path)?;
        let mut contents = db.contents();
        // A dump says nothing of the rows of a table that it has none of.
        contents.tables.retain(|table| !bare.contains(&table.name));
        // Only a client of that major reads rows out of it.
        let reads = self.server.clients.iter().any(|client| client.major == major);
        Ok(Decoded {
            bytes: file.bytes.len() as u64,
            blake3: blake3::hash(&file.bytes).to_hex().to_string(),
            uncompressed_bytes: plain.len() as u64,
            uncompressed_blake3: blake3::hash(&plain).to_hex().to_string(),
            contents: reads.then_some(contents),
        })
    }

    /// What a dump holds, with its plain text.
    pub(super) fn undumped(&self, path: &Path) -> Result<(Vec<u8>, Dumped), Failure> {
        let file = self.disk.readable(path)?.ok_or_else(|| damaged(path, "it is missing"))?;
        let plain =
            zstd::decode_all(file.bytes.as_slice()).map_err(|error| damaged(path, &not_unpacked(&error)))?;
        let dumped = archive::read(&plain, self.server.transaction).map_err(|why| damaged(path, &why))?;
        Ok((plain, dumped))
    }
}

fn damaged(path: &Path, why: &str) -> Failure {
    let text = format!("`{}` is not what was written: {why}", path.display());
    Failure::new("set_damaged", text).hint("do not rely on this backup; make a new one")
}
