use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    set_of::{as_named_here, open},
    swapped::{Outcome, Swapped},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        postgres::{DatabaseFacts, Kept},
    },
};

/// Let databases that `pg_load` has loaded take the product's places, all in one moment. The application stands still.
///
/// Nothing is dropped: the databases of now stay beside them under another name. One that is not there yet gets owner,
/// rights and settings from the set; one that is keeps those that it has now.
///
/// Undo: the databases change places again. Once users could write into the restored ones, a person is asked first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PgSwap {
    /// The folder of the set that was loaded.
    pub set: PathBuf,
}

impl Effect for PgSwap {
    const NAME: &'static str = "pg_swap";
    type Intent = Swapped;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { set: "/srv/strata/.uplift/backups/20261120-031500-0001".into() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Swapped, Refusal> {
        let manifest = open(&self.set, site).await?;
        let endpoint = &site.site.databases.endpoint;
        let entries = as_named_here(&manifest, site)?;
        let names: Vec<_> = entries.iter().map(|one| one.facts.name.clone()).collect();
        let mut loaded = site.postgres.kept(endpoint, &names).await?;
        loaded.retain(|one| {
            one.mark.as_ref().is_some_and(|mark| mark.kind == Kept::Restoring && mark.run == site.run)
        });
        let found = site.postgres.databases(endpoint, &names).await?;
        let (mut live, mut schemas) = (Vec::new(), BTreeMap::new());
        for entry in entries {
            schemas.insert(entry.facts.name.clone(), entry.schema_versions);
            let now = found.iter().find(|one| one.name == entry.facts.name);
            if let Some(now) = now {
                differs(&entry.facts, now, site);
            }
            live.push(now.cloned().unwrap_or(DatabaseFacts { oid: 0, ..entry.facts }));
        }
        Ok(Swapped::decide(live, &loaded, schemas, site).await?)
    }

    fn summary(intent: &Swapped) -> String {
        format!("let {} loaded databases take the product's places", intent.exchange.pairs.len())
    }

    fn result(outcome: &Outcome) -> String {
        let count = outcome.databases.len();
        match outcome.aside.first() {
            Some(aside) => {
                format!("{count} databases are those of the set; those of now stay as `{aside}` and so on")
            }
            None => format!("{count} databases are those of the set; there were none before"),
        }
    }

    fn undo_summary(_: &Swapped) -> String {
        "let the databases of before take their places again; once users could write, only after a person has chosen"
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

/// Rights and settings belong to whoever runs the server: what he has changed since stays, and is said.
fn differs(then: &DatabaseFacts, now: &DatabaseFacts, site: Observe<'_>) {
    let unlike = then.unlike(now);
    if !unlike.is_empty() {
        let what = unlike.join(", ");
        site.tell.warn(format!("`{}` keeps its {what} of now, which the set has otherwise", now.name));
    }
}
