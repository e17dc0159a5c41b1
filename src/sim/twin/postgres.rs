use async_trait::async_trait;

use super::{Twin, short, tree::Node};
use crate::{
    event::{Failure, Teller},
    ports::postgres::{
        DatabaseFacts, Dump, DumpClient, DumpReport, DumpedDatabase, Postgres, PostgresRead, Server, Session,
    },
    sim::state::hex,
    site::Endpoint,
};

#[async_trait]
impl PostgresRead for Twin {
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure> {
        let server = self.live().postgres.server(endpoint, database).await?;
        self.remember("database server".to_owned(), server.version_num.to_string());
        Ok(server)
    }

    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
        let found = self.live().postgres.databases(endpoint, names).await?;
        for name in names {
            let facts = found.iter().find(|facts| facts.name == *name);
            let value = facts.map_or("missing".to_owned(), |facts| {
                format!("owner {}, {} {}", facts.owner, facts.encoding, facts.collate)
            });
            self.remember(format!("database `{name}`"), value);
        }
        Ok(found)
    }

    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        if let Some(told) = self.lock().schemas.get(database).cloned() {
            return Ok(Some(told));
        }
        let versions = self.live().postgres.schema_versions(endpoint, database).await?;
        let value = versions.as_ref().map_or("none".to_owned(), |versions| {
            let last = versions.last().map_or("empty", String::as_str);
            format!("{last}, all {}", short(&hex(&versions.join(" "))))
        });
        self.remember(format!("schema of `{database}`"), value);
        Ok(versions)
    }

    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure> {
        let sessions = self.live().postgres.sessions(endpoint, databases).await?;
        let silent = &self.lock().containers.silent;
        Ok(sessions.into_iter().filter(|session| !silent.contains(&session.client)).collect())
    }

    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure> {
        let client = self.live().postgres.dump_client(major).await?;
        self.remember(format!("`pg_dump` {major}"), &client.version);
        Ok(client)
    }

    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure> {
        self.live().postgres.unreadable(endpoint, database).await
    }
}

#[async_trait]
impl Postgres for Twin {
    async fn dump(&self, request: &Dump, _tell: &Teller) -> Result<DumpReport, Failure> {
        let found = self.databases(&request.endpoint, &request.databases).await?;
        let mut databases = Vec::new();
        let mut sizes = Vec::new();
        for name in &request.databases {
            let missing =
                || Failure::new("database_missing", format!("the database `{name}` does not exist"));
            let size = found.iter().find(|facts| facts.name == *name).ok_or_else(missing)?.size;
            let file = format!("{name}.dump.zst");
            let path = request.folder.join(&file);
            self.folder_of(&path).await?;
            self.take(&path, size).await?;
            let blake3 = hex(&format!("planned dump {}", path.display()));
            self.put(&path, Node::Assumed { bytes: size, blake3: blake3.clone() });
            sizes.push((name.clone(), size));
            databases.push(DumpedDatabase {
                name: name.clone(),
                file,
                bytes: size,
                uncompressed_blake3: blake3.clone(),
                blake3,
                uncompressed_bytes: size,
                tables: Vec::new(),
                large_objects: 0,
                sequences: std::collections::BTreeMap::new(),
            });
        }
        self.assume("a dump is as large as its database on the server; most are half of it");
        for write in request.changes(&sizes) {
            self.wrote(write);
        }
        let snapshot = "planned".to_owned();
        Ok(DumpReport { snapshot, tries: 1, wal_lsn: "planned".to_owned(), databases, blobs: None })
    }
}
