use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    set_of::open,
};
use crate::{
    backups::{ConfigFile, Manifest},
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::{File, Remove, WriteFile},
    },
};

/// Put the env file and the compose files of a backup set in the place of those of now.
///
/// Files are found by their names in the site folder. Those of now are kept; taken back, they are there byte for byte.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigReturn {
    /// The folder of the set.
    pub set: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    files: Vec<One>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct One {
    path: PathBuf,
    from: PathBuf,
    mode: u32,
    /// BLAKE3 before and after; `None` if there was no such file.
    before: Option<String>,
    after: String,
    kept: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    pub files: Vec<PathBuf>,
}

impl Effect for ConfigReturn {
    const NAME: &'static str = "config_return";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { set: "/srv/strata/.uplift/backups/20261120-031500-0001".into() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let manifest = open(&self.set, site).await?;
        let mut files = Vec::new();
        for file in differing(&manifest, &self.set, site).await? {
            let path = PathBuf::from(&file.path);
            let kept = site.kept().join("config").join(file.before.as_deref().unwrap_or("none"));
            let (from, mode) = (self.set.join(&file.stored.file), file.stored.mode);
            files.push(One { path, from, mode, before: file.before, after: file.stored.blake3, kept });
        }
        Ok(Intent { files })
    }

    fn summary(intent: &Intent) -> String {
        let names: Vec<_> = intent.files.iter().map(|one| format!("`{}`", one.path.display())).collect();
        if names.is_empty() {
            return "the configuration is that of the set already".to_owned();
        }
        format!("put {} of the set in their places", names.join(", "))
    }

    fn result(outcome: &Outcome) -> String {
        format!("{} files are those of the set", outcome.files.len())
    }

    fn undo_summary(_: &Intent) -> String {
        "put the files of now back byte for byte".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let (mut done, mut untouched) = (0, 0);
        for one in &intent.files {
            let now = site.files.hash(&one.path).await?;
            done += usize::from(now.as_ref() == Some(&one.after));
            untouched += usize::from(now == one.before);
        }
        Ok(match intent.files.len() {
            all if done == all => Found::Applied(outcome(intent)),
            all if untouched == all => Found::NotApplied,
            all if done + untouched == all => Found::Partial(format!("{done} of {all} files are there")),
            _ => Found::CannotTell("somebody has edited one of the files meanwhile".to_owned()),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        for one in &intent.files {
            let now = site.files.read(&one.path).await?;
            let hash = now.as_ref().map(|file| hash(&file.bytes));
            if hash.as_ref() == Some(&one.after) {
                continue;
            }
            if hash != one.before {
                let text = format!("`{}` was edited after the run began", one.path.display());
                return Err(Failure::new("config_changed", text).hint("look at the edit and begin again"));
            }
            if let Some(file) = &now {
                let what = "copy of a configuration file as it was";
                write_kept(&one.kept, file.bytes.clone(), what, site).await?;
            }
            let stored = site.files.read(&one.from).await?.ok_or_else(|| gone(&one.from))?;
            if self::hash(&stored.bytes) != one.after {
                let text = format!("`{}` is not what was written", one.from.display());
                return Err(Failure::new("set_damaged", text).hint("take another set: `uplift backup list`"));
            }
            // Whoever owns the file of now owns the new one; a new one gets the owner that the set gave it.
            let owner = now.as_ref().unwrap_or(&stored);
            let file = File { mode: one.mode, uid: owner.uid, gid: owner.gid, bytes: stored.bytes.clone() };
            let what = "configuration of the set".to_owned();
            site.files.write(&WriteFile { path: one.path.clone(), file, what }).await?;
        }
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, _: &Back, site: Operate<'_>) -> Result<Undone, Failure> {
        let mut back = 0;
        for one in &intent.files {
            let now = site.files.read(&one.path).await?;
            let hash = now.as_ref().map(|file| hash(&file.bytes));
            if hash == one.before {
                continue;
            }
            if hash.as_ref() != Some(&one.after) {
                let text = format!("`{}` was edited by somebody else since", one.path.display());
                return Err(Failure::new("config_changed", text)
                    .hint(format!("as it was before: `{}`", one.kept.display())));
            }
            put_back(one, now.as_ref(), site).await?;
            back += 1;
        }
        Ok(match back {
            0 => Undone::nothing("the configuration is as it was"),
            _ => Undone::restored(format!("put {back} configuration files back")),
        })
    }
}

async fn put_back(one: &One, now: Option<&File>, site: Operate<'_>) -> Result<(), Failure> {
    if one.before.is_none() {
        let what = "configuration that was not there before".to_owned();
        return site.files.remove(&Remove { path: one.path.clone(), what }).await;
    }
    let kept = site.files.read(&one.kept).await?.ok_or_else(|| gone(&one.kept))?;
    let file = match now {
        Some(now) => File { bytes: kept.bytes, ..now.clone() },
        None => kept,
    };
    let what = "configuration as it was".to_owned();
    site.files.write(&WriteFile { path: one.path.clone(), file, what }).await
}

fn gone(path: &Path) -> Failure {
    Failure::new("file_missing", format!("there is no `{}`", path.display()))
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { files: intent.files.iter().map(|one| one.path.clone()).collect() }
}

/// A file of the configuration that is other than in the set.
pub(super) struct Differing {
    /// Where it is on this site.
    pub path: String,
    pub stored: ConfigFile,
    /// BLAKE3 of the file of now.
    pub before: Option<String>,
    /// Names of variables whose values differ, for an env file: values may be secrets.
    names: Vec<String>,
}

impl Differing {
    pub(super) fn in_words(&self) -> String {
        match (&self.before, self.names.as_slice()) {
            (None, _) => format!("`{}` is in the set and not here", self.path),
            (_, []) => format!("`{}` is other than in the set", self.path),
            (_, names) => format!("`{}` has other values than in the set: {}", self.path, names.join(", ")),
        }
    }
}

/// What is other than in the set, by the files' names in the site folder.
pub(super) async fn differing(
    manifest: &Manifest,
    folder: &Path,
    site: Observe<'_>,
) -> Result<Vec<Differing>, Failure> {
    let mut found = Vec::new();
    for stored in &manifest.config {
        let name = Path::new(&stored.path).file_name().unwrap_or_default();
        let known = site.site.project.config_files();
        let path = known.into_iter().find(|path| path.file_name() == Some(name));
        let path = path.unwrap_or_else(|| site.site.project.dir.join(name));
        let now = site.files.read(&path).await?;
        let before = now.as_ref().map(|file| hash(&file.bytes));
        if before.as_ref() == Some(&stored.blake3) {
            continue;
        }
        let then = site.files.read(&folder.join(&stored.file)).await?;
        let names = match (&now, &then) {
            (Some(now), Some(then)) if is_env(&path, site) => other_names(&now.bytes, &then.bytes),
            _ => Vec::new(),
        };
        found.push(Differing { path: path.display().to_string(), stored: stored.clone(), before, names });
    }
    Ok(found)
}

fn is_env(path: &Path, site: Observe<'_>) -> bool {
    let project = &site.site.project;
    project.env_file() == path || project.env_files.iter().any(|file| file == path)
}

/// Names of variables that have other values, or are in one of the files only.
fn other_names(now: &[u8], then: &[u8]) -> Vec<String> {
    let read = |bytes: &[u8]| -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
            .collect()
    };
    let (now, then) = (read(now), read(then));
    let names: BTreeSet<_> = now.keys().chain(then.keys()).collect();
    names
        .into_iter()
        .filter(|name| now.get(*name) != then.get(*name))
        .map(|name| format!("`{name}`"))
        .collect()
}
