//! The copies that a savepoint consists of: made, judged, put in place, dropped.
//!
//! A copy is one only if it carries the run's mark, which is the last thing that it gets: a database that merely has
//! the name may be half of one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::primitives::exchange::{Exchange, PATIENCE, Pair, put_aside};
use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        postgres::{Admit, CopyDatabase, DatabaseFacts, DropDatabase, EndSessions, Kept, Mark},
    },
    site::Endpoint,
};

/// What is copied, and how the copies are told from other databases. It is part of an intent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Copies {
    pub run: String,
    /// RFC 3339 in UTC.
    pub made_at: String,
    pub expires: String,
    #[schemars(with = "serde_json::Value")]
    pub endpoint: Endpoint,
    /// As they were when the last writer had stopped.
    #[schemars(with = "serde_json::Value")]
    pub databases: Vec<DatabaseFacts>,
    /// `pg_current_snapshot()` of the primary database at that moment.
    pub snapshot: String,
}

impl Copies {
    pub(super) fn names(&self) -> Vec<String> {
        self.databases.iter().map(|one| one.name.clone()).collect()
    }

    pub(super) fn own_names(&self) -> Vec<String> {
        self.databases.iter().map(|one| self.copy_of(&one.name)).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.databases.iter().map(|one| one.size).sum()
    }

    fn copy_of(&self, name: &str) -> String {
        Kept::Savepoint.name(name, &self.run)
    }

    fn mark(&self, of: &str) -> Mark {
        Mark {
            kind: Kept::Savepoint,
            of: of.to_owned(),
            run: self.run.clone(),
            made: self.made_at.clone(),
            expires: self.expires.clone(),
            snapshot: self.snapshot.clone(),
        }
    }

    /// Databases of which there is no whole copy under its own name.
    pub(super) async fn missing(&self, site: Observe<'_>) -> Result<Vec<String>, Failure> {
        let kept = site.postgres.kept(&self.endpoint, &self.names()).await?;
        let whole = |name: &String| {
            let (copy, mark) = (self.copy_of(name), self.mark(name));
            kept.iter().any(|one| one.name == copy && one.mark.as_ref() == Some(&mark))
        };
        Ok(self.names().into_iter().filter(|name| !whole(name)).collect())
    }

    /// Whether any database has the name of a copy, whole or not.
    pub(super) async fn any(&self, site: Observe<'_>) -> Result<bool, Failure> {
        Ok(!site.postgres.databases(&self.endpoint, &self.own_names()).await?.is_empty())
    }

    pub(super) async fn all_open(&self, site: Observe<'_>) -> Result<bool, Failure> {
        let found = site.postgres.databases(&self.endpoint, &self.names()).await?;
        Ok(found.len() == self.databases.len() && found.iter().all(|one| one.open))
    }

    /// Nobody is in the databases and nobody can come in.
    pub(super) async fn close(&self, site: Operate<'_>) -> Result<(), Failure> {
        let (endpoint, databases) = (self.endpoint.clone(), self.names());
        let admit = Admit { endpoint: endpoint.clone(), databases: databases.clone(), open: false };
        site.postgres.admit(&admit).await?;
        // Whoever still makes one of the copies is what a killed attempt has left on the server.
        let all = databases.iter().cloned().chain(self.own_names()).collect();
        let end = EndSessions { endpoint: endpoint.clone(), databases: all, patience: PATIENCE };
        site.postgres.end_sessions(&end).await?;
        // An answer is no proof: what is copied must be what nobody can write to.
        let found = site.postgres.databases(&endpoint, &databases).await?;
        let sessions = site.postgres.sessions(&endpoint, &databases).await?;
        if found.len() == databases.len() && found.iter().all(|one| !one.open) && sessions.is_empty() {
            return Ok(());
        }
        let who = sessions
            .iter()
            .map(|one| format!("process {} of `{}` in `{}`", one.pid, one.application, one.database));
        let text = "the databases could not be kept to ourselves, so they were not copied";
        Err(Failure::new("not_closed", text)
            .hint("end these sessions, then type the command again")
            .evidence(who))
    }

    pub(super) async fn open(&self, site: Operate<'_>) -> Result<(), Failure> {
        if self.all_open(site.observe()).await? {
            return Ok(());
        }
        let admit = Admit { endpoint: self.endpoint.clone(), databases: self.names(), open: true };
        site.postgres.admit(&admit).await
    }

    pub(super) async fn make(&self, site: Operate<'_>) -> Result<(), Failure> {
        for from in &self.databases {
            let request = CopyDatabase {
                endpoint: self.endpoint.clone(),
                from: from.clone(),
                to: self.copy_of(&from.name),
                mark: self.mark(&from.name),
            };
            site.postgres.copy_database(&request, site.tell).await?;
        }
        match self.missing(site.observe()).await?.first() {
            None => Ok(()),
            Some(name) => {
                let copy = self.copy_of(name);
                Err(Failure::new("not_copied", format!("`{copy}` is not there as it should be"))
                    .hint("see who has dropped or renamed it with `psql -l`, then type the command again"))
            }
        }
    }

    /// The copies in the databases' places, or how far that has come; `None` if there is not a whole copy of each.
    /// `schemas` are the migrations that the copies have.
    pub(super) async fn exchange(
        &self,
        schemas: &BTreeMap<String, Vec<String>>,
        site: Observe<'_>,
    ) -> Result<Option<Exchange>, Failure> {
        let kept = site.postgres.kept(&self.endpoint, &self.names()).await?;
        let live = site.postgres.databases(&self.endpoint, &self.names()).await?;
        let (mut pairs, now) = (Vec::new(), site.clock.now());
        for was in &self.databases {
            let (copy, mark) = (self.copy_of(&was.name), self.mark(&was.name));
            let there = kept.iter().find(|one| one.name == copy && one.mark.as_ref() == Some(&mark));
            // Exchanged already: then the copy has the database's own name by now.
            let moved = live.iter().find(|one| one.name == was.name && one.oid != was.oid);
            let Some(incoming_oid) = there.map(|one| one.oid).or(moved.map(|one| one.oid)) else {
                return Ok(None);
            };
            pairs.push(Pair {
                live: was.clone(),
                incoming: copy,
                incoming_oid,
                aside: Kept::Failed.name(&was.name, &self.run),
                aside_mark: put_aside(&was.name, &self.run, &self.snapshot, now),
            });
        }
        Ok(Some(Exchange { endpoint: self.endpoint.clone(), pairs, schemas: schemas.clone() }))
    }

    /// Ends the copy that a killed attempt has left at work on the server. It cannot be seen, and would be there a moment
    /// later; and until it has ended nobody who is let in comes in.
    pub(super) async fn end_making(&self, site: Operate<'_>) -> Result<(), Failure> {
        let (endpoint, databases) = (self.endpoint.clone(), self.own_names());
        site.postgres.end_sessions(&EndSessions { endpoint, databases, patience: PATIENCE }).await.map(|_| ())
    }

    /// Drops what was made of the copies. One that has no mark yet is marked first, and given nothing else: only what
    /// says that it is ours is ever dropped.
    pub(super) async fn drop_all(&self, site: Operate<'_>) -> Result<(), Failure> {
        let made = site.postgres.databases(&self.endpoint, &self.own_names()).await?;
        for was in &self.databases {
            let copy = self.copy_of(&was.name);
            let Some(there) = made.iter().find(|one| one.name == copy) else { continue };
            if self.missing(site.observe()).await?.contains(&was.name) {
                let request = crate::ports::postgres::Equip {
                    endpoint: self.endpoint.clone(),
                    database: copy.clone(),
                    facts: there.clone(),
                    mark: Some(self.mark(&was.name)),
                };
                site.postgres.equip(&request).await?;
            }
            site.postgres
                .drop_database(&DropDatabase { endpoint: self.endpoint.clone(), name: copy, oid: there.oid })
                .await?;
        }
        let left = site.postgres.databases(&self.endpoint, &self.own_names()).await?;
        match left.first() {
            None => Ok(()),
            Some(left) => Err(Failure::new("not_dropped", format!("`{}` is still there", left.name))
                .hint("end who is in it, then type the command again")),
        }
    }
}
