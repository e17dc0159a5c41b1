use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, Level, Manifest, Verification};
use crate::{event::Failure, ports::files::FilesRead, site::Site};

/// One complete set, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetSummary {
    pub set: String,
    pub created_at: String,
    pub version: String,
    pub bytes: u64,
    pub path: PathBuf,
}

/// Where a site's sets lie.
#[must_use]
pub fn folder(site: &Site) -> PathBuf {
    site.state.join("backups")
}

/// The name that a set has until it is complete.
#[must_use]
pub fn partial(folder: &Path, set: &str) -> PathBuf {
    folder.join(format!("{set}.partial"))
}

/// The set of a run: one run makes at most one of each number, so that it is found again after a crash.
#[must_use]
pub fn set_id(run: &str, number: usize) -> String {
    if number == 0 { run.to_owned() } else { format!("{run}-{}", number + 1) }
}

/// The complete sets, newest first. What cannot be read is left out here; [`verify`] says why.
pub async fn list(files: &dyn FilesRead, folder: &Path) -> Result<Vec<SetSummary>, Failure> {
    let mut sets = Vec::new();
    for name in files.list(folder).await? {
        if Path::new(&name).extension().is_some() {
            continue;
        }
        let path = folder.join(&name);
        if let Ok(manifest) = read(files, &path).await {
            let bytes = manifest.bytes();
            sets.push(SetSummary {
                set: name,
                created_at: manifest.created_at,
                version: manifest.version,
                bytes,
                path,
            });
        }
    }
    sets.sort_by(|left, right| right.created_at.cmp(&left.created_at));
    Ok(sets)
}

/// The one field that every format has.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// The manifest of the set in `path`, proved by its own hash.
pub async fn read(files: &dyn FilesRead, path: &Path) -> Result<Manifest, Failure> {
    let wrong = |code: &str, what: &str| Failure::new(code, format!("`{}`: {what}", path.display()));
    let manifest = path.join("manifest.json");
    let file = files.read(&manifest).await?.ok_or_else(|| {
        wrong("set_incomplete", "there is no `manifest.json`, so this is no complete backup")
    })?;
    let stored = files.read(&path.join("manifest.b3")).await?;
    let stored = stored.map(|file| String::from_utf8_lossy(&file.bytes).trim().to_owned());
    if stored.as_deref() != Some(blake3::hash(&file.bytes).to_hex().as_str()) {
        return Err(wrong("set_damaged", "the manifest does not have the hash that was written beside it"));
    }
    let unreadable =
        |error: serde_json::Error| wrong("set_damaged", &format!("cannot read the manifest: {error}"));
    let format = serde_json::from_slice::<Versioned>(&file.bytes).map_err(unreadable)?.format;
    if format == 0 {
        return Err(wrong("set_damaged", "the manifest says no format"));
    }
    if format > FORMAT {
        let what = format!("the manifest has format {format}; this uplift knows format {FORMAT}");
        return Err(wrong("set_newer", &what).hint("use the uplift that made it, or a newer one"));
    }
    serde_json::from_slice(&file.bytes).map_err(unreadable)
}

/// Reads every file of a set back from disk and compares its hash with the manifest's.
pub async fn verify(files: &dyn FilesRead, path: &Path) -> Result<Verification, Failure> {
    let manifest = read(files, path).await?;
    let mut verified =
        Verification { level: Level::Hashes, at: String::new(), files: 0, bytes: 0, rows: 0, why: None };
    for stored in manifest.files() {
        let file = path.join(stored.file);
        let found = files.hash(&file).await?;
        if found.as_deref() != Some(stored.blake3) {
            let what = if found.is_some() { "is not what was written" } else { "is missing" };
            let text = format!("`{}` {what}", file.display());
            return Err(Failure::new("set_damaged", text).hint("do not rely on this backup; make a new one"));
        }
        verified.files += 1;
        verified.bytes += stored.bytes;
    }
    Ok(verified)
}
