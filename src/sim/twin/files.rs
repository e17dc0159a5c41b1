use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{Twin, diff, short, tree::Node};
use crate::{
    event::Failure,
    ports::files::{
        CRONTAB, CopyFile, File, Files, FilesRead, Grown, Lies, LineLog, MakeFolder, Position, Remove,
        Rename, Space, UNITS, WriteFile,
    },
    sim::files::{missing, taken},
};

impl Twin {
    fn place(&self, path: &Path) -> Node {
        self.lock().tree.resolve(path)
    }

    /// Files and folders alike.
    async fn exists(&self, path: &Path) -> Result<bool, Failure> {
        let live = match self.place(path) {
            Node::Gone => return Ok(false),
            Node::Live { path, .. } => path,
            _ => return Ok(true),
        };
        let (Some(folder), Some(name)) = (live.parent(), live.file_name()) else { return Ok(true) };
        let name = name.to_string_lossy();
        Ok(self.live().files.list(folder).await?.iter().any(|known| *known == *name))
    }

    pub(super) async fn folder_of(&self, path: &Path) -> Result<(), Failure> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        if self.exists(folder).await? {
            return Ok(());
        }
        let message = format!("the folder `{}` does not exist", folder.display());
        Err(Failure::new("folder_missing", message))
    }

    /// Takes room in the rehearsal, and fails where the run would.
    pub(super) async fn take(&self, path: &Path, bytes: u64) -> Result<(), Failure> {
        let space = self.space(path).await?;
        if space.free < bytes {
            let message = format!("no space left for `{}`", path.display());
            let hint = format!("{bytes} bytes are needed, {} are free", space.free);
            return Err(Failure::new("no_room", message).hint(hint));
        }
        *self.lock().tree.used.entry(space.device).or_default() += bytes;
        Ok(())
    }

    pub(super) fn put(&self, path: &Path, node: Node) {
        self.lock().tree.put(path, node);
    }
}

impl Twin {
    /// What lies there is warned of, and comes and goes with every package that somebody installs: no plan rests on it.
    fn is_the_hosts(&self, path: &Path) -> bool {
        let is_one = path == Path::new(CRONTAB) || UNITS.iter().any(|folder| path.starts_with(folder));
        is_one && !path.starts_with(&self.site().project.dir)
    }
}

#[async_trait]
impl FilesRead for Twin {
    async fn read(&self, path: &Path) -> Result<Option<File>, Failure> {
        let (live, mode) = match self.place(path) {
            Node::File(file) => return Ok(Some(file)),
            Node::Gone => return Ok(None),
            Node::Folder => return Err(is_a_folder(path)),
            Node::Assumed { .. } => {
                let message = format!("what `{}` holds is known only once it is made", path.display());
                return Err(Failure::new("not_made_yet", message));
            }
            Node::Live { path, mode } => (path, mode),
        };
        let file = self.live().files.read(&live).await?;
        if !self.is_ours(&live) && !self.is_the_hosts(&live) {
            let hash = file.as_ref().map(|file| blake3::hash(&file.bytes).to_hex().to_string());
            let value = hash.as_deref().map_or("missing", short);
            self.remember(format!("file `{}`", live.display()), value);
        }
        Ok(file.map(|file| File { mode: mode.unwrap_or(file.mode), ..file }))
    }

    async fn hash(&self, path: &Path) -> Result<Option<String>, Failure> {
        let live = match self.place(path) {
            Node::File(file) => return Ok(Some(blake3::hash(&file.bytes).to_hex().to_string())),
            Node::Assumed { blake3, .. } => return Ok(Some(blake3)),
            Node::Gone => return Ok(None),
            Node::Folder => return Err(is_a_folder(path)),
            Node::Live { path, .. } => path,
        };
        if let Some(told) = self.told_hash(path).await? {
            return Ok(Some(told));
        }
        let hash = self.live().files.hash(&live).await?;
        if !self.is_ours(&live) {
            let value = hash.as_deref().map_or("missing", short);
            self.remember(format!("file `{}`", live.display()), value);
        }
        Ok(hash)
    }

    async fn size(&self, path: &Path) -> Result<Option<u64>, Failure> {
        match self.place(path) {
            Node::File(file) => Ok(Some(file.bytes.len() as u64)),
            Node::Assumed { bytes, .. } => Ok(Some(bytes)),
            Node::Folder | Node::Gone => Ok(None),
            Node::Live { path, .. } => self.live().files.size(&path).await,
        }
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, Failure> {
        let below = self.lock().tree.below(path);
        let mut names = BTreeSet::new();
        if let Some(live) = below {
            names.extend(self.live().files.list(&live).await?);
        }
        for (name, there) in self.lock().tree.children(path) {
            if there {
                names.insert(name);
            } else {
                names.remove(&name);
            }
        }
        Ok(names.into_iter().collect())
    }

    async fn owner(&self, path: &Path) -> Result<Option<(u32, u32)>, Failure> {
        match self.place(path) {
            Node::Gone => Ok(None),
            Node::File(File { uid, gid, .. }) => Ok(Some((uid, gid))),
            Node::Assumed { .. } => Ok(Some(Lies::default().owner)),
            Node::Live { path, .. } => self.live().files.owner(&path).await,
            Node::Folder => Ok(self.lies(path).await?.map(|lies| lies.owner)),
        }
    }

    async fn lies(&self, path: &Path) -> Result<Option<Lies>, Failure> {
        let touched = self.lock().tree.touched_below(path);
        match self.place(path) {
            Node::Gone => return Ok(None),
            Node::File(File { bytes, uid, gid, .. }) => {
                let lies = Lies { bytes: bytes.len() as u64, owner: (uid, gid), strange: Vec::new() };
                return Ok(Some(lies));
            }
            Node::Assumed { bytes, .. } => return Ok(Some(Lies { bytes, ..Lies::default() })),
            Node::Live { path, .. } if !touched => return self.live().files.lies(&path).await,
            Node::Live { .. } | Node::Folder => {}
        }
        // Of a folder that the rehearsal has made: as a run would make it, like the one above.
        let mut found = Lies::default();
        for above in path.ancestors() {
            if let Node::Live { path, .. } = self.place(above)
                && let Some(live) = self.live().files.lies(&path).await?
            {
                found.owner = live.owner;
                break;
            }
        }
        for name in self.list(path).await? {
            let inner = self.lies(&path.join(name)).await?.unwrap_or_default();
            found.bytes += inner.bytes;
            found.strange.extend(inner.strange);
        }
        Ok(Some(found))
    }

    async fn real(&self, path: &Path) -> Result<PathBuf, Failure> {
        self.live().files.real(path).await
    }

    async fn replaceable(&self, path: &Path) -> Result<(), Failure> {
        if matches!(self.place(path), Node::Folder) {
            return Err(is_a_folder(path));
        }
        self.live().files.replaceable(path).await
    }

    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        let space = self.live().files.space(path).await?;
        let used = self.lock().tree.used.get(&space.device).copied().unwrap_or_default();
        Ok(Space { free: space.free.saturating_sub(used), ..space })
    }

    async fn grown(&self, path: &Path, from: Option<Position>) -> Result<Option<Grown>, Failure> {
        self.live().files.grown(path, from).await
    }
}

#[async_trait]
impl Files for Twin {
    async fn write(&self, request: &WriteFile) -> Result<(), Failure> {
        self.folder_of(&request.path).await?;
        let before = match self.place(&request.path) {
            Node::Assumed { .. } => None,
            _ => self.read(&request.path).await?,
        };
        self.take(&request.path, request.file.bytes.len() as u64).await?;
        self.put(&request.path, Node::File(request.file.clone()));
        if before.as_ref() != Some(&request.file) {
            let old = before.as_ref().map_or(&[][..], |file| &file.bytes);
            let diff = diff::unified(&request.path, old, &request.file.bytes, self.site());
            self.wrote(request.change(before.as_ref(), &diff));
        }
        Ok(())
    }

    async fn copy(&self, request: &CopyFile) -> Result<(), Failure> {
        let hash = self.hash(&request.from).await?.ok_or_else(|| missing(&request.from))?;
        match self.hash(&request.to).await? {
            Some(old) if old == hash => return Ok(()),
            Some(_) => return Err(taken(&request.to)),
            None => self.folder_of(&request.to).await?,
        }
        let bytes = self.size(&request.from).await?;
        self.take(&request.to, bytes.unwrap_or_default()).await?;
        let node = match self.place(&request.from) {
            Node::File(file) => Node::File(File { mode: request.mode, ..file }),
            Node::Assumed { bytes, blake3 } => Node::Assumed { bytes, blake3 },
            Node::Live { path, .. } => Node::Live { path, mode: Some(request.mode) },
            Node::Folder | Node::Gone => return Err(missing(&request.from)),
        };
        self.put(&request.to, node);
        self.wrote(request.change(bytes));
        Ok(())
    }

    async fn make_folder(&self, request: &MakeFolder) -> Result<(), Failure> {
        if self.size(&request.path).await?.is_some() {
            return Err(taken(&request.path));
        }
        let mut new = Vec::new();
        for folder in request.path.ancestors() {
            if self.exists(folder).await? {
                break;
            }
            new.push(folder.to_owned());
        }
        if new.is_empty() {
            return Ok(());
        }
        for folder in new {
            self.put(&folder, Node::Folder);
        }
        self.wrote(request.change());
        Ok(())
    }

    async fn remove(&self, request: &Remove) -> Result<(), Failure> {
        if self.exists(&request.path).await? {
            self.lock().tree.remove(&request.path);
            self.wrote(request.change());
        }
        Ok(())
    }

    async fn rename(&self, request: &Rename) -> Result<(), Failure> {
        if !self.exists(&request.from).await? {
            return Err(missing(&request.from));
        }
        if self.exists(&request.to).await? {
            return Err(taken(&request.to));
        }
        self.lock().tree.rename(&request.from, &request.to);
        self.wrote(request.change());
        Ok(())
    }

    fn log(&self, _: &Path) -> Arc<dyn LineLog> {
        Arc::new(Unheard)
    }
}

/// Nothing of a rehearsal is logged.
struct Unheard;

impl LineLog for Unheard {
    fn line(&self, _: &str) {}
}

fn is_a_folder(path: &Path) -> Failure {
    Failure::new("is_a_folder", format!("`{}` is a folder", path.display()))
}
