use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Left, Undone, WhenUnknown},
};
use crate::{
    event::{Choice, Failure, Question, Refusal},
    ports::{
        Observe, Operate, env_file,
        files::{File, FilesRead, WriteFile},
    },
};

/// Set variables in the project's env file, keeping every other byte of it.
///
/// The options are the variables: `env_set(#{ STRATA_VERSION: params::to })`. The file as it was is kept with
/// the run; if somebody edits the file meanwhile, that edit is never overwritten. Values that are secrets do not
/// belong in a runbook.
///
/// Undo: the file is put back byte for byte. If somebody has edited it meanwhile, a person is asked which one is to stay.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct EnvSet {
    /// Variables by name, each with one line of text.
    #[serde(flatten)]
    pub values: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    file: PathBuf,
    values: BTreeMap<String, String>,
    /// BLAKE3 of the file before and after, 64 hex digits.
    before: String,
    after: String,
    /// Where its bytes as they were are kept.
    kept: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Names that were set, whether or not their values were new.
    pub set: Vec<String>,
    /// Whether the file has another content now.
    pub changed: bool,
}

impl Effect for EnvSet {
    const NAME: &'static str = "env_set";
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { values: BTreeMap::from([("STRATA_VERSION".to_owned(), "1.1.0".to_owned())]) }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        for (name, value) in &self.values {
            check(name, value)?;
        }
        let file = site.site.project.env_file();
        // Found while the plan is made, and not when the site stands still.
        site.files.replaceable(&file).await?;
        let text = text_of(&file, site.files).await?;
        let after = edited(&text, &self.values);
        let before = hash(text.as_bytes());
        let kept = site.kept().join("env").join(&before);
        Ok(Intent { file, values: self.values.clone(), before, after: hash(after.as_bytes()), kept })
    }

    fn summary(intent: &Intent) -> String {
        let values: Vec<_> = intent.values.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
        format!("set {} in `{}`", values.join(", "), intent.file.display())
    }

    fn result(outcome: &Outcome) -> String {
        let names: Vec<_> = outcome.set.iter().map(|name| format!("`{name}`")).collect();
        if outcome.changed {
            format!("{} set", names.join(", "))
        } else {
            format!("{} already so", names.join(", "))
        }
    }

    fn undo_summary(intent: &Intent) -> String {
        format!("put `{}` back byte for byte", intent.file.display())
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let now = site.files.hash(&intent.file).await?;
        Ok(match now {
            Some(now) if now == intent.after => Found::Applied(outcome(intent)),
            Some(now) if now == intent.before => Found::NotApplied,
            _ => Found::CannotTell(format!("`{}` was edited meanwhile", intent.file.display())),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        let file = current(&intent.file, site.files).await?;
        let now = hash(&file.bytes);
        if now == intent.after {
            return Ok(outcome(intent));
        }
        if now != intent.before {
            return Err(edited_meanwhile(intent));
        }
        write_kept(&intent.kept, file.bytes.clone(), "copy of the env file as it was", site).await?;
        let text = String::from_utf8(file.bytes.clone()).map_err(|_| not_text(&intent.file))?;
        let bytes = edited(&text, &intent.values).into_bytes();
        let file = File { bytes, ..file };
        let what = "settings with the new values".to_owned();
        site.files.write(&WriteFile { path: intent.file.clone(), file, what }).await?;
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let file = current(&intent.file, site.files).await?;
        let now = hash(&file.bytes);
        if now == intent.before {
            return Ok(Undone::nothing("the settings are as they were"));
        }
        let edited = now != intent.after;
        let choice = back.decision.as_ref().map(|decision| decision.choice.as_str()).unwrap_or_default();
        if edited && ![RESTORE, KEEP_EDIT].contains(&choice) {
            return Ok(Undone::NeedsPerson { question: question(intent) });
        }
        let kept = site.files.read(&intent.kept).await?.ok_or_else(|| {
            let text = format!("the kept copy `{}` is gone", intent.kept.display());
            Failure::new("kept_copy_missing", text)
                .hint(format!("set the values back by hand in `{}`", intent.file.display()))
        })?;
        let keeps_edit = edited && choice == KEEP_EDIT;
        let bytes = if keeps_edit { values_back(intent, &kept, &file)? } else { kept.bytes };
        if edited {
            keep_edit(intent, &now, &file, site).await?;
        }
        if bytes != file.bytes {
            let what = "settings as they were".to_owned();
            let file = File { bytes, ..file };
            site.files.write(&WriteFile { path: intent.file.clone(), file, what }).await?;
        }
        let name = intent.file.display();
        if keeps_edit {
            let what = format!("put our values in `{name}` back and kept somebody's edit");
            return Ok(Undone::Restored { what, left: vec![Left::Settings] });
        }
        Ok(Undone::restored(format!("put `{name}` back")))
    }
}

/// Choices for an env file that somebody has edited since.
const RESTORE: &str = "restore";
const KEEP_EDIT: &str = "keep-edit";

/// The file as somebody edited it, with the variables that were set here as they were before.
fn values_back(intent: &Intent, kept: &File, edited: &File) -> Result<Vec<u8>, Failure> {
    let text = |file: &File| String::from_utf8(file.bytes.clone()).map_err(|_| not_text(&intent.file));
    let (old, mut now) = (text(kept)?, text(edited)?);
    for name in intent.values.keys() {
        match (env_file::value_range(&old, name), env_file::value_range(&now, name)) {
            (Some(before), Some(range)) => now.replace_range(range, &old[before]),
            (None, Some(_)) => now = env_file::without(&now, name),
            (_, None) => {}
        }
    }
    Ok(now.into_bytes())
}

fn check(name: &str, value: &str) -> Result<(), Refusal> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
        let failure = Failure::new("bad_option", format!("`{name}` cannot be the name of a variable"));
        return Err(Refusal(failure.hint("use letters, digits and `_`")));
    }
    if ["COMPOSE_", "DOCKER_"].iter().any(|own| name.starts_with(own)) {
        let text = format!("`{name}` says what compose itself does, which no runbook changes");
        return Err(Refusal(Failure::new("bad_option", text).hint("set it by hand, if it is to be so")));
    }
    if value.contains(['\n', '\r', '\'', '\0']) {
        let text = format!(
            "the value of `{name}` holds a line end or a single quote, which an env file cannot hold"
        );
        return Err(Refusal(Failure::new("bad_option", text).hint("set it by hand")));
    }
    Ok(())
}

async fn current(path: &Path, files: &(impl FilesRead + ?Sized)) -> Result<File, Failure> {
    files.read(path).await?.ok_or_else(|| {
        Failure::new("env_missing", format!("there is no `{}`", path.display())).hint(
            "the product's settings live there; name another file with `--env-file` in compose's own way",
        )
    })
}

async fn text_of(path: &Path, files: &(impl FilesRead + ?Sized)) -> Result<String, Failure> {
    String::from_utf8(current(path, files).await?.bytes).map_err(|_| not_text(path))
}

fn not_text(path: &Path) -> Failure {
    Failure::new("env_not_text", format!("`{}` is not UTF-8 text", path.display()))
        .hint("convert it to UTF-8")
}

fn edited(text: &str, values: &BTreeMap<String, String>) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| env_file::set(&text, name, value))
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { set: intent.values.keys().cloned().collect(), changed: intent.before != intent.after }
}

fn edited_meanwhile(intent: &Intent) -> Failure {
    let text = format!("`{}` was edited after the upgrade began", intent.file.display());
    Failure::new("env_changed", text).hint("nothing was written; look at the edit and begin again")
}

/// A person wants the old file back: the edit is kept beside the old copy before it goes.
async fn keep_edit(intent: &Intent, now: &str, file: &File, site: Operate<'_>) -> Result<(), Failure> {
    let path = intent.kept.with_file_name(now);
    write_kept(&path, file.bytes.clone(), "copy of the env file as somebody edited it", site).await
}

fn question(intent: &Intent) -> Question {
    let file = intent.file.display();
    let names = intent.values.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Question {
        address: String::new(),
        text: format!(
            "`{file}` was edited by somebody else after the upgrade changed it: which one is to stay?"
        ),
        found: vec![format!("as it was before the upgrade: `{}`", intent.kept.display())],
        choices: vec![
            Choice {
                key: RESTORE.to_owned(),
                does: format!("put `{file}` back as it was before the upgrade"),
                costs: "the edit goes; a copy of it is kept beside the old one".to_owned(),
                also: String::new(),
            },
            Choice {
                key: KEEP_EDIT.to_owned(),
                does: format!("keep the edit, and put back only what this run has set in `{file}`: {names}"),
                costs:
                    "the file is as nobody has tried it yet: look at it before the next `docker compose up`"
                        .to_owned(),
                also: String::new(),
            },
        ],
        flag: None,
    }
}
