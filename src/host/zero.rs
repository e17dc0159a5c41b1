use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{event::Failure, site::Site, survey::Before};

/// Entry 0 of a run: the site before it.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryZero {
    format: u32,
    pub(super) site: Site,
    pub(super) before: Before,
    /// The addresses of the effects that the run may do, if it is held to a plan; since format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held_to: Option<Vec<String>>,
    /// What of its runbook was not as it ships with uplift, a sentence each: which bundle was installed, what is the site's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changed: Vec<String>,
}

/// The newest format that this uplift reads.
const FORMAT: u32 = 2;

#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

impl EntryZero {
    pub(super) fn new(
        site: Site,
        before: Before,
        held_to: Option<Vec<String>>,
        changed: Vec<String>,
    ) -> Self {
        // An uplift that would not hold the run to its plan must not take it up.
        let format = if held_to.is_some() { FORMAT } else { 1 };
        Self { format, site, before, held_to, changed }
    }

    pub(super) fn recorded(&self) -> Result<Value, Failure> {
        serde_json::to_value(self).map_err(|error| unreadable(&error))
    }

    pub(super) fn read(value: Value) -> Result<Self, Failure> {
        let Versioned { format } = Versioned::deserialize(&value).map_err(|error| unreadable(&error))?;
        if format > FORMAT {
            let text =
                format!("the record of the site has format {format}; this uplift knows format {FORMAT}");
            return Err(Failure::new("entry_zero_newer", text).hint("use the uplift that began the run"));
        }
        serde_json::from_value(value).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new("entry_zero", format!("the record of the site before the run cannot be read: {error}"))
        .hint("use the uplift that began the run")
}
