use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::postgres::Way;

use super::{
    compose::Model, disk::Disk, engine::Host, faults::Faults, kept::Keeper, notices::Told, programs::Tools,
    registry::Registry, requests::Elsewhere, server::Server, watched::Onlooker,
};

/// All that a world is. One lock guards it, and no method waits while it holds that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub now: Timestamp,
    /// Counts what was made: ids derive from it.
    pub made: u64,
    pub disk: Disk,
    pub host: Host,
    pub registry: Registry,
    pub model: Model,
    pub server: Server,
    /// How the product's databases are reached from this host.
    #[serde(skip)]
    pub way: Option<Way>,
    pub faults: Faults,
    /// Answers of addresses that are no container of this world, by URL.
    pub elsewhere: BTreeMap<String, u16>,
    pub writer: Writer,
    pub told: Told,
    #[serde(default)]
    pub tools: Tools,
    /// Services elsewhere that answer, and what they were asked.
    #[serde(default)]
    pub services: Elsewhere,
    /// What the server answers to what runbooks ask it.
    #[serde(default)]
    pub queries: Vec<super::postgres::Told>,
    /// What containers do that runbooks run, by image.
    #[serde(default)]
    pub tasks: BTreeMap<String, Vec<super::programs::Does>>,
    #[serde(skip)]
    pub keeper: Keeper,
    #[serde(skip)]
    pub onlooker: Onlooker,
}

/// Users who place orders all the time, and remember each that web said it had.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Writer {
    /// Orders a second, placed while web can be reached.
    pub rate: u64,
    /// What is left of an order, in thousandths.
    pub rest: u64,
    /// First numbers and counts of acknowledged orders.
    pub acknowledged: Vec<(u64, u64)>,
}

impl State {
    /// The same once more, with nothing written yet and nobody who keeps it or looks on.
    pub(super) fn forked(&self) -> Self {
        let (keeper, onlooker) = (Keeper::default(), Onlooker::default());
        Self { faults: Faults::default(), keeper, onlooker, ..self.clone() }
    }

    /// 64 hex digits that no other thing of this world has, the same in every run.
    pub(super) fn next_id(&mut self) -> String {
        self.made += 1;
        hex(&format!("container {}", self.made))
    }

    /// Lets time pass, with all that happens in it.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = later(self.now, time);
        // Users meet what is there at their moment: only small steps show it.
        while self.writer.rate > 0 && self.now < end {
            let before = self.now;
            self.now = end.min(later(before, Duration::from_secs(1)));
            self.settle();
            let step = u64::try_from(self.now.duration_since(before).as_millis()).unwrap_or_default();
            self.users_write(step);
        }
        self.now = end;
        self.settle();
        self.keep_time();
    }
}

/// `time` after `at`; the end of time itself if there is no such moment.
pub(super) fn later(at: Timestamp, time: Duration) -> Timestamp {
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// 64 hex digits derived from a name.
pub(super) fn hex(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex().to_string()
}
