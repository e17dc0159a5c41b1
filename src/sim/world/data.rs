use std::path::Path;

use super::World;
use crate::{
    ports::{
        files::File,
        postgres::{Job, Obstacle, Session, Way},
    },
    sim::{
        server::{Foreign, Lock, Manner},
        setup,
        trees::place,
    },
};

/// What users, operators and bad luck do to the data of a world. It counts as no write of uplift's.
impl World {
    /// Places orders: each is a row in the primary, then a job in the queue. None is acknowledged where a database is
    /// missing or lets nobody in.
    pub fn place_orders(&self, count: u64) {
        self.lock().place_orders(count);
    }

    /// From now on users place this many orders a second, whenever they reach web.
    pub fn write_steadily(&self, per_second: u64) {
        self.lock().writer.rate = per_second;
    }

    /// Orders that were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.lock().orders().0
    }

    /// Acknowledged orders that the primary database does not have.
    #[must_use]
    pub fn lost_orders(&self) -> u64 {
        self.lock().orders().1
    }

    /// A job that is not done.
    pub fn put_job(&self, class: &str, claimed_by: Option<&str>) {
        let mut state = self.lock();
        let Some(queue) = state.server.product.get(1).cloned() else { return };
        let Some(id) = state.server.insert(&queue, "solid_queue_jobs", 1) else { return };
        let id = i64::try_from(id).unwrap_or(i64::MAX);
        let job = Job { id, class: class.to_owned(), claimed_by: claimed_by.map(str::to_owned) };
        if let Some(db) = state.server.databases.get_mut(&queue) {
            db.jobs.push(job);
        }
    }

    /// A user uploads a file: it lies in the storage volume, and the primary has its row.
    pub fn upload(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let mut state = self.lock();
        let bytes = bytes.as_ref();
        let Some(volume) = state.host.volumes.values().next().cloned() else { return };
        let path = Path::new(&volume).join(place(key));
        state.disk.make_folders(path.parent().unwrap_or(Path::new(&volume)), 0o755);
        state.disk.files.insert(path, File { bytes: bytes.to_vec(), mode: 0o644, uid: 1000, gid: 1000 });
        let Some(primary) = state.server.product.first().cloned() else { return };
        if state.server.insert(&primary, "active_storage_blobs", 1).is_some()
            && let Some(db) = state.server.databases.get_mut(&primary)
        {
            db.blobs.push(setup::blob(key, bytes));
        }
    }

    /// Nobody has uploaded anything yet, by the rows.
    pub fn forget_uploads(&self) {
        let mut state = self.lock();
        let Some(primary) = state.server.product.first().cloned() else { return };
        if let Some(db) = state.server.databases.get_mut(&primary) {
            db.blobs.clear();
        }
    }

    /// Where the uploaded file of this key lies.
    #[must_use]
    pub fn uploaded(&self, key: &str) -> std::path::PathBuf {
        let state = self.lock();
        let volume = state.host.volumes.values().next().cloned().unwrap_or_default();
        Path::new(&volume).join(place(key))
    }

    /// A session of somebody else on the database server.
    pub fn put_session(&self, session: Session, manner: Manner) {
        self.lock().server.foreign.push(Foreign { session, manner, away: false });
    }

    /// Sessions of somebody else go by themselves.
    pub fn clear_sessions(&self) {
        self.lock().server.foreign.clear();
    }

    /// Something that holds a database: a slot, a prepared transaction.
    pub fn put_obstacle(&self, obstacle: Obstacle) {
        self.lock().server.obstacles.push(obstacle);
    }

    /// A standby follows the server.
    pub fn put_standby(&self, name: &str) {
        self.lock().server.standbys.push(name.to_owned());
    }

    /// Nothing holds a database any more, and no standby follows.
    pub fn clear_obstacles(&self) {
        let mut state = self.lock();
        state.server.obstacles.clear();
        state.server.standbys.clear();
    }

    /// Free bytes on the server; `None`: nobody can know.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.lock().server.room = bytes;
    }

    /// Another role gets a setting of its own in this database, and the product's user may not give it such a one.
    pub fn set_of_another(&self, database: &str, setting: &str) {
        let mut state = self.lock();
        state.server.may_set_roles = false;
        if let Ok(db) = state.server.get_mut(database) {
            db.facts.settings.push(setting.to_owned());
        }
    }

    /// Whether the product's user may create databases.
    pub fn set_may_create(&self, may: bool) {
        self.lock().server.may_create = may;
    }

    /// What stands before the server, e.g. `PgBouncer`.
    pub fn set_pooler(&self, name: Option<&str>) {
        self.lock().server.pooler = name.map(str::to_owned);
    }

    /// Whether the user may not connect to the maintenance database.
    pub fn deny_lock(&self, denied: bool) {
        self.lock().server.lock = if denied { Lock::Denied } else { Lock::Free };
    }

    /// Somebody on another host takes the site's lock.
    pub fn hold_lock(&self, holder: &str) {
        let mut state = self.lock();
        let session = state.server.number();
        state.server.lock = Lock::Held { holder: holder.to_owned(), session };
    }

    /// The session that holds the site's lock is gone, and nobody has it.
    pub fn lose_lock(&self) {
        self.lock().server.end_lock();
    }

    /// Who holds the site's lock.
    #[must_use]
    pub fn lock_holder(&self) -> Option<String> {
        match &self.lock().server.lock {
            Lock::Held { holder, .. } => Some(holder.clone()),
            Lock::Free | Lock::Denied => None,
        }
    }

    /// Puts a file into a container.
    pub fn put_in_container(&self, name: &str, path: &str, bytes: impl AsRef<[u8]>) {
        let key = (name.to_owned(), path.to_owned());
        self.lock().host.files.insert(key, bytes.as_ref().to_vec());
    }

    /// How the site's databases are reached, as the last look at the site found.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        self.lock().way.clone()
    }

    /// The server is restarted: all sessions are gone, statements are taken back, and those who come back are back.
    pub fn restart_server(&self) {
        let mut state = self.lock();
        state.settle();
        state.server.end_lock();
        state.server.backends.clear();
        state.server.foreign.retain(|one| one.manner == Manner::ComesBack);
        state.settle();
    }
}
