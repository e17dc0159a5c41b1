//! Databases of a rehearsal, above the live ones.

use std::collections::{BTreeMap, BTreeSet};

use super::Twin;
use crate::{
    event::Failure,
    ports::{
        docker::Select,
        postgres::{Contents, DatabaseFacts, Session},
    },
    sim::{
        postgres::{closed, remain},
        server::missing,
    },
    site::Endpoint,
};

/// Where what a database holds can be read.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// It is the live database of this name.
    Live(String),
    /// A copy of the live database of this name.
    Copy(String),
    /// A dump: what the set says of it.
    Dump(Contents),
}

impl Origin {
    /// The live database with the same rows.
    pub(super) fn live(&self) -> Option<&str> {
        match self {
            Self::Live(name) | Self::Copy(name) => Some(name),
            Self::Dump(_) => None,
        }
    }
}

/// A database as the rehearsal left it.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub facts: DatabaseFacts,
    pub origin: Origin,
}

#[derive(Default, Clone)]
pub(super) struct Databases {
    /// By name; `None`: there is none of this name any more.
    pub changed: BTreeMap<String, Option<Planned>>,
    /// Numbers of databases whose sessions were ended.
    pub ended: BTreeSet<u32>,
    /// Schema versions that a plan was told of, by name.
    pub schemas: BTreeMap<String, Vec<String>>,
    /// Bytes that the rehearsal added on the server.
    pub used: u64,
    count: u32,
}

impl Databases {
    /// A number that no database of a server is likely to have.
    pub(super) fn next_oid(&mut self) -> u32 {
        self.count += 1;
        u32::MAX - self.count
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, mut planned: Planned) {
        to.clone_into(&mut planned.facts.name);
        self.changed.insert(from.to_owned(), None);
        self.changed.insert(to.to_owned(), Some(planned));
        if let Some(versions) = self.schemas.remove(from) {
            self.schemas.insert(to.to_owned(), versions);
        }
    }
}

impl Twin {
    /// A database as the rehearsal sees it now.
    pub(super) async fn planned(&self, endpoint: &Endpoint, name: &str) -> Result<Option<Planned>, Failure> {
        if let Some(known) = self.lock().databases.changed.get(name) {
            return Ok(known.clone());
        }
        let found = self.live().postgres.databases(endpoint, &[name.to_owned()]).await?;
        let found = found.into_iter().next();
        self.rely_on_database(name, found.as_ref());
        Ok(found.map(|facts| Planned { facts, origin: Origin::Live(name.to_owned()) }))
    }

    pub(super) async fn must_plan(&self, endpoint: &Endpoint, name: &str) -> Result<Planned, Failure> {
        self.planned(endpoint, name).await?.ok_or_else(|| missing(name))
    }

    /// The same, where a session in it is needed.
    pub(super) async fn entered(&self, endpoint: &Endpoint, name: &str) -> Result<Planned, Failure> {
        let known = self.lock().databases.changed.get(name).cloned();
        match known {
            // The live server says best what is wrong with a database that the rehearsal did not touch.
            None => {
                let facts = self.live().postgres.databases(endpoint, &[name.to_owned()]).await?;
                let facts = facts.into_iter().next().ok_or_else(|| missing(name))?;
                Ok(Planned { facts, origin: Origin::Live(name.to_owned()) })
            }
            Some(None) => Err(missing(name)),
            Some(Some(planned)) if planned.facts.open => Ok(planned),
            Some(Some(_)) => Err(closed(name)),
        }
    }

    pub(super) fn plan_database(&self, planned: Planned) {
        let name = planned.facts.name.clone();
        self.lock().databases.changed.insert(name, Some(planned));
    }

    pub(super) fn rely_on_database(&self, name: &str, facts: Option<&DatabaseFacts>) {
        let value = facts.map_or("missing".to_owned(), |facts| {
            format!("owner {}, {} {}", facts.owner, facts.encoding, facts.collate)
        });
        self.remember(format!("database `{name}`"), value);
    }

    /// Sessions in databases as they are called in the rehearsal.
    pub(super) async fn sessions_in(
        &self,
        endpoint: &Endpoint,
        databases: &[String],
    ) -> Result<Vec<Session>, Failure> {
        let mut names = BTreeMap::new();
        for name in databases {
            let planned = self.planned(endpoint, name).await?;
            let Some(Planned { facts, origin: Origin::Live(live) }) = planned else { continue };
            if !self.lock().databases.ended.contains(&facts.oid) {
                names.insert(live, name.clone());
            }
        }
        let live: Vec<_> = names.keys().cloned().collect();
        let sessions = self.live().postgres.sessions(endpoint, &live).await?;
        let addresses = self.container_addresses().await?;
        let silent = self.lock().containers.silent.clone();
        // A server that is reached by an address of this host sees the containers here under that address.
        let is_silent = |one: &Session| {
            let own = one.user == endpoint.user && !addresses.contains(&one.client);
            silent.contains(&one.client) || own && !silent.is_empty()
        };
        let seen = sessions.into_iter().filter(|session| !is_silent(session));
        Ok(seen
            .filter_map(|session| {
                let database = names.get(&session.database)?.clone();
                Some(Session { database, ..session })
            })
            .collect())
    }

    async fn container_addresses(&self) -> Result<BTreeSet<String>, Failure> {
        let all = self.live().docker.containers(&Select::All).await?;
        Ok(all.into_iter().flat_map(|one| one.networks.into_values()).collect())
    }

    /// Fails where the run would: somebody is in one of them.
    pub(super) async fn alone(&self, endpoint: &Endpoint, names: &[String]) -> Result<(), Failure> {
        let left = self.sessions_in(endpoint, names).await?;
        if left.is_empty() { Ok(()) } else { Err(remain(&left)) }
    }
}
