//! The index of a set: which packs it has, and one line for everything in the tree.
#![expect(clippy::disallowed_methods, reason = "the clients read files")]

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    desk::Desk,
    entry::{Entry, Kind, Stored, shown},
    failed::{broken, damaged},
};
use crate::{
    clients::{
        files::writing,
        hashed::{Hashed, workers},
    },
    event::Failure,
    ports::trees::{Pack, StoredFile},
};

pub(super) const INDEX: &str = "storage.index.zst";
const FORMAT: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Of `storage.index.zst`: what follows, and how.
    format: u32,
    entries: u64,
    tree_blake3: String,
    packs: Vec<KnownPack>,
}

/// A pack as the index names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownPack {
    #[serde(flatten)]
    pub(super) pack: Pack,
    pub(super) number: u32,
    /// Bytes of files and their headers that were written into it; later sets may need fewer.
    pub(super) stored: u64,
}

pub(super) struct Index {
    pub(super) packs: Vec<KnownPack>,
    /// In the order of their paths.
    pub(super) entries: Vec<Entry>,
    pub(super) tree_blake3: String,
}

pub(super) fn pack_name(number: u32) -> String {
    format!("storage-{number:03}.tar.zst")
}

pub(super) fn is_pack(name: &str) -> bool {
    name.strip_prefix("storage-").is_some_and(|rest| rest.ends_with(".tar.zst"))
}

/// Over all paths, kinds, modes, owners and content hashes.
pub(super) fn tree_hash(entries: &[Entry]) -> String {
    let mut hasher = blake3::Hasher::new();
    for entry in entries {
        hasher.update(entry.line().as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Index {
    /// Writes it under a name that says that it is not there yet; gives that name.
    pub(super) fn write(&self, folder: &Path, desk: &Desk) -> Result<(PathBuf, StoredFile), Failure> {
        let place = folder.join(INDEX);
        let partial = folder.join(format!("{INDEX}.partial"));
        let written = (|| {
            let to = Hashed::new(desk.make(&partial)?);
            let mut encoder = zstd::Encoder::new(to, 1)?;
            encoder.include_checksum(true)?;
            encoder.multithread(workers())?;
            let mut lines = BufWriter::with_capacity(256 << 10, encoder);
            let header = Header {
                format: FORMAT,
                entries: self.entries.len() as u64,
                tree_blake3: self.tree_blake3.clone(),
                packs: self.packs.clone(),
            };
            serde_json::to_writer(&mut lines, &header)?;
            lines.write_all(b"\n")?;
            for entry in &self.entries {
                serde_json::to_writer(&mut lines, entry)?;
                lines.write_all(b"\n")?;
            }
            let to = lines.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
            to.inner.sync_all()?;
            Ok(to.sum())
        })();
        let (bytes, blake3) = written.map_err(|error: io::Error| writing(&place, &error))?;
        Ok((partial, StoredFile { file: INDEX.to_owned(), bytes, blake3 }))
    }

    /// Reads it from its first byte to its last; `expected` is what it must be.
    pub(super) fn read(path: &Path, expected: Option<&StoredFile>, desk: &Desk) -> Result<Self, Failure> {
        let failed = |error: &io::Error| broken(path, "", error);
        let open = File::open(path).map_err(|error| failed(&error))?;
        let from = BufReader::with_capacity(256 << 10, Hashed::new(open));
        let mut lines = BufReader::with_capacity(
            256 << 10,
            zstd::Decoder::with_buffer(from).map_err(|error| failed(&error))?,
        );
        let index = Self::parse(&mut lines, path, desk)?;
        let mut from = lines.into_inner().finish();
        io::copy(&mut from, &mut io::sink()).map_err(|error| failed(&error))?;
        let (bytes, blake3) = from.into_inner().sum();
        if let Some(expected) = expected
            && (bytes, &blake3) != (expected.bytes, &expected.blake3)
        {
            return Err(damaged(path, "its hash is another"));
        }
        index.sound().map_err(|why| damaged(path, &why))?;
        Ok(index)
    }

    fn parse(lines: &mut impl io::BufRead, path: &Path, desk: &Desk) -> Result<Self, Failure> {
        let mut text = Vec::new();
        let mut number = 0_u64;
        let mut next = |text: &mut Vec<u8>| {
            text.clear();
            number += 1;
            let read = lines.read_until(b'\n', text);
            read.map_err(|error| broken(path, &format!("line {number} of its content"), &error))
        };
        next(&mut text)?;
        let wrong = |line: u64, error: serde_json::Error| {
            damaged(path, &format!("line {line} of its content: {error}"))
        };
        let header: Header = serde_json::from_slice(&text).map_err(|error| wrong(1, error))?;
        if header.format != FORMAT {
            let text = format!(
                "`{}` is of format {}; this uplift reads format {FORMAT}",
                path.display(),
                header.format
            );
            return Err(Failure::new("set_too_new", text).hint("use the uplift that made it, or a newer one"));
        }
        let mut entries = Vec::new();
        while next(&mut text)? > 0 {
            if entries.len() % 1024 == 0 {
                desk.go_on()?;
            }
            let entry =
                serde_json::from_slice(&text).map_err(|error| wrong(entries.len() as u64 + 2, error))?;
            entries.push(entry);
        }
        if entries.len() as u64 != header.entries {
            return Err(damaged(path, "it has another number of lines than it says"));
        }
        Ok(Self { packs: header.packs, entries, tree_blake3: header.tree_blake3 })
    }

    pub(super) fn find(&self, path: &[u8]) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.path).cmp(path)).ok()?;
        self.entries.get(at)
    }

    /// The content behind a path, whichever of its names it is.
    pub(super) fn content(&self, path: &[u8]) -> Option<(&Entry, &Stored)> {
        let entry = self.find(path)?;
        match &entry.is {
            Kind::File(stored) => Some((entry, stored)),
            Kind::Link { to } => self.find(to).and_then(|entry| match &entry.is {
                Kind::File(stored) => Some((entry, stored)),
                _ => None,
            }),
            _ => None,
        }
    }

    pub(super) fn pack(&self, number: u32) -> Option<&KnownPack> {
        self.packs.iter().find(|pack| pack.number == number)
    }

    /// Files of one pack in the order of its stream.
    pub(super) fn of_pack(&self, number: u32) -> Vec<(&Entry, &Stored)> {
        let mut files: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.is {
                Kind::File(stored) if stored.pack == number => Some((entry, stored)),
                _ => None,
            })
            .collect();
        files.sort_by_key(|(_, stored)| stored.at);
        files
    }

    /// Names of files, and the length of their content.
    pub(super) fn count(&self) -> (u64, u64) {
        self.entries.iter().fold((0, 0), |(files, bytes), entry| match &entry.is {
            Kind::File(stored) => (files + 1, bytes + stored.bytes),
            Kind::Link { .. } => (files + 1, bytes),
            _ => (files, bytes),
        })
    }

    /// Nothing in it may lead out of the tree, and all that it names must be in it.
    fn sound(&self) -> Result<(), String> {
        if self.entries.first().is_none_or(|root| !root.path.is_empty() || root.is != Kind::Folder) {
            return Err("it has no line for the tree's own folder".to_owned());
        }
        if !self.entries.is_sorted_by(|left, right| left.path < right.path) {
            return Err("its lines are not in the order of their paths".to_owned());
        }
        if tree_hash(&self.entries) != self.tree_blake3 {
            return Err("its lines are not those that were hashed".to_owned());
        }
        for entry in &self.entries[1..] {
            self.sound_entry(entry).map_err(|why| format!("`{}`: {why}", shown(&entry.path)))?;
        }
        Ok(())
    }

    fn sound_entry(&self, entry: &Entry) -> Result<(), &'static str> {
        let mut parts = entry.path.split(|byte| *byte == b'/');
        if parts.any(|part| part.is_empty() || part == b"." || part == b".." || part.contains(&0)) {
            return Err("no path of a tree");
        }
        if self.find(folder_of(&entry.path)).is_none_or(|folder| folder.is != Kind::Folder) {
            return Err("its folder is not there");
        }
        match &entry.is {
            Kind::Link { .. } if self.content(&entry.path).is_none() => {
                Err("what it is a name of is not there")
            }
            Kind::File(stored) => {
                if self.pack(stored.pack).is_none() {
                    return Err("its pack is not there");
                }
                let mut end = 0;
                for (offset, length) in stored.pieces() {
                    if offset < end || offset.checked_add(length).is_none_or(|after| after > stored.bytes) {
                        return Err("its pieces do not fit");
                    }
                    end = offset + length;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn folder_of(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(b"", |at| &path[..at])
}
