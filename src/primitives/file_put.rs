use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    placed::{self, Intent, Mode, Outcome, Source},
};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, Operate},
};

/// Put a file in its place: a text, or a copy of another file.
///
/// In the site folder, or where `files` under `[grants]` in `uplift.toml` lets it. The file as it was is kept with the run;
/// if somebody edits it meanwhile, that edit is never overwritten. Secrets do not belong into a runbook.
///
/// Undo: the file is put back as it was, or removed where there was none. If somebody has edited it meanwhile, a person is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePut {
    /// Where it goes, from the site folder; the folder has to be there.
    pub path: PathBuf,
    /// What is put there, as text.
    #[serde(default)]
    pub content: Option<String>,
    /// Instead of a text: the file that is copied, from the site folder.
    #[serde(default)]
    pub copy: Option<PathBuf>,
    /// Its permissions, e.g. `"0640"`; as they are, and `"0644"` of a new one, where none are given.
    #[serde(default)]
    pub mode: Option<Mode>,
}

impl Effect for FilePut {
    const NAME: &'static str = "file_put";
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            path: "maintenance.html".into(),
            content: Some("<p>back in a minute</p>\n".to_owned()),
            copy: None,
            mode: Some(Mode(0o640)),
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let source = match (&self.content, &self.copy) {
            (Some(text), None) => Source::Text(text.clone()),
            (None, Some(from)) => {
                let from = site.site.project.dir.join(from);
                super::granted::file(&from, site).await?;
                Source::Copy { from }
            }
            _ => {
                let failure = Failure::new("bad_option", "`file_put` takes one of `content` and `copy`");
                return Err(Refusal(failure.hint("e.g. `content: \"back in a minute\\n\"`")));
            }
        };
        Intent::of(&self.path, source, self.mode, site).await
    }

    fn summary(intent: &Intent) -> String {
        intent.summary()
    }

    fn result(outcome: &Outcome) -> String {
        placed::result(outcome)
    }

    fn undo_summary(intent: &Intent) -> String {
        intent.undo_summary()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        intent.probe(site).await
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        intent.execute(site).await
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        intent.undo(back, site).await
    }
}
