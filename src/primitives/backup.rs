use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    backup_set,
    contract::{Back, Effect, Found, Undone, WhenUnknown, from_value, unknown_version},
};
use crate::{
    backups::{self, DumpPlan, ImageEntry, Made, SetPlan, Uploads, Wanted},
    event::{Failure, Refusal},
    ports::{Observe, Operate},
};

/// Make a backup set: all databases from one moment, uploaded files, and the configuration.
///
/// Before it gets its name, every dump is read to its end and has the rows that were counted in the databases at the same
/// moment. What is unchanged since the newest verified set is linked, not copied.
///
/// Undo: nothing is done: the backup stays, because it may be needed yet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    /// Uploaded files: `copy` them; or leave them out, because they are backed up `elsewhere`, or with `none`.
    #[serde(default)]
    pub storage: Uploads,
    /// Whether the env file and the compose files go into the set. They hold secrets: the set is readable by its
    /// owner only.
    #[serde(default = "yes")]
    pub config: bool,
    /// Why it is made.
    #[serde(default)]
    pub reason: Reason,
    /// Whether it stays until somebody removes it by hand.
    #[serde(default)]
    pub pin: bool,
}

/// Why a backup is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    #[default]
    PreUpgrade,
    Manual,
}

fn yes() -> bool {
    true
}

impl Effect for Backup {
    const NAME: &'static str = "backup";
    const VERSION: u32 = 2;
    const ADDS_ONLY: bool = true;
    const LEAVES_DATA: bool = true;
    const ESTIMATED: &'static [&'static str] = &["bytes", "verified"];
    type Intent = SetPlan;
    type Outcome = Made;

    fn example() -> Self {
        Self { storage: Uploads::Copy, config: true, reason: Reason::PreUpgrade, pin: false }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<SetPlan, Refusal> {
        let reason = match self.reason {
            Reason::PreUpgrade => "pre-upgrade",
            Reason::Manual => "manual",
        };
        let wanted = Wanted {
            databases: true,
            uploads: self.storage,
            config: self.config,
            reason: reason.to_owned(),
            pinned: self.pin,
        };
        backups::plan(&wanted, site).await
    }

    fn summary(intent: &SetPlan) -> String {
        backup_set::summary(intent)
    }

    fn result(outcome: &Made) -> String {
        backup_set::result(outcome)
    }

    fn undo_summary(_: &SetPlan) -> String {
        backup_set::undo_summary()
    }

    fn read_intent(version: u32, value: Value) -> Result<SetPlan, Failure> {
        match version {
            1 => from_value::<First>(value).map(SetPlan::from),
            Self::VERSION => from_value(value),
            _ => Err(unknown_version::<Self>(version)),
        }
    }

    async fn probe(intent: &SetPlan, site: Observe<'_>) -> Result<Found<Made>, Failure> {
        backup_set::probe(intent, site).await
    }

    async fn execute(intent: &SetPlan, site: Operate<'_>) -> Result<Made, Failure> {
        backup_set::execute(intent, site).await
    }

    async fn undo(intent: &SetPlan, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        backup_set::undo(intent, site).await
    }
}

/// What version 1 decided: databases and configuration, never uploaded files.
#[derive(Deserialize)]
struct First {
    set: String,
    folder: PathBuf,
    created_at: String,
    #[serde(flatten)]
    dumps: DumpPlan,
    images: BTreeMap<String, ImageEntry>,
    config: Vec<PathBuf>,
    key_fingerprints: BTreeMap<String, String>,
}

impl From<First> for SetPlan {
    fn from(first: First) -> Self {
        Self {
            set: first.set,
            folder: first.folder,
            created_at: first.created_at,
            reason: "pre-upgrade".to_owned(),
            pinned: false,
            images: first.images,
            dumps: Some(first.dumps),
            tree: None,
            config: first.config,
            key_fingerprints: first.key_fingerprints,
            left_out: vec!["uploaded files".to_owned()],
        }
    }
}
