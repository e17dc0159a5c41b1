use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Size, Undone, WhenUnknown, to_bytes},
    exchange::PATIENCE,
    set_of::{as_named_here, open, server},
};
use crate::{
    backups::{self, DatabaseEntry},
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        postgres::{
            Contents, DropDatabase, DumpClient, EndSessions, Equip, Kept, LoadDump, Mark,
            NAME_AN_ADMINISTRATOR,
        },
        server_room,
    },
    site::Endpoint,
};

/// Load the dumps of a backup set into new databases beside the site's, and count what is in them.
///
/// The site goes on meanwhile. `pg_swap` lets them take the product's places; taken back, they are dropped.
///
/// Undo: the databases that were loaded are dropped.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PgLoad {
    /// The folder of the set.
    pub set: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    set: String,
    #[schemars(with = "serde_json::Value")]
    endpoint: Endpoint,
    #[schemars(with = "serde_json::Value")]
    client: DumpClient,
    #[schemars(with = "serde_json::Value")]
    loads: Vec<Load>,
    /// Where its outcome is written down: a database that is there may be half of one.
    told: PathBuf,
}

/// One dump and what is in it.
#[derive(Debug, Serialize, Deserialize)]
struct Load {
    request: LoadDump,
    counted: Contents,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Names of the new databases.
    pub databases: Vec<String>,
    /// Rows that were counted in them, as many as the set says.
    pub rows: u64,
    /// Bytes of the dumps that were read.
    pub bytes: u64,
}

impl Effect for PgLoad {
    const NAME: &'static str = "pg_load";
    const ADDS_ONLY: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { set: "/srv/strata/.uplift/backups/20261120-031500-0001".into() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let manifest = open(&self.set, site).await?;
        let endpoint = site.site.databases.endpoint.clone();
        let server = server(&manifest, site).await?;
        let client = site.postgres.dump_client(server.major()).await?;
        let entries = as_named_here(&manifest, site)?;
        let needed: u64 = entries.iter().map(|one| one.facts.size).sum();
        room(needed + needed / 10, site).await?;
        let now = site.clock.now();
        let load = |entry: DatabaseEntry| {
            let mark = Kept::Restoring.mark(&entry.facts.name, site.run, now);
            Load {
                counted: entry.counted(),
                request: LoadDump {
                    endpoint: endpoint.clone(),
                    client: client.clone(),
                    file: self.set.join(&entry.file),
                    to: Kept::Restoring.name(&entry.facts.name, site.run),
                    facts: entry.facts,
                    mark,
                },
            }
        };
        let loads: Vec<_> = entries.into_iter().map(load).collect();
        let names: Vec<_> = loads.iter().map(|one| one.request.to.clone()).collect();
        // From here on whatever has such a name is this run's: nobody else can know the name.
        if let Some(taken) = site.postgres.databases(&endpoint, &names).await?.first() {
            let text = format!("there is already a database `{}`", taken.name);
            return Err(Refusal(Failure::new("name_taken", text).hint("look at it, and rename or drop it")));
        }
        let told = site.kept().join("loaded.json");
        Ok(Intent { set: manifest.set, endpoint, client, loads, told })
    }

    fn summary(intent: &Intent) -> String {
        format!("load {} databases from `{}` beside those of now", intent.loads.len(), intent.set)
    }

    fn result(outcome: &Outcome) -> String {
        let count = outcome.databases.len();
        format!("{count} databases, {}, {} rows as the set says", Size(outcome.bytes), outcome.rows)
    }

    fn undo_summary(_: &Intent) -> String {
        "drop what was loaded".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let there = site.postgres.databases(&intent.endpoint, &intent.names()).await?.len();
        let told = site.files.read(&intent.told).await?;
        let outcome = told.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        Ok(match outcome {
            Some(outcome) if there == intent.loads.len() => Found::Applied(outcome),
            None if there == 0 => Found::NotApplied,
            _ => Found::Partial(format!("{there} of {} databases are there", intent.loads.len())),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Found::Applied(outcome) = Self::probe(intent, site.observe()).await? {
            return Ok(outcome);
        }
        intent.end_earlier(site).await?;
        let mut outcome = Outcome { databases: intent.names(), rows: 0, bytes: 0 };
        for load in &intent.loads {
            let contents = site.postgres.load_dump(&load.request, site.tell).await?;
            load.same(&contents)?;
            outcome.rows += contents.tables.iter().map(|table| table.rows).sum::<u64>();
        }
        let found = site.postgres.databases(&intent.endpoint, &intent.names()).await?;
        for load in &intent.loads {
            let now = found.iter().find(|one| one.name == load.request.to).ok_or_else(|| load.missing())?;
            outcome.bytes += now.size;
            load.equipped(now)?;
        }
        write_kept(&intent.told, to_bytes(&outcome)?, "what was loaded", site).await?;
        Ok(outcome)
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        intent.end_earlier(site).await?;
        let found = site.postgres.databases(&intent.endpoint, &intent.names()).await?;
        if found.is_empty() {
            return Ok(Undone::nothing("nothing of what was loaded is there under its own name"));
        }
        for database in found {
            let Some(load) = intent.loads.iter().find(|one| one.request.to == database.name) else {
                continue;
            };
            let (endpoint, mark) = (intent.endpoint.clone(), load.request.mark.clone());
            // Made, and not marked before the run was stopped: only what says that it is ours is ever dropped.
            if database.comment.as_deref().and_then(Mark::read).is_none() {
                let (name, facts) = (database.name.clone(), load.request.facts.clone());
                let equip = Equip { endpoint: endpoint.clone(), database: name, facts, mark: Some(mark) };
                site.postgres.equip(&equip).await?;
            }
            let drop = DropDatabase { endpoint, name: database.name, oid: database.oid };
            site.postgres.drop_database(&drop).await?;
        }
        match site.postgres.databases(&intent.endpoint, &intent.names()).await?.first() {
            None => Ok(Undone::restored("dropped what was loaded")),
            Some(left) => Err(Failure::new("not_dropped", format!("`{}` is still there", left.name))
                .hint("end who is in it, then type the command again")),
        }
    }
}

impl Intent {
    /// Ends what an attempt that was killed has left at work on the server: a database that is still being made cannot be
    /// seen, and would be there a moment later.
    async fn end_earlier(&self, site: Operate<'_>) -> Result<(), Failure> {
        let (endpoint, databases) = (self.endpoint.clone(), self.names());
        site.postgres.end_sessions(&EndSessions { endpoint, databases, patience: PATIENCE }).await.map(|_| ())
    }

    fn names(&self) -> Vec<String> {
        self.loads.iter().map(|one| one.request.to.clone()).collect()
    }
}

impl Load {
    fn missing(&self) -> Failure {
        Failure::new("not_loaded", format!("`{}` is not there as it should be", self.request.to))
            .hint("see who has dropped or renamed it with `psql -l`, then type the command again")
    }

    /// What is in the new database is what the set says.
    fn same(&self, contents: &Contents) -> Result<(), Failure> {
        let wrong = backups::unlike_rows(&self.counted, contents, &self.request.facts.name);
        if wrong.is_empty() {
            return Ok(());
        }
        let text = format!("what was loaded into `{}` is not what the set says", self.request.to);
        Err(Failure::new("not_as_the_set", text)
            .evidence(wrong)
            .hint("take another set: `uplift backup list`"))
    }

    /// Owner, rights, settings and connection limit are those of the set; its comment is our mark.
    fn equipped(&self, now: &crate::ports::postgres::DatabaseFacts) -> Result<(), Failure> {
        let wanted = &self.request.facts;
        let unlike: Vec<_> = wanted.unlike(now).into_iter().filter(|what| *what != "comment").collect();
        if unlike.is_empty() {
            return Ok(());
        }
        let text = format!("`{}` has not the {} that the set says", now.name, unlike.join(", "));
        Err(Failure::new("not_as_before", text).hint(NAME_AN_ADMINISTRATOR))
    }
}

async fn room(needed: u64, site: Observe<'_>) -> Result<(), Failure> {
    match server_room(site).await? {
        Some(free) if free < needed => {
            let text = format!("the database server needs {} free and has {}", Size(needed), Size(free));
            Err(Failure::new("no_room", text)
                .hint("make room there: `uplift backup prune` drops kept databases"))
        }
        Some(_) => Ok(()),
        // Who has lost a server must not be kept from restoring on one that does not tell.
        None => {
            site.tell.warn(format!(
                "how much room the database server has is not known: see that {} are free there",
                Size(needed)
            ));
            Ok(())
        }
    }
}
