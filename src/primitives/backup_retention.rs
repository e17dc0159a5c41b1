use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    backups::{self, Judged},
    event::Failure,
    ports::Observe,
};

/// Look which backups and kept databases have to go, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupRetention {
    /// How many of the newest verified backups stay, whatever their age. At least one always does.
    #[serde(default = "keep")]
    pub keep: usize,
    /// One database that uplift has made, by its name: it goes before its time.
    #[serde(default)]
    pub database: String,
}

pub(super) fn keep() -> usize {
    backups::KEEP
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Backups by their names, and kept databases, that have to go.
    pub goes: Vec<Judged>,
    /// Those that stay.
    pub stays: Vec<Judged>,
    /// What stays and why, a sentence for each reason.
    #[serde(default)]
    pub why: Vec<String>,
}

impl Read for BackupRetention {
    const NAME: &'static str = "backup_retention";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { keep: keep(), database: String::new() }
    }

    fn summary(&self) -> String {
        "look what is kept and what has to go".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        match (outcome.goes.len(), outcome.stays.len()) {
            (0, 0) => "there is nothing that could go".to_owned(),
            (goes, 0) => format!("to go: {goes}; nothing stays"),
            (goes, _) => format!("to go: {goes}; staying: {}", outcome.why.join("; ")),
        }
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let named = Some(self.database.as_str()).filter(|name| !name.is_empty());
        let judged = backups::judgement(self.keep, named, site).await?;
        let why = backups::why_it_stays(&judged);
        let sets = judged.sets.into_iter().map(|(_, judged)| judged);
        let rest = |name| Judged { name, goes: true, why: "rest of a removed backup".to_owned() };
        let all = sets.chain(judged.databases.into_iter().map(|(_, judged)| judged));
        let all = all.chain(judged.leftovers.into_iter().map(rest));
        let (goes, stays) = all.partition(|judged| judged.goes);
        Ok(Outcome { goes, stays, why })
    }
}
