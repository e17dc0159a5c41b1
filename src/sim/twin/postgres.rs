mod writes;

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Twin,
    databases::{Origin, Planned},
    short,
    tree::Node,
};
use crate::{
    event::{Failure, Teller},
    ports::{
        files::FilesRead,
        postgres::{
            Activity, Contents, DatabaseFacts, Decoded, DumpClient, Jobs, KeptDatabase, Mark, Obstacle,
            PostgresRead, Query, Rows, Server, Session, TableRows, WrittenRows,
        },
    },
    sim::{postgres::is_kept_of, state::hex},
    site::Endpoint,
};

/// Snapshot of what the rehearsal made itself: nothing was written since.
const PLANNED: &str = "planned";

/// What the manifest beside a dump says of it.
#[derive(Debug, Clone, Deserialize)]
struct Told {
    file: String,
    bytes: u64,
    blake3: String,
    uncompressed_bytes: u64,
    uncompressed_blake3: String,
    #[serde(default)]
    schema_versions: Vec<String>,
    tables: Vec<TableRows>,
    large_objects: u64,
}

#[derive(Deserialize)]
struct Manifest {
    databases: Vec<Told>,
}

/// Length and hash of a file, wherever in a manifest it is named.
fn stored(manifest: &Value, name: &str) -> Option<(u64, String)> {
    match manifest {
        Value::Object(map) if map.get("file").and_then(Value::as_str) == Some(name) => {
            Some((map.get("bytes")?.as_u64()?, map.get("blake3")?.as_str()?.to_owned()))
        }
        Value::Object(map) => map.values().find_map(|below| stored(below, name)),
        Value::Array(items) => items.iter().find_map(|below| stored(below, name)),
        _ => None,
    }
}

impl Twin {
    /// What the set says of a dump in it; a rehearsal does not read gigabytes.
    async fn told(&self, file: &Path) -> Result<Option<Told>, Failure> {
        let folder = file.parent().unwrap_or(Path::new("/"));
        let Some(manifest) = self.read(&folder.join("manifest.json")).await? else { return Ok(None) };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let known = serde_json::from_slice::<Manifest>(&manifest.bytes).ok();
        Ok(known.and_then(|known| known.databases.into_iter().find(|one| one.file == name)))
    }

    /// The live database keeps everybody out, a rehearsal too.
    async fn is_shut(&self, endpoint: &Endpoint, live: &str) -> Result<bool, Failure> {
        let found = self.live().postgres.databases(endpoint, &[live.to_owned()]).await?;
        Ok(found.first().is_some_and(|facts| !facts.open))
    }

    /// The hash that a set says of a file in it, if the file has its length.
    pub(super) async fn told_hash(&self, file: &Path) -> Result<Option<String>, Failure> {
        let backups = self.site().state.join("backups");
        let folder = file.parent().unwrap_or(Path::new("/"));
        let manifest = folder.join("manifest.json");
        if !file.starts_with(&backups) || file == manifest || self.size(&manifest).await?.is_none() {
            return Ok(None);
        }
        let Some(manifest) = self.read(&manifest).await? else { return Ok(None) };
        let Ok(manifest) = serde_json::from_slice(&manifest.bytes) else { return Ok(None) };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some((bytes, blake3)) = stored(&manifest, &name) else { return Ok(None) };
        if self.size(file).await? != Some(bytes) {
            return Ok(None);
        }
        self.assume("the backup is whole: the run reads all of it before it relies on it");
        Ok(Some(blake3))
    }

    /// Contents of a database that is read, or that the rehearsal made.
    async fn counted(&self, endpoint: &Endpoint, planned: Planned) -> Result<Contents, Failure> {
        match planned.origin {
            Origin::Live(name) | Origin::Copy(name) => self.live().postgres.contents(endpoint, &name).await,
            Origin::Dump(contents) => Ok(contents),
        }
    }
}

#[async_trait]
impl PostgresRead for Twin {
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Server, Failure> {
        let untouched = !self.lock().databases.changed.contains_key(database);
        let name = if untouched {
            database.to_owned()
        } else {
            let planned = self.entered(endpoint, database).await?;
            planned.origin.live().unwrap_or(self.site().databases.primary()).to_owned()
        };
        let server = self.live().postgres.server(endpoint, &name).await?;
        self.remember("database server".to_owned(), server.version_num.to_string());
        Ok(server)
    }

    async fn direct(&self, endpoint: &Endpoint, database: &str) -> Result<(), Failure> {
        self.live().postgres.direct(endpoint, database).await
    }

    async fn lockable(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        self.live().postgres.lockable(endpoint).await
    }

    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
        let live = self.live().postgres.databases(endpoint, names).await?;
        let mut found = Vec::new();
        for name in names {
            let changed = self.lock().databases.changed.get(name).cloned();
            let facts = live.iter().find(|facts| facts.name == *name);
            if changed.is_none() {
                self.rely_on_database(name, facts);
            }
            found.extend(changed.map_or(facts.cloned(), |planned| planned.map(|planned| planned.facts)));
        }
        Ok(found)
    }

    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let untouched = !self.lock().databases.changed.contains_key(database);
        let live = if untouched {
            database.to_owned()
        } else {
            let planned = self.entered(endpoint, database).await?;
            planned.origin.live().unwrap_or_default().to_owned()
        };
        if let Some(told) = self.lock().databases.schemas.get(database).cloned() {
            return Ok(Some(told));
        }
        if live.is_empty() {
            return Ok(None);
        }
        if !untouched && self.is_shut(endpoint, &live).await? {
            self.assume(format!("which migrations `{database}` has is known once it lets somebody in"));
            return Ok(None);
        }
        let versions = self.live().postgres.schema_versions(endpoint, &live).await?;
        let value = versions.as_ref().map_or("none".to_owned(), |versions| {
            let last = versions.last().map_or("empty", String::as_str);
            format!("{last}, all {}", short(&hex(&versions.join(" "))))
        });
        self.remember(format!("schema of `{live}`"), value);
        Ok(versions)
    }

    async fn query(&self, request: &Query) -> Result<Rows, Failure> {
        let sql = request.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let touched = {
            let databases = &self.lock().databases;
            databases.changed.contains_key(&request.database)
                || databases.schemas.contains_key(&request.database)
        };
        if touched {
            self.make_up(format!("what `{sql}` answers is known once the steps before it are done"));
            return Ok(Rows::default());
        }
        let rows = self.live().postgres.query(request).await?;
        self.assume(format!("`{sql}` is answered as it is now"));
        Ok(rows)
    }

    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure> {
        self.sessions_in(endpoint, databases).await
    }

    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure> {
        let client = self.live().postgres.dump_client(major).await?;
        self.remember(format!("`pg_dump` {major}"), &client.version);
        Ok(client)
    }

    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure> {
        match self.entered(endpoint, database).await?.origin.live() {
            Some(live) => self.live().postgres.unreadable(endpoint, live).await,
            None => Ok(Vec::new()),
        }
    }

    async fn activity(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Activity>, Failure> {
        let sessions = self.sessions_in(endpoint, databases).await?;
        let mut found = Vec::new();
        for name in databases {
            let Some(planned) = self.planned(endpoint, name).await? else { continue };
            let Origin::Live(live) = planned.origin else { continue };
            let seen = self.live().postgres.activity(endpoint, &[live]).await?;
            let there = seen.into_iter().filter(|one| sessions.iter().any(|session| session.pid == one.pid));
            found.extend(there.map(|one| Activity { database: name.clone(), ..one }));
        }
        Ok(found)
    }

    async fn obstacles(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Obstacle>, Failure> {
        let mut found = Vec::new();
        for name in databases {
            let Some(planned) = self.planned(endpoint, name).await? else { continue };
            let Origin::Live(live) = planned.origin else { continue };
            let seen = self.live().postgres.obstacles(endpoint, &[live]).await?;
            found.extend(seen.into_iter().map(|one| Obstacle { database: name.clone(), ..one }));
        }
        Ok(found)
    }

    async fn kept(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<KeptDatabase>, Failure> {
        let mut all = self.live().postgres.kept(endpoint, databases).await?;
        let overlay = self.lock();
        let changed = &overlay.databases.changed;
        all.retain(|one| !changed.contains_key(&one.name));
        let planned = changed.values().flatten().map(|planned| &planned.facts);
        all.extend(planned.filter(|facts| is_kept_of(facts, databases)).map(|facts| KeptDatabase {
            name: facts.name.clone(),
            owner: facts.owner.clone(),
            oid: facts.oid,
            size: facts.size,
            mark: facts.comment.as_deref().and_then(Mark::read),
        }));
        all.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(all)
    }

    async fn contents(&self, endpoint: &Endpoint, database: &str) -> Result<Contents, Failure> {
        let planned = self.entered(endpoint, database).await?;
        self.counted(endpoint, planned).await
    }

    async fn listed_uploads(&self, endpoint: &Endpoint, database: &str) -> Result<u64, Failure> {
        let planned = self.entered(endpoint, database).await?;
        match planned.origin {
            Origin::Live(name) | Origin::Copy(name) => {
                self.live().postgres.listed_uploads(endpoint, &name).await
            }
            // Which of a dump's rows have their files elsewhere, nobody has counted.
            Origin::Dump(_) => Ok(0),
        }
    }

    async fn snapshot(&self, endpoint: &Endpoint, database: &str) -> Result<String, Failure> {
        match self.entered(endpoint, database).await?.origin.live() {
            Some(live) if !self.is_shut(endpoint, live).await? => {
                self.live().postgres.snapshot(endpoint, live).await
            }
            _ => Ok(PLANNED.to_owned()),
        }
    }

    async fn written_since(
        &self,
        endpoint: &Endpoint,
        database: &str,
        snapshot: &str,
        sequences: &BTreeMap<String, i64>,
    ) -> Result<Vec<WrittenRows>, Failure> {
        let planned = self.entered(endpoint, database).await?;
        match planned.origin.live() {
            Some(live) if snapshot != PLANNED && !self.is_shut(endpoint, live).await? => {
                self.live().postgres.written_since(endpoint, live, snapshot, sequences).await
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn sequences(&self, endpoint: &Endpoint, database: &str) -> Result<BTreeMap<String, i64>, Failure> {
        match self.entered(endpoint, database).await?.origin.live() {
            Some(live) if !self.is_shut(endpoint, live).await? => {
                self.live().postgres.sequences(endpoint, live).await
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    async fn jobs(
        &self,
        endpoint: &Endpoint,
        database: &str,
        until: Option<i64>,
        limit: usize,
    ) -> Result<Jobs, Failure> {
        let planned = self.entered(endpoint, database).await?;
        if let Some(live) = planned.origin.live()
            && !self.is_shut(endpoint, live).await?
        {
            return self.live().postgres.jobs(endpoint, live, until, limit).await;
        }
        self.assume(format!("which jobs `{database}` holds is known once it is there"));
        Ok(Jobs::default())
    }

    async fn room(&self, endpoint: &Endpoint) -> Result<Option<u64>, Failure> {
        let free = self.live().postgres.room(endpoint).await?;
        let used = self.lock().databases.used;
        Ok(free.map(|free| free.saturating_sub(used)))
    }

    async fn decode(&self, major: u32, file: &Path, tell: &Teller) -> Result<Decoded, Failure> {
        let node = self.lock().tree.resolve(file);
        match node {
            Node::Assumed { bytes, blake3 } => Ok(Decoded {
                bytes,
                uncompressed_bytes: bytes,
                uncompressed_blake3: blake3.clone(),
                blake3,
                contents: Some(Contents { tables: Vec::new(), large_objects: 0 }),
            }),
            Node::Live { path, .. } => {
                let Some(told) = self.told(file).await? else {
                    return self.live().postgres.decode(major, &path, tell).await;
                };
                // A file that is not there is no matter of reading it.
                if self.size(file).await? != Some(told.bytes) {
                    return self.live().postgres.decode(major, &path, tell).await;
                }
                self.assume("the backup is whole: the run reads all of it before it relies on it");
                Ok(Decoded {
                    bytes: told.bytes,
                    blake3: told.blake3,
                    uncompressed_bytes: told.uncompressed_bytes,
                    uncompressed_blake3: told.uncompressed_blake3,
                    contents: Some(Contents { tables: told.tables, large_objects: told.large_objects }),
                })
            }
            _ => Err(crate::sim::files::missing(file)),
        }
    }
}
