//! The product's uploaded files: a tree of files on a file system of this host, copied into packs and back.
//!
//! A pack is a tar archive through zstd with checksums (`storage-001.tar.zst`), so that a person can unpack it without
//! uplift. The index (`storage.index.zst`, one JSON line per entry) says which entry of which pack is a path's content.
//! A set holds every pack that its index names: unchanged packs of an earlier set are hard links to them, or copies where the file system
//! has none.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::files::quoted;
use crate::event::{Change, Failure, Teller, Write};

/// Begins the name of a folder beside the uploaded files that a restore has made; the run's name follows. Until the swap
/// it holds those of the set, and afterwards those of before.
pub const BESIDE: &str = "uplift-restore-";

/// A tree as it is, without reading any file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeFacts {
    pub files: u64,
    pub folders: u64,
    /// Bytes that the files take on disk: a sparse one counts what it has.
    pub bytes: u64,
}

/// Copies a tree into packs in `into`, every file hashed. What is unchanged since `previous` (same path, inode, size,
/// change and modification time) is not read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackTree {
    pub from: PathBuf,
    /// Folder of the set. May hold packs of an earlier pass over the same tree.
    pub into: PathBuf,
    /// Folder of an earlier set; its own earlier pass wins.
    pub previous: Option<PathBuf>,
    /// Files that an earlier pass has and the tree has no more stay in the index: their rows were there at the cut.
    pub keep_vanished: bool,
    /// Packs of `previous` are linked without being read: for a pass while nobody may work. Whoever unpacks them reads
    /// them, and finds what is damaged.
    #[serde(default)]
    pub trust_previous: bool,
}

/// What [`Trees::pack`] made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Files in the index.
    pub files: u64,
    /// Their content's length.
    pub bytes: u64,
    /// Files that were read in this pass, and their length.
    pub read_files: u64,
    pub read_bytes: u64,
    pub packs: Vec<Pack>,
    /// Name of the index in the folder, with its length and hash.
    pub index: StoredFile,
    /// BLAKE3 over all paths, kinds, modes, owners and content hashes in the order of the paths.
    pub tree_blake3: String,
    /// Paths that changed while they were read, and were read again until they were still.
    pub changed: Vec<String>,
    /// Paths that went away during the pass.
    pub vanished: Vec<String>,
    /// Sockets, devices, pipes: named, and not copied.
    pub skipped: Vec<String>,
}

/// One pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    #[serde(flatten)]
    pub file: StoredFile,
    pub uncompressed_bytes: u64,
    /// Files of the index that are in it.
    pub files: u64,
    /// It came from an earlier set.
    pub linked: bool,
}

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    pub file: String,
    pub bytes: u64,
    pub blake3: String,
}

/// Reads packs and index from the first byte to the last and compares every file's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTree {
    pub folder: PathBuf,
    pub packed: Packed,
    /// The set's list of blobs ([`super::postgres::BlobList::file`]): each must be in the tree with its size and checksum.
    pub blobs: Option<PathBuf>,
}

/// What [`TreesRead::check`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeCheck {
    pub files: u64,
    pub bytes: u64,
    /// Blobs that were compared.
    pub blobs: u64,
    /// Blobs whose file is missing or another, at most a hundred, as `KEY: why`.
    pub wrong_blobs: Vec<String>,
    pub wrong_blobs_count: u64,
}

/// Makes a tree from packs beside the live one: numeric owners, modes, times, links, extended attributes as in the
/// index; every file is hashed while it is written. What an earlier attempt left there is removed first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpackTree {
    pub folder: PathBuf,
    pub packed: Packed,
    /// Must be on the file system of the live tree; see [`TreesRead::beside`].
    pub into: PathBuf,
}

/// Gives two folders of one file system each other's name, in one moment. Does nothing if `live` is `expected` already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeTrees {
    pub live: PathBuf,
    pub other: PathBuf,
    /// Inode of the folder that shall have the live name afterwards.
    pub expected: u64,
}

/// Gives a tree back what it has lost: files and links that the packs have and `live` has not are made at their place. What
/// is there, whatever it is by now, stays as it is. What an attempt that was killed has left ([`FILLING`]) goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillTree {
    pub folder: PathBuf,
    pub packed: Packed,
    pub live: PathBuf,
}

/// Name of a file in the live folder that is not whole yet. No pass packs it: it is nobody's upload.
pub const FILLING: &str = ".uplift-filling";

/// What a tree lacks of what the packs have. Read from the index: whether the packs hold it is known once they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    pub files: u64,
    pub bytes: u64,
    /// From the live folder on, with the BLAKE3 of the content; a symlink has none. Names that are no UTF-8 are counted only.
    pub paths: BTreeMap<PathBuf, Option<String>>,
    /// Folders that have to be made for them.
    #[serde(default)]
    pub folders: u64,
    /// Files and links that are not looked for and do not come back: what was a folder on the way to them is none any more,
    /// or leads elsewhere.
    #[serde(default)]
    pub unreachable: Vec<String>,
}

#[async_trait]
pub trait TreesRead: Send + Sync {
    /// Fails with `permission_denied` and the `sudo` line where the tree is not readable for us.
    async fn facts(&self, path: &Path) -> Result<TreeFacts, Failure>;
    /// Where a tree can be made that may take the place of `live` in one moment: a new name beside it. Fails with
    /// `tree_is_mount` where the live folder is a mount point of its own.
    async fn beside(&self, live: &Path, name: &str) -> Result<PathBuf, Failure>;
    /// The folder's inode; `None` if there is no such folder.
    async fn inode(&self, path: &Path) -> Result<Option<u64>, Failure>;
    /// Fails with `set_damaged`, naming file and place, if anything is not what was written. Wrong blobs are no failure of
    /// the set's own: they are told in the answer.
    async fn check(&self, request: &CheckTree, tell: &Teller) -> Result<TreeCheck, Failure>;
    /// Reads the index alone. Fails with `set_damaged` if it is not what was written.
    async fn lacking(&self, request: &FillTree) -> Result<Lacking, Failure>;
}

#[async_trait]
pub trait Trees: TreesRead {
    /// Leaves no `.partial` file behind when it fails or is dropped. Fails with `unreadable_file` if a file cannot be
    /// read, and with `no_room`.
    async fn pack(&self, request: &PackTree, tell: &Teller) -> Result<Packed, Failure>;
    /// Inode of the new tree.
    async fn unpack(&self, request: &UnpackTree, tell: &Teller) -> Result<u64, Failure>;
    async fn exchange(&self, request: &ExchangeTrees) -> Result<(), Failure>;
    /// Owner, mode and times as they were packed; every file is hashed while it is written, and gets its name once it is
    /// whole. One that something stands in the way of is left out. Fails with `set_damaged` once all that can be read of
    /// the packs is back.
    async fn fill(&self, request: &FillTree, tell: &Teller) -> Result<(), Failure>;
}

impl PackTree {
    /// The index of a set.
    pub const INDEX: &'static str = "storage.index.zst";

    /// `pack` is a new pack with what the tree holds that is not in an earlier set; `linked` are the packs of that, which
    /// take no room; `index` are the bytes of the index.
    #[must_use]
    pub fn changes(&self, pack: Option<(&str, u64)>, linked: &[String], index: u64) -> Vec<Write> {
        let added = |name: &str, bytes, what: &str, shell: Option<String>| Write {
            change: Change::Added {
                path: self.into.join(name).display().to_string(),
                bytes: Some(bytes),
                what: what.to_owned(),
            },
            shell,
        };
        let mut writes = Vec::new();
        for name in linked {
            let shell = self.previous.as_ref().map(|previous| {
                format!("ln {} {}", quoted(&previous.join(name)), quoted(&self.into.join(name)))
            });
            writes.push(added(name, 0, "uploaded files that the backup before has, linked", shell));
        }
        if let Some((name, bytes)) = pack {
            let (from, path) = (quoted(&self.from), quoted(&self.into.join(name)));
            let shell = format!("tar -C {from} -c . | zstd -1 --check > {path}");
            writes.push(added(name, bytes, "copy of the uploaded files", Some(shell)));
        }
        // No program that a person has writes it, and none needs it.
        writes.push(added(Self::INDEX, index, "index of the uploaded files", None));
        writes
    }
}

impl UnpackTree {
    #[must_use]
    pub fn change(&self) -> Write {
        let change = Change::Added {
            path: self.into.display().to_string(),
            bytes: Some(self.packed.bytes),
            what: "uploaded files as they were, beside the live ones".to_owned(),
        };
        Write { change, shell: None }
    }
}

impl FillTree {
    #[must_use]
    pub fn change(&self, lacking: &Lacking) -> Write {
        let change = Change::Tree {
            path: self.live.display().to_string(),
            what: format!("gets {} deleted files back", lacking.files),
        };
        // A pack holds more than its index names: no command that a person types does the same.
        Write { change, shell: None }
    }
}

impl ExchangeTrees {
    #[must_use]
    pub fn change(&self) -> Write {
        let (live, other) = (quoted(&self.live), quoted(&self.other));
        let what = format!("changes places with `{}`", self.other.display());
        Write {
            change: Change::Tree { path: self.live.display().to_string(), what },
            shell: Some(format!("mv --exchange -T {other} {live}")),
        }
    }
}
