//! The rehearsal's ports: reads fall through to the live site and are remembered, writes land in an overlay, later
//! reads see both.

mod compose;
mod containers;
mod databases;
mod diff;
mod engine;
mod files;
mod notices;
mod once;
mod postgres;
mod programs;
mod requests;
mod tasks;
mod tree;
mod trees;
mod web;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use self::{containers::Containers, databases::Databases, once::Once, tree::Tree};
use crate::{
    event::Write,
    ports::{
        Notes, Outside, Overlays, Ports,
        clock::Clock,
        compose::ComposeRead,
        docker::DockerRead,
        files::FilesRead,
        http::Http,
        notices::NoticesRead,
        postgres::PostgresRead,
        programs::ProgramsRead,
        secrets::Variables,
        trees::{TreeFacts, TreesRead},
    },
    sim::state::later,
    site::{Scrubber, Site},
};

const BOOT: Duration = Duration::from_secs(10);
/// How long a container is taken to need that heeds its signal. One that is in the middle of something takes longer.
const STOP: Duration = Duration::from_secs(1);

/// The reading faces of a set of ports: all that a twin holds of the live site, so that a rehearsal cannot write even
/// by mistake.
#[derive(Clone)]
pub struct Reading {
    docker: Arc<dyn DockerRead>,
    compose: Arc<dyn ComposeRead>,
    postgres: Arc<dyn PostgresRead>,
    files: Arc<dyn FilesRead>,
    trees: Arc<dyn TreesRead>,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    notices: Arc<dyn NoticesRead>,
    programs: Arc<dyn ProgramsRead>,
    variables: Arc<dyn Variables>,
    outside: Outside,
    scrubber: Scrubber,
}

impl From<&Ports> for Reading {
    fn from(ports: &Ports) -> Self {
        Self {
            docker: Arc::new(Once::new(Arc::clone(&ports.docker) as Arc<dyn DockerRead>)),
            compose: Arc::new(Once::new(Arc::clone(&ports.compose) as Arc<dyn ComposeRead>)),
            postgres: Arc::new(Once::new(Arc::clone(&ports.postgres) as Arc<dyn PostgresRead>)),
            files: Arc::clone(&ports.files) as Arc<dyn FilesRead>,
            trees: Arc::new(Once::new(Arc::clone(&ports.trees) as Arc<dyn TreesRead>)),
            http: Arc::clone(&ports.http),
            clock: Arc::clone(&ports.clock),
            notices: Arc::clone(&ports.notices) as Arc<dyn NoticesRead>,
            programs: Arc::clone(&ports.programs) as Arc<dyn ProgramsRead>,
            variables: Arc::clone(&ports.variables),
            outside: ports.outside.reading(),
            scrubber: ports.scrubber.clone(),
        }
    }
}

/// The site as a plan sees it. A clone is the same twin.
#[derive(Clone)]
pub struct Twin(Arc<Inner>);

struct Inner {
    live: Reading,
    site: Site,
    /// What was written to ports from outside this crate.
    outside: Overlays,
    overlay: Mutex<Overlay>,
}

#[derive(Clone)]
struct Overlay {
    now: Timestamp,
    writes: Vec<Write>,
    assumed: Vec<String>,
    /// What the rehearsal has made up.
    made_up: Option<String>,
    relies_on: BTreeMap<String, String>,
    tree: Tree,
    containers: Containers,
    databases: Databases,
    /// Folders that the rehearsal made, with inode and figures.
    trees: BTreeMap<PathBuf, (u64, TreeFacts)>,
    /// Places of volumes that the rehearsal made, by name.
    volumes: BTreeMap<String, String>,
}

impl Twin {
    /// How long a container is taken to need before it answers. Real ones were seen to take 9 to 11 s.
    pub const BOOT: jiff::SignedDuration = jiff::SignedDuration::from_secs(BOOT.as_secs().cast_signed());

    /// Begins a rehearsal over live ports; nothing has been written in it.
    pub fn new(live: impl Into<Reading>, site: &Site) -> Self {
        let live = live.into();
        let overlay = Overlay {
            now: live.clock.now(),
            writes: Vec::new(),
            assumed: Vec::new(),
            made_up: None,
            relies_on: BTreeMap::new(),
            tree: Tree::default(),
            containers: Containers::default(),
            databases: Databases::default(),
            trees: BTreeMap::new(),
            volumes: BTreeMap::new(),
        };
        let (outside, overlay) = (Overlays::begin(&live.outside), Mutex::new(overlay));
        Self(Arc::new(Inner { live, site: site.clone(), outside, overlay }))
    }

    /// Another rehearsal of the same site, that begins where this one stands.
    #[must_use]
    pub fn fork(&self) -> Self {
        let overlay =
            Overlay { writes: Vec::new(), assumed: Vec::new(), made_up: None, ..self.lock().clone() };
        let Inner { live, site, outside, .. } = &*self.0;
        let (outside, overlay) = (outside.fork(), Mutex::new(overlay));
        Self(Arc::new(Inner { live: live.clone(), site: site.clone(), outside, overlay }))
    }

    /// All ports of the rehearsal. Of a port from outside this crate that cannot be rehearsed only the reading face is there.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let notes: Arc<dyn Notes> = Arc::new(self.clone());
        Ports {
            docker: Arc::new(self.clone()),
            compose: Arc::new(self.clone()),
            postgres: Arc::new(self.clone()),
            files: Arc::new(self.clone()),
            trees: Arc::new(self.clone()),
            http: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
            notices: Arc::new(self.clone()),
            programs: Arc::new(self.clone()),
            requests: Arc::new(self.clone()),
            variables: Arc::clone(&self.live().variables),
            outside: self.0.outside.over(&self.live().outside, &notes),
            scrubber: self.live().scrubber.clone(),
        }
    }

    /// What was written since this was last asked, in order.
    #[must_use]
    pub fn take_writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.lock().writes)
    }

    /// What was assumed since this was last asked, each sentence once.
    #[must_use]
    pub fn take_assumed(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().assumed)
    }

    /// What was read from the live site since this was last asked: a name and a short value each, sorted. Only what
    /// a plan depends on (digests, names, schema versions, settings), never sizes, counts or times.
    #[must_use]
    pub fn take_relies_on(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.lock().relies_on).into_iter().collect()
    }

    /// Marks the plan as resting on something that is not known; say what would make it certain.
    pub fn assume(&self, text: impl Into<String>) {
        let (mut overlay, text) = (self.lock(), text.into());
        if !overlay.assumed.contains(&text) {
            overlay.assumed.push(text);
        }
    }

    /// Why what was answered since this was last asked is nothing that a plan can know.
    #[must_use]
    pub fn take_made_up(&self) -> Option<String> {
        self.lock().made_up.take()
    }

    fn make_up(&self, why: String) {
        self.lock().made_up.get_or_insert(why);
    }

    /// From now on this database has these schema versions.
    pub fn set_schema(&self, database: &str, versions: Vec<String>) {
        self.lock().databases.schemas.insert(database.to_owned(), versions);
    }

    fn lock(&self) -> MutexGuard<'_, Overlay> {
        self.0.overlay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> &Reading {
        &self.0.live
    }

    fn site(&self) -> &Site {
        &self.0.site
    }

    fn wrote(&self, write: Write) {
        let mut overlay = self.lock();
        let shell = write.shell.map(|shell| overlay.containers.by_name(shell));
        overlay.writes.push(Write { shell, ..write });
    }

    /// Lets the time pass that so many bytes take.
    fn spend(&self, bytes: u64, per_second: u64) {
        self.pass(Duration::from_millis(bytes.saturating_mul(1_000) / per_second));
    }

    fn pass(&self, time: Duration) {
        let mut overlay = self.lock();
        overlay.now = later(overlay.now, time);
    }

    /// The first answer of a name counts: a later one comes from the same live site.
    fn remember(&self, name: String, value: impl Into<String>) {
        self.lock().relies_on.entry(name).or_insert_with(|| value.into());
    }

    /// Uplift's own files change while it works: nothing relies on them.
    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(&self.site().state)
    }
}

impl Notes for Twin {
    fn wrote(&self, write: Write) {
        self.wrote(write);
    }

    fn assume(&self, text: String) {
        self.assume(text);
    }

    fn relies_on(&self, name: String, value: String) {
        self.remember(name, value);
    }

    fn make_up(&self, why: String) {
        self.make_up(why);
    }

    fn pass(&self, time: Duration) {
        self.pass(time);
    }
}

impl std::fmt::Debug for Twin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Twin").field("site", &self.site().name).finish_non_exhaustive()
    }
}

/// The first twelve digits of an id, a digest or a hash.
fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}
