use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{downtime::Downtime, going_back::GoingBack, room::Room};
use crate::event::{Failure, Planned};

/// Where a rehearsal came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum PlanEnd {
    /// The runbook came to its end.
    Complete,
    /// The runbook came to its end and would change nothing.
    NothingNeeded { why: String },
    /// The run would be refused or fail here.
    Fails { address: String, failure: Failure },
    /// From here on it depends on something that cannot be known before.
    Unknown { why: String },
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    pub path: String,
    pub calls: Vec<Planned>,
}

/// A rehearsal of a runbook: what each step would change, and what it was decided on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The format of the uplift that made it.
    pub format: u32,
    /// The version of that uplift.
    pub uplift: String,
    pub made: Timestamp,
    /// The unfinished run whose rest it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<String>,
    pub runbook: String,
    /// BLAKE3 of the runbook and all that it imports, in hex.
    pub scripts: String,
    pub site: String,
    /// The site's folder.
    pub folder: PathBuf,
    /// What the site changes of the runbook, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The parameters as they were understood.
    pub params: Value,
    /// How the databases are reached, where that is another way than the containers'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    pub steps: Vec<PlannedStep>,
    pub end: PlanEnd,
    pub warnings: Vec<String>,
    /// What the runbook itself would say on its way.
    #[serde(default)]
    pub notes: Vec<String>,
    /// For how long each service is expected to be away.
    pub downtime: Vec<Downtime>,
    /// What it takes on each disk, and what is free there.
    #[serde(default)]
    pub room: Vec<Room>,
    /// How one comes back, where the plan leads to its end and changes more than it adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub going_back: Option<GoingBack>,
}

/// The format of a plan that is kept as JSON, and the newest that is read.
pub(super) const FORMAT: u32 = 1;

/// What a rehearsal remembers of something that is not there.
const MISSING: &str = "missing";

impl Plan {
    /// Addresses of all calls, in order: what the run that follows will journal.
    #[must_use]
    pub fn addresses(&self) -> Vec<&str> {
        self.calls().map(|call| call.address.as_str()).collect()
    }

    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.end, PlanEnd::Complete | PlanEnd::NothingNeeded { .. })
    }

    /// What the plan was decided on and is no longer so in `now`, a sentence each.
    ///
    /// Only digests, names, schema versions and settings are remembered; sizes, counts and times move by
    /// themselves and would make every plan stale.
    #[must_use]
    pub fn stale(&self, now: &Self) -> Vec<String> {
        let (mut changed, mut gone, mut came) = (Vec::new(), Vec::new(), false);
        for (name, then) in self.calls().flat_map(|call| &call.relies_on) {
            let today = now.calls().flat_map(|call| &call.relies_on).find(|(known, _)| known == name);
            let line = match today {
                Some((_, value)) if value == then => continue,
                // Somebody has brought the very image that was planned with: the plan had to assume the worst of it.
                Some(_) if then == MISSING && name.starts_with("image ") && name.contains("@sha256:") => {
                    came = true;
                    continue;
                }
                Some((_, value)) => (&mut changed, format!("{name} was `{then}` and is `{value}` now")),
                None => (&mut gone, format!("{name} was `{then}` and is not looked at any more")),
            };
            let (lines, line) = line;
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if !came {
            changed.append(&mut gone);
            if changed.is_empty() && self.addresses() != now.addresses() {
                changed.push("the steps to take are no longer the same".to_owned());
            }
        }
        changed
    }

    fn calls(&self) -> impl Iterator<Item = &Planned> {
        self.steps.iter().flat_map(|step| &step.calls)
    }
}
