//! A site that walks to and fro between two releases, and on the way is killed again and again.
//!
//! What ends forwards brings it to the other release, where other commands are possible: so nothing has to be put back
//! by hand, and every run begins on what earlier ones have left.

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::{
    super::{Field, screen::Screen, told},
    end::{Way, as_told},
    judge::{Scene, judge},
    kept, points,
    record::LastRun,
};
use crate::lab::{Shape, SiteState, Stack, Writer, wait_until};

/// A command and where it is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// 1.0.0 -> 1.1.0, with savepoint and trial.
    Upgrade,
    /// 1.0.0 -> 1.3.0, which fails in the dark.
    Fails,
    /// Back from a finished upgrade, with the data of its savepoint.
    Returns,
    /// The backup that the upgrade has made.
    Restores,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Old,
    New,
}

impl Flow {
    pub(super) fn from(self) -> Place {
        match self {
            Self::Upgrade | Self::Fails => Place::Old,
            Self::Returns | Self::Restores => Place::New,
        }
    }

    /// What it ends with when nobody disturbs it.
    pub(super) fn exit(self) -> i32 {
        if self == Self::Fails { 6 } else { 0 }
    }

    /// Whether data goes back because the command says so.
    pub(super) fn moves_data_by_word(self) -> bool {
        self.from() == Place::New
    }
}

impl Place {
    pub(super) fn release(self) -> &'static str {
        match self {
            Self::Old => "1.0.0",
            Self::New => "1.1.0",
        }
    }
}

/// One run to be killed: which, at what commit, and how it is ended.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) flow: Flow,
    pub(super) point: String,
    pub(super) way: Way,
    pub(super) commits: usize,
}

#[derive(Debug)]
pub(super) struct Walk {
    pub(super) field: Field,
    pub(super) place: Place,
    /// The older release's site as it was when the last upgrade began: what a return or a restore leads to.
    pub(super) then: Option<Then>,
}

#[derive(Debug, Clone)]
pub(super) struct Then {
    pub(super) state: SiteState,
    pub(super) orders: BTreeSet<String>,
    /// Uploaded files; `None` if a client went on writing after this look.
    pub(super) uploads: Option<String>,
    /// What was written after this look and may be there too.
    pub(super) written: BTreeSet<String>,
    /// The upgrade's run, and the set that it made.
    pub(super) run: String,
    pub(super) set: String,
}

impl Walk {
    pub(super) fn begin() -> Self {
        Self::on(Field::quick(Shape::Present, Place::Old.release()))
    }

    /// On a site that runs the older release.
    pub(super) fn on(field: Field) -> Self {
        kept::adorn(&field);
        // The first run of a site makes the journal besides, which takes commits of its own.
        let _screen = field.uplift("backup create -y").ends(0);
        Self { field, place: Place::Old, then: None }
    }

    /// Puts so much into the databases that copies and dumps take a while.
    pub(super) fn heavy(&self) {
        for statement in [
            "CREATE SCHEMA ballast AUTHORIZATION strata",
            "SET ROLE strata; CREATE TABLE ballast.noise AS SELECT n, repeat(md5(n::text), 8) AS text FROM \
             generate_series(1, 300000) n",
        ] {
            self.field.stack.psql("strata_production", statement).unwrap();
        }
    }

    pub(super) fn words(&self, flow: Flow) -> String {
        match flow {
            Flow::Upgrade => "upgrade --to 1.1.0 -y --settle 1s".to_owned(),
            Flow::Fails => "upgrade --to 1.3.0 -y --settle 1s --patience 15s".to_owned(),
            Flow::Returns => {
                let run = &self.then.as_ref().unwrap().run;
                format!("rollback {run} --restore-data always --jobs run -y --settle 1s")
            }
            Flow::Restores => {
                let set = &self.then.as_ref().unwrap().set;
                format!("restore {set} --restore-data always --jobs run -y --settle 1s")
            }
        }
    }

    /// Counts the commits of a run that nobody disturbs, and lets it be judged like all others.
    pub(super) fn count(&mut self, flow: Flow) -> usize {
        self.reach(flow);
        let scene = self.scene(flow, false);
        let commits = points::count(&self.field, &self.words(flow), flow.exit());
        self.judged(&scene, None);
        commits
    }

    /// Kills a run and ends it, then looks at everything.
    pub(super) fn kill(&mut self, job: &Job) {
        let Job { flow, point, way, commits } = job;
        self.reach(*flow);
        eprintln!("{flow:?} killed {point}, then {way:?}");
        let scene = self.scene(*flow, false);
        let words = self.words(*flow);
        let screen = self.field.run(&points::killed(&self.field, &words, point), &words);
        if points::is_last(point, *commits) && screen.exit() == Some(flow.exit()) {
            return self.judged(&scene, None);
        }
        assert_eq!(screen.exit(), None, "it was not killed at {point}\n{screen}");
        self.ended(scene, *way);
    }

    /// Runs a command while a client writes, and disturbs it so many milliseconds after an event of this address; waits for
    /// the database server to answer again, and for the command to end in a way that has a name.
    pub(super) fn disturbed(
        &mut self,
        flow: Flow,
        (event, address, after): (&str, &str, u64),
        disturb: impl FnOnce(&Stack),
    ) -> (Scene, Option<i32>) {
        self.reach(flow);
        let mut scene = self.scene(flow, true);
        let words = format!("{} -o json", self.words(flow));
        let run = self.field.start(&words);
        told::until(&run, event, address);
        std::thread::sleep(Duration::from_millis(after));
        let stack = &self.field.stack;
        disturb(stack);
        let answers = || stack.psql("postgres", "SELECT 1").is_ok();
        wait_until("the database server", Duration::from_mins(1), answers).unwrap();
        scene.listen_again(&self.field);
        let screen = self.field.ended(run, &words);
        let exit = screen.exit();
        assert!(
            [Some(0), Some(1), Some(6), Some(7), Some(9)].contains(&exit),
            "no end that has a name\n{screen}"
        );
        (scene, exit)
    }

    /// Ends what was killed as somebody would who reads the screens.
    pub(super) fn ended(&mut self, scene: Scene, way: Way) {
        self.ended_with(scene, way, &mut |_| false);
    }

    /// The same for somebody who can mend what the screens name.
    pub(super) fn ended_with(&mut self, mut scene: Scene, way: Way, mend: &mut dyn FnMut(&Screen) -> bool) {
        let status = self.field.uplift("status");
        let run = scene.run(&self.field);
        let ended = run.and_then(|LastRun { id, state }| {
            let (exit, said) = match state.as_str() {
                "running" => (9, "interrupted"),
                "unfinished" => (9, "stopped"),
                "stuck" => (7, "stuck"),
                "needs_person" => (7, "needs a decision"),
                _ => return None,
            };
            let _told = status.clone().ends(exit).shows(&[&id, said]);
            Some(as_told(&self.field, way, &id, mend))
        });
        if ended.is_none() {
            // Killed before it was recorded, or after its ending was: nothing is open.
            let _told = status.ends(0);
        }
        if let Some(writer) = scene.writer.take() {
            std::thread::sleep(Duration::from_millis(500));
            scene.written.extend(writer.stop().acknowledged);
        }
        self.judged(&scene, ended.as_ref());
    }

    pub(super) fn judged(&mut self, scene: &Scene, ended: Option<&super::end::Ended>) {
        let forward = judge(&self.field, scene, self.then.as_ref(), ended);
        if !forward {
            return;
        }
        match scene.flow {
            Flow::Upgrade => {
                self.place = Place::New;
                self.then = Some(Then {
                    state: scene.before.clone(),
                    orders: scene.orders.clone(),
                    uploads: scene.written.is_empty().then(|| scene.uploads.clone()),
                    written: scene.written.clone(),
                    run: scene.run(&self.field).unwrap().id,
                    set: newest_set(&self.field),
                });
            }
            Flow::Fails => panic!("1.3.0 cannot become well"),
            Flow::Returns | Flow::Restores => self.place = Place::Old,
        }
    }

    /// Goes where the command is possible, if need be by a run that nobody disturbs.
    pub(super) fn reach(&mut self, flow: Flow) {
        let no_savepoint =
            |walk: &Self| !kept::beside(&walk.field).iter().any(|name| name.contains("__pre_"));
        if flow == Flow::Returns && self.place == Place::New && no_savepoint(self) {
            self.undisturbed(Flow::Restores);
        }
        if self.place == flow.from() {
            return;
        }
        match self.place {
            Place::Old => self.undisturbed(Flow::Upgrade),
            Place::New if no_savepoint(self) => self.undisturbed(Flow::Restores),
            Place::New => self.undisturbed(Flow::Returns),
        }
    }

    fn undisturbed(&mut self, flow: Flow) {
        eprintln!("{flow:?}, undisturbed");
        let scene = self.scene(flow, false);
        let _screen = self.field.uplift(&self.words(flow)).ends(flow.exit());
        self.judged(&scene, None);
    }

    /// What there is before a run, once users have written something that must not be lost.
    pub(super) fn scene(&self, flow: Flow, writing: bool) -> Scene {
        let unused = kept::beside(&self.field);
        let unused = unused.into_iter().filter(|name| self.place == Place::Old || !name.contains("__pre_"));
        kept::prune(&self.field, unused);
        let writer = Writer::start(&self.field.stack);
        std::thread::sleep(Duration::from_millis(400));
        let ledger = writer.stop();
        assert!(!ledger.acknowledged.is_empty(), "the client hardly got through: {ledger:?}");
        self.field.stack.settle().unwrap();
        Scene::look(&self.field, flow, &ledger.acknowledged, writing)
    }

    /// All of `jobs`, those that are possible where it stands first. Gives what went wrong, a text each; after that it
    /// goes on with a new site.
    pub(super) fn all(mut self, mut jobs: VecDeque<Job>) -> Vec<String> {
        let mut wrong = Vec::new();
        while let Some(at) = self.next(&jobs) {
            let Some(job) = jobs.remove(at) else { break };
            let tried = tried(&mut self, Self::begin, |walk| walk.kill(&job));
            wrong.extend(tried.err().map(|text| format!("{job:?}: {text}")));
        }
        self.field.end();
        wrong
    }

    fn next(&self, jobs: &VecDeque<Job>) -> Option<usize> {
        let here = jobs.iter().position(|job| job.flow.from() == self.place);
        here.or(if jobs.is_empty() { None } else { Some(0) })
    }
}

/// Gives what went wrong as text, and a new site to go on with.
pub(super) fn tried<T>(
    walk: &mut Walk,
    anew: impl FnOnce() -> Walk,
    act: impl FnOnce(&mut Walk) -> T,
) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(|| act(walk))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        eprintln!("it went wrong; going on with another site");
        *walk = anew();
        text.unwrap_or_default()
    })
}

fn newest_set(field: &Field) -> String {
    let sets = std::fs::read_dir(field.state("backups")).unwrap();
    let names = sets.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.max().unwrap()
}
