//! What every effect keeps, tried on every primitive of the catalogue without a line of code per primitive: its
//! example is run on several worlds, with a fault at every single write.
//!
//! Left out of "the running site": images, backup sets and kept copies, which no undo takes back.

pub(crate) mod record;
mod toys;
mod trial;
mod worlds;

use std::collections::BTreeSet;

use uplift::{
    primitives::contract::{Catalogue, Found, Kind, Undone, Verb},
    sim::Fault,
};

use trial::Trial;
use worlds::{Start, WORLDS};

const FAULTS: [Fault; 3] = [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter];

/// All laws on one primitive; what it breaks, a line each.
async fn broken(verb: &Verb) -> Vec<String> {
    let mut broken = BTreeSet::new();
    let mut wrote = false;
    for world in WORLDS {
        let mut found = planning(verb, world).await;
        if verb.kind == Kind::Effect && Trial::begin(verb, world).await.is_ok() {
            wrote |= Trial::executed(verb, world).await.writes() > 0;
            found.extend(twice(verb, world).await);
            found.extend(undo(verb, world).await);
            found.extend(undo_again(verb, world).await);
            found.extend(truth(verb, world).await);
            found.extend(every_write_counts(verb, world).await);
        }
        broken.extend(found.into_iter().map(|what| format!("`{}` on `{}`: {what}", verb.name, world.name)));
    }
    if verb.kind == Kind::Effect && !wrote {
        broken.insert(format!("`{}`: its example writes on no world, so that no law was tried", verb.name));
    }
    broken.into_iter().collect()
}

/// Planning writes nothing, decides what the run would decide, and shows what the run would change.
async fn planning(verb: &Verb, start: &Start) -> Vec<String> {
    let mut broken = Vec::new();
    let planned = Trial::planned(verb, start).await;
    if planned.world.writes() > 0 || planned.world.running() != planned.before {
        broken.push(format!("planning writes: {:?}", planned.world.log()));
    }
    let real = Trial::begin(verb, start).await;
    let answer = match &real {
        Ok(trial) => &trial.intent,
        Err(failure) => &Err(failure.clone()),
    };
    if planned.intent != *answer {
        broken.push(format!("the plan decides or sees {:?}, the run {answer:?}", planned.intent));
    }
    if verb.kind == Kind::Effect && real.is_ok() && planned.intent.is_ok() {
        let done = Trial::executed(verb, start).await;
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
async fn twice(verb: &Verb, start: &Start) -> Vec<String> {
    let once = Trial::executed(verb, start).await;
    let mut broken = Vec::new();
    if let Err(failure) = &once.outcome {
        return vec![format!("does not execute: {failure:?}")];
    }
    for (n, fault) in once.faults() {
        let mut again = Trial::faulty(verb, start, n, fault).await;
        again.execute().await;
        if again.outcome.is_err() || again.world.running() != once.world.running() {
            broken.push(format!(
                "after {fault:?} at write {n}, a second time is not once: {:?}",
                again.outcome
            ));
        }
    }
    let mut again = Trial::executed(verb, start).await;
    again.execute().await;
    if again.outcome.is_err() || again.world.running() != once.world.running() {
        broken.push(format!("a second time changes what the first did: {:?}", again.outcome));
    }
    broken
}

/// Undo restores the running site: after it finished, after a fault at every single write, and if it never began.
async fn undo(verb: &Verb, start: &Start) -> Vec<String> {
    let done = Trial::executed(verb, start).await;
    let mut broken = Vec::new();
    let mut tries = vec![("if it never began".to_owned(), Trial::begin(verb, start).await.expect("begins"))];
    for (n, fault) in done.faults() {
        tries.push((format!("after {fault:?} at write {n}"), Trial::faulty(verb, start, n, fault).await));
    }
    tries.push(("after it finished".to_owned(), done));
    for (when, trial) in tries {
        broken.extend(not_restored(&trial).await.map(|why| format!("{when}, {why}")));
    }
    broken
}

/// A fault at every single write of the undo itself, then undo again, restores as well.
async fn undo_again(verb: &Verb, start: &Start) -> Vec<String> {
    let mut broken = Vec::new();
    let done = Trial::executed(verb, start).await;
    let executed = done.world.writes();
    drop(done.undo().await);
    for n in 1..=done.world.writes() - executed {
        for fault in FAULTS {
            let trial = Trial::executed(verb, start).await;
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
async fn truth(verb: &Verb, start: &Start) -> Vec<String> {
    let done = Trial::executed(verb, start).await;
    let (before, after) = (Trial::begin(verb, start).await.expect("begins").picture(), done.picture());
    let mut broken = Vec::new();
    let mut tries = vec![("before it began".to_owned(), Trial::begin(verb, start).await.expect("begins"))];
    for (n, fault) in done.faults() {
        tries.push((format!("after {fault:?} at write {n}"), Trial::faulty(verb, start, n, fault).await));
    }
    tries.push(("after it finished".to_owned(), done));
    for (when, trial) in tries {
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
        if when == "after it finished" && !matches!(found, Ok(Found::Applied(_))) {
            broken.push(format!("{when}, the probe says {found:?}"));
        }
    }
    broken
}

/// Take any single write away, and something here notices: no write is for nothing, and no law looks away.
async fn every_write_counts(verb: &Verb, start: &Start) -> Vec<String> {
    let mut broken = Vec::new();
    let done = Trial::executed(verb, start).await;
    let executed = done.world.writes();
    drop(done.undo().await);
    let (undone, log) = (done.world.writes(), done.world.log());
    let done = Trial::executed(verb, start).await;
    for n in 1..=executed {
        let trial = Trial::faulty(verb, start, n, Fault::Lose).await;
        let same = trial.outcome.is_ok() && trial.everything() == done.everything();
        if trial.world.lost() && same && not_restored(&trial).await.is_none() {
            broken.push(format!("nobody misses write {n} (`{}`)", log[n - 1]));
        }
    }
    for n in executed + 1..=undone {
        let trial = Trial::executed(verb, start).await;
        trial.world.fault(n - executed, Fault::Lose);
        let restored = not_restored(&trial).await.is_none();
        if trial.world.lost() && restored {
            broken.push(format!("nobody misses write {n} (`{}`), which is of its undo", log[n - 1]));
        }
    }
    broken
}

/// Each reason for which an undo does nothing is a sentence that somebody has read and agreed with.
#[tokio::test]
async fn every_reason_to_undo_nothing_was_reviewed() {
    let mut reasons = BTreeSet::new();
    for verb in Catalogue::stock().iter().filter(|verb| verb.kind == Kind::Effect) {
        for start in WORLDS {
            let Ok(begun) = Trial::begin(verb, start).await else { continue };
            for trial in [begun, Trial::executed(verb, start).await] {
                if let Ok(Undone::Nothing { why }) = trial.undo().await {
                    reasons.insert(format!("{}: {why}", verb.name));
                }
            }
        }
    }
    let reviewed: BTreeSet<_> = include_str!("laws/nothing.txt").lines().map(str::to_owned).collect();
    assert_eq!(reasons, reviewed, "left: what undos say; right: `tests/laws/nothing.txt`");
}

#[tokio::test]
async fn every_stock_primitive_keeps_the_laws() {
    let mut all = Vec::new();
    for verb in Catalogue::stock().iter() {
        all.extend(broken(verb).await);
    }
    assert!(all.is_empty(), "{} laws broken:\n{}", all.len(), all.join("\n"));
}
