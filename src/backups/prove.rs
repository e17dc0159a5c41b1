//! Whether a set is what was written, and whether what was written is what was there.

use std::path::Path;

use super::manifest::{DatabaseEntry, Level, Manifest, StorageEntry, Stored, Verification};
use crate::{
    event::{Failure, Teller},
    ports::{
        Observe,
        clock::Clock,
        files::FilesRead,
        postgres::{Contents, Decoded, PostgresRead, TableRows},
        trees::{CheckTree, Packed, TreeCheck, TreesRead},
    },
};

/// What is looked with. No site is needed: a set is proved on any machine that has it.
#[derive(Clone, Copy)]
pub struct Eyes<'a> {
    pub files: &'a dyn FilesRead,
    pub postgres: &'a dyn PostgresRead,
    pub trees: &'a dyn TreesRead,
    pub clock: &'a dyn Clock,
    pub tell: &'a Teller,
}

impl<'a> From<Observe<'a>> for Eyes<'a> {
    fn from(site: Observe<'a>) -> Self {
        let Observe { files, postgres, trees, clock, tell, .. } = site;
        Self { files, postgres, trees, clock, tell }
    }
}

/// Reads all of a set, from its first byte to its last. Fails with `set_damaged` or `not_proved`, naming what is wrong.
pub async fn prove(manifest: &Manifest, folder: &Path, eyes: Eyes<'_>) -> Result<Verification, Failure> {
    let mut proof = Proof::default();
    let major = manifest.server.as_ref().map_or(0, super::ServerEntry::major);
    proof.dumps(&manifest.databases, major, folder, eyes).await?;
    if let Some(storage) = &manifest.storage {
        let found =
            proof.tree(&storage.packed, storage.blobs.as_ref().map(|one| one.file.as_str()), folder, eyes);
        let found = found.await?;
        if found.wrong_blobs_count > storage.checked.wrong_blobs_count {
            let text = format!(
                "{} uploaded files are missing or another, and {} were when the backup was made",
                found.wrong_blobs_count, storage.checked.wrong_blobs_count
            );
            return Err(damaged(text).evidence(found.wrong_blobs));
        }
        proof.blob_list(storage, folder, eyes).await?;
    }
    for file in &manifest.config {
        let stored = Stored { file: &file.file, bytes: file.bytes, blake3: &file.blake3 };
        proof.file(&stored, folder, eyes.files).await?;
    }
    Ok(proof.verification(eyes.clock))
}

/// Reads every file of a set back and compares its hash, without looking into any.
pub async fn hashes(manifest: &Manifest, folder: &Path, eyes: Eyes<'_>) -> Result<Verification, Failure> {
    let mut proof = Proof { unread: Some("only its hashes were asked for".to_owned()), ..Proof::default() };
    for stored in manifest.files() {
        proof.file(&stored, folder, eyes.files).await?;
    }
    Ok(proof.verification(eyes.clock))
}

/// Every file of a set is there with its length: what a list can afford to look at.
pub async fn whole(manifest: &Manifest, folder: &Path, files: &dyn FilesRead) -> Result<(), Failure> {
    for stored in manifest.files() {
        let path = folder.join(stored.file);
        match files.size(&path).await? {
            None => return Err(damaged(format!("`{}` is missing", path.display()))),
            Some(size) if size != stored.bytes => {
                let text = format!("`{}` has {size} bytes instead of {}", path.display(), stored.bytes);
                return Err(damaged(text));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Proof {
    files: usize,
    bytes: u64,
    rows: u64,
    /// Why not every dump was read by the rows.
    unread: Option<String>,
}

impl Proof {
    /// Each dump to its end: hashes of both sides, and the rows where a `pg_restore` of the server's major is here.
    pub(super) async fn dumps(
        &mut self,
        databases: &[DatabaseEntry],
        major: u32,
        folder: &Path,
        eyes: Eyes<'_>,
    ) -> Result<(), Failure> {
        for entry in databases {
            let path = folder.join(&entry.file);
            if eyes.files.size(&path).await?.is_none() {
                return Err(damaged(format!("`{}` is missing", path.display())));
            }
            let decoded = eyes.postgres.decode(major, &path, eyes.tell).await?;
            same_bytes(entry, &decoded, &path)?;
            match &decoded.contents {
                Some(contents) => {
                    same_rows(entry, contents)?;
                    self.rows += entry.tables.iter().map(|table| table.rows).sum::<u64>();
                }
                None => {
                    self.unread = Some(format!(
                        "no `pg_restore` {major} is on this host, so the rows in the dumps were not counted"
                    ));
                }
            }
            self.files += 1;
            self.bytes += decoded.bytes;
        }
        Ok(())
    }

    /// Every dump was read by its rows: what was not is no backup to rely on.
    pub(super) fn counted(&self) -> Result<(), Failure> {
        let Some(why) = &self.unread else { return Ok(()) };
        let text = format!("the backup cannot be proved: {why}");
        let hint = "install the PostgreSQL programs of the server's major again, and type the command again";
        Err(Failure::new("not_proved", text).hint(hint))
    }

    /// Packs and index from the first byte to the last, every file by its hash, and the list of blobs.
    pub(super) async fn tree(
        &mut self,
        packed: &Packed,
        blobs: Option<&str>,
        folder: &Path,
        eyes: Eyes<'_>,
    ) -> Result<TreeCheck, Failure> {
        let blobs = blobs.map(|file| folder.join(file));
        let request = CheckTree { folder: folder.to_owned(), packed: packed.clone(), blobs };
        let found = eyes.trees.check(&request, eyes.tell).await?;
        self.files += packed.packs.len() + 1;
        self.bytes += packed.packs.iter().map(|pack| pack.file.bytes).sum::<u64>() + packed.index.bytes;
        Ok(found)
    }

    pub(super) async fn blob_list(
        &mut self,
        storage: &StorageEntry,
        folder: &Path,
        eyes: Eyes<'_>,
    ) -> Result<(), Failure> {
        let Some(list) = &storage.blobs else { return Ok(()) };
        let stored = Stored { file: &list.file, bytes: list.bytes, blake3: &list.blake3 };
        self.file(&stored, folder, eyes.files).await
    }

    pub(super) async fn file(
        &mut self,
        stored: &Stored<'_>,
        folder: &Path,
        files: &dyn FilesRead,
    ) -> Result<(), Failure> {
        let path = folder.join(stored.file);
        let found = files.hash(&path).await?;
        if found.as_deref() != Some(stored.blake3) {
            let what = if found.is_some() { "is not what was written" } else { "is missing" };
            return Err(damaged(format!("`{}` {what}", path.display())));
        }
        self.files += 1;
        self.bytes += stored.bytes;
        Ok(())
    }

    pub(super) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.rows += other.rows;
        self.unread = self.unread.take().or(other.unread);
    }

    pub(super) fn verification(self, clock: &dyn Clock) -> Verification {
        Verification {
            level: if self.unread.is_some() { Level::Hashes } else { Level::Decoded },
            at: clock.now().to_string(),
            files: self.files,
            bytes: self.bytes,
            rows: self.rows,
            why: self.unread,
        }
    }
}

pub(super) fn damaged(text: String) -> Failure {
    Failure::new("set_damaged", text).hint("do not rely on this backup; make a new one")
}

fn same_bytes(entry: &DatabaseEntry, decoded: &Decoded, path: &Path) -> Result<(), Failure> {
    let stored = (entry.bytes, &entry.blake3, entry.uncompressed_bytes, &entry.uncompressed_blake3);
    let found = (decoded.bytes, &decoded.blake3, decoded.uncompressed_bytes, &decoded.uncompressed_blake3);
    if stored == found {
        Ok(())
    } else {
        Err(damaged(format!("`{}` is not what was written", path.display())))
    }
}

/// What a dump, or a database that it was loaded into, has otherwise than was counted at the set's moment: a sentence
/// each. Tables that only it has are an extension's own: nobody counts these.
#[must_use]
pub fn unlike_rows(counted: &Contents, contents: &Contents, database: &str) -> Vec<String> {
    let in_dump = |table: &TableRows| {
        let same = |one: &&TableRows| one.schema == table.schema && one.name == table.name;
        contents.tables.iter().find(same).map(|one| one.rows)
    };
    let mut wrong = Vec::new();
    for table in &counted.tables {
        let rows_then = table.rows;
        let name = format!("`{}`.`{}` of `{database}`", table.schema, table.name);
        match in_dump(table) {
            Some(rows) if rows == rows_then => {}
            Some(rows) => {
                wrong.push(format!("{name}: {rows_then} rows were counted, {rows} are in the backup"));
            }
            None => wrong.push(format!("{name}: {rows_then} rows were counted, the backup does not have it")),
        }
    }
    if contents.large_objects != counted.large_objects {
        let (counted, found) = (counted.large_objects, contents.large_objects);
        wrong.push(format!(
            "large objects of `{database}`: {counted} were counted, {found} are in the backup"
        ));
    }
    wrong
}

/// What the dump holds is what was counted in the database at the same moment.
pub(super) fn same_rows(entry: &DatabaseEntry, contents: &Contents) -> Result<(), Failure> {
    let wrong = unlike_rows(&entry.counted(), contents, &entry.facts.name);
    let Some(first) = wrong.first() else { return Ok(()) };
    let text = format!("the backup is not what was in the database: {first}");
    Err(Failure::new("not_proved", text).hint("do not rely on this backup; make a new one").evidence(wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rows: u64, large_objects: u64) -> DatabaseEntry {
        let text = include_str!("../../tests/backups/format-1/manifest.json");
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        let mut entry = manifest.databases.into_iter().next().unwrap();
        entry.tables = vec![table("orders", rows)];
        entry.large_objects = large_objects;
        entry
    }

    fn table(name: &str, rows: u64) -> TableRows {
        TableRows { schema: "public".to_owned(), name: name.to_owned(), rows }
    }

    #[test]
    fn rows_must_be_those_that_were_counted() {
        let holds = |tables: Vec<TableRows>, large_objects| Contents { tables, large_objects };
        let said = |contents| same_rows(&entry(1_204, 2), &contents).unwrap_err();
        let fewer = said(holds(vec![table("orders", 1_203)], 2));
        assert_eq!(fewer.code, "not_proved");
        assert!(fewer.message.contains("orders") && fewer.message.contains("1204"), "{fewer}");
        assert!(fewer.message.contains("1203"), "{fewer}");
        assert_eq!(said(holds(vec![table("order", 1_204)], 2)).code, "not_proved");
        assert!(said(holds(vec![table("orders", 1_204)], 1)).message.contains("large objects"));
        let more = vec![table("orders", 1_204), table("spatial_ref_sys", 8_500)];
        assert!(same_rows(&entry(1_204, 2), &holds(more, 2)).is_ok());
    }
}
