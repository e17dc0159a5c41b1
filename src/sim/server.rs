//! The PostgreSQL server of a world, as data.

mod prepare;
mod sessions;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(super) use self::{
    prepare::Prepared,
    sessions::{Backend, Foreign},
};
pub use self::{
    sessions::Manner,
    tables::{Rows, Table},
};
use crate::{
    event::Failure,
    ports::postgres::{
        Blob, Contents, DatabaseFacts, DumpClient, Job, Mark, Obstacle, TableRows, WrittenRows,
    },
};

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Db {
    pub facts: DatabaseFacts,
    /// `schema_migrations`, sorted; `None`: there is no such table.
    pub versions: Option<Vec<String>>,
    /// All other tables.
    pub tables: Vec<Table>,
    /// Rows of `active_storage_blobs`, where the database has it.
    pub blobs: Vec<Blob>,
    /// Jobs that are not done, oldest first, where the database is a queue.
    pub jobs: Vec<Job>,
    pub large_objects: u64,
    /// Tables that the session's user may not read.
    pub unreadable: Vec<String>,
    /// A table whose rows a dump leaves out without a word.
    pub lost_by_dumps: Option<String>,
    /// When the newest of the versions were written, and how many.
    pub(super) migrated: Vec<Rows>,
}

impl Db {
    /// An ordinary database with the given tables and rows.
    #[must_use]
    pub fn new(name: &str, owner: &str, versions: &[&str], tables: &[(&str, u64)]) -> Self {
        let rows: u64 = tables.iter().map(|(_, rows)| rows).sum();
        Self {
            facts: DatabaseFacts {
                name: name.to_owned(),
                oid: 0,
                open: true,
                locale_provider: "c".to_owned(),
                icu_locale: None,
                owner: owner.to_owned(),
                size: EMPTY + rows * ROW,
                encoding: "UTF8".to_owned(),
                collate: "C.UTF-8".to_owned(),
                ctype: "C.UTF-8".to_owned(),
                connection_limit: -1,
                acl: Vec::new(),
                settings: Vec::new(),
                comment: None,
                extensions: Vec::new(),
            },
            versions: Some(versions.iter().map(|&version| version.to_owned()).collect()),
            tables: tables.iter().map(|&(name, rows)| Table::new(name, rows)).collect(),
            blobs: Vec::new(),
            jobs: Vec::new(),
            large_objects: 0,
            unreadable: Vec::new(),
            lost_by_dumps: None,
            migrated: Vec::new(),
        }
    }

    /// A table has this many rows, from the beginning.
    pub(super) fn set_rows(&mut self, name: &str, rows: u64) {
        self.tables.retain(|table| table.name != name);
        self.tables.push(Table::new(name, rows));
        self.facts.size = EMPTY + self.tables.iter().map(Table::count).sum::<u64>() * ROW;
    }

    /// A table by its name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub(super) fn contents(&self) -> Contents {
        let row = |table: &Table| TableRows {
            schema: table.schema.clone(),
            name: table.name.clone(),
            rows: table.count(),
        };
        let mut tables: Vec<_> = self.tables.iter().map(row).collect();
        tables.extend(self.versions.as_ref().map(|versions| migrations(versions.len() as u64)));
        tables.sort_by(|left, right| (&left.schema, &left.name).cmp(&(&right.schema, &right.name)));
        Contents { tables, large_objects: self.large_objects }
    }

    /// Rows that transactions from `transaction` on have written.
    pub(super) fn since(&self, transaction: u64, sequences: &BTreeMap<String, i64>) -> Vec<WrittenRows> {
        let newer = |rows: &[Rows], from: u64| {
            let newer = rows.iter().filter(|rows| rows.transaction >= transaction);
            newer.map(|rows| (rows.first + rows.count).saturating_sub(rows.first.max(from))).sum::<u64>()
        };
        let added = |table: &Table| {
            let last = sequences.get(&table.sequence()).copied().unwrap_or(0).unsigned_abs();
            (!sequences.is_empty()).then(|| newer(&table.rows, last + 1))
        };
        let row = |table: &Table| WrittenRows {
            schema: table.schema.clone(),
            name: table.name.clone(),
            rows: newer(&table.rows, 0),
            added: added(table),
        };
        let mut tables: Vec<_> = self.tables.iter().map(row).collect();
        let TableRows { schema, name, rows } = migrations(newer(&self.migrated, 0));
        tables.push(WrittenRows { schema, name, rows, added: None });
        tables.retain(|table| table.rows > 0);
        tables.sort_by(|left, right| (&left.schema, &left.name).cmp(&(&right.schema, &right.name)));
        tables
    }

    /// The highest number of each table.
    pub(super) fn sequences(&self) -> BTreeMap<String, i64> {
        let last = |table: &Table| {
            let last = table.rows.iter().map(|rows| rows.first + rows.count - 1).max()?;
            Some((table.sequence(), i64::try_from(last).ok()?))
        };
        self.tables.iter().filter_map(last).collect()
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        self.facts.comment.as_deref().and_then(Mark::read)
    }
}

fn migrations(rows: u64) -> TableRows {
    TableRows { schema: "public".to_owned(), name: "schema_migrations".to_owned(), rows }
}

/// Bytes of a database without rows, and of a row.
const EMPTY: u64 = 8 << 20;
const ROW: u64 = 400;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "what a server is and may is independent of each other")]
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub reachable: bool,
    pub version_num: u32,
    pub version: String,
    pub in_recovery: bool,
    pub may_create: bool,
    pub may_set_roles: bool,
    pub pooler: Option<String>,
    pub databases: BTreeMap<String, Db>,
    /// The product's own databases, the primary first.
    pub product: Vec<String>,
    pub clients: Vec<DumpClient>,
    /// Sessions of somebody else.
    pub foreign: Vec<Foreign>,
    /// Statements at work.
    pub backends: Vec<Backend>,
    /// Containers whose sessions in a database were ended while it let nobody in, with the database's number.
    pub cut: BTreeSet<(String, u32)>,
    pub obstacles: Vec<Obstacle>,
    /// Names of standbys of the whole server.
    pub standbys: Vec<String>,
    /// Free bytes for data; `None` where that cannot be known.
    pub room: Option<u64>,
    pub lock: Lock,
    /// The next transaction's number: moves on with every change.
    pub transaction: u64,
    /// The next database's number, the next row's, and the next backend's.
    pub next: u64,
}

/// The site's lock in the maintenance database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Lock {
    #[default]
    Free,
    /// `session` tells one holder from another of the same name.
    Held { holder: String, session: u64 },
    /// The user may not connect to the maintenance database.
    Denied,
}

impl Lock {
    pub(super) fn is_of(&self, asked: u64) -> bool {
        matches!(self, Self::Held { session, .. } if *session == asked)
    }
}

impl Server {
    /// A number that nothing else on this server has.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The session that holds the site's lock ends.
    pub(super) fn end_lock(&mut self) {
        if matches!(self.lock, Lock::Held { .. }) {
            self.lock = Lock::Free;
        }
    }

    pub(super) fn oid(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&mut self) -> u64 {
        self.transaction += 1;
        self.transaction - 1
    }

    pub(super) fn snapshot(&self) -> String {
        let next = self.transaction;
        format!("{next}:{next}:")
    }

    /// Puts a database under its name; a new one gets a number.
    pub(super) fn put(&mut self, mut db: Db) {
        if db.facts.oid == 0 {
            db.facts.oid = self.oid();
        }
        self.begin();
        self.databases.insert(db.facts.name.clone(), db);
    }

    /// Takes room for data, or fails as a full disk does.
    pub(super) fn take(&mut self, name: &str, bytes: u64) -> Result<(), Failure> {
        let Some(free) = self.room else { return Ok(()) };
        if free < bytes {
            let text = format!("the server has no room for `{name}`: could not extend file");
            return Err(Failure::new("no_room", text)
                .hint(format!("{bytes} bytes are needed on the database server, {free} are free")));
        }
        self.room = Some(free - bytes);
        Ok(())
    }

    pub(super) fn give(&mut self, bytes: u64) {
        self.room = self.room.map(|free| free + bytes);
    }

    pub(super) fn get(&self, name: &str) -> Result<&Db, Failure> {
        self.databases.get(name).ok_or_else(|| missing(name))
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Result<&mut Db, Failure> {
        self.databases.get_mut(name).ok_or_else(|| missing(name))
    }

    /// Adds rows to a table of a database; false if either is not there or lets nobody in. Gives the first number.
    pub(super) fn insert(&mut self, database: &str, table: &str, count: u64) -> Option<u64> {
        let first = self.next + 1;
        let db = self.databases.get_mut(database).filter(|db| db.facts.open)?;
        let table = db.tables.iter_mut().find(|known| known.name == table)?;
        let transaction = self.transaction;
        table.rows.push(Rows { transaction, first, count, edition: 0 });
        db.facts.size += count * ROW;
        self.next += count;
        self.transaction += 1;
        Some(first)
    }
}

pub(super) fn missing(name: &str) -> Failure {
    Failure::new("database_missing", format!("the database `{name}` does not exist"))
}
