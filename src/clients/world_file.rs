//! The files of a simulated site: what it began with, and what it has become. They are nobody's data, so nothing is
//! synced; each is there whole or not at all.
#![expect(clippy::disallowed_methods, reason = "the clients read and write files")]

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::Path};

use crate::event::Failure;

/// The text of a file; `None` if there is none.
pub fn read_world(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read", &error).hint("name a TOML file of yours")),
    }
}

/// Replaces a file, and makes its folder.
pub fn keep_world(path: &Path, text: &str) -> Result<(), Failure> {
    let whole = || {
        let folder = path.parent().unwrap_or(Path::new("/"));
        // As a state folder is made.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let beside = path.with_extension("partial");
        fs::write(&beside, text)?;
        fs::rename(&beside, path)
    };
    whole().map_err(|error: io::Error| {
        failed(path, "written", &error).hint("copy the world file to a folder of your own, and name that")
    })
}

fn failed(path: &Path, verb: &str, error: &io::Error) -> Failure {
    let why = error.to_string().to_lowercase();
    Failure::new("world_file", format!("`{}` cannot be {verb}: {why}", path.display()))
}
