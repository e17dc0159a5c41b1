//! A site in the laboratory, and uplift as somebody would type it there.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use super::{screen::Screen, secrets};
use crate::lab::{
    Images, Ledger, QUICK, RELEASES, Registry, Server, Shape, Shell, SiteState, Stack, Started, Tools,
    Writer, wait_until,
};

/// What all sites of this process share. The janitor takes it away: statics are not dropped.
pub(super) struct Lab {
    pub(super) tools: Tools,
    pub(super) images: Images,
    pub(super) registry: Registry,
}

pub(super) fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let tools = Tools::bring().unwrap();
        let images = Images::bring(&tools).unwrap();
        let registry = Registry::start(&tools, &images).unwrap();
        for release in RELEASES {
            registry.push(release).unwrap();
        }
        Lab { tools, images, registry }
    })
}

/// How many sites may run at once, however many tests run.
const SITES: usize = 3;
static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// The right to run a site.
#[derive(Debug)]
struct Turn;

impl Turn {
    fn wait() -> Self {
        let (count, changed) = &RUNNING;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |count: &mut usize| *count >= SITES;
        *changed.wait_while(count, full).unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Turn {
    /// One more than there should be.
    fn extra() -> Self {
        *RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (count, changed) = &RUNNING;
        *count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        changed.notify_one();
    }
}

/// A running site, and all that uplift has said about it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) stack: Stack,
    secrets: Vec<(&'static str, String)>,
    heard: Mutex<Vec<Screen>>,
    _turn: Turn,
}

/// Long enough for every run here; what takes longer hangs.
const LIMIT: Duration = Duration::from_mins(10);

impl Field {
    /// A site whose web and job are quick to boot and to stop.
    pub(super) fn quick(shape: Shape, release: &str) -> Self {
        Self::behind(&lab().registry, shape, release)
    }

    /// Several quick sites at once, in one turn.
    pub(super) fn many(count: usize, shape: Shape, release: &str) -> Vec<Self> {
        let Lab { tools, images, registry } = lab();
        let make = |turn| Self::on(Stack::quick(tools, images, registry, shape, release).unwrap(), turn);
        // Only the first waits for its turn: ten that each wait for another would wait for ever.
        (0..count).map(|number| make(if number == 0 { Turn::wait() } else { Turn::extra() })).collect()
    }

    /// The same, with images from a registry of its own.
    pub(super) fn behind(registry: &Registry, shape: Shape, release: &str) -> Self {
        let turn = Turn::wait();
        let stack = Stack::quick(&lab().tools, &lab().images, registry, shape, release).unwrap();
        Self::on(stack, turn)
    }

    /// A quick site whose database server may be somewhere else.
    pub(super) fn at(server: Server, shape: Shape, release: &str) -> Self {
        Self::with(server, shape, release, "")
    }

    /// The same, with more settings.
    pub(super) fn with(server: Server, shape: Shape, release: &str, settings: &str) -> Self {
        let turn = Turn::wait();
        let Lab { tools, images, registry } = lab();
        let settings = format!("{QUICK}{settings}");
        Self::on(Stack::at(server, tools, images, registry, shape, release, &settings).unwrap(), turn)
    }

    /// A site as slow as the product.
    pub(super) fn slow(shape: Shape, release: &str) -> Self {
        let turn = Turn::wait();
        let Lab { tools, images, registry } = lab();
        Self::on(Stack::start(tools, images, registry, shape, release).unwrap(), turn)
    }

    /// On a stack of somebody else's making.
    pub(super) fn of(stack: Stack) -> Self {
        Self::on(stack, Turn::wait())
    }

    fn on(stack: Stack, turn: Turn) -> Self {
        let secrets = stack.secrets().unwrap();
        Self { stack, secrets, heard: Mutex::default(), _turn: turn }
    }

    pub(super) fn dir(&self) -> &Path {
        self.stack.dir()
    }

    /// What lies among the backups, but for the note of how far the record has come.
    pub(super) fn backups(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.state("backups")).into_iter().flatten();
        all.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with(".journal.mark")).collect()
    }

    /// A path in uplift's own folder on this site.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.dir().join(".uplift").join(name)
    }

    pub(super) fn secret(&self, name: &str) -> &str {
        self.secrets.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str()).unwrap()
    }

    /// All of them, as web gets them.
    pub(super) fn secrets(&self) -> Vec<(&'static str, String)> {
        self.secrets.clone()
    }

    /// `uplift WORDS` in the site's folder, not yet begun.
    pub(super) fn shell(&self, words: &str) -> Shell {
        self.wrapped(env!("CARGO_BIN_EXE_uplift"), words)
    }

    /// Another program that runs uplift, with the same surroundings.
    pub(super) fn wrapped(&self, program: &str, words: &str) -> Shell {
        let shell = Shell::new(program).args(words).folder(self.dir()).limit(LIMIT);
        shell.envs(&self.stack.tools().env).env("NO_COLOR", "1")
    }

    /// Runs `uplift WORDS` to its end.
    pub(super) fn uplift(&self, words: &str) -> Screen {
        self.run(&self.shell(words), words)
    }

    pub(super) fn run(&self, shell: &Shell, words: &str) -> Screen {
        self.heard(Screen::of(words, shell.run().unwrap()))
    }

    /// Starts `uplift WORDS` and comes back at once.
    pub(super) fn start(&self, words: &str) -> Started {
        self.shell(words).start().unwrap()
    }

    /// Waits for what was started.
    pub(super) fn ended(&self, started: Started, words: &str) -> Screen {
        self.heard(Screen::of(words, started.wait(LIMIT).unwrap()))
    }

    fn heard(&self, screen: Screen) -> Screen {
        self.all().push(screen.clone());
        screen
    }

    fn all(&self) -> MutexGuard<'_, Vec<Screen>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that writes while something is done to the site.
    pub(super) fn while_writing<T>(&self, act: impl FnOnce() -> T) -> (T, Ledger) {
        let writer = Writer::start(&self.stack);
        let done = act();
        std::thread::sleep(Duration::from_millis(500));
        (done, writer.stop())
    }

    /// Orders from before whatever is done, some with a file, all of them worked off.
    pub(super) fn first_orders(&self) -> Ledger {
        let count = || self.stack.psql("strata_production", "SELECT count(*) FROM orders").unwrap();
        let enough = || count().parse().is_ok_and(|orders: usize| orders > 25);
        let (waited, ledger) = self.while_writing(|| wait_until("orders", Duration::from_mins(2), enough));
        waited.unwrap();
        self.assert_nothing_lost(&ledger);
        ledger
    }

    /// Everything that the client was promised is there, and the work that follows from it is done.
    pub(super) fn assert_nothing_lost(&self, ledger: &Ledger) {
        assert!(ledger.acknowledged.len() > 20, "the client hardly got through: {ledger:?}");
        assert_eq!(ledger.missing(&self.stack).unwrap(), Vec::<String>::new());
        self.stack.settle().unwrap();
        assert_eq!(ledger.undone(&self.stack).unwrap(), Vec::<String>::new());
    }

    /// The site is as it was, but for what users have written meanwhile.
    pub(super) fn assert_as(&self, before: &SiteState, ledger: &Ledger) {
        self.stack.settle().unwrap();
        let now = self.stack.state().unwrap();
        assert_eq!(now.differences(before), Vec::<String>::new());
        let mine = ledger.acknowledged.first().and_then(|key| key.rsplit_once('-'));
        let mine = mine.map(|(client, _)| format!(",{client}-"));
        let written = |line: &String| {
            let order = mine.as_ref().is_some_and(|mine| line.contains(mine.as_str()));
            order && line.starts_with("`strata_production.orders`")
        };
        // What follows from an order: its job, and the file with its row.
        let follows = |line: &String| {
            [
                "`strata_production_queue.solid_queue_jobs`",
                "`strata_production.active_storage_blobs`",
                "uploaded",
            ]
            .iter()
            .any(|start| mine.is_some() && line.starts_with(start))
        };
        let added = now.added(before);
        let orders = added.iter().filter(|line| written(line)).count();
        let fit = ledger.acknowledged.len()..=ledger.acknowledged.len() + ledger.refused;
        assert!(fit.contains(&orders), "{orders} orders were added, and the client knows of {fit:?}");
        let others: Vec<_> = added.iter().filter(|line| !written(line) && !follows(line)).collect();
        assert_eq!(others, Vec::<&String>::new());
    }

    /// Web answers, and the background service is at work.
    pub(super) fn assert_up(&self) {
        self.stack.wait_up().unwrap();
    }

    /// Web answers; nothing is asked of the background service.
    pub(super) fn assert_web_is_up(&self) {
        self.stack.wait_web().unwrap();
    }

    /// Both services run the release, each from one container, and will be started again by the engine.
    pub(super) fn assert_runs(&self, release: &str) {
        let image = image(release);
        let containers = self.stack.containers().unwrap();
        let names: Vec<_> = containers.keys().map(String::as_str).collect();
        let mut services = [self.stack.job(), "web"];
        services.sort_unstable();
        assert_eq!(names, services);
        for (service, container) in containers {
            let found = (container.image.as_str(), container.status.as_str(), container.restart.as_str());
            assert_eq!(found, (image.as_str(), "running", "unless-stopped"), "`{service}`");
        }
    }

    /// Makes the site what it was, by hand and without uplift.
    pub(super) fn return_to(&self, env: &str) {
        fs::write(self.dir().join(".env"), env).unwrap();
        self.stack.compose("up -d --no-deps --force-recreate -t 1 web").unwrap();
        self.stack.compose(&format!("up -d --no-deps --force-recreate -t 1 {}", self.stack.job())).unwrap();
        self.assert_up();
    }

    /// The end of every test: no secret in anything that was said or stored.
    pub(super) fn end(self) {
        let needles = secrets::needles(&self.secrets);
        for screen in self.all().iter() {
            secrets::assert_absent(&needles, screen.everything().as_bytes(), &screen.to_string());
        }
        for file in secrets::files(&self.state("")) {
            secrets::assert_absent(&needles, &fs::read(&file).unwrap(), &file.display().to_string());
        }
    }
}

/// The id of a release on this engine.
pub(super) fn image(release: &str) -> String {
    let inspect = lab().tools.docker().args("image inspect -f {{.Id}}");
    inspect.arg(lab().images.release(release)).output().unwrap()
}
