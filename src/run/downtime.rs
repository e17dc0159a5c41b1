use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    event::{Change, Write},
    sim::Twin,
};

/// How long a service is expected to be away, and what that rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Downtime {
    pub service: String,
    pub millis: u64,
    pub basis: String,
}

/// Counts it on the twin's clock, from when a service is told to stop until it is taken to be well again: whatever is
/// done in between counts.
#[derive(Default)]
pub(super) struct Counting {
    down: Vec<(String, Timestamp)>,
    /// A release was tried while services were down.
    tried: bool,
    pub(super) found: Vec<Downtime>,
}

impl Counting {
    /// From `now` on these services are down.
    pub(super) fn of_down(services: Vec<String>, now: Timestamp) -> Self {
        let down = services.into_iter().map(|service| (service, now)).collect();
        Self { down, ..Self::default() }
    }

    /// What a call has written, that was begun at `began` and has ended `now`.
    pub(super) fn count(&mut self, writes: &[Write], began: Timestamp, now: Timestamp) {
        for write in writes {
            match &write.change {
                // What is down already does not go once more.
                Change::ServiceDown { service, .. }
                    if self.down.iter().all(|(known, _)| known != service) =>
                {
                    self.down.push((service.clone(), began));
                }
                Change::Trial { .. } => self.tried = true,
                Change::ServiceUp { service, .. } => {
                    if let Some(at) = self.down.iter().position(|(known, _)| known == service) {
                        let (service, since) = self.down.remove(at);
                        let passed = now.duration_since(since) + Twin::BOOT;
                        let millis = u64::try_from(passed.as_millis()).unwrap_or(0);
                        self.found.push(Downtime { service, millis, basis: basis(self.tried) });
                    }
                }
                _ => {}
            }
        }
    }
}

/// What an expected downtime rests on.
fn basis(tried: bool) -> String {
    let trial = if tried { ", with the trial in between" } else { "" };
    let top = if tried { ", and what migrations take on top" } else { "" };
    format!("from its stop until it is well again{trial}; each boot taken as {} s{top}", Twin::BOOT.as_secs())
}
