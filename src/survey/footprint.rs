//! What uplift itself takes of the disk.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{event::Failure, ports::files::FilesRead};

/// The state folder in figures: lengths of files in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    pub folder: PathBuf,
    /// All of it.
    pub bytes: u64,
    pub backups: u64,
    /// What runs have kept for their way back, and their logs.
    pub runs: u64,
    /// `uplift backup prune` would remove some of it; `None` where that was not looked at.
    pub old: Option<bool>,
}

/// `None` if there is no state folder yet.
pub async fn footprint(files: &dyn FilesRead, state: &Path) -> Result<Option<Footprint>, Failure> {
    let Some(all) = files.lies(state).await? else { return Ok(None) };
    let (mut total, mut below) = (all.bytes, [0; 3]);
    for (bytes, name) in below.iter_mut().zip(["backups", "kept", "logs"]) {
        let path = state.join(name);
        *bytes = files.lies(&files.real(&path).await?).await?.unwrap_or_default().bytes;
        // Somebody has given it a disk of its own.
        if all.strange.contains(&path) {
            total += *bytes;
        }
    }
    let [backups, kept, logs] = below;
    Ok(Some(Footprint { folder: state.to_owned(), bytes: total, backups, runs: kept + logs, old: None }))
}
