//! Somebody who looks on: each write of a world is shown before it and after it, and whoever outlives a process that dies
//! in it is left the world.

use std::{fmt, path::Path, sync::Arc};

use super::{server::Db, state::State, world::World};
use crate::ports::{docker::Container, files::File};

/// Who looks on at a world, if somebody does. What is forked off is another world: nobody looks on there.
#[derive(Clone, Default)]
pub(super) struct Onlooker {
    watch: Option<Arc<Watch>>,
    heir: Option<Arc<Heir>>,
}

type Watch = dyn Fn(&Moment<'_>) + Send + Sync;
type Heir = dyn Fn(World) + Send + Sync;

impl fmt::Debug for Onlooker {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(if self.watch.is_some() { "Onlooker" } else { "nobody" })
    }
}

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

/// A container with what its image makes of its settings.
pub struct Instance<'a> {
    pub container: &'a Container,
    /// It migrates the product's databases before it serves.
    pub prepares: bool,
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

    /// All containers of the host.
    pub fn instances(&self) -> impl Iterator<Item = Instance<'_>> {
        let all = self.state.host.instances.values();
        all.map(|one| Instance { container: &one.shown, prepares: one.prepares() })
    }

    /// Migrations, by their files, whose client is gone and whose statement the server goes on with.
    pub fn orphans(&self) -> impl Iterator<Item = &str> {
        let orphans = self.state.server.backends.iter().filter(|one| one.orphan);
        orphans.map(|one| one.file.as_str())
    }

    /// The numbers of the orders that users were told they had placed.
    pub fn acknowledged(&self) -> impl Iterator<Item = u64> {
        self.state.writer.acknowledged.iter().flat_map(|&(first, count)| first..first + count)
    }
}

impl State {
    pub(super) fn show(&self, number: usize, line: &str, is_after: bool) {
        if let Some(watch) = &self.onlooker.watch {
            watch(&Moment { state: self, number, line, is_after });
        }
    }

    /// Leaves the world as it is to whoever outlives this process; false where nobody does.
    pub(super) fn bequeath(&self) -> bool {
        let Some(heir) = &self.onlooker.heir else { return false };
        let left = World::of(Self { faults: self.faults.clone(), ..self.forked() });
        // No session of a process outlives it.
        left.lose_lock();
        heir(left);
        true
    }
}

impl World {
    /// From now on `see` is shown this world before and after each write. Writes of one call that are counted one by one are
    /// shown inside the call's own. It must not ask the world for anything: that would wait for itself.
    pub fn watch(&self, see: impl Fn(&Moment<'_>) + Send + Sync + 'static) {
        self.lock().onlooker.watch = Some(Arc::new(see));
    }

    /// From now on a fault that would end this process leaves the world to `heir` instead, as another process would find it.
    /// What is done in this one after that counts for nothing. `heir` must not ask this world for anything.
    pub fn outlive(&self, heir: impl Fn(World) + Send + Sync + 'static) {
        self.lock().onlooker.heir = Some(Arc::new(heir));
    }

    /// Shows this world as it is now.
    pub fn show(&self, see: impl FnOnce(&Moment<'_>)) {
        let mut state = self.lock();
        state.settle();
        let number = state.faults.log.len();
        see(&Moment { state: &state, number, line: "", is_after: true });
    }
}
