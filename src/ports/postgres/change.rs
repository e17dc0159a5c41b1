//! What is written on a server: databases made, moved and closed. None of it runs inside a database of the product.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    dump::DumpClient,
    facts::{DatabaseFacts, Mark},
};
use crate::{
    event::{Change, Write},
    site::Endpoint,
};

/// Lets sessions in, or keeps everybody out (`ALLOW_CONNECTIONS`); those that are there stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admit {
    pub endpoint: Endpoint,
    pub databases: Vec<String>,
    pub open: bool,
}

/// Ends every session in these databases, of whoever, and every one of ours that still makes one of them; waits until
/// there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSessions {
    pub endpoint: Endpoint,
    pub databases: Vec<String>,
    /// How long they may take to go.
    pub patience: Duration,
}

/// Makes a database as a template copy of another that nobody is in (`STRATEGY file_copy` where the server knows it).
///
/// What a copy does not take along (owner, ACL, settings, connection limit) is given to it from `facts`, and compared;
/// its comment becomes the mark. Does nothing if a database with that name and mark is there and is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyDatabase {
    pub endpoint: Endpoint,
    pub from: DatabaseFacts,
    pub to: String,
    pub mark: Mark,
}

/// Makes a database and loads a dump into it: from `template0` with the facts' encoding and locale, then
/// `pg_restore --exit-on-error`. One with that name and mark that an earlier attempt left is dropped first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadDump {
    pub endpoint: Endpoint,
    pub client: DumpClient,
    /// `NAME.dump.zst` of a set.
    pub file: PathBuf,
    /// As the database was when it was dumped.
    pub facts: DatabaseFacts,
    pub to: String,
    pub mark: Mark,
}

/// Gives a database what it had: owner, ACL, settings, connection limit, comment. Fails with `not_as_before` if it
/// does not have them then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equip {
    pub endpoint: Endpoint,
    pub database: String,
    pub facts: DatabaseFacts,
    /// The comment to write instead of the facts' own.
    pub mark: Option<Mark>,
}

/// Renames databases in one transaction, in this order: all of it happens or nothing. Fails with `sessions_remain`
/// if somebody is in one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    pub endpoint: Endpoint,
    pub renames: Vec<Renaming>,
    /// Migrations of the databases that come in, by their new names, where they are known: a rehearsal cannot look into
    /// one that keeps everybody out.
    #[serde(default)]
    pub schemas: std::collections::BTreeMap<String, Vec<String>>,
}

/// One step of a [`Swap`]. The database is known by its number: a name may be another's by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renaming {
    pub oid: u32,
    pub from: String,
    pub to: String,
}

/// Drops a database of uplift's. Refuses (`not_ours`) one whose name and mark do not say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropDatabase {
    pub endpoint: Endpoint,
    pub name: String,
    pub oid: u32,
}

impl Admit {
    #[must_use]
    pub fn changes(&self) -> Vec<Write> {
        self.databases
            .iter()
            .map(|name| Write {
                change: Change::Database {
                    name: name.clone(),
                    what: if self.open { "lets sessions in again" } else { "keeps everybody out" }.to_owned(),
                },
                shell: Some(psql(
                    &self.endpoint,
                    &format!("ALTER DATABASE {} ALLOW_CONNECTIONS {}", ident(name), self.open),
                )),
            })
            .collect()
    }
}

impl EndSessions {
    #[must_use]
    pub fn changes(&self) -> Vec<Write> {
        self.databases
            .iter()
            .map(|name| Write {
                change: Change::Database { name: name.clone(), what: "all its sessions are ended".to_owned() },
                shell: Some(psql(
                    &self.endpoint,
                    &format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {} AND usesysid IS NOT NULL AND pid <> pg_backend_pid()",
                        literal(name)
                    ),
                )),
            })
            .collect()
    }
}

impl CopyDatabase {
    #[must_use]
    pub fn change(&self) -> Write {
        Write {
            change: Change::DatabaseAdded {
                name: self.to.clone(),
                bytes: Some(self.from.size),
                what: format!("copy of `{}`", self.from.name),
            },
            shell: Some(psql(
                &self.endpoint,
                &format!("CREATE DATABASE {} TEMPLATE {}", ident(&self.to), ident(&self.from.name)),
            )),
        }
    }
}

impl LoadDump {
    #[must_use]
    pub fn change(&self) -> Write {
        let shell = format!(
            "createdb -T template0 {} && zstd -dc {} | pg_restore --exit-on-error -d {}",
            crate::ports::files::quote(&self.to),
            crate::ports::files::quoted(&self.file),
            crate::ports::files::quote(&self.to)
        );
        Write {
            change: Change::DatabaseAdded {
                name: self.to.clone(),
                bytes: Some(self.facts.size),
                what: format!("`{}` from its dump", self.facts.name),
            },
            shell: Some(shell),
        }
    }
}

impl Equip {
    #[must_use]
    pub fn change(&self) -> Write {
        let what = "gets owner, rights, settings and comment as they were".to_owned();
        Write { change: Change::Database { name: self.database.clone(), what }, shell: None }
    }
}

impl Swap {
    #[must_use]
    pub fn changes(&self) -> Vec<Write> {
        let statements: Vec<_> = self
            .renames
            .iter()
            .map(|one| format!("ALTER DATABASE {} RENAME TO {}", ident(&one.from), ident(&one.to)))
            .collect();
        let mut shell = Some(psql(&self.endpoint, &format!("BEGIN; {}; COMMIT", statements.join("; "))));
        self.renames
            .iter()
            .map(|one| Write {
                change: Change::Database { name: one.from.clone(), what: format!("becomes `{}`", one.to) },
                shell: shell.take(),
            })
            .collect()
    }
}

impl DropDatabase {
    #[must_use]
    pub fn change(&self) -> Write {
        Write {
            change: Change::DatabaseRemoved { name: self.name.clone() },
            shell: Some(psql(&self.endpoint, &format!("DROP DATABASE {}", ident(&self.name)))),
        }
    }
}

/// A name as PostgreSQL reads it back.
fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// In the maintenance database: a session in one of the product's keeps it from being copied or renamed.
fn psql(endpoint: &Endpoint, statement: &str) -> String {
    use crate::ports::files::quote;
    format!(
        "psql -h {} -p {} -U {} -d postgres -c {}",
        quote(&endpoint.host),
        endpoint.port,
        quote(&endpoint.user),
        quote(statement)
    )
}
