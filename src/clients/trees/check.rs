//! Is a set what was written?

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};

use super::{
    content::zeros_to,
    desk::Desk,
    entry::{Entry, Kind, Stored},
    failed::{broken, damaged},
    index::{INDEX, Index},
    stream::{Reading, Take},
};
use crate::{
    event::{Failure, Teller, Unit},
    ports::{
        postgres::Blob,
        trees::{CheckTree, Packed, TreeCheck},
    },
};

/// How many wrong blobs are named.
const NAMED: usize = 100;
/// Bytes between two words about progress.
const STRIDE: u64 = 16 << 20;

/// Blobs by where the product keeps their files.
type Blobs = HashMap<Vec<u8>, Blob>;

pub(super) fn check(request: &CheckTree, desk: &Desk, tell: &Teller) -> Result<TreeCheck, Failure> {
    let index = index(&request.folder, &request.packed, desk)?;
    let blobs = match &request.blobs {
        Some(list) => blobs(list, desk)?,
        None => Blobs::new(),
    };
    let mut checker =
        Checker { index: &index, blobs: &blobs, sums: HashMap::new(), names: names(&index), now: None };
    packs(&request.folder, &index, &mut checker, desk, tell, "checking uploaded files")?;
    let mut wrong: Vec<_> = blobs
        .iter()
        .filter_map(|(path, blob)| checker.why_wrong(path, blob).map(|why| format!("{}: {why}", blob.key)))
        .collect();
    wrong.sort();
    let (files, bytes) = index.count();
    Ok(TreeCheck {
        files,
        bytes,
        blobs: blobs.len() as u64,
        wrong_blobs_count: wrong.len() as u64,
        wrong_blobs: wrong.into_iter().take(NAMED).collect(),
    })
}

/// The index of a set, which says what the report says.
pub(super) fn index(folder: &Path, packed: &Packed, desk: &Desk) -> Result<Index, Failure> {
    let path = folder.join(INDEX);
    let index = Index::read(&folder.join(&packed.index.file), Some(&packed.index), desk)?;
    let packs: Vec<_> = index.packs.iter().map(|known| &known.pack).collect();
    if index.tree_blake3 != packed.tree_blake3
        || packs != packed.packs.iter().collect::<Vec<_>>()
        || index.count() != (packed.files, packed.bytes)
    {
        return Err(damaged(&path, "it is the index of another copy"));
    }
    Ok(index)
}

/// Reads all packs.
pub(super) fn packs(
    folder: &Path,
    index: &Index,
    take: &mut dyn Take,
    desk: &Desk,
    tell: &Teller,
    what: &str,
) -> Result<(), Failure> {
    let total = index.packs.iter().map(|known| known.pack.file.bytes).sum();
    let (mut before, mut said) = (0, 0);
    for known in &index.packs {
        let mut told = |bytes: u64| {
            if before + bytes >= said + STRIDE {
                said = before + bytes;
                tell.progress(what, said, Some(total), Unit::Bytes);
            }
        };
        let files = index.of_pack(known.number);
        Reading { folder, pack: &known.pack, files, desk }.read(take, &mut told)?;
        before += known.pack.file.bytes;
    }
    tell.progress(what, total, Some(total), Unit::Bytes);
    Ok(())
}

/// The set's list of them.
fn blobs(list: &Path, desk: &Desk) -> Result<Blobs, Failure> {
    let failed = |error: io::Error| broken(list, "", &error);
    #[expect(clippy::disallowed_methods, reason = "the clients read files")]
    let open = File::open(list).map_err(failed)?;
    let lines = BufReader::with_capacity(256 << 10, zstd::Decoder::new(open).map_err(failed)?);
    let mut blobs = Blobs::new();
    for line in lines.lines() {
        desk.go_on()?;
        let blob: Blob = serde_json::from_str(&line.map_err(failed)?)
            .map_err(|error| damaged(list, &format!("line {}: {error}", blobs.len() + 1)))?;
        blobs.insert(place(&blob.key), blob);
    }
    Ok(blobs)
}

/// Where the product keeps a file, from the storage's folder on.
fn place(key: &str) -> Vec<u8> {
    let part = |range: std::ops::Range<usize>| key.get(range).unwrap_or_default();
    format!("{}/{}/{key}", part(0..2), part(2..4)).into_bytes()
}

/// First names of files that have more.
fn names(index: &Index) -> HashMap<&[u8], Vec<&[u8]>> {
    let mut names: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    for entry in &index.entries {
        if let Kind::Link { to } = &entry.is {
            names.entry(to).or_default().push(&entry.path);
        }
    }
    names
}

/// Takes the checksum that the product knows of those files that it knows.
struct Checker<'a> {
    index: &'a Index,
    blobs: &'a Blobs,
    /// By first name.
    sums: HashMap<&'a [u8], String>,
    names: HashMap<&'a [u8], Vec<&'a [u8]>>,
    now: Option<Md5>,
}

impl Checker<'_> {
    fn wants(&self, path: &[u8]) -> bool {
        let checksum = |path: &[u8]| self.blobs.get(path).is_some_and(|blob| blob.checksum.is_some());
        checksum(path) || self.names.get(path).is_some_and(|names| names.iter().any(|name| checksum(name)))
    }

    fn why_wrong(&self, path: &[u8], blob: &Blob) -> Option<String> {
        let Some((entry, stored)) = self.index.content(path) else { return Some("no file".to_owned()) };
        if stored.bytes != blob.byte_size {
            return Some(format!("{} bytes instead of {}", stored.bytes, blob.byte_size));
        }
        let expected = blob.checksum.as_ref()?;
        let same = self.sums.get(&*entry.path) == Some(expected);
        (!same).then(|| "its checksum is another".to_owned())
    }
}

impl Take for Checker<'_> {
    fn begin(&mut self, entry: &Entry, _: &Stored) -> Result<(), Failure> {
        self.now = self.wants(&entry.path).then(Md5::new);
        Ok(())
    }

    fn data(&mut self, _: u64, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(now) = &mut self.now {
            now.update(bytes);
        }
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<(), Failure> {
        if let Some(now) = &mut self.now {
            zeros_to(length, |zeros| now.update(zeros));
        }
        Ok(())
    }

    fn end(&mut self, entry: &Entry) -> Result<(), Failure> {
        if let (Some(now), Some(entry)) = (self.now.take(), self.index.find(&entry.path)) {
            self.sums.insert(&entry.path, STANDARD.encode(now.finalize()));
        }
        Ok(())
    }
}
