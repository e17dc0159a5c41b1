//! The one gate that every write of a world passes: it counts, logs, and fails where it was told to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::event::Failure;

/// How one write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing happens, and the caller is told that it failed.
    FailBefore,
    /// Nothing happens, and the caller is told that the disk is full.
    NoRoom,
    /// It happens, and the caller is told that it failed.
    FailAfter,
    /// It happens, and the caller is told that nobody knows.
    TimeoutAfter,
    /// Nothing happens, and the caller is told that it did: what a law must notice.
    Lose,
    /// It happens, and the session that holds the site's lock in the database ends in that moment.
    LosesLock,
    /// It happens, and the database server stops in that moment.
    StopsServer,
    /// Nothing happens, and this process ends at once, as if it were killed.
    KillBefore,
    /// It happens, and this process ends at once, as if it were killed.
    KillAfter,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Faults {
    /// One line per write, in order.
    pub log: Vec<String>,
    /// By the number of the write, counted from 1 over the world's whole life.
    pub armed: BTreeMap<usize, Fault>,
    /// The next write whose line begins with this, the first of them first.
    pub next: Vec<(String, Fault)>,
    pub seeded: Option<Seeded>,
    /// A write that would have changed something was lost.
    pub lost: bool,
}

/// Faults without a plan, the same ones for the same seed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Seeded {
    pub seed: u64,
    /// One write in so many goes wrong, on average.
    pub one_in: u64,
}

impl Seeded {
    fn fault(self, number: usize) -> Option<Fault> {
        let hash = blake3::hash(format!("{} {number}", self.seed).as_bytes());
        let [first, second, ..] = *hash.as_bytes();
        let drawn = u64::from_le_bytes(hash.as_bytes()[8..16].try_into().ok()?);
        let kinds = [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter];
        let kind = kinds[usize::from(first ^ second) % kinds.len()];
        drawn.is_multiple_of(self.one_in.max(1)).then_some(kind)
    }
}

impl Faults {
    /// How the newest write goes wrong.
    fn due(&mut self) -> Option<Fault> {
        let (number, line) = (self.log.len(), self.log.last()?);
        if let Some(armed) = self.armed.remove(&number) {
            return Some(armed);
        }
        if let Some(at) = self.next.iter().position(|(words, _)| line.starts_with(words.as_str())) {
            return Some(self.next.remove(at).1);
        }
        self.seeded.and_then(|seeded| seeded.fault(number))
    }
}

impl State {
    /// One write: `work`, unless a fault stands in its way. It has happened once somebody has kept it.
    pub(super) fn write<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let number = self.faults.log.len() + 1;
        self.show(number, what, false);
        let done = self.attempt(what, work);
        self.show(number, what, true);
        self.keep()?;
        done
    }

    fn attempt<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.settle();
        self.faults.log.push(what.to_owned());
        let number = self.faults.log.len();
        let Some(fault) = self.faults.due() else { return work(self) };
        match fault {
            Fault::LosesLock => {
                self.server.end_lock();
                return work(self);
            }
            Fault::StopsServer => {
                self.server.end_lock();
                let done = work(self);
                self.server.reachable = false;
                return done;
            }
            Fault::FailBefore => {}
            Fault::NoRoom => return Err(Failure::new("no_room", "no space left on the disk")),
            Fault::FailAfter | Fault::TimeoutAfter => drop(work(self)?),
            Fault::KillBefore => return Err(self.end_process()),
            Fault::KillAfter => {
                let _nobody_hears = work(self);
                return Err(self.end_process());
            }
            Fault::Lose => {
                let before = self.clone();
                let answer = work(self);
                let changed = self.disk != before.disk
                    || self.host != before.host
                    || self.server != before.server
                    || self.told != before.told;
                let mut faults = std::mem::take(&mut self.faults);
                faults.lost |= changed;
                *self = Self { faults, ..before };
                return answer;
            }
        }
        let failure = Failure::new("fault", format!("write {number} (`{what}`) was made to fail"));
        Err(if fault == Fault::TimeoutAfter { failure.unknown() } else { failure })
    }

    /// Without a word, and without a chance for anything else to end well. Where somebody outlives it, what is left here can
    /// only fail.
    fn end_process(&mut self) -> Failure {
        if self.bequeath() {
            return Failure::new("fault", "this process was made to end here").unknown();
        }
        let _nobody_hears = self.keep();
        std::process::abort()
    }
}
