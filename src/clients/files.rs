//! Files and folders of this host. All of it blocks, so all of it runs on threads made for that.
#![expect(clippy::disallowed_methods, reason = "the clients read and write files")]

mod failed;
mod lies;
mod log;
mod place;
mod replace;
mod write;

use std::{
    fs::{self, File as Open},
    io::{ErrorKind, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use self::failed::{folder_in_place, missing, reading, taken};
pub(super) use self::{
    failed::{is_full, no_room, not_made, unread, writing},
    write::fresh,
};
use crate::{
    event::Failure,
    ports::files::{
        CopyFile, File, Files, FilesRead, Grown, Lies, LineLog, MakeFolder, Position, Remove, Rename, Space,
        WriteFile,
    },
};

/// The files of this host.
pub(super) struct HostFiles;

/// Runs what blocks away from the threads that keep everything else going.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Failure::inside("task_failed", format!("work on a thread ended: {error}")))
    })
}

#[async_trait]
impl FilesRead for HostFiles {
    async fn read(&self, path: &Path) -> Result<Option<File>, Failure> {
        let path = path.to_owned();
        blocking(move || {
            let Some((mut open, about)) = opened(&path)? else { return Ok(None) };
            let mut bytes = Vec::new();
            open.read_to_end(&mut bytes).map_err(|error| reading(&path, &error))?;
            let (mode, uid, gid) = (about.mode() & 0o7777, about.uid(), about.gid());
            Ok(Some(File { bytes, mode, uid, gid }))
        })
        .await
    }

    async fn hash(&self, path: &Path) -> Result<Option<String>, Failure> {
        let path = path.to_owned();
        blocking(move || hash(&path)).await
    }

    async fn size(&self, path: &Path) -> Result<Option<u64>, Failure> {
        let path = path.to_owned();
        blocking(move || match fs::metadata(&path) {
            Ok(about) => Ok(about.is_file().then_some(about.len())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(reading(&path, &error)),
        })
        .await
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, Failure> {
        let path = path.to_owned();
        blocking(move || {
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if is_absent(&error) => return Ok(Vec::new()),
                Err(error) => return Err(reading(&path, &error)),
            };
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names: Vec<_> =
                names.collect::<std::io::Result<_>>().map_err(|error| reading(&path, &error))?;
            names.sort();
            Ok(names)
        })
        .await
    }

    async fn owner(&self, path: &Path) -> Result<Option<(u32, u32)>, Failure> {
        let path = path.to_owned();
        blocking(move || match fs::symlink_metadata(&path) {
            Ok(about) => Ok(Some((about.uid(), about.gid()))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(reading(&path, &error)),
        })
        .await
    }

    async fn lies(&self, path: &Path) -> Result<Option<Lies>, Failure> {
        let path = path.to_owned();
        blocking(move || lies::lies(&path)).await
    }

    async fn real(&self, path: &Path) -> Result<PathBuf, Failure> {
        let path = path.to_owned();
        blocking(move || match fs::canonicalize(&path) {
            Ok(real) => Ok(real),
            Err(error) if is_absent(&error) => Ok(path),
            Err(error) => Err(reading(&path, &error)),
        })
        .await
    }

    async fn replaceable(&self, path: &Path) -> Result<(), Failure> {
        let path = path.to_owned();
        blocking(move || replace::replaceable(&path)).await
    }

    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        let path = path.to_owned();
        blocking(move || place::space(&path)).await
    }

    async fn grown(&self, path: &Path, from: Option<Position>) -> Result<Option<Grown>, Failure> {
        let path = path.to_owned();
        blocking(move || log::grown(&path, from)).await
    }
}

#[async_trait]
impl Files for HostFiles {
    async fn write(&self, request: &WriteFile) -> Result<(), Failure> {
        let WriteFile { path, file, .. } = request.clone();
        blocking(move || {
            let path = write::behind_links(&path);
            folder_in_place(&path)?;
            let owner = Some((file.uid, file.gid));
            write::Beside::new(&path)?.filled(&mut file.bytes.as_slice(), file.mode, owner)?.replace()
        })
        .await
    }

    async fn copy(&self, request: &CopyFile) -> Result<(), Failure> {
        let CopyFile { from, to, mode, .. } = request.clone();
        blocking(move || {
            let Some((mut open, _)) = opened(&from)? else { return Err(missing(&from)) };
            if fs::symlink_metadata(&to).is_ok() {
                return if hash(&from)? == hash(&to)? { Ok(()) } else { Err(taken(&to)) };
            }
            folder_in_place(&to)?;
            write::Beside::new(&to)?.filled(&mut open, mode, write::heir(&to))?.keep()
        })
        .await
    }

    async fn make_folder(&self, request: &MakeFolder) -> Result<(), Failure> {
        let path = request.path.clone();
        blocking(move || write::make_folder(&path)).await
    }

    async fn remove(&self, request: &Remove) -> Result<(), Failure> {
        let path = request.path.clone();
        blocking(move || write::remove(&path)).await
    }

    async fn rename(&self, request: &Rename) -> Result<(), Failure> {
        let Rename { from, to, .. } = request.clone();
        blocking(move || write::rename(&from, &to)).await
    }

    fn log(&self, path: &Path) -> Arc<dyn LineLog> {
        Arc::new(log::Lines::at(path))
    }
}

/// An open file with what is known about it; `None` if there is none. Nothing else than a file is opened: a pipe
/// would wait for a writer for ever.
fn opened(path: &Path) -> Result<Option<(Open, fs::Metadata)>, Failure> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(reading(path, &error)),
    };
    if about.is_dir() {
        return Err(reading(path, &ErrorKind::IsADirectory.into()));
    }
    if !about.is_file() {
        let text = format!("`{}` is neither a file nor a folder", path.display());
        return Err(Failure::new("not_a_file", text).hint("put a plain file there: `ls -l` shows what it is"));
    }
    match Open::open(path) {
        Ok(open) => Ok(Some((open, about))),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(reading(path, &error)),
    }
}

fn hash(path: &Path) -> Result<Option<String>, Failure> {
    let Some((open, _)) = opened(path)? else { return Ok(None) };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(open).map_err(|error| reading(path, &error))?;
    Ok(Some(hasher.finalize().to_hex().to_string()))
}

/// The path, or a part of it that would have to be a folder, does not exist.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
