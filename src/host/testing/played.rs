//! One simulated site of a test, and what commands do there.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::{
    suite::Ground,
    told::{self, Came},
};
use crate::{
    clients::Scratch,
    event::{ExitClass, Failure},
    host::{
        door::{Host, HostBuilder},
        error::HostError,
        imports, library,
        past::Shown,
        running::Run,
    },
    primitives::contract::Decision,
    run::{Plan, PlanEnd},
    sim::{Fault, World},
    survey::Start,
};

/// Who answers in a test.
const WHO: &str = "a test";
const ROLLBACK: &str = "compose/rollback";

pub(super) struct Played {
    ground: Arc<Ground>,
    /// Where the test's own files lie.
    folder: PathBuf,
    scratch: Arc<Scratch>,
    /// The name of its state folder in there.
    state: String,
    world: Mutex<World>,
    dead: Arc<Dead>,
    /// Lines that its test has let go wrong.
    faults: Mutex<Vec<String>>,
    cancel: CancellationToken,
}

/// What a process that was made to end has left.
#[derive(Default)]
struct Dead {
    left: Mutex<Option<World>>,
    /// That it has ended. One for each run: a token that was cancelled stays so.
    came: Mutex<CancellationToken>,
}

impl Played {
    pub(super) fn new(
        (ground, folder): (Arc<Ground>, PathBuf),
        (scratch, state): (Arc<Scratch>, String),
        world: World,
        cancel: CancellationToken,
    ) -> Self {
        let (dead, faults) = (Arc::default(), Mutex::default());
        let played = Self { ground, folder, scratch, state, world: Mutex::new(world), dead, faults, cancel };
        played.outlives();
        played
    }

    pub(super) fn world(&self) -> World {
        lock(&self.world).clone()
    }

    pub(super) fn fault(&self, at: &str, fault: Fault) {
        self.world().fault_at(at, fault);
        lock(&self.faults).push(at.to_owned());
    }

    /// The first line that was to go wrong, and never came.
    pub(super) fn never_struck(&self) -> Option<String> {
        let ahead = self.world().faults_ahead();
        lock(&self.faults).iter().find(|line| ahead.contains(line)).cloned()
    }

    /// A path, if it does not begin with `/` one from the site's folder.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.world().site().project.dir.join(path)
    }

    fn builder(&self) -> HostBuilder {
        let world = self.world();
        let state = self.scratch.path().join(&self.state).join(".uplift");
        let start = Start { dir: Some(world.site().project.dir), project: None, state: Some(state) };
        let builder = Host::at(start).ports(world.ports()).catalogue(self.ground.catalogue.as_ref().clone());
        match &self.ground.pack {
            Some(pack) => builder.with_pack(Arc::clone(pack)),
            None => builder,
        }
    }

    pub(super) fn runs(&self) -> Result<crate::host::Runs, Failure> {
        let runs = self.builder().runs().unwrap_or(Err(HostError::NoRun("show")));
        runs.map_err(|error| error.failure())
    }

    pub(super) async fn plan(&self, name: &str, params: BTreeMap<String, String>) -> Result<Plan, Failure> {
        let name = self.brought(name).await?;
        let planned = async { self.builder().open().await?.runbook(&name, &params).await };
        let runbook = planned.await.map_err(|error| told::asked(&error))?;
        Ok(Box::pin(runbook.plan()).await)
    }

    /// As `uplift run -y` does it.
    pub(super) async fn run(&self, name: &str, params: BTreeMap<String, String>) -> Result<Came, Failure> {
        let name = self.brought(name).await?;
        let found = async { self.builder().open().await?.runbook(&name, &params).await };
        let runbook = match found.await {
            Ok(runbook) => runbook,
            Err(error) => return Came::shut(&error),
        };
        let plan = Box::pin(runbook.plan()).await;
        match &plan.end {
            PlanEnd::NothingNeeded { why } => return Ok(Came::nothing_needed(why).planned(&plan)),
            PlanEnd::Fails { failure, address } => {
                let asks = failure.question.is_some();
                let exit = if asks { ExitClass::NeedsPerson } else { ExitClass::Refused };
                return Ok(Came::refused(failure.clone(), exit, Some(address.clone())).planned(&plan));
            }
            PlanEnd::Complete | PlanEnd::Unknown { .. } => {}
        }
        let started = runbook.start(plan, &format!("uplift run {name} -y")).await;
        self.ended(started).await
    }

    pub(super) async fn resume(&self, answer: Option<String>) -> Result<Came, Failure> {
        let goes_on = async {
            let host = self.builder().open().await?;
            host.resume(None, answer.map(decision), "uplift resume").await
        };
        self.ended(goes_on.await).await
    }

    /// What is unfinished is taken back, what is finished is returned from.
    pub(super) async fn rollback(&self, mut given: BTreeMap<String, String>) -> Result<Came, Failure> {
        let choice = given.remove("choose");
        if self.runs()?.unfinished().map_err(|error| error.failure())?.is_some() {
            if let Some(name) = given.keys().next() {
                let text = format!("a run is not over, and `{name}` is about the return from a finished one");
                return Err(Failure::new("not_finished", text).hint(
                    "what it asks is answered with `site.rollback(#{ choose: \"WORD\" })`: see `choices`",
                ));
            }
            let goes_back = async {
                let host = self.builder().open().await?;
                host.rollback(None, choice.map(decision), "uplift rollback").await
            };
            return self.ended(goes_back.await).await;
        }
        if let Some(choice) = choice {
            let text = format!("no run is unfinished, so `choose: \"{choice}\"` answers nothing");
            return Err(Failure::new("nothing_asked", text)
                .hint("whether data returns is `restore_data: \"always\"` or `\"never\"`"));
        }
        let last = async { self.builder().open().await?.last_switch() };
        let last = match last.await {
            Ok(Some(row)) => row.id,
            Ok(None) => return Err(HostError::NoRun("take back").failure()),
            Err(error) => return Came::shut(&error),
        };
        given.insert("run".to_owned(), last);
        self.run(ROLLBACK, given).await
    }

    /// Watches a run to its end, or to that of its process.
    async fn ended(&self, started: Result<Run, HostError>) -> Result<Came, Failure> {
        let mut run = match started {
            Ok(run) => run,
            Err(error) => return Came::shut(&error),
        };
        let (id, stop, dies) = (run.id().to_owned(), run.cancel(), lock(&self.dead.came).clone());
        let mut events = Vec::new();
        loop {
            tokio::select! {
                event = run.next() => match event {
                    Some(event) => events.push(event),
                    None => break,
                },
                () = self.cancel.cancelled(), if !stop.is_cancelled() => stop.cancel(),
                () = dies.cancelled(), if !stop.is_cancelled() => stop.cancel(),
            }
        }
        let ending = run.ended().await;
        let killed = self.buried()?;
        let shown: Option<Shown> = self.runs()?.show(Some(&id)).ok();
        Ok(Came::run(&ending, &events, killed, shown))
    }

    /// Where a fault ends the process, the world and the record of that moment are what another process finds.
    fn outlives(&self) {
        let (dead, scratch, state) = (Arc::clone(&self.dead), Arc::clone(&self.scratch), self.state.clone());
        self.world().outlive(move |left| {
            let mut kept = lock(&dead.left);
            // Only the first end counts: what comes after it was never done.
            if kept.is_none() && scratch.copy(&state, &format!("{state}.left")).is_ok() {
                *kept = Some(left);
            }
            lock(&dead.came).cancel();
        });
    }

    /// Whether the process has ended; then what it has left takes the place of what the run went on to do.
    fn buried(&self) -> Result<bool, Failure> {
        if !lock(&self.dead.came).is_cancelled() {
            return Ok(false);
        }
        *lock(&self.dead.came) = CancellationToken::new();
        let left = lock(&self.dead.left).take();
        let put = self.scratch.put(&format!("{}.left", self.state), &self.state);
        let (Some(left), Ok(())) = (left, put) else {
            let text = "what the process has left could not be kept";
            return Err(Failure::new("no_scratch", text).hint("see whether there is room in `TMPDIR`"));
        };
        *lock(&self.world) = left;
        self.outlives();
        Ok(true)
    }

    /// The name of a runbook as the simulated site finds it: a file beside the test is brought there, with what it imports.
    async fn brought(&self, name: &str) -> Result<String, Failure> {
        if !library::is_file(name) {
            return Ok(name.to_owned());
        }
        let path = plain(&std::path::absolute(self.folder.join(name)).unwrap_or_else(|_| name.into()));
        let (world, files) = (self.world(), &*self.ground.files);
        if world.file(&path).is_none()
            && let Some(file) = files.read(&path).await?
        {
            let text = String::from_utf8_lossy(&file.bytes).into_owned();
            let beside = imports::beside(&path, &text, files).await.map_err(|error| error.failure())?;
            world.put_file(&path, &file.bytes, file.mode);
            for source in beside {
                let at = path.parent().unwrap_or(Path::new("/")).join(format!("{}.rhai", source.name));
                world.put_file(at, &source.text, file.mode);
            }
        }
        Ok(path.display().to_string())
    }
}

/// Without `..`, so that it is shown as somebody would write it.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
        plain
    })
}

fn decision(choice: String) -> Decision {
    Decision { choice, reason: WHO.to_owned(), by: WHO.to_owned() }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
