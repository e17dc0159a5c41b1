use std::{io::Write as _, time::Duration};

use async_trait::async_trait;

use super::{
    server::{Db, Server},
    state::State,
    world::World,
};
use crate::{
    event::{Failure, Teller, Unit},
    ports::{
        docker::State as Running,
        files::File,
        postgres::{
            DatabaseFacts, Dump, DumpClient, DumpReport, DumpedDatabase, Postgres, PostgresRead,
            Server as Facts, Session,
        },
    },
    site::Endpoint,
};

impl State {
    /// A session as the product's user, with the password that the site's settings hold.
    fn session(&self, endpoint: &Endpoint) -> Result<&Server, Failure> {
        let server = &self.server;
        let place = format!("{}:{}", endpoint.host, endpoint.port);
        if !server.reachable || (endpoint.host.as_str(), endpoint.port) != (&server.host, server.port) {
            let failure =
                Failure::new("database_unreachable", format!("no database server answers at `{place}`"));
            return Err(failure.retryable());
        }
        let password = self.variables().remove("DB_PASSWORD").unwrap_or_default();
        if endpoint.user != server.user || password != server.password {
            let message =
                format!("the database server at `{place}` refuses the password of `{}`", endpoint.user);
            return Err(Failure::new("password_refused", message).hint("correct `DB_PASSWORD` in `.env`"));
        }
        Ok(server)
    }

    fn database(&self, endpoint: &Endpoint, name: &str) -> Result<&Db, Failure> {
        let server = self.session(endpoint)?;
        let none = || Failure::new("database_missing", format!("the database `{name}` does not exist"));
        server.databases.get(name).ok_or_else(none)
    }

    fn dump(&mut self, request: &Dump) -> Result<DumpReport, Failure> {
        let mut databases = Vec::new();
        for name in &request.databases {
            let what = format!("dump {name}");
            databases.push(self.write(&what, |state| state.dump_one(request, name))?);
        }
        let transaction = self.server.transaction;
        Ok(DumpReport {
            snapshot: format!("{transaction}:{transaction}:"),
            tries: 1,
            wal_lsn: format!("0/{:X}", transaction * 4096),
            databases,
            blobs: None,
        })
    }

    fn dump_one(&mut self, request: &Dump, name: &str) -> Result<DumpedDatabase, Failure> {
        let db = self.database(&request.endpoint, name)?.clone();
        if let Some(table) = db.unreadable.first() {
            let message = format!("`pg_dump` of `{name}` failed: permission denied for `{table}`");
            return Err(Failure::new("dump_failed", message));
        }
        let plain = archive(&db);
        let bytes = compress(&plain)?;
        let total = plain.len() as u64;
        self.pass(Duration::from_secs(1 + db.facts.size / (64 << 20)));
        let file = format!("{name}.dump.zst");
        let report = DumpedDatabase {
            name: name.to_owned(),
            file: file.clone(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
            uncompressed_bytes: total,
            uncompressed_blake3: blake3::hash(&plain).to_hex().to_string(),
            tables: db.tables,
            large_objects: 0,
            sequences: std::collections::BTreeMap::new(),
        };
        self.disk.put(&request.folder.join(file), File { bytes, mode: 0o600, uid: 0, gid: 0 })?;
        Ok(report)
    }
}

/// What `pg_dump` would write, near enough: a header, then the rows of each table.
fn archive(db: &Db) -> Vec<u8> {
    let mut lines = vec![format!("PGDMP simulated dump of {}", db.facts.name)];
    lines.extend(db.versions.iter().flatten().map(|version| format!("schema_migrations\t{version}")));
    for table in &db.tables {
        lines.push(format!("COPY {}.{}", table.schema, table.name));
        lines.extend((0..table.rows).map(|row| format!("{row}\t{} {row}", table.name)));
        lines.push("\\.".to_owned());
    }
    lines.join("\n").into_bytes()
}

fn compress(plain: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: std::io::Error| Failure::new("dump_failed", format!("cannot be compressed: {error}"));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    encoder.write_all(plain).map_err(failed)?;
    encoder.finish().map_err(failed)
}

#[async_trait]
impl PostgresRead for World {
    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Facts, Failure> {
        self.look(|state| {
            state.database(endpoint, database)?;
            let server = state.session(endpoint)?;
            Ok(Facts {
                version_num: server.version_num,
                version: server.version.clone(),
                in_recovery: server.in_recovery,
                may_create: server.may_create,
                system: String::new(),
                pooler: None,
            })
        })
    }

    async fn databases(&self, endpoint: &Endpoint, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
        self.look(|state| {
            let server = state.session(endpoint)?;
            let known = names.iter().filter_map(|name| server.databases.get(name));
            Ok(known.map(|db| db.facts.clone()).collect())
        })
    }

    async fn schema_versions(
        &self,
        endpoint: &Endpoint,
        database: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        self.look(|state| Ok(state.database(endpoint, database)?.versions.clone()))
    }

    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure> {
        self.look(|state| {
            let user = state.session(endpoint)?.user.clone();
            let now = state.now;
            let running = state.host.instances.values().filter(|one| one.shown.state == Running::Running);
            let with_database = running.filter(|one| one.environment.contains_key("DB_HOST"));
            let pairs = with_database.flat_map(|one| databases.iter().map(move |name| (one, name)));
            let session = |(pid, (one, database)): (i32, (&super::instance::Instance, &String))| Session {
                pid,
                database: database.clone(),
                user: user.clone(),
                application: if one.is_web() { "puma" } else { "solid-queue" }.to_owned(),
                client: one.shown.networks.values().next().cloned().unwrap_or_default(),
                state: "idle".to_owned(),
                query: "SELECT 1".to_owned(),
                seconds: one.shown.started.map_or(0, |at| now.duration_since(at).as_secs().unsigned_abs()),
            };
            let others = state.server.sessions.iter().filter(|one| databases.contains(&one.database));
            Ok((4_100..).zip(pairs).map(session).chain(others.cloned()).collect())
        })
    }

    async fn dump_client(&self, major: u32) -> Result<DumpClient, Failure> {
        self.look(|state| {
            let clients = &state.server.clients;
            clients.iter().find(|client| client.major == major).cloned().ok_or_else(|| {
                let found: Vec<_> = clients.iter().map(|client| format!("`{}`", client.version)).collect();
                let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
                let message = format!("`pg_dump` {major} is needed for this server; found: {found}");
                let hint = format!("install it: `sudo apt install postgresql-client-{major}`");
                Failure::new("dump_client_missing", message).hint(hint)
            })
        })
    }

    async fn unreadable(&self, endpoint: &Endpoint, database: &str) -> Result<Vec<String>, Failure> {
        self.look(|state| Ok(state.database(endpoint, database)?.unreadable.clone()))
    }
}

#[async_trait]
impl Postgres for World {
    async fn dump(&self, request: &Dump, tell: &Teller) -> Result<DumpReport, Failure> {
        let report = self.act("dump", |state| state.dump(request))?;
        // Told without the world's lock: a listener may ask the clock.
        for one in &report.databases {
            let (what, total) = (format!("dump of `{}`", one.name), one.uncompressed_bytes);
            for part in 1..=2 {
                tell.progress(&what, total / 2 * part, Some(total), Unit::Bytes);
            }
        }
        Ok(report)
    }
}
