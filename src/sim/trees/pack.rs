use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    ports::{
        files::{File, not_unpacked},
        postgres::Blob,
        trees::{
            CheckTree, FILLING, FillTree, Lacking, Pack, PackTree, Packed, StoredFile, TreeCheck, UnpackTree,
        },
    },
    sim::{archive::compress, state::State},
};

const INDEX: &str = "storage.index.zst";
/// Bytes per second of a pass that reads, and of one that writes a tree.
const PACK: u64 = 290 << 20;
const UNPACK: u64 = 190 << 20;
/// How many wrong blobs are named.
const NAMED: usize = 100;

/// A line of the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// From the tree's folder on.
    path: PathBuf,
    mode: u32,
    uid: u32,
    gid: u32,
    bytes: u64,
    blake3: String,
    pack: String,
}

/// A line of a pack.
#[derive(Serialize, Deserialize)]
struct Content {
    path: PathBuf,
    base64: String,
}

/// What an earlier pass has.
#[derive(Default)]
struct Earlier {
    entries: BTreeMap<PathBuf, Entry>,
    folder: PathBuf,
}

fn damaged(path: &Path, why: &str) -> Failure {
    let text = format!("`{}` is not what was written: {why}", path.display());
    Failure::new("set_damaged", text).hint("do not rely on this backup; make a new one")
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn lines<T: Serialize>(all: &[T]) -> Result<Vec<u8>, Failure> {
    let text: Vec<_> = all.iter().filter_map(|one| serde_json::to_string(one).ok()).collect();
    compress(text.join("\n").as_bytes())
}

impl State {
    fn stored<T: for<'de> Deserialize<'de>>(&self, path: &Path) -> Result<Vec<T>, Failure> {
        let file = self.disk.readable(path)?.ok_or_else(|| damaged(path, "it is missing"))?;
        let plain =
            zstd::decode_all(file.bytes.as_slice()).map_err(|error| damaged(path, &not_unpacked(&error)))?;
        let text = String::from_utf8(plain).map_err(|error| damaged(path, &error.to_string()))?;
        let line = |line| serde_json::from_str(line).map_err(|error| damaged(path, &error.to_string()));
        text.lines().map(line).collect()
    }

    /// The stored file is what the report says of it.
    fn proved(&self, folder: &Path, file: &StoredFile) -> Result<(), Failure> {
        let path = folder.join(&file.file);
        let found = self.disk.readable(&path)?.ok_or_else(|| damaged(&path, "it is missing"))?;
        if found.bytes.len() as u64 != file.bytes || hash(&found.bytes) != file.blake3 {
            return Err(damaged(&path, "its hash is another"));
        }
        Ok(())
    }

    fn earlier(&self, request: &PackTree) -> Result<Earlier, Failure> {
        let folders = [Some(&request.into), request.previous.as_ref()];
        let has = |folder: &&PathBuf| self.disk.files.contains_key(&folder.join(INDEX));
        let Some(folder) = folders.into_iter().flatten().find(has) else { return Ok(Earlier::default()) };
        let entries = self.stored::<Entry>(&folder.join(INDEX))?;
        let entries = entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        Ok(Earlier { entries, folder: folder.clone() })
    }

    fn store(&mut self, path: &Path, bytes: Vec<u8>) -> Result<StoredFile, Failure> {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let stored = StoredFile { file: name, bytes: bytes.len() as u64, blake3: hash(&bytes) };
        self.write(&format!("write {}", path.display()), |state| {
            state.disk.put(path, File { bytes, mode: 0o600, uid: 0, gid: 0 })
        })?;
        Ok(stored)
    }

    pub(super) fn pack_tree(&mut self, request: &PackTree) -> Result<Packed, Failure> {
        self.settle();
        let earlier = self.earlier(request)?;
        let own = earlier.folder == request.into;
        let number = self.next_pack(&request.into, &earlier);
        let name = format!("storage-{number:03}.tar.zst");
        let (mut entries, mut contents, mut read) = (Vec::new(), Vec::new(), 0);
        for path in self.disk.tree(&request.from)? {
            let file = self.disk.readable(&path).map_err(|_| {
                Failure::new("unreadable_file", format!("`{}` cannot be read", path.display()))
                    .hint("run it again with `sudo`")
            })?;
            let Some(file) = file else { continue };
            let relative = path.strip_prefix(&request.from).unwrap_or(&path).to_owned();
            let blake3 = hash(&file.bytes);
            let known = earlier.entries.get(&relative).filter(|entry| entry.blake3 == blake3);
            let bytes = file.bytes.len() as u64;
            if known.is_none() {
                read += bytes;
                contents.push(Content { path: relative.clone(), base64: STANDARD.encode(&file.bytes) });
            }
            let pack = known.map_or_else(|| name.clone(), |entry| entry.pack.clone());
            let (mode, uid, gid) = (file.mode, file.uid, file.gid);
            entries.push(Entry { path: relative, mode, uid, gid, bytes, blake3, pack });
        }
        let read_files = contents.len() as u64;
        if request.keep_vanished {
            let there: BTreeSet<_> = entries.iter().map(|entry| entry.path.clone()).collect();
            let gone = earlier.entries.values().filter(|entry| !there.contains(&entry.path));
            entries.extend(gone.cloned().collect::<Vec<_>>());
            entries.sort_by(|left, right| left.path.cmp(&right.path));
        }
        self.pass(Duration::from_millis(100 + read * 1_000 / PACK));
        if !contents.is_empty() {
            self.store(&request.into.join(&name), lines(&contents)?)?;
        }
        let packs = self.packs(request, &entries, &earlier.folder, (!own).then_some(&name))?;
        let index = self.store(&request.into.join(INDEX), lines(&entries)?)?;
        let tree: Vec<_> = entries
            .iter()
            .map(|one| {
                format!("{} f {:o} {} {} {}", one.path.display(), one.mode, one.uid, one.gid, one.blake3)
            })
            .collect();
        Ok(Packed {
            files: entries.len() as u64,
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            read_files,
            read_bytes: read,
            packs,
            index,
            tree_blake3: hash(tree.join("\n").as_bytes()),
            changed: Vec::new(),
            vanished: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// A number that no pack of these folders has.
    fn next_pack(&self, into: &Path, earlier: &Earlier) -> usize {
        let taken = |number: &usize| {
            let name = format!("storage-{number:03}.tar.zst");
            self.disk.files.contains_key(&into.join(&name))
                || self.disk.files.contains_key(&earlier.folder.join(&name))
        };
        (1..=999).find(|number| !taken(number)).unwrap_or(999)
    }

    /// Every pack that the index names lies in the set; those of an earlier set come over.
    fn packs(
        &mut self,
        request: &PackTree,
        entries: &[Entry],
        earlier: &Path,
        fresh: Option<&String>,
    ) -> Result<Vec<Pack>, Failure> {
        let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for entry in entries {
            let count = counts.entry(&entry.pack).or_default();
            *count = (count.0 + 1, count.1 + entry.bytes);
        }
        let mut packs = Vec::new();
        for (name, (files, bytes)) in counts {
            let path = request.into.join(name);
            let linked = fresh.is_some_and(|fresh| fresh != name);
            if !self.disk.files.contains_key(&path) {
                let from = earlier.join(name);
                let file = self.disk.files.get(&from).ok_or_else(|| damaged(&from, "it is missing"))?;
                let bytes = file.bytes.clone();
                self.store(&path, bytes)?;
            }
            let file = self.disk.files.get(&path).ok_or_else(|| damaged(&path, "it is missing"))?;
            let stored = StoredFile {
                file: name.to_owned(),
                bytes: file.bytes.len() as u64,
                blake3: hash(&file.bytes),
            };
            packs.push(Pack { file: stored, uncompressed_bytes: bytes, files, linked });
        }
        Ok(packs)
    }

    /// Every file of a set with its content, proved by hashes.
    fn unpacked(&self, folder: &Path, packed: &Packed) -> Result<Vec<(Entry, Vec<u8>)>, Failure> {
        self.proved(folder, &packed.index)?;
        let mut contents = BTreeMap::new();
        for pack in &packed.packs {
            self.proved(folder, &pack.file)?;
            let path = folder.join(&pack.file.file);
            for content in self.stored::<Content>(&path)? {
                let bytes =
                    STANDARD.decode(&content.base64).map_err(|error| damaged(&path, &error.to_string()))?;
                contents.insert((pack.file.file.clone(), content.path), bytes);
            }
        }
        let mut all = Vec::new();
        for entry in self.stored::<Entry>(&folder.join(&packed.index.file))? {
            let known = contents.get(&(entry.pack.clone(), entry.path.clone()));
            let whole = known.filter(|bytes| hash(bytes) == entry.blake3).cloned();
            let bytes = whole.ok_or_else(|| damaged(&entry.path, "its content is another"))?;
            all.push((entry, bytes));
        }
        if all.len() as u64 != packed.files {
            return Err(damaged(&folder.join(INDEX), "it has another number of files"));
        }
        Ok(all)
    }

    pub(super) fn check_tree(&mut self, request: &CheckTree) -> Result<TreeCheck, Failure> {
        let all = self.unpacked(&request.folder, &request.packed)?;
        let blobs = match &request.blobs {
            Some(list) => self.stored::<Blob>(list)?,
            None => Vec::new(),
        };
        let known: BTreeMap<_, _> = all.iter().map(|(entry, bytes)| (entry.path.clone(), bytes)).collect();
        let wrong: Vec<_> = blobs
            .iter()
            .filter_map(|blob| why_wrong(blob, &known).map(|why| format!("{}: {why}", blob.key)))
            .collect();
        Ok(TreeCheck {
            files: all.len() as u64,
            bytes: all.iter().map(|(entry, _)| entry.bytes).sum(),
            blobs: blobs.len() as u64,
            wrong_blobs_count: wrong.len() as u64,
            wrong_blobs: wrong.into_iter().take(NAMED).collect(),
        })
    }

    pub(super) fn unpack_tree(&mut self, request: &UnpackTree) -> Result<u64, Failure> {
        self.settle();
        let all = self.unpacked(&request.folder, &request.packed)?;
        if self.disk.is_folder(&request.into) {
            self.write(&format!("remove {}", request.into.display()), |state| {
                state.disk.remove(&request.into);
                Ok(())
            })?;
        }
        self.write(&format!("unpack into {}", request.into.display()), |state| {
            state.pass(Duration::from_millis(100 + request.packed.bytes * 1_000 / UNPACK));
            state.disk.make_folders(&request.into, 0o755);
            for (entry, bytes) in all {
                let path = request.into.join(&entry.path);
                state.disk.make_folders(path.parent().unwrap_or(&request.into), 0o755);
                state.disk.put(&path, File { bytes, mode: entry.mode, uid: entry.uid, gid: entry.gid })?;
            }
            state.disk.inode(&request.into).ok_or_else(|| damaged(&request.into, "it was not made"))
        })
    }

    pub(super) fn lacking(&self, request: &FillTree) -> Result<Lacking, Failure> {
        let index = &request.packed.index;
        self.proved(&request.folder, index)?;
        let (mut lacking, mut folders) = (Lacking::default(), BTreeSet::new());
        for entry in self.stored::<Entry>(&request.folder.join(&index.file))? {
            let path = request.live.join(&entry.path);
            let above = path.ancestors().skip(1).take_while(|folder| **folder != request.live);
            if above.clone().any(|folder| self.disk.files.contains_key(folder)) {
                lacking.unreachable.push(entry.path.display().to_string());
            } else if !self.disk.files.contains_key(&path) {
                folders.extend(above.filter(|folder| !self.disk.is_folder(folder)).map(Path::to_owned));
                lacking.files += 1;
                lacking.bytes += entry.bytes;
                lacking.paths.insert(entry.path, Some(entry.blake3));
            }
        }
        lacking.folders = folders.len() as u64;
        Ok(lacking)
    }

    pub(super) fn fill_tree(&mut self, request: &FillTree) -> Result<(), Failure> {
        self.settle();
        let half = request.live.join(FILLING);
        if self.disk.files.contains_key(&half) {
            self.write(&format!("remove {}", half.display()), |state| {
                state.disk.remove(&half);
                Ok(())
            })?;
        }
        let lacking = self.lacking(request)?;
        let all = self.unpacked(&request.folder, &request.packed)?;
        for (entry, bytes) in all.into_iter().filter(|(entry, _)| lacking.paths.contains_key(&entry.path)) {
            let path = request.live.join(&entry.path);
            self.write(&format!("put back {}", path.display()), |state| {
                state.disk.make_folders(path.parent().unwrap_or(&request.live), 0o755);
                state.disk.put(&path, File { bytes, mode: entry.mode, uid: entry.uid, gid: entry.gid })
            })?;
        }
        Ok(())
    }
}

/// Where the product keeps a file, from the storage's folder on.
pub(in crate::sim) fn place(key: &str) -> PathBuf {
    let part = |range: std::ops::Range<usize>| key.get(range).unwrap_or_default();
    [part(0..2), part(2..4), key].iter().collect()
}

/// What the product writes into `active_storage_blobs.checksum`.
pub(in crate::sim) fn checksum(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

fn why_wrong(blob: &Blob, known: &BTreeMap<PathBuf, &Vec<u8>>) -> Option<String> {
    let Some(bytes) = known.get(&place(&blob.key)) else { return Some("no file".to_owned()) };
    if bytes.len() as u64 != blob.byte_size {
        return Some(format!("{} bytes instead of {}", bytes.len(), blob.byte_size));
    }
    let same = blob.checksum.as_ref().is_none_or(|expected| *expected == checksum(bytes));
    (!same).then(|| "its checksum is another".to_owned())
}
