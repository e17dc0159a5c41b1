//! The PostgreSQL port of a world.

mod dump;
mod lock;
mod query;
mod writes;

pub use self::query::Told;

use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;

pub(super) use self::writes::{is_equipped, not_ours, taken};
use super::{
    instance::{Instance, Prepare},
    server::{Db, Foreign, Manner, Server},
    state::State,
    world::World,
};
use crate::{
    event::{Failure, Teller},
    ports::{
        docker::State as Running,
        postgres::{
            Activity, Contents, DatabaseFacts, Decoded, DumpClient, Jobs, KeptDatabase, Obstacle,
            PostgresRead, Query, Rows, Server as Facts, Session, Way, WrittenRows,
        },
    },
    site::Endpoint,
};

impl State {
    /// A session as the product's user, with the password that the site's settings hold.
    fn session(&self, endpoint: &Endpoint) -> Result<&Server, Failure> {
        let server = &self.server;
        let place = format!("{}:{}", endpoint.host, endpoint.port);
        let there = Way::to(self.way.as_ref(), endpoint)?;
        if !server.reachable || (there.host.as_str(), there.port) != (&server.host, server.port) {
            let failure =
                Failure::new("database_unreachable", format!("no database server answers at `{place}`"));
            let hint = "start the server, or correct `DB_HOST` and `DB_PORT` in `.env`";
            return Err(failure.hint(hint).retryable());
        }
        let password = self.variable("DB_PASSWORD").unwrap_or_default();
        if endpoint.user != server.user || password != server.password {
            let message =
                format!("the database server at `{place}` refuses the password of `{}`", endpoint.user);
            return Err(Failure::new("password_refused", message).hint("correct `DB_PASSWORD` in `.env`"));
        }
        Ok(server)
    }

    /// A session in a database.
    fn database(&self, endpoint: &Endpoint, name: &str) -> Result<&Db, Failure> {
        let db = self.session(endpoint)?.get(name)?;
        if db.facts.open {
            return Ok(db);
        }
        Err(closed(name))
    }

    /// Sessions of running containers, those that wait for a statement left out: they show as its own.
    fn application_sessions(&self, databases: &[String]) -> Vec<Session> {
        let running = self.host.instances.values().filter(|one| one.shown.state == Running::Running);
        let running: Vec<_> = running.filter(|one| one.knows_the_server()).collect();
        let product = |name: &&String| self.server.product.contains(name);
        let known = databases.iter().filter(product).filter_map(|name| self.server.databases.get(name));
        let pairs = known.flat_map(|db| running.iter().map(move |one| (*one, db)));
        let there = |(one, db): &(&Instance, &Db)| {
            !self.server.cut.contains(&(one.shown.id.clone(), db.facts.oid))
                && !matches!(one.prepare, Prepare::Waits(_))
        };
        let session = |(pid, (one, db)): (i32, (&Instance, &Db))| Session {
            pid,
            database: db.facts.name.clone(),
            user: self.server.user.clone(),
            application: if one.is_web() { "puma" } else { "solid-queue" }.to_owned(),
            client: one.shown.networks.values().next().cloned().unwrap_or_default(),
            state: "idle".to_owned(),
            query: "SELECT 1".to_owned(),
            seconds: one.shown.started.map_or(0, |at| self.now.duration_since(at).as_secs().unsigned_abs()),
            quiet_ms: 0,
        };
        (4_100..).zip(pairs.filter(there)).map(session).collect()
    }

    fn sessions(&self, databases: &[String]) -> Vec<Session> {
        let mut all = self.application_sessions(databases);
        let server = &self.server;
        let at_work = server.backends.iter().filter(|one| databases.contains(&one.database));
        all.extend(at_work.map(|one| one.session(&server.user, self.now)));
        let foreign = server.foreign.iter().filter(|one| !one.away);
        let foreign = foreign.filter(|one| server.databases.contains_key(&one.session.database));
        all.extend(
            foreign.map(|one| one.session.clone()).filter(|session| databases.contains(&session.database)),
        );
        all
    }

    /// What is not left once all sessions in a database were asked to end.
    fn end_in(&mut self, name: &str) -> (u64, Vec<Session>) {
        let before = self.sessions(&[name.to_owned()]);
        let Some(db) = self.server.databases.get(name) else { return (0, Vec::new()) };
        let (open, oid) = (db.facts.open, db.facts.oid);
        self.server.terminate(name);
        self.server.foreign.retain(|one| one.session.database != name || one.manner != Manner::Goes);
        if !open {
            let polling = self.server.foreign.iter_mut().filter(|one| one.session.database == name);
            polling.filter(|one| one.manner == Manner::ComesBack).for_each(|one| one.away = true);
            let running = self.host.instances.values();
            let running = running.filter(|one| one.shown.is_running() && one.knows_the_server());
            let ids: Vec<_> = running.map(|one| (one.shown.id.clone(), oid)).collect();
            self.server.cut.extend(ids);
        }
        self.settle();
        let left = self.sessions(&[name.to_owned()]);
        (before.len().saturating_sub(left.len()) as u64, left)
    }
}

pub(super) fn closed(name: &str) -> Failure {
    let hint = format!("open it: `ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true`");
    Failure::new("database_closed", format!("the database `{name}` lets nobody in")).hint(hint)
}

pub(super) fn remain(left: &[Session]) -> Failure {
    let mut names: Vec<_> = left.iter().map(|one| format!("`{}`", one.database)).collect();
    names.dedup();
    let text = format!("somebody is still in {}", names.join(", "));
    let line = |one: &Session| {
        format!(
            "pid {}, user `{}`, application `{}` from `{}` in `{}`",
            one.pid, one.user, one.application, one.client, one.database
        )
    };
    Failure::new("sessions_remain", text)
        .hint("end what holds them, e.g. stop the exporter or the console that is named above")
        .evidence(left.iter().map(line))
        .retryable()
}

#[async_trait]
impl PostgresRead for World {
    fn go_by(&self, way: &Way) {
        self.lock().way = Some(way.clone());
    }

    async fn server(&self, endpoint: &Endpoint, database: &str) -> Result<Facts, Failure> {
        self.look(|state| {
            // Every server has its own database for administrators.
            if database != "postgres" {
                state.database(endpoint, database)?;
            }
            let server = state.session(endpoint)?;
            Ok(Facts {
                version_num: server.version_num,
                version: server.version.clone(),
                in_recovery: server.in_recovery,
                may_create: server.may_create,
                may_set_roles: server.may_set_roles,
                system: "7301000000000000017".to_owned(),
                pooler: server.pooler.clone(),
            })
        })
    }

    async fn lockable(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        self.look(|state| {
            state.session(endpoint)?;
            lock::lockable(&state.server)
        })
    }

    async fn direct(&self, endpoint: &Endpoint, database: &str) -> Result<(), Failure> {
        self.look(|state| {
            state.database(endpoint, database)?;
            state.server.pooler.as_ref().map_or(Ok(()), |pooler| Err(lock::pooled(pooler)))
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

    async fn query(&self, request: &Query) -> Result<Rows, Failure> {
        self.look(|state| {
            state.database(&request.endpoint, &request.database)?;
            state.answer_query(request)
        })
    }

    async fn sessions(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Session>, Failure> {
        self.look(|state| {
            state.session(endpoint)?;
            Ok(state.sessions(databases))
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

    async fn activity(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Activity>, Failure> {
        self.look(|state| {
            let server = state.session(endpoint)?;
            let at_work = server.backends.iter().filter(|one| databases.contains(&one.database));
            let seconds = |began| state.now.duration_since(began).as_secs().unsigned_abs();
            let activity = |one: &super::server::Backend| Activity {
                pid: one.pid,
                database: one.database.clone(),
                application: "bin/rails".to_owned(),
                query: one.query(),
                // Many statements: each is short.
                seconds: if one.one_statement { seconds(one.began) } else { 0 },
                migrating: true,
                progress: None,
                blocked_by: Vec::new(),
            };
            Ok(at_work.map(activity).collect())
        })
    }

    async fn obstacles(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<Obstacle>, Failure> {
        self.look(|state| {
            let server = state.session(endpoint)?;
            let own = server.obstacles.iter().filter(|one| databases.contains(&one.database)).cloned();
            let standby = |name: &String| {
                let (database, kind) = (name.clone(), "standby".to_owned());
                server.standbys.iter().map(move |name| Obstacle {
                    database: database.clone(),
                    kind: kind.clone(),
                    name: name.clone(),
                })
            };
            let known = databases.iter().filter(|name| server.databases.contains_key(*name));
            let stays = |one: &&Foreign| {
                one.manner == Manner::Superuser && !one.away && databases.contains(&one.session.database)
            };
            let session = |one: &Foreign| Obstacle {
                database: one.session.database.clone(),
                kind: "session".to_owned(),
                name: format!(
                    "process {}, user `{}`, application `{}`",
                    one.session.pid, one.session.user, one.session.application
                ),
            };
            let sessions = server.foreign.iter().filter(stays).map(session);
            Ok(own.chain(known.flat_map(standby)).chain(sessions).collect())
        })
    }

    async fn kept(&self, endpoint: &Endpoint, databases: &[String]) -> Result<Vec<KeptDatabase>, Failure> {
        self.look(|state| {
            let server = state.session(endpoint)?;
            let all = server.databases.values().filter(|db| is_kept_of(&db.facts, databases));
            let shown = |db: &Db| KeptDatabase {
                name: db.facts.name.clone(),
                owner: db.facts.owner.clone(),
                oid: db.facts.oid,
                size: db.facts.size,
                mark: db.mark(),
            };
            Ok(all.map(shown).collect())
        })
    }

    async fn contents(&self, endpoint: &Endpoint, database: &str) -> Result<Contents, Failure> {
        self.look(|state| Ok(state.database(endpoint, database)?.contents()))
    }

    async fn listed_uploads(&self, endpoint: &Endpoint, database: &str) -> Result<u64, Failure> {
        self.look(|state| Ok(state.database(endpoint, database)?.blobs.len() as u64))
    }

    async fn snapshot(&self, endpoint: &Endpoint, database: &str) -> Result<String, Failure> {
        self.look(|state| {
            state.database(endpoint, database)?;
            Ok(state.server.snapshot())
        })
    }

    async fn written_since(
        &self,
        endpoint: &Endpoint,
        database: &str,
        snapshot: &str,
        sequences: &BTreeMap<String, i64>,
    ) -> Result<Vec<WrittenRows>, Failure> {
        self.look(|state| {
            let next = snapshot.split(':').nth(1).and_then(|next| next.parse().ok());
            let next = next.ok_or_else(|| {
                Failure::new(
                    "bad_snapshot",
                    format!("`{snapshot}` is no moment that this server could have given"),
                )
            })?;
            if next > state.server.transaction {
                let text = "the moment lies in the future of this server: it is of another one";
                return Err(Failure::new("other_server", text));
            }
            Ok(state.database(endpoint, database)?.since(next, sequences))
        })
    }

    async fn sequences(&self, endpoint: &Endpoint, database: &str) -> Result<BTreeMap<String, i64>, Failure> {
        self.look(|state| Ok(state.database(endpoint, database)?.sequences()))
    }

    async fn jobs(
        &self,
        endpoint: &Endpoint,
        database: &str,
        until: Option<i64>,
        limit: usize,
    ) -> Result<Jobs, Failure> {
        self.look(|state| {
            let all = &state.database(endpoint, database)?.jobs;
            let jobs: Vec<_> =
                all.iter().filter(|job| until.is_none_or(|until| job.id <= until)).cloned().collect();
            let newest = jobs.iter().map(|job| job.id).max().unwrap_or(0);
            let claimed = jobs.iter().filter(|job| job.claimed_by.is_some()).count();
            // Those that were taken come first.
            let waiting = jobs.len() as u64;
            let mut oldest = jobs;
            oldest.sort_by_key(|job| (job.claimed_by.is_none(), job.id));
            oldest.truncate(limit);
            Ok(Jobs { waiting, claimed: claimed as u64, newest, oldest })
        })
    }

    async fn room(&self, endpoint: &Endpoint) -> Result<Option<u64>, Failure> {
        self.look(|state| Ok(state.session(endpoint)?.room))
    }

    async fn decode(&self, major: u32, file: &Path, _: &Teller) -> Result<Decoded, Failure> {
        self.look(|state| state.decode(major, file))
    }
}

/// Whether uplift made a database of one of these, by its mark, or by its name where the mark says nothing.
pub(super) fn is_kept_of(facts: &DatabaseFacts, databases: &[String]) -> bool {
    use crate::ports::postgres::{Kept, Mark};
    if Kept::of_name(&facts.name).is_none() {
        return false;
    }
    let mark = facts.comment.as_deref().and_then(Mark::read);
    let words = ["__pre_", "__failed_", "__restore_", "__check_"];
    let named = |of: &String| {
        facts
            .name
            .strip_prefix(of.as_str())
            .is_some_and(|rest| words.iter().any(|word| rest.starts_with(word)))
    };
    match mark {
        Some(mark) => databases.contains(&mark.of),
        None => databases.iter().any(named),
    }
}
