//! Letting databases take others' places: the one routine that renames databases of the product.
//!
//! Everybody is kept out, one transaction renames all, the new ones are given what the old ones had, and only then
//! is anybody let in again. Where it stands is judged by names and numbers on the server, never by the journal
//! alone, so that it can be begun again from every point. Until the renames a failure leads back; after them the
//! only way is forwards.
//!
//! Callers see to it that no container of the product starts meanwhile: it would make a database whose name it does
//! not find.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    event::{Failure, Unit},
    ports::{
        Observe, Operate,
        postgres::{Admit, DatabaseFacts, EndSessions, Equip, Kept, Mark, Renaming, Swap},
    },
    site::Endpoint,
};

/// How long a session may take to go once it was told to.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The mark of a database that is put aside `now`, which may be long after the other was made that takes its place: what
/// users wrote until now is in it.
pub(super) fn put_aside(of: &str, run: &str, snapshot: &str, now: Timestamp) -> Mark {
    Mark { snapshot: snapshot.to_owned(), ..Kept::Failed.mark(of, run, now) }
}

/// Databases that are to take others' places, all at once. It is part of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exchange {
    pub endpoint: Endpoint,
    pub pairs: Vec<Pair>,
    /// Migrations of the incoming databases by the names that they get, where they are known.
    #[serde(default)]
    pub schemas: BTreeMap<String, Vec<String>>,
}

/// One database and the one that takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    /// The product's database as it was. Number 0: there is none, and the incoming one is given these facts.
    pub live: DatabaseFacts,
    pub incoming: String,
    pub incoming_oid: u32,
    /// The name that the live one gets.
    pub aside: String,
    pub aside_mark: Mark,
}

/// How far an exchange has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stands {
    /// Nothing of it is there.
    Before,
    /// Every database has its old name, and some keep everybody out.
    Closed,
    /// The names are exchanged; what is left to do is said in words.
    Renamed(String),
    /// All of it is done.
    After,
    /// Names and numbers are those of no point of it, a sentence each.
    Unlike(Vec<String>),
}

/// Does what is left of it. A failure before the renames lets everybody in again and says so.
pub(super) async fn exchange(plan: &Exchange, site: Operate<'_>) -> Result<(), Failure> {
    match stands(plan, site.observe()).await? {
        Stands::After => return Ok(()),
        Stands::Unlike(found) => return Err(unlike(found)),
        Stands::Before | Stands::Closed => {
            if let Err(failure) = rename(plan, site).await {
                return Err(reopened(plan, failure, site).await);
            }
        }
        Stands::Renamed(_) => {}
    }
    finish(plan, site).await
}

/// Where it stands, by what is on the server.
pub(super) async fn stands(plan: &Exchange, site: Observe<'_>) -> Result<Stands, Failure> {
    let names: Vec<_> = plan.pairs.iter().flat_map(Pair::names).collect();
    let found = site.postgres.databases(&plan.endpoint, &names).await?;
    let (mut before, mut after, mut odd) = (0, 0, Vec::new());
    for pair in &plan.pairs {
        match pair.side(&found) {
            Side::Before => before += 1,
            Side::After => after += 1,
            Side::Neither(what) => odd.push(what),
        }
    }
    if !odd.is_empty() {
        return Ok(Stands::Unlike(odd));
    }
    if before > 0 && after > 0 {
        let what = format!("{after} databases have been exchanged and {before} have not");
        return Ok(Stands::Unlike(vec![what]));
    }
    if after > 0 {
        let left = plan.pairs.iter().flat_map(|pair| pair.left(&found)).collect::<Vec<_>>().join(", ");
        return Ok(if left.is_empty() { Stands::After } else { Stands::Renamed(left) });
    }
    let closed = plan.pairs.iter().filter_map(Pair::replaced).any(|name| !is_open(&found, &name));
    Ok(if closed { Stands::Closed } else { Stands::Before })
}

enum Side {
    Before,
    After,
    Neither(String),
}

impl Pair {
    fn names(&self) -> [String; 3] {
        [self.live.name.clone(), self.incoming.clone(), self.aside.clone()]
    }

    /// The name of the database that goes aside, if there is one.
    fn replaced(&self) -> Option<String> {
        (self.live.oid != 0).then(|| self.live.name.clone())
    }

    fn side(&self, found: &[DatabaseFacts]) -> Side {
        let oid = |name: &str| found.iter().find(|one| one.name == name).map(|one| one.oid);
        let (live, incoming, aside) = (oid(&self.live.name), oid(&self.incoming), oid(&self.aside));
        let was = self.replaced().map(|_| self.live.oid);
        let new = Some(self.incoming_oid);
        if live == was && incoming == new && aside.is_none() {
            return Side::Before;
        }
        if live == new && incoming.is_none() && (aside == was || was.is_none()) {
            return Side::After;
        }
        let said =
            [(&self.live.name, live), (&self.incoming, incoming), (&self.aside, aside)].map(|(name, oid)| {
                let oid = oid.map_or("is not there".to_owned(), |oid| format!("is number {oid}"));
                format!("`{name}` {oid}")
            });
        let was = was.map_or(String::new(), |was| format!("{was} was to go aside and "));
        Side::Neither(format!("{} ({was}{} to come in)", said.join(", "), self.incoming_oid))
    }

    /// What is left to do once the names are exchanged.
    fn left(&self, found: &[DatabaseFacts]) -> Vec<String> {
        let mut left = Vec::new();
        if let Some(live) = found.iter().find(|one| one.name == self.live.name) {
            let unlike = self.live.unlike(live);
            if !unlike.is_empty() {
                left.push(format!("`{}` has not its {} yet", live.name, unlike.join(", ")));
            }
            if !live.open {
                left.push(format!("`{}` keeps everybody out", live.name));
            }
        }
        if let Some(aside) = found.iter().find(|one| one.name == self.aside)
            && !self.aside_mark.is_said_by(aside.comment.as_deref())
        {
            left.push(format!("`{}` is not marked yet", aside.name));
        }
        left
    }
}

fn is_open(found: &[DatabaseFacts], name: &str) -> bool {
    found.iter().any(|one| one.name == name && one.open)
}

/// Keeps everybody out, proves that nobody is in, and renames all in one transaction.
async fn rename(plan: &Exchange, site: Operate<'_>) -> Result<(), Failure> {
    let mut databases: Vec<_> = plan.pairs.iter().filter_map(Pair::replaced).collect();
    databases.extend(plan.pairs.iter().map(|pair| pair.incoming.clone()));
    let steps = 4;
    site.tell.progress("keeping everybody out of the databases", 0, Some(steps), Unit::Items);
    let endpoint = plan.endpoint.clone();
    site.postgres.admit(&Admit { endpoint, databases: databases.clone(), open: false }).await?;
    site.tell.progress("ending sessions", 1, Some(steps), Unit::Items);
    let endpoint = plan.endpoint.clone();
    site.postgres.end_sessions(&EndSessions { endpoint, databases, patience: PATIENCE }).await?;
    site.tell.progress("exchanging the names", 2, Some(steps), Unit::Items);
    let mut renames = Vec::new();
    for pair in &plan.pairs {
        if let Some(from) = pair.replaced() {
            renames.push(Renaming { oid: pair.live.oid, from, to: pair.aside.clone() });
        }
        let (from, to) = (pair.incoming.clone(), pair.live.name.clone());
        renames.push(Renaming { oid: pair.incoming_oid, from, to });
    }
    let (endpoint, schemas) = (plan.endpoint.clone(), plan.schemas.clone());
    let swapped = site.postgres.swap(&Swap { endpoint, renames, schemas }).await;
    // An answer that was lost is no failure if the server has done it.
    match (swapped, stands(plan, site.observe()).await) {
        (Ok(()), _) | (Err(_), Ok(Stands::Renamed(_) | Stands::After)) => Ok(()),
        (Err(failure), _) => Err(failure),
    }
}

/// Gives the new ones what the old ones had, marks the old ones, and lets everybody into the new ones.
async fn finish(plan: &Exchange, site: Operate<'_>) -> Result<(), Failure> {
    site.tell.progress("giving the databases what they had", 3, Some(4), Unit::Items);
    for pair in &plan.pairs {
        let (endpoint, facts) = (plan.endpoint.clone(), pair.live.clone());
        let database = pair.live.name.clone();
        site.postgres.equip(&Equip { endpoint, database, facts, mark: None }).await.map_err(halfway)?;
        if pair.replaced().is_some() {
            let (endpoint, facts) = (plan.endpoint.clone(), pair.live.clone());
            let (database, mark) = (pair.aside.clone(), Some(pair.aside_mark.clone()));
            site.postgres.equip(&Equip { endpoint, database, facts, mark }).await.map_err(halfway)?;
        }
    }
    let databases = plan.pairs.iter().map(|pair| pair.live.name.clone()).collect();
    let admit = Admit { endpoint: plan.endpoint.clone(), databases, open: true };
    site.postgres.admit(&admit).await.map_err(halfway)?;
    match stands(plan, site.observe()).await? {
        Stands::After => Ok(()),
        Stands::Renamed(left) => Err(halfway(Failure::new("not_as_before", left))),
        Stands::Before | Stands::Closed => {
            Err(Failure::new("not_exchanged", "the databases have their old names again")
                .hint("see who renames them with `psql -l`, then type the command again"))
        }
        Stands::Unlike(found) => Err(unlike(found)),
    }
}

/// Nobody can reach the databases while they are closed, so what was closed is opened again: only if it is sure that
/// no name was changed.
async fn reopened(plan: &Exchange, failure: Failure, site: Operate<'_>) -> Failure {
    let databases: Vec<_> = plan.pairs.iter().filter_map(Pair::replaced).collect();
    let admit = Admit { endpoint: plan.endpoint.clone(), databases, open: true };
    let opened = match stands(plan, site.observe()).await {
        Ok(Stands::Before) => Ok(()),
        Ok(Stands::Closed) => site.postgres.admit(&admit).await,
        Ok(Stands::Renamed(_) | Stands::After) => return halfway(failure),
        // Which of them it would open is not sure.
        Ok(Stands::Unlike(found)) => Err(unlike(found)),
        Err(failure) => Err(failure),
    };
    match opened {
        Ok(()) => {
            failure.evidence(["this has changed no name, and the databases let everybody in".to_owned()])
        }
        Err(second) => {
            let by_hand = admit.changes().into_iter().filter_map(|write| write.shell);
            let said = format!("the databases may still keep everybody out: {second}");
            failure.evidence(std::iter::once(said).chain(by_hand))
        }
    }
}

fn halfway(failure: Failure) -> Failure {
    let said =
        "the names are exchanged; until the rest is done the databases may keep everybody out".to_owned();
    failure.evidence([said])
}

fn unlike(found: Vec<String>) -> Failure {
    Failure::new("databases_moved", "somebody else has moved the databases")
        .evidence(found)
        .hint("look at them with `psql -l` before anything else is done")
}
