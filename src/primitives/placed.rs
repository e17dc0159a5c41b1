//! A file that a runbook puts in its place: the same for one that is written, copied or made from a template.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    as_before::write_kept,
    contract::{Back, Found, Left, Undone},
    granted,
};
use crate::{
    event::{Choice, Failure, Question, Refusal},
    ports::{
        Observe, Operate,
        files::{File, FilesRead, OWN_GROUP, Remove, WriteFile},
    },
};

/// Permission bits, written `"0644"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub(super) struct Mode(#[schemars(with = "String", extend("examples" = ["0644"]))] pub u32);

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:04o}", self.0))
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bits = u32::from_str_radix(&text, 8).ok().filter(|bits| *bits <= 0o7777);
        bits.map(Self)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no mode of a file: write e.g. `\"0644\"`")))
    }
}

/// What is put there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Text(String),
    Copy {
        from: PathBuf,
    },
    /// With these in the places of `{{ name }}`.
    Template {
        from: PathBuf,
        values: BTreeMap<String, String>,
    },
}

/// A file at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Look {
    /// BLAKE3 of its content, 64 hex digits.
    blake3: String,
    mode: Mode,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    path: PathBuf,
    source: Source,
    /// `None` where there was none.
    before: Option<Look>,
    after: Look,
    /// Where its bytes as they were are kept.
    kept: PathBuf,
    /// User and group id of the file as it was.
    #[serde(default)]
    owner: Option<(u32, u32)>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Its whole path.
    pub path: PathBuf,
    /// BLAKE3 of its content, 64 hex digits.
    pub blake3: String,
    /// Whether it is another than before.
    pub changed: bool,
}

/// Larger ones are no configuration, and would fill the record.
const LARGEST: usize = 1 << 20;

impl Source {
    /// What is to be written.
    async fn bytes(&self, files: &(impl FilesRead + ?Sized)) -> Result<Vec<u8>, Failure> {
        let bytes = match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Copy { from } => read(from, files).await?,
            Self::Template { from, values } => {
                let text = String::from_utf8(read(from, files).await?)
                    .map_err(|_| template(from, "is not UTF-8 text").hint("save it as UTF-8"))?;
                filled(&text, values, from)?.into_bytes()
            }
        };
        if bytes.len() > LARGEST {
            let text = format!("a file of {} bytes is to be put in its place", bytes.len());
            return Err(Failure::new("content_too_large", text)
                .hint("1 MiB is the most: such a file is no configuration"));
        }
        Ok(bytes)
    }

    /// Permissions of a file that was not there before: a copy is no more open than what it was made from.
    async fn mode(&self, files: &(impl FilesRead + ?Sized)) -> Result<Mode, Failure> {
        match self {
            Self::Copy { from } => Ok(Mode(files.read(from).await?.map_or(0o644, |file| file.mode & 0o777))),
            Self::Text(_) | Self::Template { .. } => Ok(Mode(0o644)),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Text(_) => String::new(),
            Self::Copy { from } => format!(" as a copy of `{}`", from.display()),
            Self::Template { from, .. } => format!(" from `{}`", from.display()),
        }
    }
}

async fn read(path: &Path, files: &(impl FilesRead + ?Sized)) -> Result<Vec<u8>, Failure> {
    let file = files.read(path).await?.ok_or_else(|| {
        Failure::new("file_missing", format!("there is no `{}`", path.display()))
            .hint("put it there, or correct its path in the runbook")
    })?;
    Ok(file.bytes)
}

/// `text` with a value in each place that is kept for one. Every place needs one, and every value a place.
fn filled(text: &str, values: &BTreeMap<String, String>, from: &Path) -> Result<String, Failure> {
    let (mut made, mut rest, mut used) = (String::new(), text, Vec::new());
    while let Some((before, after)) = rest.split_once("{{") {
        let line = made.matches('\n').count() + before.matches('\n').count() + 1;
        let Some((name, after)) = after.split_once("}}") else {
            let why = format!("opens `{{{{` in line {line} and never closes it");
            return Err(template(from, &why).hint("write `{{ name }}`"));
        };
        let name = name.trim();
        let Some(value) = values.get(name) else {
            let known: Vec<_> = values.keys().map(String::as_str).collect();
            let why = format!("wants `{name}` (place {} of it), which `values` has not", used.len() + 1);
            return Err(template(from, &why).hint(super::contract::suggest(name, &known)));
        };
        used.push(name);
        made.push_str(before);
        made.push_str(value);
        rest = after;
    }
    if let Some(name) = values.keys().find(|name| !used.contains(&name.as_str())) {
        let why = format!("has no place for `{name}` of `values`");
        return Err(
            template(from, &why).hint(format!("write `{{{{ {name} }}}}` in it, or take `{name}` out"))
        );
    }
    Ok(made + rest)
}

fn template(from: &Path, why: &str) -> Failure {
    Failure::new("template_wrong", format!("the template `{}` {why}", from.display()))
}

impl Intent {
    pub(super) async fn of(
        path: &Path,
        source: Source,
        mode: Option<Mode>,
        site: Observe<'_>,
    ) -> Result<Self, Refusal> {
        let path = site.site.project.dir.join(path);
        granted::file(&path, site).await?;
        let folder = path.parent().unwrap_or(&path);
        if site.files.owner(folder).await?.is_none() {
            let failure =
                Failure::new("folder_missing", format!("the folder `{}` does not exist", folder.display()));
            return Err(Refusal(failure.hint("make it, or correct the path in the runbook")));
        }
        if mode.is_some_and(|mode| mode.0 > 0o777) {
            let failure = Failure::new("bad_option", "`mode` sets more than who may read, write and execute");
            return Err(Refusal(failure.hint("three digits say that, e.g. `\"0640\"`")));
        }
        site.files.replaceable(&path).await?;
        let there = site.files.read(&path).await?;
        let before = there.as_ref().map(Look::of);
        let bytes = source.bytes(site.files).await?;
        let mode = match mode.or(before.as_ref().map(|before| before.mode)) {
            Some(mode) => mode,
            None => source.mode(site.files).await?,
        };
        // A run may put the same file more than once: each time something else is to come back.
        let mut kept = site.kept().join("files").join(hash(path.display().to_string().as_bytes()));
        if let Some(before) = &before {
            kept.set_extension(&before.blake3);
        }
        let owner = there.map(|file| (file.uid, file.gid));
        Ok(Self { path, source, before, after: Look { blake3: hash(&bytes), mode }, kept, owner })
    }

    pub(super) fn summary(&self) -> String {
        format!("put `{}` in its place{}", self.path.display(), self.source.words())
    }

    pub(super) fn undo_summary(&self) -> String {
        match self.before {
            Some(_) => format!("put `{}` back byte for byte", self.path.display()),
            None => format!("remove `{}`", self.path.display()),
        }
    }

    pub(super) async fn probe(&self, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let now = look(&self.path, site).await?;
        Ok(match now {
            Some(now) if now == self.after => Found::Applied(self.outcome()),
            now if now == self.before => Found::NotApplied,
            _ => Found::CannotTell(format!("`{}` was edited meanwhile", self.path.display())),
        })
    }

    pub(super) async fn execute(&self, site: Operate<'_>) -> Result<Outcome, Failure> {
        let now = site.files.read(&self.path).await?;
        let seen = now.as_ref().map(Look::of);
        if seen.as_ref() == Some(&self.after) {
            return Ok(self.outcome());
        }
        if seen != self.before {
            let text = format!("`{}` was edited after the run began", self.path.display());
            return Err(Failure::new("file_changed", text)
                .hint("nothing was written; look at the edit and begin again"));
        }
        let bytes = self.source.bytes(site.files).await?;
        if hash(&bytes) != self.after.blake3 {
            let text = format!("what `{}` is made from has changed since", self.path.display());
            return Err(Failure::new("file_changed", text).hint("nothing was written; begin again"));
        }
        if let Some(file) = &now {
            write_kept(&self.kept, file.bytes.clone(), "copy of a file as it was", site).await?;
        }
        let (uid, gid) = if let Some(file) = &now {
            (file.uid, file.gid)
        } else {
            let folder = self.path.parent().unwrap_or(&self.path);
            (site.files.owner(folder).await?.unwrap_or_default().0, OWN_GROUP)
        };
        let file = File { bytes, mode: self.after.mode.0, uid, gid };
        let what = "file of the runbook".to_owned();
        site.files.write(&WriteFile { path: self.path.clone(), file, what }).await?;
        Ok(self.outcome())
    }

    pub(super) async fn undo(&self, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let now = site.files.read(&self.path).await?;
        let seen = now.as_ref().map(Look::of);
        if seen == self.before {
            return Ok(Undone::nothing("the file is as it was"));
        }
        let name = self.path.display();
        let kept = site.files.read(&self.kept).await?;
        if seen.as_ref() != Some(&self.after) {
            // The copy is made first of all: without it the run has never written here.
            if self.before.is_some() && kept.is_none() {
                return Ok(Undone::nothing("somebody has edited the file, and the run never wrote it"));
            }
            let choice = back.decision.as_ref().map(|decision| decision.choice.as_str());
            match (choice, &now) {
                (Some(KEEP_EDIT), _) => {
                    let what = format!("left `{name}` as somebody has edited it");
                    return Ok(Undone::Restored { what, left: vec![Left::Files] });
                }
                (Some(RESTORE), Some(edited)) => {
                    let path = self.kept.with_extension(hash(&edited.bytes));
                    write_kept(&path, edited.bytes.clone(), "copy of a file as somebody edited it", site)
                        .await?;
                }
                (Some(RESTORE), None) => {}
                _ => return Ok(Undone::NeedsPerson { question: self.question() }),
            }
        }
        let Some(before) = &self.before else {
            let what = "file of the runbook".to_owned();
            site.files.remove(&Remove { path: self.path.clone(), what }).await?;
            return Ok(Undone::restored(format!("removed `{name}`, which was not there before")));
        };
        let kept = kept.filter(|kept| hash(&kept.bytes) == before.blake3).ok_or_else(|| {
            let text = format!("the kept copy `{}` is gone, or not what it was", self.kept.display());
            Failure::new("kept_copy_missing", text).hint(format!("put `{name}` back by hand"))
        })?;
        let owned = |file: &File| (file.uid, file.gid);
        let (uid, gid) = now.as_ref().map(owned).or(self.owner).unwrap_or_else(|| owned(&kept));
        let file = File { mode: before.mode.0, uid, gid, bytes: kept.bytes };
        let what = "file as it was".to_owned();
        site.files.write(&WriteFile { path: self.path.clone(), file, what }).await?;
        Ok(Undone::restored(format!("put `{name}` back")))
    }

    fn outcome(&self) -> Outcome {
        let changed = self.before.as_ref() != Some(&self.after);
        Outcome { path: self.path.clone(), blake3: self.after.blake3.clone(), changed }
    }

    fn question(&self) -> Question {
        let file = self.path.display();
        let before = match &self.before {
            Some(_) => format!("as it was before the run: `{}`", self.kept.display()),
            None => "it was not there before the run".to_owned(),
        };
        let choice = |key: &str, does: String, costs: &str| Choice {
            key: key.to_owned(),
            does,
            costs: costs.to_owned(),
            also: String::new(),
        };
        Question {
            address: String::new(),
            text: format!(
                "`{file}` was edited by somebody else since the run began with it: which one is to stay?"
            ),
            found: vec![before],
            choices: vec![
                choice(
                    RESTORE,
                    format!("make `{file}` what it was before the run"),
                    "the edit goes; a copy of it is kept with the run",
                ),
                choice(
                    KEEP_EDIT,
                    format!("leave `{file}` as it is now"),
                    "it is not as it was before the run",
                ),
            ],
            flag: None,
        }
    }
}

/// Choices for a file that somebody has edited since.
const RESTORE: &str = "restore";
const KEEP_EDIT: &str = "keep-edit";

impl Look {
    fn of(file: &File) -> Self {
        Self { blake3: hash(&file.bytes), mode: Mode(file.mode) }
    }
}

async fn look(path: &Path, site: Observe<'_>) -> Result<Option<Look>, Failure> {
    Ok(site.files.read(path).await?.as_ref().map(Look::of))
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// What a result says of it.
pub(super) fn result(outcome: &Outcome) -> String {
    let path = outcome.path.display();
    if outcome.changed { format!("`{path}` put in its place") } else { format!("`{path}` already so") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, names: &[&str]) -> Result<String, Failure> {
        let values = names.iter().map(|name| ((*name).to_owned(), format!("<{name}>"))).collect();
        filled(text, &values, Path::new("t"))
    }

    #[test]
    fn every_place_is_filled_and_every_value_has_one() {
        assert_eq!(fill("a {{ b }}\n{{c}}{{ b }}.", &["b", "c"]).unwrap(), "a <b>\n<c><b>.");
        assert_eq!(fill("plain } } { {", &[]).unwrap(), "plain } } { {");
        for (text, names, why, hint) in [
            ("{{ bc }}", &["ab"][..], "wants `bc`", "known: `ab`"),
            ("{{ hots }}", &["host"], "wants `hots`", "did you mean `host`?"),
            ("x", &["b"], "has no place for `b`", "`{{ b }}`"),
            ("a\nb {{ c", &["c"], "opens `{{` in line 2", "`{{ name }}`"),
        ] {
            let failure = fill(text, names).unwrap_err();
            let hinted = failure.hint.clone().unwrap();
            assert!(failure.message.contains(why) && hinted.contains(hint), "{text}: {failure:?}");
        }
    }
}
