//! Root works for the owner of the site: what it leaves in the state folder is the owner's, and nobody else may read it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use uplift::{
    Ending, Failure, World,
    clients::{self, Environment},
    ports::{
        Ports,
        files::{
            CopyFile, File, Files, FilesRead, Grown, Lies, LineLog, MakeFolder, Position, Remove, Rename,
            Space, WriteFile,
        },
    },
};

use super::site::Site;

const OWNER: (u32, u32) = (4321, 4322);

/// The state folder on the real disk, everything else in a world.
struct Split {
    real: Arc<dyn Files>,
    world: Arc<dyn Files>,
    state: PathBuf,
}

impl Split {
    fn at(&self, path: &Path) -> &dyn Files {
        if path.starts_with(&self.state) { &*self.real } else { &*self.world }
    }
}

#[async_trait]
impl FilesRead for Split {
    async fn read(&self, path: &Path) -> Result<Option<File>, Failure> {
        self.at(path).read(path).await
    }
    async fn hash(&self, path: &Path) -> Result<Option<String>, Failure> {
        self.at(path).hash(path).await
    }
    async fn size(&self, path: &Path) -> Result<Option<u64>, Failure> {
        self.at(path).size(path).await
    }
    async fn list(&self, path: &Path) -> Result<Vec<String>, Failure> {
        self.at(path).list(path).await
    }
    async fn owner(&self, path: &Path) -> Result<Option<(u32, u32)>, Failure> {
        self.at(path).owner(path).await
    }
    async fn lies(&self, path: &Path) -> Result<Option<Lies>, Failure> {
        self.at(path).lies(path).await
    }
    async fn real(&self, path: &Path) -> Result<PathBuf, Failure> {
        self.at(path).real(path).await
    }
    async fn replaceable(&self, path: &Path) -> Result<(), Failure> {
        self.at(path).replaceable(path).await
    }
    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        self.world.space(path).await
    }
    async fn grown(&self, path: &Path, from: Option<Position>) -> Result<Option<Grown>, Failure> {
        self.at(path).grown(path, from).await
    }
}

#[async_trait]
impl Files for Split {
    async fn write(&self, request: &WriteFile) -> Result<(), Failure> {
        self.at(&request.path).write(request).await
    }
    /// What is copied from the world is root's on the real disk.
    async fn copy(&self, request: &CopyFile) -> Result<(), Failure> {
        let from = tempfile::NamedTempFile::new().unwrap();
        fs::write(from.path(), self.at(&request.from).read(&request.from).await?.unwrap().bytes).unwrap();
        self.at(&request.to).copy(&CopyFile { from: from.path().to_owned(), ..request.clone() }).await
    }
    async fn make_folder(&self, request: &MakeFolder) -> Result<(), Failure> {
        self.at(&request.path).make_folder(request).await
    }
    async fn remove(&self, request: &Remove) -> Result<(), Failure> {
        self.at(&request.path).remove(request).await
    }
    async fn rename(&self, request: &Rename) -> Result<(), Failure> {
        self.at(&request.from).rename(request).await
    }
    fn log(&self, path: &Path) -> Arc<dyn LineLog> {
        self.at(path).log(path)
    }
}

const BOOK: &str = r#"
const RUNBOOK = #{ api: 1, summary: "set and switch", on_failure: "undo", params: #{} };
step "switch" {
    env_set(#{ WEB_CONCURRENCY: "7" });
    compose_up(#{ services: [site::web] });
}
"#;

#[tokio::test]
async fn root_leaves_the_owner_of_the_site_everything_and_nobody_else_anything() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::of(World::strata());
    let (real, _) = clients::real_in(Environment::of_process()).unwrap();
    let state = site.state();
    chown(state.parent().unwrap(), Some(OWNER.0), Some(OWNER.1)).unwrap();
    let world = site.world.ports();
    let files = Split { real: real.files, world: Arc::clone(&world.files), state: state.clone() };
    let site = site.with(Ports { files: Arc::new(files), ..world });
    site.world.put_file("/srv/strata/switch.rhai", BOOK, 0o644);
    assert_eq!(site.run("/srv/strata/switch.rhai", &[]).await.unwrap(), Ending::Done);
    let (mut left, mut seen) = (vec![state.clone()], Vec::new());
    while let Some(path) = left.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let mode = about.mode() & 0o7777;
        let shown = path.display();
        assert_eq!((about.uid(), about.gid()), OWNER, "{shown}");
        assert_eq!(mode, if about.is_dir() { 0o700 } else { 0o600 }, "{shown}: {mode:o}");
        if about.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            seen.push(path.strip_prefix(&state).unwrap().display().to_string());
        }
    }
    let kinds =
        ["journal.db", "journal.db-wal", "lock", "logs/", "/before/", "/env/", "/containers/", "/logs/"];
    for kind in kinds {
        assert!(seen.iter().any(|name| name.contains(kind)), "{kind}: {seen:#?}");
    }
}
