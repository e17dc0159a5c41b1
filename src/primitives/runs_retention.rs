use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{contract::Read, old_runs};
use crate::{backups::Judged, event::Failure, ports::Observe};

/// Look which kept copies and logs of old runs have to go, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsRetention {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Runs by their names.
    pub goes: Vec<Judged>,
    /// Those that stay.
    pub stays: Vec<Judged>,
    /// What stays and why, a sentence for each reason.
    pub why: Vec<String>,
}

impl Read for RunsRetention {
    const NAME: &'static str = "runs_retention";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "look what old runs have left".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        match (outcome.goes.len(), outcome.stays.len()) {
            (0, 0) => "no run has left anything".to_owned(),
            (goes, 0) => format!("to go: {goes}; nothing stays"),
            (goes, _) => format!("to go: {goes}; staying: {}", outcome.why.join("; ")),
        }
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let judged = old_runs::judged(site).await?;
        let why = judged.why_it_stays();
        let rest = |name| Judged { name, goes: true, why: "rest of removed copies".to_owned() };
        let all = judged.runs.into_iter().map(|left| left.judged);
        let (goes, stays) = all.chain(judged.leftovers.into_iter().map(rest)).partition(|one| one.goes);
        Ok(Outcome { goes, stays, why })
    }
}
