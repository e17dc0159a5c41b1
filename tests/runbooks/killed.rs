//! A run whose process is killed at any of its changes: the next command says where the site stands, and from there the
//! run can be ended in both directions. Each command is a process of its own, on a simulated site that is kept between
//! them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use uplift::{
    World,
    sim::{Fault, Origin, Picture},
};

/// Users write all the time: what was acknowledged must be there at the end.
const SITE: &str = "format = 1\nnow = \"2026-11-24T03:15:00Z\"\n[users]\norders_per_second = 2\n";

/// A run, and what is typed before it on the plain site.
struct Flow {
    name: &'static str,
    before: &'static [&'static str],
    command: &'static str,
}

const FLOWS: [Flow; 5] = [
    Flow { name: "upgrade that migrates", before: &[], command: "upgrade --to 1.1.0" },
    Flow { name: "upgrade on one schema", before: &["upgrade --to 1.1.0"], command: "upgrade --to 1.1.1" },
    Flow { name: "upgrade that is taken back", before: &[], command: "upgrade --to 1.3.0" },
    Flow {
        name: "return with the data",
        before: &["upgrade --to 1.1.0"],
        command: "rollback --restore-data always --jobs run",
    },
    Flow {
        name: "restore",
        before: &["upgrade --to 1.1.0"],
        command: "restore SET --restore-data always --jobs run",
    },
];

/// A folder with the site's file and what is kept of it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("site.toml"), SITE).unwrap();
        Self { folder }
    }

    fn origin(&self) -> Origin {
        let folder = std::path::absolute(self.kept()).unwrap();
        Origin { hash: blake3::hash(SITE.as_bytes()).to_hex().to_string(), folder }
    }

    /// The same site once more, with all that has happened to it.
    fn copy(&self) -> Self {
        let copy = Self::new();
        let from = self.kept();
        if from.exists() {
            let done = Command::new("cp").arg("-a").arg(&from).arg(copy.kept()).status().unwrap();
            assert!(done.success());
        }
        copy
    }

    fn keep(&self, world: &World) {
        fs::create_dir_all(self.kept()).unwrap();
        fs::write(self.kept().join("world.json"), world.to_text(&self.origin()).unwrap()).unwrap();
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("site.simulated")
    }

    fn world(&self) -> World {
        let text = fs::read_to_string(self.kept().join("world.json"));
        text.map_or_else(|_| World::written(SITE), |text| World::kept(&text, &self.origin())).unwrap()
    }

    /// The process of the next command is killed at its `n`-th change.
    fn kills(&self, n: usize, fault: Fault) {
        let world = self.world();
        world.fault(n, fault);
        self.keep(&world);
    }

    /// The words on the screen, and the exit code; `None` if it was killed.
    fn types(&self, line: &str) -> (String, Option<i32>) {
        let line =
            if line.contains("SET") { line.replace("SET", &self.newest_set()) } else { line.to_owned() };
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_uplift"))
            .args(["--simulate", "site.toml", "-y"])
            .args(line.split(' '))
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .unwrap();
        (String::from_utf8([stderr, stdout].concat()).unwrap(), status.code())
    }

    fn newest_set(&self) -> String {
        let world = self.world();
        let sets = world.files_in(self.kept().join("backups"));
        let manifest = sets.iter().rfind(|path| path.ends_with("manifest.json")).expect("there is a set");
        manifest.parent().and_then(Path::file_name).unwrap().to_str().unwrap().to_owned()
    }
}

/// What runs on which schema: not what users have written meanwhile.
fn runs(world: &World) -> Picture {
    let mut picture = world.running();
    picture.files.retain(|path, _| !path.starts_with(std::env::temp_dir()));
    for database in picture.databases.values_mut() {
        (database.tables, database.large_objects) = (Vec::new(), 0);
        (database.rows_blake3, database.jobs) = Default::default();
    }
    picture
}

/// How the flow ends where nobody kills it, and how many changes it makes.
struct Whole {
    base: Desk,
    before: Picture,
    after: Picture,
    exit: i32,
    changes: usize,
}

impl Whole {
    fn of(flow: &Flow) -> Self {
        let base = Desk::new();
        for line in flow.before {
            let (shown, exit) = base.types(line);
            assert_eq!(exit, Some(0), "{}: {line}: {shown}", flow.name);
        }
        let (world, desk) = (base.world(), base.copy());
        let (shown, exit) = desk.types(flow.command);
        let exit = exit.unwrap_or_else(|| panic!("{}: {shown}", flow.name));
        assert!([0, 6].contains(&exit), "{}: {shown}", flow.name);
        let ended = desk.world();
        let changes = ended.writes() - world.writes();
        Self { before: runs(&world), after: runs(&ended), exit, changes, base }
    }

    /// Killed at change `n`, then ended forwards or back.
    fn killed(&self, flow: &Flow, n: usize, fault: Fault, forwards: bool) {
        let at =
            format!("{}, killed at {n} ({fault:?}), {}", flow.name, if forwards { "on" } else { "back" });
        let desk = self.base.copy();
        desk.kills(n, fault);
        let (shown, exit) = desk.types(flow.command);
        assert_eq!(exit, None, "{at}: it was to be killed: {shown}");
        let (shown, exit) = desk.types("status");
        if exit == Some(0) {
            assert!(n <= UNRECORDED && runs(&desk.world()) == self.before, "{at}: {shown}");
            return;
        }
        assert!(exit == Some(9) && shown.contains("is not finished (interrupted)"), "{at}: {shown}");
        let going_back = shown.contains("it was going back when it stopped");
        let (shown, exit) = desk.types(if forwards && !going_back { "resume" } else { "rollback" });
        let (shown, exit) = match exit {
            // Users were in: a person says which of it counts.
            Some(7) => desk.types("rollback --choose restore-data --reason tried"),
            _ => (shown, exit),
        };
        let world = desk.world();
        let (picture, lost) = (runs(&world), world.lost_orders());
        let by_word = shown.contains("decided     `restore-data`");
        match (forwards && !going_back, exit) {
            (true, Some(exit)) if exit == self.exit => assert_eq!(picture, self.after, "{at}: {shown}"),
            (false, Some(0)) => assert_eq!(picture, self.before, "{at}: {shown}"),
            _ => panic!("{at}: exit {exit:?}: {shown}"),
        }
        // Said beforehand, and done.
        let moves = forwards && !going_back && flow.command.contains("restore-data");
        assert!(lost == 0 || by_word || moves, "{at}: {lost} acknowledged orders are lost: {shown}");
        let (shown, exit) = desk.types("status");
        assert_eq!(exit, Some(0), "{at}: {shown}");
    }
}

/// All cases of a flow, on as many threads as there are cores.
fn every_kill(flow: &Flow) {
    let whole = Whole::of(flow);
    let all: Vec<_> =
        (1..=whole.changes).flat_map(|n| KINDS.map(|(fault, forwards)| (n, fault, forwards))).collect();
    let is_every = std::env::var_os("UPLIFT_TEST_EVERY").is_some();
    let cases: Vec<_> = if is_every { all } else { sparse(all.len()).map(|at| all[at]).collect() };
    for kind in KINDS {
        let is_tried = cases.iter().any(|(_, fault, forwards)| (*fault, *forwards) == kind);
        assert!(is_tried, "{}: {kind:?} is not tried at all", flow.name);
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((n, fault, forwards)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    whole.killed(flow, *n, *fault, *forwards);
                }
            });
        }
    });
    println!(
        "{}: {} changes, killed before and after each, on and back: {} of {} tried",
        flow.name,
        whole.changes,
        cases.len(),
        KINDS.len() * whole.changes
    );
}

/// Before a run is written down its configuration is copied: with these changes it has not begun.
const UNRECORDED: usize = 5;

/// Killed before a change or after it, and then whether it goes on.
const KINDS: [(Fault, bool); 4] = [
    (Fault::KillBefore, true),
    (Fault::KillBefore, false),
    (Fault::KillAfter, true),
    (Fault::KillAfter, false),
];

/// One case in so many is what the ordinary test has time for.
const SPARSE: usize = 71;

/// The cases that the ordinary test tries, spread over all of them. It is an odd number from one to the next, so that four in
/// a row are of four kinds; and there are four, however short the flow.
fn sparse(cases: usize) -> impl Iterator<Item = usize> {
    let tried = cases.div_ceil(SPARSE).max(KINDS.len());
    let step = (cases / tried).saturating_sub(1) | 1;
    (0..tried).map(move |n| step / 2 + n * step)
}

#[test]
fn an_upgrade_that_migrates() {
    every_kill(&FLOWS[0]);
}

#[test]
fn an_upgrade_on_one_schema() {
    every_kill(&FLOWS[1]);
}

#[test]
fn an_upgrade_that_is_taken_back() {
    every_kill(&FLOWS[2]);
}

#[test]
fn a_return_with_the_data() {
    every_kill(&FLOWS[3]);
}

#[test]
fn a_restore() {
    every_kill(&FLOWS[4]);
}
