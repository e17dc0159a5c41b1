use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    backup_set,
    contract::{Back, Effect, Found, Undone, WhenUnknown},
};
use crate::{
    backups::{self, Made, SetPlan, Uploads, Wanted},
    event::{Failure, Refusal},
    ports::{Observe, Operate},
};

/// Copy the env file and the compose files into a set of their own.
///
/// They hold secrets: the set is readable by its owner only.
///
/// Undo: nothing is done: the copy stays, because it may be needed yet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigCopy {}

impl Effect for ConfigCopy {
    const NAME: &'static str = "config_copy";
    const ADDS_ONLY: bool = true;
    const LEAVES_DATA: bool = true;
    const ESTIMATED: &'static [&'static str] = &["bytes", "verified"];
    type Intent = SetPlan;
    type Outcome = Made;

    fn example() -> Self {
        Self {}
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<SetPlan, Refusal> {
        let (databases, uploads, config) = (false, Uploads::None, true);
        let reason = "manual".to_owned();
        backups::plan(&Wanted { databases, uploads, config, reason, pinned: false }, site).await
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
