//! A machine with a site, whose processes are killed and whose power is cut.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use uplift::{
    Ending, Host, HostError, Simulated, World,
    journal::{Entry, Folder, Reader, RunRow, State},
    sim::Origin,
};

use super::{
    super::night::{copy, folder, told},
    stamp::{POINT, catalogue, runbook},
};

const SITE: &str = "format = 1\nnow = \"2026-11-24T03:15:00Z\"\n";
const PART: &str = "UPLIFT_TEST_PART";
const STATE: &str = "UPLIFT_TEST_STATE";

/// Where a process dies.
#[derive(Debug, Clone)]
pub(super) enum Death {
    /// At a point of the effect.
    Point(String),
    /// At a sync of the journal: `during:3`, `after:3`.
    Sync(String),
}

pub(super) struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub(super) fn new(class: u8) -> Self {
        let folder = folder();
        fs::write(folder.path().join("site.toml"), SITE).unwrap();
        fs::write(folder.path().join("crash.rhai"), runbook(class)).unwrap();
        fs::create_dir(folder.path().join("disk")).unwrap();
        Self { folder }
    }

    /// The same machine once more.
    pub(super) fn copy(&self) -> Self {
        let folder = folder();
        copy(self.folder.path(), folder.path());
        Self { folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("site.simulated")
    }

    /// The world as it was left.
    pub(super) fn world(&self) -> World {
        let origin =
            Origin { hash: blake3::hash(SITE.as_bytes()).to_hex().to_string(), folder: self.state() };
        let text = fs::read_to_string(self.state().join("world.json"));
        text.map_or_else(|_| World::written(SITE), |text| World::kept(&text, &origin)).unwrap()
    }

    fn journal(&self) -> Option<Reader> {
        Reader::open(&Folder::find(&self.state())?).unwrap()
    }

    /// The run that is open, by its journal.
    pub(super) fn open_run(&self) -> Option<RunRow> {
        self.journal()?.unfinished().unwrap()
    }

    fn calls(&self) -> Vec<Entry> {
        let open = self.journal().and_then(|journal| Some((journal.unfinished().unwrap()?, journal)));
        open.map(|(run, journal)| journal.entries(&run.id).unwrap()).unwrap_or_default()
    }

    /// The call whose undo is at work, by the journal.
    pub(super) fn undoing(&self) -> Option<String> {
        self.calls().into_iter().find(|call| call.state == State::UndoStarted).map(|call| call.address)
    }

    pub(super) fn has_begun_to_go_back(&self) -> bool {
        self.calls().iter().any(|call| !call.undos.is_empty())
    }

    pub(super) fn knows_a_run(&self) -> bool {
        self.journal().is_some_and(|journal| !journal.runs().unwrap().is_empty())
    }

    /// A process that plays a part, and dies.
    pub(super) fn dies(&self, test: &str, part: &str, death: &Death) {
        let (variable, value) = match death {
            Death::Point(value) => (POINT, value),
            Death::Sync(value) => ("UPLIFT_TEST_DIE", value),
        };
        let status = self.process(test, part).env(variable, value).status().unwrap();
        assert!(status.signal().is_some(), "{part}: it was to die at {death:?}: {status}");
    }

    /// A process that plays a part to its end: how often it syncs its journal.
    pub(super) fn syncs(&self, test: &str, part: &str) -> usize {
        let count = self.folder.path().join("count");
        let status = self.process(test, part).env("UPLIFT_TEST_COUNT", &count).status().unwrap();
        assert!(status.success(), "{part}: {status}");
        fs::read_to_string(count).unwrap().parse().unwrap()
    }

    fn process(&self, test: &str, part: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = format!("runbooks::crashes::{test}");
        command.args(["--exact", &name, "--nocapture"]).env(PART, part).env(STATE, self.folder.path());
        command.env("LD_PRELOAD", library()).env("UPLIFT_TEST_DISK", self.folder.path().join("disk"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Only what was synced is left of the journal, and the kernel of another boot looks at it.
    pub(super) fn loses_power(&self) {
        for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
            let (kept, there) = (self.folder.path().join("disk").join(name), self.state().join(name));
            let _none = fs::remove_file(&there);
            if kept.exists() {
                fs::copy(kept, there).unwrap();
            }
        }
        let journal = self.state().join("journal.db");
        if journal.exists() {
            let record = rusqlite::Connection::open(journal).unwrap();
            // Where not even the tables were synced there is no attempt either.
            let _none = record.execute_batch("UPDATE attempt SET boot_id = 'another', pid = 1");
        }
    }

    pub(super) fn plays(&self, part: &str, answer: Option<&str>) -> Result<Ending, HostError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(self.folder.path(), part, answer))
    }
}

/// The part to play and the machine to play it on, where this process was begun for that.
pub(super) fn part() -> Option<(String, PathBuf)> {
    Some((std::env::var(PART).ok()?, std::env::var_os(STATE)?.into()))
}

/// Plays a part that was given to this process.
pub(super) fn plays(part: &str, folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(play(folder, part, None)).unwrap();
}

async fn play(folder: &Path, part: &str, answer: Option<&str>) -> Result<Ending, HostError> {
    let simulated = Simulated::open(&folder.join("site.toml")).await.map_err(HostError::Invalid)?;
    let host: Host = simulated.host().catalogue(catalogue()).open().await?;
    let decision = answer.map(|choice| uplift::Decision {
        choice: choice.to_owned(),
        reason: "it was looked at".to_owned(),
        by: "alice@app1".to_owned(),
    });
    let run = match part {
        "resume" => host.resume(None, decision, "uplift resume").await?,
        "rollback" => host.rollback(None, decision, "uplift rollback").await?,
        _ => {
            let script = folder.join("crash.rhai").display().to_string();
            let runbook = host.runbook(&script, &std::collections::BTreeMap::new()).await?;
            let plan = runbook.plan().await;
            runbook.start(plan, "uplift run").await?
        }
    };
    Ok(told(run).await.ending)
}

/// Loaded before anything of ours, by the compiler that Rust links with.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("synced.c"), folder.path().join("synced.so"));
        fs::write(&source, include_str!("synced.c")).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        assert!(cc.status().unwrap().success());
        (folder, library)
    });
    path
}
