//! The sets of a folder, each as good as it is and no better.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    manifest::{Home, Level, Manifest, Part},
    prove::whole,
    set::{self, MANIFEST, PARTIAL},
};
use crate::{
    event::Failure,
    ports::files::{File, Files, FilesRead, OWN_GROUP, WriteFile},
};

/// One set as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    pub set: String,
    pub path: PathBuf,
    /// RFC 3339 in UTC. From its name where it has no manifest; `None` if the name tells nothing either.
    pub created_at: Option<String>,
    /// Of all its files.
    pub bytes: u64,
    pub parts: Vec<Part>,
    /// `None` where its manifest, which says it, cannot be read.
    pub pinned: Option<bool>,
    /// The tag that was in use, and why the set was made.
    pub version: Option<String>,
    pub reason: Option<String>,
    #[serde(flatten)]
    pub standing: Standing,
    /// `None` if it has none that can be relied on.
    #[serde(skip)]
    pub manifest: Option<Manifest>,
}

impl Listed {
    /// Which databases are in it, as far as that is known.
    #[must_use]
    pub(super) fn home(&self) -> Option<Home> {
        self.manifest.as_ref()?.home()
    }

    /// When it was made, as far as that is known.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        self.created_at.as_ref()?.parse().ok()
    }
}

/// What a set is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// Read to its end and compared with what was in the databases; every file is still there with its length.
    Verified {
        level: Level,
        at: String,
    },
    /// Complete, but not proved that far.
    Unproved {
        why: String,
    },
    Damaged {
        why: String,
    },
    /// It was never finished.
    Incomplete,
    /// It cannot be judged: a newer uplift made it, or it may not be read.
    Unknown {
        why: String,
    },
}

impl Standing {
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Verified { .. })
    }
}

/// What a later look at a set has found, beside its manifest (`checked.json`): the manifest itself never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub format: u32,
    /// RFC 3339 in UTC.
    pub at: String,
    /// BLAKE3 of the manifest that it is about.
    pub manifest: String,
    /// How far it was proved; `None` if it is damaged.
    pub level: Option<Level>,
    /// What is wrong with it.
    #[serde(default)]
    pub failure: Option<String>,
}

impl Checked {
    pub const FORMAT: u32 = 1;
    pub const FILE: &'static str = "checked.json";
}

/// What a set is called that is on its way out, and so is whatever else is removed.
pub const DELETING: &str = ".deleting-";

/// All sets of a folder, newest first; those without a date last. None is read to its end: damage that changes no length
/// shows only once a set is verified.
pub async fn list(files: &dyn FilesRead, folder: &Path) -> Result<Vec<Listed>, Failure> {
    let mut sets = Vec::new();
    for name in files.list(folder).await? {
        let path = folder.join(&name);
        if name.starts_with('.') || files.size(&path).await?.is_some() {
            continue;
        }
        sets.push(one(files, name, path).await?);
    }
    sets.sort_by(|left, right| (right.date(), &right.set).cmp(&(left.date(), &left.set)));
    Ok(sets)
}

pub(super) async fn one(files: &dyn FilesRead, name: String, path: PathBuf) -> Result<Listed, Failure> {
    if name.ends_with(PARTIAL) {
        return without(files, name, path, Standing::Incomplete).await;
    }
    let (manifest, hash) = match set::read_hashed(files, &path).await {
        Ok(read) => read,
        Err(failure) => {
            let why = failure.message;
            let standing = match failure.code.as_str() {
                "set_incomplete" => Standing::Incomplete,
                "set_damaged" => Standing::Damaged { why },
                _ => Standing::Unknown { why },
            };
            return without(files, name, path, standing).await;
        }
    };
    let standing = standing(files, &manifest, &hash, &path).await;
    Ok(Listed {
        set: name,
        created_at: Some(manifest.created_at.clone()),
        bytes: manifest.bytes(),
        parts: manifest.parts(),
        pinned: Some(manifest.pinned),
        version: Some(manifest.version.clone()),
        reason: Some(manifest.reason.clone()),
        standing,
        manifest: Some(manifest),
        path,
    })
}

async fn without(
    files: &dyn FilesRead,
    set: String,
    path: PathBuf,
    standing: Standing,
) -> Result<Listed, Failure> {
    let mut bytes = 0;
    // A folder that may not be read is shown all the same.
    for name in files.list(&path).await.unwrap_or_default() {
        bytes += files.size(&path.join(name)).await.ok().flatten().unwrap_or_default();
    }
    let created_at = named(&set);
    // What was never finished was never pinned.
    let pinned = set.ends_with(PARTIAL).then_some(false);
    let (parts, version, reason, manifest) = (Vec::new(), None, None, None);
    Ok(Listed { set, path, created_at, bytes, parts, pinned, version, reason, standing, manifest })
}

/// The moment that a set's name tells: `20261124-031500-7f3a`.
fn named(set: &str) -> Option<String> {
    let time = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", set.get(..15)?).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.to_string())
}

async fn standing(files: &dyn FilesRead, manifest: &Manifest, hash: &str, path: &Path) -> Standing {
    if let Err(failure) = whole(manifest, path, files).await {
        return match failure.code.as_str() {
            "set_damaged" => Standing::Damaged { why: failure.message },
            _ => Standing::Unknown { why: failure.message },
        };
    }
    let made = manifest.verification.as_ref().map(|one| (one.level, one.at.clone()));
    let later = match checked(files, path).await {
        Ok(checked) => checked.filter(|checked| checked.manifest == hash),
        Err(why) => return Standing::Unknown { why },
    };
    if let Some(Checked { at, failure: Some(why), .. }) = later {
        return Standing::Damaged { why: format!("{why} (found on {at})") };
    }
    let later = later.and_then(|checked| Some((checked.level?, checked.at)));
    match made.into_iter().chain(later).max() {
        Some((Level::Hashes, _)) => {
            let why = manifest.verification.as_ref().and_then(|one| one.why.clone());
            Standing::Unproved { why: why.unwrap_or_else(|| "only its hashes were compared".to_owned()) }
        }
        Some((level, at)) => Standing::Verified { level, at },
        None => {
            Standing::Unproved { why: "an older uplift made it, which did not count its rows".to_owned() }
        }
    }
}

/// Notes beside a set what a look at all of it has found.
pub async fn note(
    path: &Path,
    at: Timestamp,
    level: Option<Level>,
    failure: Option<String>,
    files: &dyn Files,
) -> Result<(), Failure> {
    let bytes = files.read(&path.join(MANIFEST)).await?.map(|file| file.bytes).unwrap_or_default();
    let (uid, gid) = (files.owner(path).await?.unwrap_or_default().0, OWN_GROUP);
    let checked = Checked {
        format: Checked::FORMAT,
        at: at.to_string(),
        manifest: blake3::hash(&bytes).to_hex().to_string(),
        level,
        failure,
    };
    let bytes = serde_json::to_vec_pretty(&checked).map_err(|error| {
        Failure::inside("not_recordable", format!("what was found cannot be recorded: {error}"))
    })?;
    let file = File { bytes, mode: 0o600, uid, gid };
    let what = "what a look at the backup has found".to_owned();
    files.write(&WriteFile { path: path.join(Checked::FILE), file, what }).await
}

/// Why not, if it is there and cannot be read: it may say that the set is damaged.
async fn checked(files: &dyn FilesRead, path: &Path) -> Result<Option<Checked>, String> {
    let file = path.join(Checked::FILE);
    let unread = |why: String| {
        let set = path.file_name().unwrap_or_default().to_string_lossy();
        let file = file.display();
        format!(
            "what was found of it cannot be read: `{file}`: {why}; prove it anew: `uplift backup verify {set}`"
        )
    };
    let Some(found) = files.read(&file).await.map_err(|failure| unread(failure.message))? else {
        return Ok(None);
    };
    let garbled = |error: serde_json::Error| unread(error.to_string());
    let format = serde_json::from_slice::<set::Versioned>(&found.bytes).map_err(garbled)?.format;
    if format > Checked::FORMAT {
        return Err(unread(format!("a newer uplift wrote it (format {format})")));
    }
    serde_json::from_slice(&found.bytes).map(Some).map_err(garbled)
}
