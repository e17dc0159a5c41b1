use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Server;
use crate::ports::postgres::Session;

/// How a session of somebody else behaves when it is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// It goes and does not come back.
    Goes,
    /// It comes back at once, unless its database lets nobody in: an exporter that polls.
    ComesBack,
    /// Only a superuser could end it.
    Superuser,
}

/// A session of somebody else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::sim) struct Foreign {
    pub session: Session,
    pub manner: Manner,
    /// Ended, and kept out since.
    pub away: bool,
}

/// A statement of a migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::sim) struct Backend {
    pub pid: i32,
    pub database: String,
    /// Address of the container that asked for it.
    pub client: String,
    /// The migration's file.
    pub file: String,
    pub began: Timestamp,
    pub until: Timestamp,
    /// All of it is one statement: the server goes on with it though the client is gone.
    pub one_statement: bool,
    /// Its client is gone.
    pub orphan: bool,
}

impl Backend {
    pub(in crate::sim) fn query(&self) -> String {
        let what = self.file.split_once('_').map_or("", |(_, what)| what).trim_end_matches(".rb");
        let table = what.rsplit_once("backfill_").map_or(what, |(_, table)| table);
        if self.one_statement {
            format!("UPDATE {table} SET search = $1")
        } else {
            format!("UPDATE {table} SET search = $1 WHERE id BETWEEN $2 AND $3")
        }
    }

    pub(in crate::sim) fn session(&self, user: &str, now: Timestamp) -> Session {
        Session {
            pid: self.pid,
            database: self.database.clone(),
            user: user.to_owned(),
            application: "bin/rails".to_owned(),
            client: self.client.clone(),
            state: "active".to_owned(),
            query: self.query(),
            seconds: now.duration_since(self.began).as_secs().unsigned_abs(),
            quiet_ms: u64::try_from(now.duration_since(self.began).as_millis()).unwrap_or_default(),
        }
    }
}

impl Server {
    /// The client of a statement is gone: one statement goes on alone, many end with the one at work.
    pub(in crate::sim) fn abandon(&mut self, pid: i32) {
        let Some(at) = self.backends.iter().position(|one| one.pid == pid) else { return };
        if self.backends[at].one_statement {
            self.backends[at].orphan = true;
        } else {
            // What was committed by then stays.
            let ended = self.backends.remove(at);
            self.apply(&ended.file);
        }
    }

    /// Statements whose client is gone come to their end: what they did is committed, and nobody writes the version down.
    pub(in crate::sim) fn finish_orphans(&mut self, now: Timestamp) {
        let done = |one: &Backend| one.orphan && one.until <= now;
        let finished: Vec<_> = self.backends.iter().filter(|one| done(one)).cloned().collect();
        self.backends.retain(|one| !done(one));
        for one in finished {
            self.apply(&one.file);
        }
    }

    /// Ends a statement from outside: one statement is taken back by the server, of many those before it stay.
    pub(in crate::sim) fn terminate(&mut self, database: &str) -> u64 {
        let (ended, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.backends).into_iter().partition(|one| one.database == database);
        self.backends = kept;
        for one in ended.iter().filter(|one| !one.one_statement) {
            self.apply(&one.file);
        }
        ended.len() as u64
    }
}
