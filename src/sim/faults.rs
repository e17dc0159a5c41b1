//! The one gate that every write of a world passes: it counts, logs, and fails where it was told to.

use std::collections::BTreeMap;

use super::state::State;
use crate::event::Failure;

/// How one write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

#[derive(Debug, Default, Clone)]
pub(super) struct Faults {
    /// One line per write, in order.
    pub log: Vec<String>,
    /// By the number of the write, counted from 1 over the world's whole life.
    pub armed: BTreeMap<usize, Fault>,
    /// A write that would have changed something was lost.
    pub lost: bool,
}

impl State {
    /// One write: `work`, unless a fault stands in its way.
    pub(super) fn write<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.settle();
        self.faults.log.push(what.to_owned());
        let number = self.faults.log.len();
        let Some(fault) = self.faults.armed.remove(&number) else { return work(self) };
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
            Fault::Lose => {
                let before = self.clone();
                let answer = work(self);
                let changed =
                    self.disk != before.disk || self.host != before.host || self.server != before.server;
                let mut faults = std::mem::take(&mut self.faults);
                faults.lost |= changed;
                *self = Self { faults, ..before };
                return answer;
            }
        }
        let failure = Failure::new("fault", format!("write {number} (`{what}`) was made to fail"));
        Err(if fault == Fault::TimeoutAfter { failure.unknown() } else { failure })
    }
}
