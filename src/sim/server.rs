//! The PostgreSQL server of a world, as data.

use std::collections::BTreeMap;

use super::registry::Release;
use crate::ports::postgres::{DatabaseFacts, DumpClient, Session, TableRows};

/// One database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Db {
    pub facts: DatabaseFacts,
    /// `schema_migrations`, sorted; `None`: there is no such table.
    pub versions: Option<Vec<String>>,
    pub tables: Vec<TableRows>,
    /// Tables that the session's user may not read.
    pub unreadable: Vec<String>,
}

impl Db {
    /// An ordinary database with the given tables and rows.
    #[must_use]
    pub fn new(name: &str, owner: &str, versions: &[&str], tables: &[(&str, u64)]) -> Self {
        let table = |&(name, rows): &(&str, u64)| TableRows {
            schema: "public".to_owned(),
            name: name.to_owned(),
            rows,
        };
        let rows: u64 = tables.iter().map(|(_, rows)| rows).sum();
        Self {
            facts: DatabaseFacts {
                name: name.to_owned(),
                oid: 0,
                open: true,
                locale_provider: String::new(),
                icu_locale: None,
                owner: owner.to_owned(),
                size: (8 << 20) + rows * 400,
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
            tables: tables.iter().map(table).collect(),
            unreadable: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
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
    pub databases: BTreeMap<String, Db>,
    /// The product's own databases, the primary first.
    pub product: Vec<String>,
    pub clients: Vec<DumpClient>,
    /// Of somebody else.
    pub sessions: Vec<Session>,
    /// Transaction ids: moves on with every change.
    pub transaction: u64,
}

impl Server {
    /// What `db:prepare` does: makes what is missing, loads the schema into what is empty, migrates the primary.
    /// False if a migration raised.
    pub(super) fn prepare(&mut self, release: &Release) -> bool {
        for name in self.product.clone() {
            if !self.databases.contains_key(&name) && self.may_create {
                // In silence: an upgrade with one database missing goes well and loses what was in it.
                self.databases.insert(name.clone(), Db::new(&name, &self.user, &["1"], &[]));
                self.transaction += 1;
            }
        }
        let Some(primary) = self.product.first().and_then(|name| self.databases.get_mut(name)) else {
            return false;
        };
        let versions = primary.versions.get_or_insert_default();
        for migration in &release.migrations {
            let Some((version, what)) = migration.split_once('_') else { continue };
            if versions.iter().any(|known| known == version) {
                continue;
            }
            if release.raises.as_ref() == Some(migration) {
                return false;
            }
            versions.push(version.to_owned());
            versions.sort();
            self.transaction += 1;
            if let Some(table) = what.strip_prefix("create_").and_then(|name| name.strip_suffix(".rb")) {
                let table = TableRows { schema: "public".to_owned(), name: table.to_owned(), rows: 0 };
                primary.tables.push(table);
            }
        }
        true
    }
}
