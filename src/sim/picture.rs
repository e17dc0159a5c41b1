//! What runs, in a form that two moments can be compared in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{dotenv, server::Db, state::State, world::World};
use crate::ports::{
    docker::State as Running,
    postgres::{Extension, Job, Kept, TableRows},
};

/// The running site: what users and operators would notice if it changed. Left out: images, what lies in the state
/// folder or beside the uploaded files, databases that uplift keeps, and names that change when
/// the same container is made again (its id, its address).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub files: BTreeMap<PathBuf, PictureFile>,
    /// By service, then by container name.
    pub containers: BTreeMap<String, BTreeMap<String, PictureContainer>>,
    pub databases: BTreeMap<String, PictureDatabase>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    pub blake3: String,
    pub mode: u32,
    pub owner: (u32, u32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureContainer {
    pub image_id: String,
    pub image: String,
    pub running: bool,
    pub restart_policy: String,
    /// Of its environment: values are secrets.
    pub environment_blake3: String,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureDatabase {
    pub owner: String,
    pub acl: Vec<String>,
    pub settings: Vec<String>,
    pub comment: Option<String>,
    pub connection_limit: i32,
    /// It lets sessions in.
    pub open: bool,
    pub extensions: Vec<Extension>,
    pub versions: Option<Vec<String>>,
    pub tables: Vec<TableRows>,
    pub large_objects: u64,
    /// Of numbers and content of all rows, by table.
    pub rows_blake3: BTreeMap<String, String>,
    pub jobs: Vec<Job>,
}

impl World {
    /// The running site as it is now.
    #[must_use]
    pub fn running(&self) -> Picture {
        let mut state = self.lock();
        state.settle();
        Picture { files: files(&state), containers: containers(&state), databases: databases(&state) }
    }

    /// The settings in the env file as it is now.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        let state = self.lock();
        let file = state.disk.files.get(&state.model.project.env_file())?;
        dotenv::parse(&file.bytes).remove(name)
    }
}

fn files(state: &State) -> BTreeMap<PathBuf, PictureFile> {
    // Wherever the state folder was put: its name stays.
    let state_folder = |path: &Path| path.components().any(|part| part.as_os_str() == ".uplift");
    let beside_tree = |path: &Path| {
        let trees = state.host.volumes.values().map(Path::new);
        trees
            .into_iter()
            .any(|tree| tree.parent().is_some_and(|above| path.starts_with(above)) && !path.starts_with(tree))
    };
    let ours = |path: &Path| state_folder(path) || beside_tree(path);
    let seen = state.disk.files.iter().filter(|(path, _)| !ours(path));
    seen.map(|(path, file)| {
        let blake3 = blake3::hash(&file.bytes).to_hex().to_string();
        (path.clone(), PictureFile { blake3, mode: file.mode, owner: (file.uid, file.gid) })
    })
    .collect()
}

fn containers(state: &State) -> BTreeMap<String, BTreeMap<String, PictureContainer>> {
    let mut by_service: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for instance in state.host.instances.values() {
        let shown = &instance.shown;
        let environment = format!("{:?}", instance.environment);
        let picture = PictureContainer {
            image_id: shown.image_id.clone(),
            image: shown.image.clone(),
            running: matches!(shown.state, Running::Running | Running::Restarting),
            restart_policy: shown.restart_policy.clone(),
            environment_blake3: blake3::hash(environment.as_bytes()).to_hex().to_string(),
            labels: shown.labels.clone(),
        };
        let service = shown.service().unwrap_or_default().to_owned();
        by_service.entry(service).or_default().insert(shown.name.clone(), picture);
    }
    by_service
}

fn databases(state: &State) -> BTreeMap<String, PictureDatabase> {
    let all = state.server.databases.iter().filter(|(name, _)| Kept::of_name(name).is_none());
    all.map(|(name, db)| (name.clone(), database(db))).collect()
}

fn database(db: &Db) -> PictureDatabase {
    let (facts, contents) = (db.facts.clone(), db.contents());
    PictureDatabase {
        owner: facts.owner,
        acl: facts.acl,
        settings: facts.settings,
        comment: facts.comment,
        connection_limit: facts.connection_limit,
        open: facts.open,
        extensions: facts.extensions,
        versions: db.versions.clone(),
        tables: contents.tables,
        large_objects: contents.large_objects,
        rows_blake3: db.tables.iter().map(|table| (table.name.clone(), table.hash())).collect(),
        jobs: db.jobs.clone(),
    }
}
