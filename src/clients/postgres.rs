//! The PostgreSQL server, as the product's user sees it.

mod admin;
mod blobs;
mod connect;
mod copies;
mod count;
mod cut;
mod decode;
mod dump;
mod equip;
mod facts;
mod failed;
mod load;
mod lock;
mod moves;
mod passfile;
mod pooler;
mod program;
mod query;
mod reach;
mod session;
mod since;
mod stream;
mod watch;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use async_trait::async_trait;

use self::session::Session as Connection;
use super::process::Processes;
use crate::{
    event::{Failure, Teller},
    ports::postgres::{
        Activity, Admit, Contents, CopyDatabase, DatabaseFacts, Decoded, DropDatabase, Dump, DumpClient,
        DumpReport, EndSessions, Equip, Jobs, KeptDatabase, LoadDump, LockSite, Obstacle, Postgres,
        PostgresRead, Query, Rows, Server, Session, SiteLock, Swap, Way, WrittenRows,
    },
    site::{Endpoint, Secret},
};

/// A client that opens its sessions when they are needed and ends them at once: a session in one of the product's
/// databases keeps it from being copied or renamed.
#[derive(Clone)]
pub(super) struct PostgresClient {
    processes: Processes,
    password: Arc<RwLock<Option<Secret>>>,
    way: Arc<RwLock<Option<Way>>>,
    /// A database that the product's user has been in.
    entered: Arc<RwLock<Option<String>>>,
    /// When the server was started that the administrator's address is known to lead to.
    met: Arc<OnceLock<i64>>,
}

impl PostgresClient {
    pub(super) fn new(processes: Processes) -> Self {
        let (password, way) = (Arc::default(), Arc::default());
        Self { processes, password, way, entered: Arc::default(), met: Arc::default() }
    }

    pub(super) fn set_password(&self, password: Secret) {
        *self.password.write().unwrap_or_else(PoisonError::into_inner) = Some(password);
    }

    fn password(&self) -> Option<Secret> {
        self.password.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connect(&self, endpoint: &Endpoint, database: &str) -> Result<Connection, Failure> {
        let session =
            Connection::open(&self.reach(endpoint)?, endpoint, database, self.password().as_ref()).await?;
        *self.entered.write().unwrap_or_else(PoisonError::into_inner) = Some(database.to_owned());
        Ok(session)
    }

    fn entered(&self) -> Option<String> {
        self.entered.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl PostgresRead for PostgresClient {
    fn go_by(&self, way: &Way) {
        *self.way.write().unwrap_or_else(PoisonError::into_inner) = Some(way.clone());
    }

    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure> {
        let session = self.connect(endpoint, database).await?;
        let server = facts::server(&session).await;
        session.close().await;
        let mut server = server?;
        if self.has_admin() {
            // Whoever moves databases is the one whose rights count.
            let session = self.maintain(endpoint).await?;
            let rights = facts::server(&session).await;
            session.close().await;
            let rights = rights?;
            (server.may_create, server.may_set_roles) = (rights.may_create, rights.may_set_roles);
        }
        Ok(server)
    }

    async fn direct(&self, endpoint: &Endpoint, database: &str) -> Result<(), Failure> {
        pooler::none(self, endpoint, database).await
    }

    async fn lockable(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        lock::open(self, endpoint).await?.close().await;
        Ok(())
    }

    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
        let mut found = Vec::new();
        for name in names {
            let session = match self.connect(endpoint, name).await {
                Ok(session) => session,
                Err(failure) if failure.code == "database_missing" => continue,
                Err(failure) if failure.code == "database_closed" => {
                    let session = self.maintain(endpoint).await?;
                    let facts = facts::named(&session, std::slice::from_ref(name)).await;
                    session.close().await;
                    found.extend(facts?);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let facts = facts::database(&session).await;
            session.close().await;
            found.push(facts?);
        }
        Ok(found)
    }

    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let session = self.connect(endpoint, database).await?;
        let versions = facts::schema_versions(&session).await;
        session.close().await;
        versions
    }

    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure> {
        let Some(first) = databases.first() else { return Ok(Vec::new()) };
        let session = match self.connect(endpoint, first).await {
            // Whether somebody is left in what keeps everybody out is asked from beside it.
            Err(failure) if failure.code == "database_closed" => self.maintain(endpoint).await?,
            connected => connected?,
        };
        let sessions = facts::sessions(&session, databases).await;
        session.close().await;
        sessions
    }

    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure> {
        program::find(&self.processes, major).await
    }

    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure> {
        let session = self.connect(endpoint, database).await?;
        let unreadable = facts::unreadable(&session).await;
        session.close().await;
        unreadable
    }

    async fn activity(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Activity>, Failure> {
        let session = self.maintain(endpoint).await?;
        let found = watch::activity(&session, databases).await;
        session.close().await;
        found
    }

    async fn obstacles(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Obstacle>, Failure> {
        let session = self.maintain(endpoint).await?;
        let found = watch::obstacles(&session, databases).await;
        session.close().await;
        found
    }

    async fn kept(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<KeptDatabase>, Failure> {
        copies::kept(self, endpoint, databases).await
    }

    async fn contents(&self, endpoint: &Endpoint, database: &str) -> Result<Contents, Failure> {
        let session = self.connect(endpoint, database).await?;
        let counted = count::all(&session, &[]).await;
        session.close().await;
        counted.map(|(tables, large_objects)| Contents { tables, large_objects })
    }

    async fn listed_uploads(&self, endpoint: &Endpoint, database: &str) -> Result<u64, Failure> {
        let session = self.connect(endpoint, database).await?;
        let listed = blobs::count(&session).await;
        session.close().await;
        listed
    }

    async fn snapshot(&self, endpoint: &Endpoint, database: &str) -> Result<String, Failure> {
        let session = self.connect(endpoint, database).await?;
        let snapshot = since::snapshot(&session).await;
        session.close().await;
        snapshot
    }

    async fn written_since(
        &self,
        endpoint: &Endpoint,
        database: &str,
        snapshot: &str,
        sequences: &BTreeMap<String, i64>,
    ) -> Result<Vec<WrittenRows>, Failure> {
        let session = self.connect(endpoint, database).await?;
        let written = since::written(&session, snapshot, sequences).await;
        session.close().await;
        written
    }

    async fn sequences(&self, endpoint: &Endpoint, database: &str) -> Result<BTreeMap<String, i64>, Failure> {
        let session = self.connect(endpoint, database).await?;
        let sequences = count::sequences(&session).await;
        session.close().await;
        sequences
    }

    async fn jobs(
        &self,
        endpoint: &Endpoint,
        database: &str,
        until: Option<i64>,
        limit: usize,
    ) -> Result<Jobs, Failure> {
        let session = self.connect(endpoint, database).await?;
        let jobs = watch::jobs(&session, until, limit).await;
        session.close().await;
        jobs
    }

    async fn query(&self, request: &Query) -> Result<Rows, Failure> {
        query::ask(self, request).await
    }

    /// No server tells it to a client.
    async fn room(&self, _endpoint: &Endpoint) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    async fn decode(&self, major: u32, file: &Path, tell: &Teller) -> Result<Decoded, Failure> {
        decode::decode(self, major, file, tell).await
    }
}

#[async_trait]
impl Postgres for PostgresClient {
    async fn dump(&self, request: &Dump, tell: &Teller) -> Result<DumpReport, Failure> {
        dump::all(self, request, tell).await
    }

    async fn admit(&self, request: &Admit) -> Result<(), Failure> {
        moves::admit(self, request).await
    }

    async fn end_sessions(&self, request: &EndSessions) -> Result<u64, Failure> {
        moves::end_sessions(self, request).await
    }

    async fn copy_database(&self, request: &CopyDatabase, _tell: &Teller) -> Result<(), Failure> {
        copies::copy(self, request).await
    }

    async fn load_dump(&self, request: &LoadDump, tell: &Teller) -> Result<Contents, Failure> {
        load::load(self, request, tell).await
    }

    async fn equip(&self, request: &Equip) -> Result<(), Failure> {
        copies::equip(self, request).await
    }

    async fn swap(&self, request: &Swap) -> Result<(), Failure> {
        moves::swap(self, request).await
    }

    async fn drop_database(&self, request: &DropDatabase) -> Result<(), Failure> {
        copies::drop_database(self, request).await
    }

    async fn lock(&self, request: &LockSite) -> Result<Box<dyn SiteLock>, Failure> {
        lock::take(self, request).await
    }
}
