use std::time::Duration;

use super::{Db, Rows, Server, Table};
use crate::sim::registry::Release;

/// How far `db:prepare` came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) enum Prepared {
    Done,
    /// What it says before it ends.
    Failed(Vec<String>),
    /// This migration takes time.
    Takes {
        file: String,
        time: Duration,
        one_statement: bool,
    },
}

impl Server {
    /// What `db:prepare` does: makes what is missing, loads the schema into what is empty, migrates the primary.
    pub(in crate::sim) fn prepare(&mut self, release: &Release) -> Prepared {
        if let Some(why) = self.refused() {
            return Prepared::Failed(vec![format!("bin/rails aborted! PG::ConnectionBad: {why}")]);
        }
        let product = self.product.clone();
        for (at, name) in product.iter().enumerate() {
            if !self.databases.contains_key(name) {
                if !self.may_create {
                    let why = format!("FATAL: database \"{name}\" does not exist");
                    return Prepared::Failed(vec![format!("bin/rails aborted! PG::ConnectionBad: {why}")]);
                }
                // In silence: an upgrade with one database missing goes well and loses what was in it.
                self.put(Db { versions: None, ..Db::new(name, &self.user.clone(), &[], &[]) });
            }
            self.load_schema(name, (at == 0).then_some(release));
        }
        self.migrate(release)
    }

    /// Why a session in one of the product's databases is refused.
    fn refused(&self) -> Option<String> {
        if !self.reachable {
            return Some("could not connect to server: Connection refused".to_owned());
        }
        let known = self.product.iter().filter_map(|name| self.databases.get(name));
        let closed = known.into_iter().find(|db| !db.facts.open)?;
        Some(format!("FATAL: database \"{}\" is not currently accepting connections", closed.facts.name))
    }

    /// An empty database gets the tables of the release, without a row.
    fn load_schema(&mut self, name: &str, release: Option<&Release>) {
        let transaction = self.transaction;
        let Some(db) = self.databases.get_mut(name) else { return };
        if db.versions.is_some() || !db.tables.is_empty() {
            return;
        }
        let migrations = release.map_or(&[][..], |release| &release.migrations);
        let mut versions: Vec<_> = migrations.iter().filter_map(|file| file.get(..14)).collect();
        if release.is_none() {
            versions = vec!["1"];
        }
        db.migrated = vec![Rows { transaction, first: 1, count: versions.len() as u64, edition: 0 }];
        db.versions = Some(versions.into_iter().map(str::to_owned).collect());
        db.tables.extend(migrations.iter().filter_map(|file| created(file)).map(|name| Table::new(name, 0)));
        self.transaction += 1;
    }

    fn migrate(&mut self, release: &Release) -> Prepared {
        for file in &release.migrations {
            if self.has(file) {
                continue;
            }
            if release.raises.as_ref() == Some(file) {
                let line = "bin/rails aborted! StandardError: An error has occurred".to_owned();
                return Prepared::Failed(vec![line]);
            }
            if let Some((slow, time)) = release.slow.as_ref().filter(|(slow, _)| slow == file) {
                let one_statement = release.one_statement;
                return Prepared::Takes { file: slow.clone(), time: *time, one_statement };
            }
            self.apply(file);
            self.record(file);
        }
        Prepared::Done
    }

    fn primary(&mut self) -> Option<&mut Db> {
        let name = self.product.first()?;
        self.databases.get_mut(name)
    }

    fn has(&mut self, file: &str) -> bool {
        let version = file.split('_').next().unwrap_or_default();
        let versions = self.primary().and_then(|db| db.versions.as_ref());
        versions.is_some_and(|versions| versions.iter().any(|known| known == version))
    }

    /// What a migration does to the tables, by its name.
    pub(in crate::sim) fn apply(&mut self, file: &str) {
        let transaction = self.begin();
        let edition = file.get(..14).and_then(|version| version.parse().ok()).unwrap_or_default();
        let Some(primary) = self.primary() else { return };
        if let Some(table) = created(file) {
            if primary.table(table).is_none() {
                primary.tables.push(Table::new(table, 0));
            }
        } else if let Some(table) = after(file, "backfill_") {
            let known = primary.tables.iter_mut().filter(|known| known.name == table);
            known.for_each(|known| known.rewrite(transaction, edition));
        }
    }

    /// Writes a migration's version down, as Rails does once it is through.
    pub(in crate::sim) fn record(&mut self, file: &str) {
        let transaction = self.begin();
        let Some(version) = file.get(..14) else { return };
        let Some(primary) = self.primary() else { return };
        let versions = primary.versions.get_or_insert_default();
        if versions.iter().any(|known| known == version) {
            return;
        }
        versions.push(version.to_owned());
        versions.sort();
        let first = versions.len() as u64;
        primary.migrated.push(Rows { transaction, first, count: 1, edition: 0 });
    }
}

fn created(file: &str) -> Option<&str> {
    after(file, "create_")
}

fn after<'a>(file: &'a str, verb: &str) -> Option<&'a str> {
    let (_, what) = file.split_once('_')?;
    what.strip_prefix(verb)?.strip_suffix(".rb")
}
