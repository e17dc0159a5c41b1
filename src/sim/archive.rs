//! Dumps of a world: what `pg_dump` would write, near enough. A header, then the rows of each table, so that a dump
//! grows with its database; all of it can be read back.

use std::io::Write as _;

use serde::{Deserialize, Serialize};

use super::server::{Db, Rows, Table};
use crate::{
    event::Failure,
    ports::postgres::{Blob, Extension, Job},
};

const MAGIC: &str = "PGDMP simulated dump of ";
const COPY: &str = "COPY ";
const END: &str = "\\.";
/// A table whose rows were left out.
const BARE: &str = "TABLE ";

/// All but the rows.
#[derive(Serialize, Deserialize)]
struct Header {
    versions: Option<Vec<String>>,
    blobs: Vec<Blob>,
    jobs: Vec<Job>,
    large_objects: u64,
    extensions: Vec<Extension>,
}

/// `is_bare`: of these only the structure is written.
pub(super) fn write(db: &Db, is_bare: impl Fn(&Table) -> bool) -> Result<Vec<u8>, Failure> {
    let header = Header {
        versions: db.versions.clone(),
        blobs: db.blobs.clone(),
        jobs: db.jobs.clone(),
        large_objects: db.large_objects,
        extensions: db.facts.extensions.clone(),
    };
    let header = serde_json::to_string(&header)
        .map_err(|error| Failure::new("dump_failed", format!("cannot be written: {error}")))?;
    let mut lines = vec![format!("{MAGIC}{}", db.facts.name), header];
    for table in &db.tables {
        if is_bare(table) {
            lines.push(format!("{BARE}{}.{}", table.schema, table.name));
            continue;
        }
        lines.push(format!("{COPY}{}.{}", table.schema, table.name));
        for (first, count, edition) in table.runs() {
            lines.extend((first..first + count).map(|row| format!("{row}\t{edition}\t{} {row}", table.name)));
        }
        lines.push(END.to_owned());
    }
    Ok(lines.join("\n").into_bytes())
}

/// What a dump holds.
pub(super) struct Dumped {
    pub db: Db,
    /// Names of its tables whose rows were left out.
    pub bare: Vec<String>,
}

/// The database that a dump is of, its rows written by `transaction`; what is wrong with it, if it cannot be read.
pub(super) fn read(plain: &[u8], transaction: u64) -> Result<Dumped, String> {
    let text = std::str::from_utf8(plain).map_err(|_| "not a dump".to_owned())?;
    let mut lines = text.lines();
    let name = lines.next().and_then(|line| line.strip_prefix(MAGIC)).ok_or("not a dump")?;
    let header: Header = serde_json::from_str(lines.next().unwrap_or_default())
        .map_err(|error| format!("the header cannot be read: {error}"))?;
    let versions = header.versions.as_ref().map_or(0, Vec::len) as u64;
    let mut db = Db::new(name, "", &[], &[]);
    let mut bare = Vec::new();
    while let Some(line) = lines.next() {
        if let Some((schema, name)) = line.strip_prefix(BARE).and_then(|table| table.split_once('.')) {
            db.tables.push(Table { schema: schema.to_owned(), name: name.to_owned(), rows: Vec::new() });
            bare.push(name.to_owned());
            continue;
        }
        let table = line.strip_prefix(COPY).and_then(|table| table.split_once('.'));
        let (schema, name) = table.ok_or_else(|| format!("`{line}` is no table"))?;
        let rows = rows(&mut lines, transaction).ok_or_else(|| format!("rows of `{name}` end too early"))?;
        db.tables.push(Table { schema: schema.to_owned(), name: name.to_owned(), rows });
    }
    db.facts.extensions = header.extensions;
    db.migrated = vec![Rows { transaction, first: 1, count: versions, edition: 0 }];
    let db = Db {
        versions: header.versions,
        blobs: header.blobs,
        jobs: header.jobs,
        large_objects: header.large_objects,
        ..db
    };
    Ok(Dumped { db, bare })
}

/// `None` where a line is no row, or the last one is missing.
fn rows<'a>(lines: &mut impl Iterator<Item = &'a str>, transaction: u64) -> Option<Vec<Rows>> {
    let mut rows: Vec<Rows> = Vec::new();
    loop {
        let line = lines.next()?;
        if line == END {
            return Some(rows);
        }
        let (number, rest) = line.split_once('\t')?;
        let (number, edition) = (number.parse::<u64>().ok()?, rest.split('\t').next()?.parse::<u64>().ok()?);
        match rows.last_mut() {
            Some(last) if last.first + last.count == number && last.edition == edition => last.count += 1,
            _ => rows.push(Rows { transaction, first: number, count: 1, edition }),
        }
    }
}

pub(super) fn compress(plain: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: std::io::Error| Failure::new("dump_failed", format!("cannot be compressed: {error}"));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    encoder.write_all(plain).map_err(failed)?;
    encoder.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_reads_back_as_what_was_dumped() {
        let mut db = Db::new("strata", "strata", &["1", "2"], &[("orders", 40), ("none", 0)]);
        db.large_objects = 3;
        db.tables[0].rows.push(Rows { transaction: 9, first: 90, count: 2, edition: 7 });
        let plain = write(&db, |_| false).expect("it is written");
        let Dumped { db: back, bare } = read(&plain, 12).expect("it is read");
        assert!(bare.is_empty());
        assert_eq!(back.contents(), db.contents());
        assert_eq!((&back.versions, back.tables[0].hash()), (&db.versions, db.tables[0].hash()));
        assert!(back.tables[0].rows.iter().all(|rows| rows.transaction == 12));
        let cut = plain.len() - 4;
        assert!(read(&plain[..cut], 12).is_err());
        let bare = write(&db, |table| table.name == "orders").expect("it is written");
        let Dumped { db: back, bare } = read(&bare, 12).expect("it is read");
        assert_eq!((bare.as_slice(), back.tables[0].rows.len()), (&["orders".to_owned()][..], 0));
    }
}
