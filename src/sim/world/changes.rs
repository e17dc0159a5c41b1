use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::World;
use crate::{
    ports::{
        docker::{Container, Engine, Image, State},
        files::{File, Space},
    },
    sim::{
        instance::Instance,
        registry::{Release, WebHealth},
        server::Db,
        setup,
        state::{self, hex},
    },
};

/// Changes that come from elsewhere: the operator, the vendor, bad luck. They count as no write.
impl World {
    /// Puts a file, with its folders.
    pub fn put_file(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>, mode: u32) {
        let (mut state, path) = (self.lock(), path.as_ref());
        state.disk.make_folders(path.parent().unwrap_or(Path::new("/")), 0o755);
        let file = File { bytes: text.as_ref().to_vec(), mode, uid: 1000, gid: 1000 };
        state.disk.files.insert(path.to_owned(), file);
    }

    /// Makes a file a link to one that holds the same.
    pub fn link_file(&self, path: impl AsRef<Path>) {
        self.lock().disk.links.insert(path.as_ref().to_owned());
    }

    /// A file as it is; `None` if there is none.
    #[must_use]
    pub fn file(&self, path: impl AsRef<Path>) -> Option<File> {
        self.lock().disk.files.get(path.as_ref()).cloned()
    }

    /// Removes a file, or a folder with all in it.
    pub fn remove_file(&self, path: impl AsRef<Path>) {
        self.lock().disk.remove(path.as_ref());
    }

    /// Sets one setting in the env file, as an editor would: its line is replaced or added.
    pub fn set(&self, name: &str, value: &str) {
        let mut state = self.lock();
        let path = state.model.project.env_file();
        let Some(file) = state.disk.files.get_mut(&path) else { return };
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let wanted = format!("{name}=");
        match lines.iter_mut().find(|line| line.starts_with(&wanted)) {
            Some(line) => *line = format!("{name}={value}"),
            None => lines.push(format!("{name}={value}")),
        }
        file.bytes = format!("{}\n", lines.join("\n")).into_bytes();
    }

    /// A path that may not be read any more.
    pub fn deny(&self, path: impl AsRef<Path>) {
        self.lock().disk.denied.insert(path.as_ref().to_owned());
    }

    /// Sets how much room there is where `path` lies.
    pub fn set_free(&self, path: impl AsRef<Path>, bytes: u64) {
        if let Some(space) = self.lock().disk.system(path.as_ref()) {
            space.free = bytes;
        }
    }

    /// Pushes a release; a second push of one tag moves it to another image.
    pub fn push(&self, release: Release) {
        let mut state = self.lock();
        state.made += 1;
        let edition = u32::try_from(state.made).unwrap_or(u32::MAX);
        state.registry.push(setup::REPOSITORY, release, edition);
    }

    /// Brings an image to the host without a write, as an operator's own `docker pull` would.
    pub fn pulled(&self, tag: &str) {
        let mut state = self.lock();
        let reference = format!("{}:{tag}", setup::REPOSITORY);
        if let Some((_, built)) = state.registry.tags.get(&reference).cloned() {
            let id = built.image.id.clone();
            state.host.images.insert(id.clone(), built);
            state.host.name(&id, &reference);
        }
    }

    /// Whatever a release failed for is gone: from now on its web answers well and its processes stay.
    pub fn mend_release(&self, tag: &str) {
        let mut state = self.lock();
        let state::State { registry, host, .. } = &mut *state;
        let built = registry.tags.values_mut().map(|(_, built)| built).chain(host.images.values_mut());
        for release in built.filter_map(|built| built.release.as_mut()).filter(|release| release.tag == tag) {
            (release.web, release.exits, release.job_exits) = (WebHealth::Healthy, None, None);
            (release.web_exits, release.raises) = (None, None);
        }
    }

    /// Gives an image of the product another tag for the one that it has, with the containers made from it.
    pub fn rename_image(&self, from: &str, tag: &str) {
        let mut state = self.lock();
        let (from, to) = (format!("{}:{from}", setup::REPOSITORY), format!("{}:{tag}", setup::REPOSITORY));
        let Some(id) = state.host.image(&from).map(|image| image.id.clone()) else { return };
        state.host.name(&id, &to);
        for built in state.host.images.values_mut() {
            built.image.tags.retain(|name| *name != from);
        }
        for one in state.host.instances.values_mut().filter(|one| one.shown.image_id == id) {
            one.shown.image.clone_from(&to);
            one.environment.insert("STRATA_VERSION".to_owned(), tag.to_owned());
        }
    }

    /// A folder is moved, with all that is in it.
    pub fn move_folder(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        self.lock().disk.rename(from.as_ref(), to.as_ref());
    }

    /// The host loses its containers, its volumes and the site's configuration, and the server its databases. Images
    /// and the state folder stay.
    pub fn lose_everything(&self) {
        let mut state = self.lock();
        state.settle();
        state.host.instances.clear();
        let volumes: Vec<_> = std::mem::take(&mut state.host.volumes).into_values().collect();
        let gone = |path: &Path| volumes.iter().any(|volume| path.starts_with(volume));
        state.disk.files.retain(|path, _| !gone(path));
        state.disk.folders.retain(|path, _| !gone(path));
        let config = state.model.project.config_files();
        state.disk.files.retain(|path, _| !config.contains(path));
        state.server.databases.clear();
        state.server.backends.clear();
    }

    /// Somebody prunes the image of this tag away.
    pub fn forget_image(&self, tag: &str) {
        let reference = format!("{}:{tag}", setup::REPOSITORY);
        self.lock().host.images.retain(|_, built| !built.image.tags.contains(&reference));
    }

    /// Whether the registry answers, and whether it refuses the host's login.
    pub fn set_registry(&self, reachable: bool, denied: bool) {
        let mut state = self.lock();
        (state.registry.reachable, state.registry.denied) = (reachable, denied);
    }

    /// Whether the docker engine answers.
    pub fn set_engine(&self, reachable: bool) {
        self.lock().host.reachable = reachable;
    }

    /// From now on no other file may take the place of this one, as where it is a mount of its own.
    pub fn fix_file(&self, path: impl Into<PathBuf>) {
        self.lock().disk.fixed.insert(path.into());
    }

    /// From now on the engine cannot read what any container has said, as after a power cut.
    pub fn lose_logs(&self) {
        self.lock().host.logs_lost = true;
    }

    /// Whether the database server answers, and whether as a standby.
    pub fn set_server(&self, reachable: bool, in_recovery: bool) {
        let mut state = self.lock();
        (state.server.reachable, state.server.in_recovery) = (reachable, in_recovery);
        if !reachable {
            state.server.end_lock();
        }
    }

    /// Changes the password on the server alone.
    pub fn set_server_password(&self, password: &str) {
        password.clone_into(&mut self.lock().server.password);
    }

    /// The `pg_dump` versions on the host, e.g. `15.18`.
    pub fn set_dump_clients(&self, versions: &[&str]) {
        self.lock().server.clients = versions.iter().map(|version| setup::dump_client(version)).collect();
    }

    /// A database as it is; `None` if there is none.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<Db> {
        self.lock().server.databases.get(name).cloned()
    }

    /// Makes or replaces a database.
    pub fn put_database(&self, db: Db) {
        self.lock().server.put(db);
    }

    /// Drops a database, as somebody else would.
    pub fn drop_database(&self, name: &str) {
        self.lock().server.databases.remove(name);
    }

    /// Image ids on the host, by name.
    #[must_use]
    pub fn images(&self) -> BTreeMap<String, String> {
        let state = self.lock();
        let names = |image: &Image| {
            let id = image.id.clone();
            image.tags.iter().map(|tag| (tag.clone(), id.clone())).collect::<Vec<_>>()
        };
        state.host.images.values().flat_map(|built| names(&built.image)).collect()
    }

    /// Paths of all files in a folder and below.
    #[must_use]
    pub fn files_in(&self, folder: impl AsRef<Path>) -> BTreeSet<PathBuf> {
        let state = self.lock();
        state.disk.files.keys().filter(|path| path.starts_with(folder.as_ref())).cloned().collect()
    }

    /// All containers, by name.
    #[must_use]
    pub fn containers(&self) -> Vec<Container> {
        let mut state = self.lock();
        state.settle();
        let mut all: Vec<_> = state.host.instances.values().map(|one| one.shown.clone()).collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// Puts a running container that is not the product's; `edit` sees it as `inspect` will show it.
    pub fn put_container(&self, name: &str, image: &str, edit: impl FnOnce(&mut Container)) {
        let mut state = self.lock();
        let id = state.next_id();
        let now = state.now;
        let mut shown = Container {
            id: id.clone(),
            name: name.to_owned(),
            image_id: format!("sha256:{}", hex(&format!("image {image}"))),
            image: image.to_owned(),
            created: now,
            started: Some(now),
            state: State::Running,
            exit_code: None,
            oom_killed: false,
            restarts: 0,
            health: None,
            restart_policy: "unless-stopped".to_owned(),
            command: Vec::new(),
            stop_timeout: None,
            labels: BTreeMap::new(),
            mounts: Vec::new(),
            ports: BTreeMap::new(),
            networks: [("bridge".to_owned(), format!("172.17.0.{}", state.made % 250 + 2))].into(),
            aliases: BTreeMap::new(),
            extra_hosts: Vec::new(),
        };
        edit(&mut shown);
        state.host.instances.insert(id, Instance::still(shown));
    }

    /// Changes what `inspect` shows of a container.
    pub fn edit_container(&self, name: &str, edit: impl FnOnce(&mut Container)) {
        let mut state = self.lock();
        if let Some(one) = state.host.instances.values_mut().find(|one| one.shown.name == name) {
            edit(&mut one.shown);
        }
    }

    /// Changes what a container was started with.
    pub fn edit_environment(&self, name: &str, edit: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut state = self.lock();
        if let Some(one) = state.host.instances.values_mut().find(|one| one.shown.name == name) {
            edit(&mut one.environment);
        }
    }

    /// Changes what the engine says of itself.
    pub fn edit_engine(&self, edit: impl FnOnce(&mut Engine)) {
        edit(&mut self.lock().host.engine);
    }

    /// One more service in the compose file, written as `like` is.
    pub fn put_service(&self, name: &str, like: &str) {
        let mut state = self.lock();
        let Some(service) = state.model.services.get(like).cloned() else { return };
        state.model.services.insert(name.to_owned(), service);
    }

    /// Sets the version of the compose plugin.
    pub fn set_compose_version(&self, version: semver::Version) {
        self.lock().model.version = version;
    }

    /// Changes what the file system under `path` is.
    pub fn edit_space(&self, path: impl AsRef<Path>, edit: impl FnOnce(&mut Space)) {
        if let Some(space) = self.lock().disk.system(path.as_ref()) {
            edit(space);
        }
    }

    /// Somebody takes the volume out of the compose files, and makes the containers anew.
    pub fn unmount_storage(&self) {
        let mut state = self.lock();
        state.model.volumes.clear();
        for one in state.host.instances.values_mut() {
            one.shown.mounts.clear();
        }
    }

    /// Takes one setting out of the env file.
    pub fn unset(&self, name: &str) {
        let mut state = self.lock();
        let path = state.model.project.env_file();
        let Some(file) = state.disk.files.get_mut(&path) else { return };
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        let wanted = format!("{name}=");
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with(&wanted)).collect();
        file.bytes = format!("{}\n", kept.join("\n")).into_bytes();
    }

    /// Answers at an address that is no container of this world.
    pub fn answer(&self, url: &str, status: u16) {
        self.lock().elsewhere.insert(url.to_owned(), status);
    }
}
