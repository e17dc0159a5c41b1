//! The files of a simulated site: what it began with, and what it has become. They are nobody's data, so nothing is
//! synced; each is there whole or not at all.
#![expect(clippy::disallowed_methods, reason = "the clients read and write files")]

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::event::Failure;

/// The text of a file that somebody has named; `None` if there is none.
pub fn read_text(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a world's own file.
pub fn read_world(path: &Path) -> Result<Option<String>, Failure> {
    read_text(path).map_err(|error| failed(path, "read", &error).hint("name a TOML file of yours"))
}

/// The file that a world is kept in. It is read once and written whole, so that what another command has written
/// meanwhile must not be written over.
pub struct KeptWorld {
    path: PathBuf,
    seen: Mutex<Option<Look>>,
}

/// Inode and time of the last change: each writing makes a new file.
type Look = (u64, i64, i64);

impl KeptWorld {
    /// As it is now.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        let seen = Mutex::new(look(&path));
        Self { path, seen }
    }

    /// The text, if a world was ever kept here.
    pub fn read(&self) -> Result<Option<String>, Failure> {
        read_world(&self.path)
    }

    /// Replaces the text, and makes its folder.
    pub fn keep(&self, text: &str) -> Result<(), Failure> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if look(&self.path) != *seen {
            let text = "another command has changed this simulated site since this one has read it";
            return Err(
                Failure::new("world_changed", text).hint("type the command again, once the other has ended")
            );
        }
        self.write(text).map_err(|error: io::Error| {
            failed(&self.path, "written", &error)
                .hint("copy the world file to a folder of your own, and name that")
        })?;
        *seen = look(&self.path);
        Ok(())
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // As a state folder is made.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let beside = self.path.with_extension(format!("{}.partial", std::process::id()));
        fs::write(&beside, text)?;
        fs::rename(&beside, &self.path)
    }
}

fn look(path: &Path) -> Option<Look> {
    let about = fs::metadata(path).ok()?;
    Some((about.ino(), about.mtime(), about.mtime_nsec()))
}

fn failed(path: &Path, verb: &str, error: &io::Error) -> Failure {
    let why = error.to_string().to_lowercase();
    Failure::new("world_file", format!("`{}` cannot be {verb}: {why}", path.display()))
}
