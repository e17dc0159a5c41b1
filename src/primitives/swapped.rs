//! Databases that took the product's places, and their way back: shared by what lets a savepoint return and by what
//! swaps in a backup set.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Found, Undone},
    exchange::{Exchange, PATIENCE, Pair, Stands, exchange, put_aside, stands},
    foreign_sessions::all_may_be_ended,
    moved_data::{ByHand, Came, RESTORE_DATA, Reached, returned_question},
    others,
    standstill::{still, stop_what_runs},
};
use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        postgres::{Admit, DatabaseFacts, EndSessions, Equip, Kept, KeptDatabase, Mark, Renaming, Swap},
    },
};

/// All that taking places, and taking that back, needs. It is an intent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Swapped {
    run: String,
    /// The moment at which nobody had written to the incoming databases yet.
    snapshot: String,
    #[schemars(with = "serde_json::Value")]
    pub exchange: Exchange,
    /// Marks that the incoming databases had, in the same order.
    #[schemars(with = "serde_json::Value")]
    pub marks: Vec<Mark>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Databases that have others' places now.
    pub databases: Vec<String>,
    /// Names of those that were replaced.
    pub aside: Vec<String>,
    /// The highest number of the jobs that came back with the queue; 0 if none waits. What users enqueue since has a
    /// higher one.
    #[serde(default)]
    pub last_job: Option<i64>,
}

impl Swapped {
    /// Decides on it: each of `live`, whose number is 0 where there is none, is replaced by the one of `incoming` that is
    /// marked as its own.
    pub(super) async fn decide(
        live: Vec<DatabaseFacts>,
        incoming: &[KeptDatabase],
        schemas: BTreeMap<String, Vec<String>>,
        site: Observe<'_>,
    ) -> Result<Self, Failure> {
        let endpoint = site.site.databases.endpoint.clone();
        still(site).await?;
        let there: Vec<_> = live.iter().filter(|one| one.oid != 0).map(|one| one.name.clone()).collect();
        free(&there, site).await?;
        all_may_be_ended(&there, site).await?;
        let now = site.clock.now();
        let snapshot = match there.first() {
            Some(name) => site.postgres.snapshot(&endpoint, name).await?,
            None => String::new(),
        };
        let (mut pairs, mut marks) = (Vec::new(), Vec::new());
        for live in live {
            let own = incoming.iter().find(|one| one.mark.as_ref().is_some_and(|mark| mark.of == live.name));
            let Some((one, mark)) = own.and_then(|one| Some((one, one.mark.clone()?))) else {
                let text = format!("nothing is there to take the place of `{}`", live.name);
                let hint = "see what is left to return by: `uplift rollback --list`, `uplift backup list`";
                return Err(Failure::new("copy_missing", text).hint(hint));
            };
            pairs.push(Pair {
                incoming: one.name.clone(),
                incoming_oid: one.oid,
                aside: Kept::Failed.name(&live.name, site.run),
                aside_mark: put_aside(&live.name, site.run, &snapshot, now),
                live,
            });
            marks.push(mark);
        }
        let exchange = Exchange { endpoint, pairs, schemas };
        Ok(Self { run: site.run.to_owned(), snapshot, exchange, marks })
    }

    /// Nobody works on the databases yet.
    async fn outcome(&self, site: Observe<'_>) -> Outcome {
        let pairs = &self.exchange.pairs;
        let replaced = pairs.iter().filter(|pair| pair.live.oid != 0);
        Outcome {
            databases: pairs.iter().map(|pair| pair.live.name.clone()).collect(),
            aside: replaced.map(|pair| pair.aside.clone()).collect(),
            last_job: self.last_job(site).await,
        }
    }

    /// The databases have their places, whether this can be told or not: without it the jobs that users enqueue since
    /// are counted too.
    async fn last_job(&self, site: Observe<'_>) -> Option<i64> {
        let queue = site.site.databases.all.iter().find(|one| one.role == "queue")?;
        let jobs = site.postgres.jobs(&self.exchange.endpoint, &queue.name, None, 0).await;
        jobs.ok().map(|jobs| jobs.newest)
    }

    pub(super) async fn probe(&self, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        Ok(match stands(&self.exchange, site).await? {
            Stands::After => Found::Applied(self.outcome(site).await),
            Stands::Before => Found::NotApplied,
            Stands::Closed => {
                Found::Partial("the databases keep everybody out, and have their old names".to_owned())
            }
            Stands::Renamed(left) => Found::Partial(left),
            Stands::Unlike(found) => Found::CannotTell(found.join("; ")),
        })
    }

    pub(super) async fn execute(&self, site: Operate<'_>) -> Result<Outcome, Failure> {
        if !matches!(stands(&self.exchange, site.observe()).await?, Stands::After) {
            still(site.observe()).await?;
            let pairs = self.exchange.pairs.iter().filter(|pair| pair.live.oid != 0);
            let names: Vec<_> = pairs.map(|pair| pair.live.name.clone()).collect();
            others::none_at_work(&names, site.observe()).await?;
            exchange(&self.dated(site.clock.now()), site).await?;
        }
        Ok(self.outcome(site.observe()).await)
    }

    pub(super) async fn undo(&self, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let brought = matches!(Reached::of(back), Reached::Users { .. });
        let by_hand = match self.exchange.pairs.first() {
            Some(first) if !brought => ByHand::since(&first.aside_mark.made, site.observe()).await?,
            _ => None,
        };
        let written_to = brought || by_hand.is_some();
        let plan = self.backwards(written_to, site.clock.now());
        let is_back = plan.pairs.is_empty() || stands(&plan, site.observe()).await? == Stands::After;
        if is_back && !self.came_from_nothing(site.observe()).await? {
            return Ok(Undone::nothing("the databases are the ones from before"));
        }
        let chosen = back.decision.as_ref().is_some_and(|decision| decision.choice == RESTORE_DATA);
        let now = stands(&self.exchange, site.observe()).await?;
        let begun = matches!(now, Stands::Renamed(_) | Stands::After);
        if written_to && begun && !chosen {
            let mut question = returned_question(&self.snapshot, self.came(), site.observe()).await;
            question.found.splice(0..0, by_hand.iter().map(ByHand::in_words));
            return Ok(Undone::NeedsPerson { question });
        }
        stop_what_runs(site).await?;
        if !plan.pairs.is_empty() {
            exchange(&plan, site).await?;
        }
        self.back_to_nothing(written_to, site).await?;
        Ok(Undone::restored("the databases are the ones from before again"))
    }

    fn came(&self) -> Came {
        let restored = self.marks.iter().any(|mark| mark.kind == Kept::Restoring);
        if restored { Came::Set } else { Came::Savepoint }
    }

    /// The exchange that takes this one back. A copy that somebody may have written to is no savepoint any more.
    fn backwards(&self, written_to: bool, now: Timestamp) -> Exchange {
        let replaced = self.exchange.pairs.iter().zip(&self.marks).filter(|(pair, _)| pair.live.oid != 0);
        let pairs = replaced.map(|(pair, mark)| {
            let mut live = pair.live.clone();
            live.oid = pair.incoming_oid;
            let (aside, aside_mark) = if written_to {
                (self.returned(&pair.live.name), self.mark_of(&pair.live.name, now))
            } else {
                (pair.incoming.clone(), mark.clone())
            };
            Pair { live, incoming: pair.aside.clone(), incoming_oid: pair.live.oid, aside, aside_mark }
        });
        let endpoint = self.exchange.endpoint.clone();
        Exchange { endpoint, pairs: pairs.collect(), schemas: BTreeMap::new() }
    }

    /// The name of a database that was put in place by this and that users may have written to.
    fn returned(&self, name: &str) -> String {
        Kept::Failed.name(name, &format!("{}-returned", self.run))
    }

    fn mark_of(&self, name: &str, now: Timestamp) -> Mark {
        put_aside(name, &self.run, &self.snapshot, now)
    }

    /// It may be done long after it was decided on: what goes aside is dated by when it goes.
    fn dated(&self, now: Timestamp) -> Exchange {
        let mut plan = self.exchange.clone();
        for pair in &mut plan.pairs {
            pair.aside_mark = self.mark_of(&pair.live.name, now);
        }
        plan
    }

    /// Databases that took a place where none was, with the names that they had.
    async fn newcomers(&self, site: Observe<'_>) -> Result<Vec<Renaming>, Failure> {
        let new: Vec<_> = self.exchange.pairs.iter().filter(|pair| pair.live.oid == 0).collect();
        let names: Vec<_> = new.iter().map(|pair| pair.live.name.clone()).collect();
        let found = site.postgres.databases(&self.exchange.endpoint, &names).await?;
        let there =
            |pair: &&Pair| found.iter().any(|one| one.name == pair.live.name && one.oid == pair.incoming_oid);
        let renaming = |pair: &Pair| Renaming {
            oid: pair.incoming_oid,
            from: pair.live.name.clone(),
            to: pair.incoming.clone(),
        };
        Ok(new.into_iter().filter(there).map(renaming).collect())
    }

    async fn came_from_nothing(&self, site: Observe<'_>) -> Result<bool, Failure> {
        Ok(!self.newcomers(site).await?.is_empty())
    }

    /// Those that took a place where none was get their old names back, where they are dropped as what was only loaded. If
    /// users may have written to them they are put aside instead.
    async fn back_to_nothing(&self, written_to: bool, site: Operate<'_>) -> Result<(), Failure> {
        let mut renames = self.newcomers(site.observe()).await?;
        for one in renames.iter_mut().filter(|_| written_to) {
            one.to = self.returned(&one.from);
        }
        if renames.is_empty() {
            return Ok(());
        }
        let endpoint = self.exchange.endpoint.clone();
        let databases: Vec<_> = renames.iter().map(|one| one.from.clone()).collect();
        let admit = Admit { endpoint: endpoint.clone(), databases: databases.clone(), open: false };
        site.postgres.admit(&admit).await?;
        let end =
            EndSessions { endpoint: endpoint.clone(), databases: databases.clone(), patience: PATIENCE };
        site.postgres.end_sessions(&end).await?;
        let now = site.clock.now();
        // Marked before the rename, so that whoever comes after a crash finds them marked.
        for pair in
            self.exchange.pairs.iter().filter(|pair| written_to && databases.contains(&pair.live.name))
        {
            let (endpoint, facts) = (endpoint.clone(), pair.live.clone());
            let (database, mark) = (facts.name.clone(), self.mark_of(&facts.name, now));
            site.postgres.equip(&Equip { endpoint, database, facts, mark: Some(mark) }).await?;
        }
        site.postgres.swap(&Swap { endpoint, renames, schemas: BTreeMap::new() }).await
    }
}

/// What ending sessions does not remove is found before anything is closed.
async fn free(names: &[String], site: Observe<'_>) -> Result<(), Failure> {
    let obstacles = site.postgres.obstacles(&site.site.databases.endpoint, names).await?;
    let holds = |kind: &str| ["prepared_transaction", "subscription"].contains(&kind);
    let Some(first) = obstacles.iter().find(|one| holds(&one.kind)) else { return Ok(()) };
    let kind = first.kind.replace('_', " ");
    let text = format!("`{}` is held by a {kind}: `{}`", first.database, first.name);
    let end = match first.kind.as_str() {
        "subscription" => format!("DROP SUBSCRIPTION \"{}\"", first.name),
        _ => format!("ROLLBACK PREPARED '{}'", first.name),
    };
    let hint = format!("if nobody needs it, in `{}`: `{end}`; then type the command again", first.database);
    Err(Failure::new("database_held", text).hint(hint))
}
