use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{disk::Disk, world::World};
use crate::{
    event::Failure,
    ports::files::{
        CopyFile, File, Files, FilesRead, Grown, Lies, LineLog, MakeFolder, Position, Remove, Rename, Space,
        WriteFile,
    },
};

/// Who owns what nobody in particular has made.
const OWNER: (u32, u32) = (1000, 1000);

impl Disk {
    fn lies(&self, path: &Path) -> Option<Lies> {
        if !self.exists(path) {
            return None;
        }
        let owner = self.files.get(path).map_or(OWNER, |file| (file.uid, file.gid));
        let mut found = Lies { owner, ..Lies::default() };
        for (path, file) in self.files.iter().filter(|(known, _)| known.starts_with(path)) {
            if self.links.contains(path) {
                found.strange.push(path.clone());
            } else {
                found.bytes += file.bytes.len() as u64;
            }
        }
        Some(found)
    }

    pub(super) fn readable(&self, path: &Path) -> Result<Option<&File>, Failure> {
        if self.denied.contains(path) {
            let message = format!("`{}` may not be read", path.display());
            return Err(Failure::new("permission_denied", message).hint("run it again with `sudo`"));
        }
        if self.is_folder(path) {
            return Err(Failure::new("is_a_folder", format!("`{}` is a folder", path.display())));
        }
        Ok(self.files.get(path))
    }
}

#[async_trait]
impl FilesRead for World {
    async fn read(&self, path: &Path) -> Result<Option<File>, Failure> {
        self.look(|state| state.disk.readable(path).map(Option::<&_>::cloned))
    }

    async fn hash(&self, path: &Path) -> Result<Option<String>, Failure> {
        self.look(|state| {
            let file = state.disk.readable(path)?;
            Ok(file.map(|file| blake3::hash(&file.bytes).to_hex().to_string()))
        })
    }

    async fn size(&self, path: &Path) -> Result<Option<u64>, Failure> {
        self.look(|state| Ok(state.disk.files.get(path).map(|file| file.bytes.len() as u64)))
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, Failure> {
        self.look(|state| {
            let all = state.disk.files.keys().chain(state.disk.folders.keys());
            let names: BTreeSet<_> = all
                .filter(|known| known.parent() == Some(path))
                .filter_map(|known| known.file_name())
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            Ok(names.into_iter().collect())
        })
    }

    async fn owner(&self, path: &Path) -> Result<Option<(u32, u32)>, Failure> {
        self.look(|state| Ok(state.disk.lies(path).map(|lies| lies.owner)))
    }

    async fn lies(&self, path: &Path) -> Result<Option<Lies>, Failure> {
        self.look(|state| Ok(state.disk.lies(path)))
    }

    async fn real(&self, path: &Path) -> Result<PathBuf, Failure> {
        Ok(path.to_owned())
    }

    async fn replaceable(&self, path: &Path) -> Result<(), Failure> {
        self.look(|state| {
            if state.disk.is_folder(path) {
                return Err(Failure::new("is_a_folder", format!("`{}` is a folder", path.display())));
            }
            if !state.disk.fixed.contains(path) {
                return Ok(());
            }
            let text = format!("`{}` cannot be replaced: it is a mount of its own", path.display());
            Err(Failure::new("not_replaceable", text).hint("mount the folder that it lies in instead"))
        })
    }

    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        self.look(|state| {
            let none = || Failure::new("no_file_system", format!("nothing holds `{}`", path.display()));
            state.disk.system(path).cloned().ok_or_else(none)
        })
    }

    async fn grown(&self, path: &Path, from: Option<Position>) -> Result<Option<Grown>, Failure> {
        self.look(|state| {
            let Some(file) = state.disk.readable(path)? else { return Ok(None) };
            let offset = from.and_then(|from| usize::try_from(from.offset).ok()).unwrap_or_default();
            let rest = file.bytes.get(offset..);
            let position = Position { file: 0, offset: file.bytes.len() as u64 };
            Ok(Some(Grown { bytes: rest.unwrap_or(&file.bytes).to_vec(), position, again: rest.is_none() }))
        })
    }
}

/// A log in a world: no write that a fault could stand in the way of.
struct Lines {
    world: World,
    path: PathBuf,
}

impl LineLog for Lines {
    fn line(&self, text: &str) {
        let mut state = self.world.lock();
        let line = format!("{text}\n");
        if state.disk.take(&self.path, line.len() as u64).is_err() {
            return;
        }
        state.disk.make_folders(self.path.parent().unwrap_or(Path::new("/")), 0o700);
        let new = || File { bytes: Vec::new(), mode: 0o600, uid: 1000, gid: 1000 };
        state.disk.files.entry(self.path.clone()).or_insert_with(new).bytes.extend(line.bytes());
        state.keeper.changed = true;
    }
}

#[async_trait]
impl Files for World {
    async fn write(&self, request: &WriteFile) -> Result<(), Failure> {
        self.act(&format!("write {}", request.path.display()), |state| {
            state.disk.put(&request.path, request.file.clone())
        })
    }

    async fn copy(&self, request: &CopyFile) -> Result<(), Failure> {
        self.act(&format!("copy to {}", request.to.display()), |state| {
            let from = state.disk.readable(&request.from)?.cloned();
            let from = from.ok_or_else(|| missing(&request.from))?;
            match state.disk.readable(&request.to)? {
                Some(old) if old.bytes == from.bytes => Ok(()),
                Some(_) => Err(taken(&request.to)),
                None => state.disk.put(&request.to, File { mode: request.mode, ..from }),
            }
        })
    }

    async fn make_folder(&self, request: &MakeFolder) -> Result<(), Failure> {
        self.act(&format!("make folder {}", request.path.display()), |state| {
            if state.disk.files.contains_key(&request.path) {
                return Err(taken(&request.path));
            }
            state.disk.make_folders(&request.path, 0o700);
            Ok(())
        })
    }

    async fn remove(&self, request: &Remove) -> Result<(), Failure> {
        self.act(&format!("remove {}", request.path.display()), |state| {
            state.disk.remove(&request.path);
            Ok(())
        })
    }

    async fn rename(&self, request: &Rename) -> Result<(), Failure> {
        self.act(&format!("rename to {}", request.to.display()), |state| {
            if !state.disk.exists(&request.from) {
                return Err(missing(&request.from));
            }
            if state.disk.exists(&request.to) {
                return Err(taken(&request.to));
            }
            state.disk.rename(&request.from, &request.to);
            Ok(())
        })
    }

    fn log(&self, path: &Path) -> Arc<dyn LineLog> {
        Arc::new(Lines { world: self.clone(), path: path.to_owned() })
    }
}

pub(super) fn missing(path: &Path) -> Failure {
    Failure::new("file_missing", format!("`{}` does not exist", path.display()))
}

pub(super) fn taken(path: &Path) -> Failure {
    Failure::new("file_exists", format!("`{}` is there already, with other content", path.display()))
}
