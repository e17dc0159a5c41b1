//! Somebody who looks on: each write of a world is shown before it and after it.

use std::{path::Path, sync::Arc};

use super::{server::Db, state::State, world::World};
use crate::ports::files::File;

/// Is shown a world at each of its writes.
pub(super) type Watch = dyn Fn(&Moment<'_>) + Send + Sync;

/// A world as it is at one moment, seen without a copy.
pub struct Moment<'a> {
    state: &'a State,
    /// The write's number, counted from 1 over the world's whole life.
    pub number: usize,
    /// What is written, as in [`World::log`]; empty where nothing is.
    pub line: &'a str,
    /// It has happened, or has failed.
    pub is_after: bool,
}

impl Moment<'_> {
    /// Another world, the same as this one is at this moment.
    #[must_use]
    pub fn fork(&self) -> World {
        World::of(self.state.forked())
    }

    #[must_use]
    pub fn file(&self, path: &Path) -> Option<&File> {
        self.state.disk.files.get(path)
    }

    /// All files of the host, by path.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &File)> {
        self.state.disk.files.iter().map(|(path, file)| (path.as_path(), file))
    }

    /// All databases of the server, those that uplift keeps included.
    pub fn databases(&self) -> impl Iterator<Item = &Db> {
        self.state.server.databases.values()
    }

    /// Who may migrate the product's databases now: each running web that prepares them, and each statement of one that is
    /// gone which the server goes on with.
    #[must_use]
    pub fn migrators(&self) -> Vec<String> {
        let webs = self.state.host.instances.values().filter(|one| one.shown.is_running() && one.prepares());
        let orphans = self.state.server.backends.iter().filter(|one| one.orphan);
        let orphans = orphans.map(|one| format!("a statement of `{}` without a client", one.file));
        webs.map(|one| format!("container `{}`", one.shown.name)).chain(orphans).collect()
    }

    /// Acknowledged orders that no database of the server has, kept ones included.
    #[must_use]
    pub fn orders_nowhere(&self) -> u64 {
        let all = self.state.writer.acknowledged.iter().flat_map(|&(first, count)| first..first + count);
        let known = |order: &u64| {
            self.databases().any(|db| db.table("orders").is_some_and(|orders| orders.has(*order)))
        };
        all.filter(|order| !known(order)).count() as u64
    }
}

impl State {
    pub(super) fn show(&self, number: usize, line: &str, is_after: bool) {
        if let Some(watch) = &self.keeper.watch {
            watch(&Moment { state: self, number, line, is_after });
        }
    }
}

impl World {
    /// From now on `see` is shown this world before and after each write. Writes of one call that are counted one by one are
    /// shown inside the call's own. It must not ask the world for anything: that would wait for itself.
    pub fn watch(&self, see: impl Fn(&Moment<'_>) + Send + Sync + 'static) {
        self.lock().keeper.watch = Some(Arc::new(see));
    }

    /// Shows this world as it is now.
    pub fn show(&self, see: impl FnOnce(&Moment<'_>)) {
        let mut state = self.lock();
        state.settle();
        let number = state.faults.log.len();
        see(&Moment { state: &state, number, line: "", is_after: true });
    }
}
