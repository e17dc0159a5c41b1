//! A folder for as long as something is tried: nobody else may look into it, and it goes however that ends.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::event::Failure;

/// Where there is room for it this is in memory: many small journals would wait for the disk most of the time.
const MEMORY: &str = "/dev/shm";
const ENOUGH: u64 = 256 << 20;

/// The folder goes with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder, 0700.
    pub fn new() -> Result<Self, Failure> {
        let room = rustix::fs::statvfs(MEMORY).map_or(0, |about| about.f_bavail * about.f_frsize);
        let places = [(room > ENOUGH).then(|| PathBuf::from(MEMORY)), Some(std::env::temp_dir())];
        let mut last = None;
        for place in places.into_iter().flatten() {
            match made(&place) {
                Ok(path) => return Ok(Self(path)),
                Err(error) => last = Some((place, error)),
            }
        }
        let (place, why) = last.map_or_else(
            || (PathBuf::from("/tmp"), "nothing was tried".to_owned()),
            |(place, error)| (place, error.to_string().to_lowercase()),
        );
        let text = format!("no folder can be made in `{}`: {why}", place.display());
        Err(Failure::new("no_scratch", text).hint("name a folder that you may write to in `TMPDIR`"))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// An empty folder in it.
    pub fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            let why = error.to_string().to_lowercase();
            Failure::new("no_scratch", format!("`{}` cannot be made: {why}", path.display()))
                .hint("name a folder that you may write to in `TMPDIR`")
        })?;
        Ok(path)
    }

    /// The folder goes at once, whoever still has this value.
    pub fn clear(&self) {
        // What cannot go is in a folder of its own, and small.
        let _stays = fs::remove_dir_all(&self.0);
    }

    /// A copy of the folder `from` beside it, both below this one; what is there at `to` goes. `from` may be at work.
    pub fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.0.join(from), self.0.join(to));
        gone(&to)?;
        copied(&from, &to)
    }

    /// Puts the folder `from` in the place of `to`, both below this one.
    pub fn put(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.0.join(from), self.0.join(to));
        gone(&to)?;
        fs::rename(from, to)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.clear();
    }
}

fn made(place: &Path) -> io::Result<PathBuf> {
    let drawn = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let path = place.join(format!("uplift-tests-{drawn:016x}"));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn gone(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    let mode = fs::metadata(from)?.permissions().mode();
    for entry in fs::read_dir(from)? {
        let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let Some(name) = entry.file_name() else { continue };
        if kind.is_dir() {
            copied(&entry, &to.join(name))?;
        } else if kind.is_file() {
            match fs::copy(&entry, to.join(name)) {
                // A file of a moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => drop(other?),
            }
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_what_is_in_it() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        scratch.folder("one").unwrap();
        fs::write(path.join("one/a"), "text").unwrap();
        scratch.copy("one", "two").unwrap();
        fs::write(path.join("one/a"), "other").unwrap();
        scratch.put("two", "one").unwrap();
        assert_eq!(fs::read_to_string(path.join("one/a")).unwrap(), "text");
        assert!(!path.join("two").exists());
        drop(scratch);
        assert!(!path.exists());
    }
}
