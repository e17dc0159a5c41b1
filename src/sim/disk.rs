//! The file systems of a world.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    ports::files::{File, Space},
};

/// One file system, mounted at a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FileSystem {
    pub at: PathBuf,
    pub space: Space,
}

/// A folder: its permission bits, and the number that it keeps when it is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Folder {
    pub mode: u32,
    pub inode: u64,
}

#[derive(Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Disk {
    #[serde(with = "super::kept::files")]
    pub files: BTreeMap<PathBuf, File>,
    pub folders: BTreeMap<PathBuf, Folder>,
    pub systems: Vec<FileSystem>,
    /// Paths that may not be read.
    pub denied: BTreeSet<PathBuf>,
    /// Paths that no other file may take.
    pub fixed: BTreeSet<PathBuf>,
    /// Paths of files that are links to others.
    pub links: BTreeSet<PathBuf>,
    /// How many numbers were given to folders.
    pub inodes: u64,
}

impl Disk {
    pub(super) fn system(&mut self, path: &Path) -> Option<&mut Space> {
        let holds = |system: &&mut FileSystem| path.starts_with(&system.at);
        let deepest =
            self.systems.iter_mut().filter(holds).max_by_key(|system| system.at.components().count());
        deepest.map(|system| &mut system.space)
    }

    /// Takes room at `path`, or fails as a full disk does.
    pub(super) fn take(&mut self, path: &Path, bytes: u64) -> Result<(), Failure> {
        let Some(space) = self.system(path) else { return Ok(()) };
        if space.free < bytes {
            return Err(Failure::new("no_room", format!("no space left for `{}`", path.display()))
                .hint(format!("{bytes} bytes are needed, {} are free", space.free)));
        }
        space.free -= bytes;
        Ok(())
    }

    pub(super) fn give(&mut self, path: &Path, bytes: u64) {
        if let Some(space) = self.system(path) {
            space.free = space.total.min(space.free + bytes);
        }
    }

    /// Replaces or makes a file; its folder must be there.
    pub(super) fn put(&mut self, path: &Path, file: File) -> Result<(), Failure> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if !self.is_folder(folder) {
            let message = format!("the folder `{}` does not exist", folder.display());
            return Err(Failure::new("folder_missing", message));
        }
        if self.is_folder(path) {
            return Err(Failure::new("is_a_folder", format!("`{}` is a folder", path.display())));
        }
        // The old file goes only when the new one is whole: both need room for a moment.
        self.take(path, file.bytes.len() as u64)?;
        if let Some(old) = self.files.insert(path.to_owned(), file) {
            self.give(path, old.bytes.len() as u64);
        }
        Ok(())
    }

    /// A file's folder and all above it, as they come with a ready host.
    pub(super) fn make_folders(&mut self, path: &Path, mode: u32) {
        for folder in path.ancestors() {
            let inode = 1_000 + self.inodes;
            if let Entry::Vacant(place) = self.folders.entry(folder.to_owned()) {
                place.insert(Folder { mode, inode });
                self.inodes += 1;
            }
        }
    }

    /// Removes a file or a folder with all in it.
    pub(super) fn remove(&mut self, path: &Path) {
        let gone: Vec<_> = self.files.keys().filter(|known| known.starts_with(path)).cloned().collect();
        for file in gone {
            if let Some(old) = self.files.remove(&file) {
                self.give(&file, old.bytes.len() as u64);
            }
        }
        self.folders.retain(|known, _| !known.starts_with(path));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        for (path, file) in std::mem::take(&mut self.files) {
            self.files.insert(moved(path, from, to), file);
        }
        for (path, folder) in std::mem::take(&mut self.folders) {
            self.folders.insert(moved(path, from, to), folder);
        }
    }

    pub(super) fn inode(&self, path: &Path) -> Option<u64> {
        self.folders.get(path).map(|folder| folder.inode)
    }

    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.folders.contains_key(path)
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.is_folder(path) || self.files.contains_key(path)
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("files", &self.files.keys()).finish_non_exhaustive()
    }
}

/// `path` as it is called after `from` was renamed to `to`.
pub(super) fn moved(path: PathBuf, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path,
    }
}
