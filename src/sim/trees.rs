//! Trees of files in a world: packed, checked, unpacked and exchanged on its disk.
//!
//! Packs and index are no tar, but what they say of lengths and hashes is true, and damage in them is found.

mod pack;

use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub(super) use self::pack::{checksum, place};
use super::{disk::Disk, state::State, world::World};
use crate::{
    event::{Failure, Teller, Unit},
    ports::trees::{
        CheckTree, ExchangeTrees, FILLING, FillTree, Lacking, PackTree, Packed, TreeCheck, TreeFacts, Trees,
        TreesRead, UnpackTree,
    },
};

impl Disk {
    /// Files in a folder and below, in the order of their paths; fails at one that may not be read.
    fn tree(&self, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
        if !self.is_folder(folder) {
            let text = format!("the folder `{}` does not exist", folder.display());
            return Err(Failure::new("folder_missing", text));
        }
        if self.denied.contains(folder) {
            let text = format!("`{}` may not be read", folder.display());
            return Err(Failure::new("permission_denied", text).hint("run it again with `sudo`"));
        }
        let half = folder.join(FILLING);
        let below = self.files.keys().filter(|path| path.starts_with(folder) && **path != half);
        Ok(below.cloned().collect())
    }
}

impl State {
    fn exchange(&mut self, request: &ExchangeTrees) -> Result<(), Failure> {
        let (live, other) = (&request.live, &request.other);
        if self.disk.inode(live) == Some(request.expected) {
            return Ok(());
        }
        if self.disk.inode(other) != Some(request.expected) {
            let text = format!("`{}` is not the folder that was made to take its place", other.display());
            return Err(Failure::new("tree_replaced", text));
        }
        if self.disk.inode(live).is_none() {
            self.disk.rename(other, live);
            return Ok(());
        }
        let between = live.with_extension("exchange");
        self.disk.rename(live, &between);
        self.disk.rename(other, live);
        self.disk.rename(&between, other);
        Ok(())
    }
}

#[async_trait]
impl TreesRead for World {
    async fn facts(&self, path: &Path) -> Result<TreeFacts, Failure> {
        self.look(|state| {
            let files = state.disk.tree(path)?;
            let folders = state.disk.folders.keys().filter(|known| known.starts_with(path)).count();
            let bytes = files.iter().filter_map(|path| state.disk.files.get(path));
            let bytes = bytes.map(|file| file.bytes.len() as u64).sum();
            Ok(TreeFacts { files: files.len() as u64, folders: folders as u64, bytes })
        })
    }

    async fn beside(&self, live: &Path, name: &str) -> Result<PathBuf, Failure> {
        self.look(|state| {
            if !state.disk.is_folder(live) {
                let text = format!("there is no folder `{}`", live.display());
                return Err(Failure::new("folder_missing", text));
            }
            let mounts = state.disk.systems.iter().any(|system| system.at == live);
            let parent = live.parent().filter(|_| !mounts).ok_or_else(|| {
                let text = format!("`{}` is a mount point: nothing can take its place", live.display());
                Failure::new("tree_is_mount", text)
            })?;
            Ok(parent.join(name))
        })
    }

    async fn inode(&self, path: &Path) -> Result<Option<u64>, Failure> {
        self.look(|state| Ok(state.disk.inode(path)))
    }

    async fn check(&self, request: &CheckTree, _: &Teller) -> Result<TreeCheck, Failure> {
        self.look(|state| state.check_tree(request))
    }

    async fn lacking(&self, request: &FillTree) -> Result<Lacking, Failure> {
        self.look(|state| state.lacking(request))
    }
}

#[async_trait]
impl Trees for World {
    async fn pack(&self, request: &PackTree, tell: &Teller) -> Result<Packed, Failure> {
        let packed = self.lock().pack_tree(request)?;
        // Told without the world's lock: a listener may ask the clock.
        for part in 1..=2 {
            tell.progress("uploaded files", packed.bytes / 2 * part, Some(packed.bytes), Unit::Bytes);
        }
        Ok(packed)
    }

    async fn unpack(&self, request: &UnpackTree, tell: &Teller) -> Result<u64, Failure> {
        let inode = self.lock().unpack_tree(request)?;
        let bytes = request.packed.bytes;
        tell.progress("uploaded files", bytes, Some(bytes), Unit::Bytes);
        Ok(inode)
    }

    async fn exchange(&self, request: &ExchangeTrees) -> Result<(), Failure> {
        self.act(&format!("exchange {}", request.live.display()), |state| state.exchange(request))
    }

    async fn fill(&self, request: &FillTree, _: &Teller) -> Result<(), Failure> {
        self.lock().fill_tree(request)
    }
}
