use std::{collections::BTreeMap, path::PathBuf};

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

/// Put a file in its place that is made from a template: `{{ name }}` in it becomes the value of that name.
///
/// As `file_put` in everything else. A place without a value is an error, and so is a value without a place.
///
/// Undo: the file is put back as it was, or removed where there was none. If somebody has edited it meanwhile, a person is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    /// Where the file goes, from the site folder; the folder has to be there.
    pub path: PathBuf,
    /// The template, from the folder `uplift` in the site folder.
    pub from: PathBuf,
    /// What goes in its places, by name.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Its permissions, e.g. `"0640"`; as they are, and `"0644"` of a new one, where none are given.
    #[serde(default)]
    pub mode: Option<Mode>,
}

impl Effect for Template {
    const NAME: &'static str = "template";
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            path: "maintenance.html".into(),
            from: "maintenance.html".into(),
            values: BTreeMap::from([("version".to_owned(), "1.1.0".to_owned())]),
            mode: None,
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let from = site.site.project.dir.join("uplift").join(&self.from);
        super::granted::file(&from, site).await?;
        let source = Source::Template { from, values: self.values.clone() };
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
