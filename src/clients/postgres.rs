//! The PostgreSQL server, as the product's user sees it.

mod count;
mod cut;
mod dump;
mod facts;
mod failed;
mod passfile;
mod program;
mod session;
mod stream;

use std::sync::{Arc, RwLock};

use async_trait::async_trait;

use self::session::Session as Connection;
use super::process::Processes;
use crate::{
    event::{Failure, Teller},
    ports::postgres::{DatabaseFacts, Dump, DumpClient, DumpReport, Postgres, PostgresRead, Server, Session},
    site::{Endpoint, Secret},
};

/// A client that opens its sessions when they are needed and ends them at once: a session in one of the product's
/// databases keeps it from being copied or renamed.
#[derive(Clone)]
pub(super) struct PostgresClient {
    processes: Processes,
    password: Arc<RwLock<Option<Secret>>>,
}

impl PostgresClient {
    pub(super) fn new(processes: Processes) -> Self {
        Self { processes, password: Arc::default() }
    }

    pub(super) fn set_password(&self, password: Secret) {
        *self.password.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(password);
    }

    fn password(&self) -> Option<Secret> {
        self.password.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    async fn connect(&self, endpoint: &Endpoint, database: &str) -> Result<Connection, Failure> {
        let environment = &self.processes.environment;
        Connection::open(environment, endpoint, database, self.password().as_ref()).await
    }
}

#[async_trait]
impl PostgresRead for PostgresClient {
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure> {
        let session = self.connect(endpoint, database).await?;
        let server = facts::server(&session).await;
        session.close().await;
        server
    }

    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
        let mut found = Vec::new();
        for name in names {
            let session = match self.connect(endpoint, name).await {
                Ok(session) => session,
                Err(failure) if failure.code == "database_missing" => continue,
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
        let session = self.connect(endpoint, first).await?;
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
}

#[async_trait]
impl Postgres for PostgresClient {
    async fn dump(&self, request: &Dump, tell: &Teller) -> Result<DumpReport, Failure> {
        dump::all(self, request, tell).await
    }
}
