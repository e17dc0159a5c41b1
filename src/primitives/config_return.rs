use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    set_config::{differing, in_effect, variables},
    set_of::open,
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::{File, Remove, WriteFile},
    },
    site::{Databases, Storage},
};

/// Put the env file and the compose files of a backup set in the place of those of now.
///
/// Each file goes where it was in the site's folder. Those of now are kept; taken back, they are there byte for byte.
/// A configuration by which web would use other databases or files, or other keys than the set's, is refused.
///
/// Undo: the files that were replaced are put back byte for byte.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigReturn {
    /// The folder of the set.
    pub set: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    files: Vec<One>,
    /// What must be so once they are there; older runs did not look.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    then: Option<Then>,
}

/// Marks of the keys that the set was made with, and where its data was restored.
#[derive(Debug, Serialize, Deserialize)]
struct Then {
    keys: BTreeMap<String, String>,
    databases: Databases,
    storage: Storage,
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
    /// Paths of the files that were put back.
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
        variables(&manifest, &self.set, site).await?.keep_the_data(&self.set, site)?;
        let mut files = Vec::new();
        for file in differing(&manifest, &self.set, site).await? {
            site.files.replaceable(&file.path).await?;
            let kept = site.kept().join("config").join(file.before.as_deref().unwrap_or("none"));
            let (from, mode) = (self.set.join(&file.stored.file), file.stored.mode);
            files.push(One {
                path: file.path,
                from,
                mode,
                before: file.before,
                after: file.stored.blake3,
                kept,
            });
        }
        let (databases, storage) = (site.site.databases.clone(), site.site.storage.clone());
        let then = Some(Then { keys: manifest.key_fingerprints, databases, storage });
        Ok(Intent { files, then })
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
            // Only what has been looked at to the end is done.
            all if done == all => match intent.fits(site).await {
                Ok(()) => Found::Applied(outcome(intent)),
                Err(failure) => Found::Partial(failure.message),
            },
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
        intent.fits(site.observe()).await?;
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
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

impl Intent {
    /// Keys and data are what they must be, as compose reads the files that are there now.
    async fn fits(&self, site: Observe<'_>) -> Result<(), Failure> {
        match &self.then {
            Some(then) => in_effect(&then.keys, (&then.databases, &then.storage), site).await,
            None => Ok(()),
        }
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
        .hint("put the file back, then type the command again")
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { files: intent.files.iter().map(|one| one.path.clone()).collect() }
}
