use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    swapped::{Outcome, Swapped},
    way_back::copies,
};
use crate::{
    event::{Failure, Refusal, moment_of},
    ports::{Observe, Operate, points::Points},
};

/// Let the databases of a savepoint take their places again, all in one moment. The application stands still.
///
/// Nothing is dropped: the databases of now stay beside them under another name. Taken back before users could write,
/// they change places again; later only after a person has chosen.
///
/// Undo: the databases change places again. Once users could write into the returned ones, a person is asked first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PgReturn {
    /// The run that made the savepoint.
    pub run: String,
}

impl Effect for PgReturn {
    const NAME: &'static str = "pg_return";
    type Intent = Swapped;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { run: "20261120-031500-0001".to_owned() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Swapped, Refusal> {
        let all = &site.site.databases;
        let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
        let live = site.postgres.databases(&all.endpoint, &names).await?;
        crate::backups::complete(&names, &live)?;
        let copies = copies(&self.run, site).await?;
        Ok(Swapped::decide(live, &copies, self.schemas(site)?, site).await?)
    }

    fn summary(intent: &Swapped) -> String {
        let made = intent.marks.first().map(|mark| moment_of(&mark.made)).unwrap_or_default();
        format!("let {} databases be as they were at {made}", intent.exchange.pairs.len())
    }

    fn result(outcome: &Outcome) -> String {
        let aside = outcome.aside.first().map(String::as_str).unwrap_or_default();
        let count = outcome.databases.len();
        format!("{count} databases are as before; those of now stay as `{aside}` and so on")
    }

    fn undo_summary(_: &Swapped) -> String {
        "let the newer databases take their places again; once users could write, only after a person has chosen"
            .to_owned()
    }

    async fn probe(intent: &Swapped, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        intent.probe(site).await
    }

    async fn execute(intent: &Swapped, site: Operate<'_>) -> Result<Outcome, Failure> {
        intent.execute(site).await
    }

    async fn undo(intent: &Swapped, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        intent.undo(back, site).await
    }
}

impl PgReturn {
    /// What the copies hold, by the record of the run that made them, where there is one.
    fn schemas(&self, site: Observe<'_>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let Ok(record) = site.port::<Points>() else { return Ok(BTreeMap::new()) };
        Ok(record.point(&self.run)?.and_then(|point| Some(point.savepoint?.schemas)).unwrap_or_default())
    }
}
