use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    backup_retention::keep,
    contract::{Back, Effect, Found, Left, Size, Undone, WhenUnknown},
};
use crate::{
    backups::{self, PrunePlan, Pruned},
    event::{Failure, Refusal},
    ports::{Observe, Operate},
};

/// Remove old backups, unfinished ones, and kept databases whose time is over.
///
/// Each is judged again right before it goes. The newer backups that take the places of those that go are read first, and
/// if one is not what was written, nothing goes. What was removed does not come back.
///
/// Undo: nothing can be done: what was removed does not come back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupPrune {
    /// How many of the newest verified backups stay, whatever their age. At least one always does.
    #[serde(default = "keep")]
    pub keep: usize,
    /// One database that uplift has made, by its name: it goes before its time.
    #[serde(default)]
    pub database: String,
}

impl Effect for BackupPrune {
    const NAME: &'static str = "backup_prune";
    type Intent = PrunePlan;
    type Outcome = Pruned;

    fn example() -> Self {
        Self { keep: keep(), database: String::new() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<PrunePlan, Refusal> {
        let named = Some(self.database.clone()).filter(|name| !name.is_empty());
        Ok(backups::plan_prune(self.keep, named, site).await?)
    }

    fn summary(intent: &PrunePlan) -> String {
        let bytes = intent.sets.iter().chain(&intent.databases).map(|goes| goes.bytes).sum();
        let (sets, databases) = (intent.sets.len(), intent.databases.len());
        format!("remove {}", amount(sets, databases, bytes))
    }

    fn result(outcome: &Pruned) -> String {
        let gone = amount(outcome.sets.len(), outcome.databases.len(), outcome.bytes);
        match outcome.stays.as_slice() {
            [] => format!("removed {gone}"),
            stays => format!("removed {gone}; stayed after all: {}", stays.join("; ")),
        }
    }

    fn undo_summary(_: &PrunePlan) -> String {
        "what is removed does not come back".to_owned()
    }

    async fn probe(intent: &PrunePlan, site: Observe<'_>) -> Result<Found<Pruned>, Failure> {
        let all = intent.sets.len() + intent.databases.len() + intent.leftovers.len();
        let (left, removed) =
            (backups::left(intent, site).await?.len(), backups::removed(intent, site).await?.len());
        Ok(match left {
            0 => Found::Applied(Pruned {
                sets: intent.sets.iter().map(|goes| goes.name.clone()).collect(),
                databases: intent.databases.iter().map(|goes| goes.name.clone()).collect(),
                bytes: intent.sets.iter().chain(&intent.databases).map(|goes| goes.bytes).sum(),
                stays: Vec::new(),
            }),
            _ if removed == 0 => Found::NotApplied,
            left => Found::Partial(format!("{left} of {all} are still there")),
        })
    }

    async fn execute(intent: &PrunePlan, site: Operate<'_>) -> Result<Pruned, Failure> {
        backups::prune(intent, site).await
    }

    async fn undo(intent: &PrunePlan, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let gone = backups::removed(intent, site.observe()).await?;
        if gone.is_empty() {
            return Ok(Undone::nothing("nothing was removed yet"));
        }
        let gone: Vec<_> = gone.iter().map(|name| format!("`{name}`")).collect();
        let what = format!("what was removed does not come back: {}", gone.join(", "));
        Ok(Undone::Restored { what, left: vec![Left::Removed] })
    }
}

fn amount(sets: usize, databases: usize, bytes: u64) -> String {
    let count = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    format!("{} and {} ({})", count(sets, "backup"), count(databases, "kept database"), Size(bytes))
}
