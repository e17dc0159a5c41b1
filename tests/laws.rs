//! What every effect keeps, tried on every primitive of the catalogue without a line of code per primitive: its
//! example is run on several worlds, with a fault at every single write.
//!
//! Left out of "the running site": images, backup sets and kept copies, which no undo takes back.

mod intents;
pub(crate) mod record;
mod toys;
mod trial;
mod worlds;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use uplift::{
    event::Failure,
    primitives::contract::{Found, Kind, Undone, Verb},
    sim::Fault,
};

use trial::Trial;
use worlds::{Start, WORLDS, verbs};

const FAULTS: [Fault; 3] = [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter];

/// An effect that was tried on fewer has not been tried.
const WORLDS_EACH: usize = 3;

/// All laws on one primitive.
#[derive(Default)]
struct Tried {
    /// A line each.
    broken: Vec<String>,
    /// Worlds on which it began, and on which it wrote something; how much it wrote on all of them.
    begun: usize,
    wrote: usize,
    writes: usize,
}

async fn tried(verb: &Verb) -> Tried {
    let mut broken = BTreeSet::new();
    let mut tried = Tried::default();
    for world in WORLDS {
        let begun = Trial::begin(verb, world).await;
        let mut found = planning(verb, world, &begun).await;
        if let (Kind::Effect, Ok(begun)) = (verb.kind, begun) {
            let ways = Ways::of(begun).await;
            let writes = ways.done.writes();
            tried.begun += 1;
            tried.wrote += usize::from(writes > 0);
            tried.writes += writes;
            found.extend(twice(&ways).await);
            found.extend(undo(&ways).await);
            found.extend(undo_again(&ways).await);
            found.extend(truth(&ways).await);
            found.extend(every_write_counts(&ways).await);
        }
        broken.extend(found.into_iter().map(|what| format!("`{}` on `{}`: {what}", verb.name, world.name)));
    }
    let few = match tried.wrote {
        0 => Some("its example writes on no world, so that no law was tried".to_owned()),
        few if few < WORLDS_EACH => Some(format!(
            "its example writes on {few} of the {} worlds on which it begins, and it takes {WORLDS_EACH}",
            tried.begun
        )),
        _ => None,
    };
    let few = few.filter(|_| verb.kind == Kind::Effect);
    broken.extend(few.map(|few| format!("`{}`: {few}; another one goes into `laws/worlds.rs`", verb.name)));
    Tried { broken: broken.into_iter().collect(), ..tried }
}

/// What can become of one effect on one world. Each law goes on from here in worlds of its own.
struct Ways<'v> {
    begun: Trial<'v>,
    /// Executed to its end.
    done: Trial<'v>,
    /// Executed with one write gone wrong: every fault at every write.
    cut: Vec<(String, Trial<'v>)>,
}

impl<'v> Ways<'v> {
    async fn of(begun: Trial<'v>) -> Self {
        let done = begun.executed().await;
        let mut cut = Vec::new();
        for n in 1..=done.writes() {
            for fault in FAULTS {
                cut.push((format!("after {fault:?} at write {n}"), begun.faulty(n, fault).await));
            }
        }
        Self { begun, done, cut }
    }

    /// Not begun, cut short anywhere, finished; with words for each.
    fn all(&self, never: &str) -> Vec<(String, Trial<'v>)> {
        let cut = self.cut.iter().map(|(when, trial)| (when.clone(), trial.again()));
        let never = (never.to_owned(), self.begun.again());
        std::iter::once(never).chain(cut).chain([(FINISHED.to_owned(), self.done.again())]).collect()
    }
}

const FINISHED: &str = "after it finished";

/// Planning writes nothing, decides what the run would decide, and shows what the run would change.
async fn planning(verb: &Verb, start: &Start, real: &Result<Trial<'_>, Failure>) -> Vec<String> {
    let mut broken = Vec::new();
    let planned = Trial::planned(verb, start).await;
    if planned.world.writes() > 0 || planned.world.running() != planned.before {
        broken.push(format!("planning writes: {:?}", planned.world.log()));
    }
    let answer = match real {
        Ok(trial) => &trial.intent,
        Err(failure) => &Err(failure.clone()),
    };
    if planned.intent != *answer {
        broken.push(format!("the plan decides or sees {:?}, the run {answer:?}", planned.intent));
    }
    if let (Kind::Effect, Ok(real), Ok(_)) = (verb.kind, real, &planned.intent) {
        let done = real.executed().await;
        if done.outcome.is_ok() != planned.outcome.is_ok() {
            broken.push(format!("the plan ends with {:?}, the run with {:?}", planned.outcome, done.outcome));
        }
        if planned.shown.is_empty() && done.world.running() != done.before {
            broken.push("the plan shows nothing of what it changes".to_owned());
        }
    }
    broken
}

/// Executing twice equals once, also when the first time stopped half way.
async fn twice(ways: &Ways<'_>) -> Vec<String> {
    let once = &ways.done;
    let (mut broken, ended) = (Vec::new(), once.world.running());
    if let Err(failure) = &once.outcome {
        return vec![format!("does not execute: {failure:?}")];
    }
    for (when, cut) in &ways.cut {
        let again = cut.executed().await;
        if again.outcome.is_err() || again.world.running() != ended {
            broken.push(format!("{when}, a second time is not once: {:?}", again.outcome));
        }
    }
    let again = once.executed().await;
    if again.outcome.is_err() || again.world.running() != ended {
        broken.push(format!("a second time changes what the first did: {:?}", again.outcome));
    }
    broken
}

/// Undo restores the running site: after it finished, after a fault at every single write, and if it never began.
async fn undo(ways: &Ways<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (when, trial) in ways.all("if it never began") {
        broken.extend(not_restored(&trial).await.map(|why| format!("{when}, {why}")));
    }
    broken
}

/// A fault at every single write of the undo itself, then undo again, restores as well.
async fn undo_again(ways: &Ways<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let back = ways.done.again();
    drop(back.undo().await);
    for n in 1..=back.writes() {
        for fault in FAULTS {
            let trial = ways.done.again();
            trial.world.fault(n, fault);
            drop(trial.undo().await);
            trial.world.clear_faults();
            let why = not_restored(&trial).await;
            broken.extend(why.map(|why| format!("after {fault:?} at write {n} of its undo, {why}")));
        }
    }
    broken
}

async fn not_restored(trial: &Trial<'_>) -> Option<String> {
    let found = trial.world.running();
    match trial.undo().await {
        Err(failure) => Some(format!("undo fails: {failure:?}")),
        // A person is asked: until then nothing is touched.
        Ok(Undone::NeedsPerson { question }) => {
            let touched = trial.world.running() != found || question.choices.len() < 2;
            touched.then(|| "undo asks a person and acts all the same, or leaves no choice".to_owned())
        }
        Ok(undone) => {
            let now = trial.running();
            (now != trial.expected()).then(|| format!("undo says {undone:?} and does not restore the site"))
        }
    }
}

/// A probe tells the truth, whatever became of the execution.
async fn truth(ways: &Ways<'_>) -> Vec<String> {
    let (before, after) = (ways.begun.picture(), ways.done.picture());
    let mut broken = Vec::new();
    for (when, trial) in ways.all("before it began") {
        let (found, now) = (trial.probe().await, trial.picture());
        let lie = match &found {
            Ok(Found::Applied(_)) => now != after,
            Ok(Found::NotApplied) => now != before,
            Ok(Found::Partial(_) | Found::CannotTell(_)) => false,
            Err(_) => true,
        };
        if lie {
            broken.push(format!("{when}, the probe says {found:?}"));
        }
        if when == FINISHED && !matches!(found, Ok(Found::Applied(_))) {
            broken.push(format!("{when}, the probe says {found:?}"));
        }
    }
    broken
}

/// Take any single write away, and something here notices: no write is for nothing, and no law looks away.
async fn every_write_counts(ways: &Ways<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let done = ways.done.everything();
    for (n, write) in (1..).zip(ways.done.world.log()) {
        let trial = ways.begun.faulty(n, Fault::Lose).await;
        let same = trial.outcome.is_ok() && trial.everything() == done;
        if trial.world.lost() && same && not_restored(&trial).await.is_none() {
            broken.push(format!("nobody misses write {n} (`{write}`)"));
        }
    }
    let back = ways.done.again();
    drop(back.undo().await);
    for (n, write) in (1..).zip(back.world.log()) {
        let trial = ways.done.again();
        trial.world.fault(n, Fault::Lose);
        let restored = not_restored(&trial).await.is_none();
        if trial.world.lost() && restored {
            broken.push(format!("nobody misses write {n} of its undo (`{write}`)"));
        }
    }
    broken
}

/// An effect that always asked a person would keep every law above.
#[tokio::test]
async fn each_effect_is_taken_back_without_a_question_on_some_world() {
    let mut asks = Vec::new();
    for verb in verbs().iter().filter(|verb| verb.kind == Kind::Effect) {
        let mut goes = false;
        for start in WORLDS {
            let Ok(begun) = Trial::begin(verb, start).await else { continue };
            let done = begun.executed().await;
            goes |= matches!(done.undo().await, Ok(Undone::Restored { .. } | Undone::Nothing { .. }));
        }
        asks.extend((!goes).then_some(verb.name));
    }
    assert_eq!(asks, Vec::<&str>::new());
}

/// Each reason for which an undo does nothing is a sentence that somebody has read and agreed with.
#[tokio::test]
async fn every_reason_to_undo_nothing_was_reviewed() {
    let mut reasons = BTreeSet::new();
    for verb in verbs().iter().filter(|verb| verb.kind == Kind::Effect) {
        for start in WORLDS {
            let Ok(begun) = Trial::begin(verb, start).await else { continue };
            let done = begun.executed().await;
            for trial in [begun, done] {
                if let Ok(Undone::Nothing { why }) = trial.undo().await {
                    reasons.insert(format!("{}: {why}", verb.name));
                }
            }
        }
    }
    let reviewed: BTreeSet<_> = include_str!("laws/nothing.txt").lines().map(str::to_owned).collect();
    assert_eq!(reasons, reviewed, "left: what undos say; right: `tests/laws/nothing.txt`");
}

/// On as many threads as there are cores.
#[test]
fn every_stock_primitive_keeps_the_laws() {
    let (verbs, next) = (verbs(), AtomicUsize::new(0));
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(verb) = verbs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = here.block_on(tried(verb));
                    all.lock().unwrap().push((verb.kind, tried));
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    let broken: Vec<_> = all.iter().flat_map(|(_, tried)| tried.broken.clone()).collect();
    assert!(broken.is_empty(), "{} laws broken:\n{}", broken.len(), broken.join("\n"));
    let effects: Vec<_> =
        all.iter().filter(|(kind, _)| *kind == Kind::Effect).map(|(_, tried)| tried).collect();
    let sum = |of: fn(&Tried) -> usize| effects.iter().map(|tried| of(tried)).sum::<usize>();
    println!(
        "laws: {} effects and {} reads on {} worlds: begun on {}, written on {} (each on {} or more), {} writes cut short",
        effects.len(),
        all.len() - effects.len(),
        WORLDS.len(),
        sum(|tried| tried.begun),
        sum(|tried| tried.wrote),
        effects.iter().map(|tried| tried.wrote).min().unwrap_or_default(),
        sum(|tried| tried.writes),
    );
    assert_eq!(all.len(), verbs.len());
}
