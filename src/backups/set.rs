use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::manifest::{FORMAT, Manifest};
use crate::{event::Failure, ports::files::FilesRead, site::Site};

/// Where a site's sets lie.
#[must_use]
pub fn folder(site: &Site) -> PathBuf {
    folder_in(&site.state)
}

/// Where they lie below a state folder.
#[must_use]
pub fn folder_in(state: &Path) -> PathBuf {
    state.join("backups")
}

/// The name that a set has until it is complete.
#[must_use]
pub fn partial(folder: &Path, set: &str) -> PathBuf {
    folder.join(format!("{set}{PARTIAL}"))
}

/// Where a run notes the uploaded files while the application stands still. It is no set: it stays as long as the run's
/// savepoint, and a later run removes it.
#[must_use]
pub fn uploads_note(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{NOTE}{run}"))
}

const NOTE: &str = ".uploads-";

/// Such notes that are there, of any of these runs.
pub async fn uploads_notes(
    files: &dyn FilesRead,
    folder: &Path,
    runs: &[String],
) -> Result<Vec<PathBuf>, Failure> {
    let of_one = |name: &String| {
        name.strip_prefix(NOTE).is_some_and(|rest| runs.iter().any(|run| rest.starts_with(run)))
    };
    Ok(files.list(folder).await?.into_iter().filter(of_one).map(|name| folder.join(name)).collect())
}

/// How the name of a set ends that is not complete.
pub(super) const PARTIAL: &str = ".partial";

/// The set of one call of a run. Calls of one block are all decided on before any has made its set, so each needs a name
/// that no other call of the block can have: the first `backup` has the run's own, every other has its verb and number in
/// it. `number` counts the sets of that name that are there.
#[must_use]
pub fn set_id(run: &str, call: Option<&str>, number: usize) -> String {
    let call = call.and_then(|address| address.rsplit('/').next()).unwrap_or("backup#1");
    let name = match call.split_once('#').unwrap_or((call, "1")) {
        ("backup", "1") => run.to_owned(),
        (verb, "1") => format!("{run}-{}", verb.replace('_', "-")),
        (verb, count) => format!("{run}-{}{count}", verb.replace('_', "-")),
    };
    if number == 0 { name } else { format!("{name}-{}", number + 1) }
}

/// The one field that every format has.
#[derive(Deserialize)]
pub(super) struct Versioned {
    pub(super) format: u32,
}

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const HASH: &str = "manifest.b3";

/// The manifest of the set in `path`, proved by its own hash. Fails with `set_incomplete`, `set_damaged` or `set_newer`.
pub async fn read(files: &dyn FilesRead, path: &Path) -> Result<Manifest, Failure> {
    Ok(read_hashed(files, path).await?.0)
}

/// The same, with the hash.
pub(super) async fn read_hashed(files: &dyn FilesRead, path: &Path) -> Result<(Manifest, String), Failure> {
    let wrong = |code: &str, what: &str| {
        Failure::new(code, format!("`{}`: {what}", path.display()))
            .hint("take another set: `uplift backup list`")
    };
    let file = files.read(&path.join(MANIFEST)).await?.ok_or_else(|| {
        wrong("set_incomplete", "there is no `manifest.json`, so this is no complete backup")
    })?;
    let stored = files.read(&path.join(HASH)).await?;
    let hash = blake3::hash(&file.bytes).to_hex().to_string();
    if stored.map(|file| file.bytes) != Some(format!("{hash}\n").into_bytes()) {
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
    Ok((serde_json::from_slice(&file.bytes).map_err(unreadable)?, hash))
}
