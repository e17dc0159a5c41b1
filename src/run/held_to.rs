//! A plan that was kept as a file, and what a run must do of it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::plan::{FORMAT, Plan};
use crate::{event::Failure, primitives::contract::Kind};

#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

impl Plan {
    /// A plan from the JSON text that `--dry-run -o json` gives.
    ///
    /// # Errors
    ///
    /// `plan_unreadable`, or `plan_newer` if a later uplift made it.
    pub fn read(text: &str) -> Result<Self, Failure> {
        let unreadable = |error: serde_json::Error| {
            Failure::new("plan_unreadable", format!("it is no plan: {error}"))
                .hint("make one: the same command with `--dry-run -o json > FILE`")
        };
        let Versioned { format } = serde_json::from_str(text).map_err(unreadable)?;
        if format > FORMAT {
            let text = format!("it has format {format}, and this uplift knows format {FORMAT}");
            return Err(Failure::new("plan_newer", text).hint("use the uplift that made it"));
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// What `asked` is that this plan is not, a sentence each: another site, runbook, parameter.
    #[must_use]
    pub fn differs(&self, asked: &Self) -> Vec<String> {
        let about =
            |plan: &Self| [plan.folder.display().to_string(), plan.site.clone(), plan.runbook.clone()];
        let names = ["site", "project", "runbook"].into_iter().zip(about(self)).zip(about(asked));
        let mut found: Vec<_> =
            names.filter_map(|((name, planned), asked)| other(name, &planned, &asked)).collect();
        // Another runbook has other parameters.
        if !found.is_empty() {
            return found;
        }
        let params = |plan: &Self| plan.params.as_object().cloned().unwrap_or_default();
        let (planned, here) = (params(self), params(asked));
        let names: BTreeSet<_> = planned.keys().chain(here.keys()).collect();
        let word = |value: Option<&Value>| match value {
            Some(Value::String(word)) => word.clone(),
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        found.extend(
            names.into_iter().filter_map(|name| {
                other(&format!("`{name}`"), &word(planned.get(name)), &word(here.get(name)))
            }),
        );
        if found.is_empty() && self.scripts != asked.scripts {
            found.push("the runbook, or what it imports, has another text".to_owned());
        }
        found
    }

    /// The addresses of all effects: what a run that is held to this plan may do. Their options are not compared: they may
    /// follow from what only the run learns, as whether a release migrates, or the number of a new folder.
    ///
    /// # Errors
    ///
    /// `plan_incomplete` if it does not come to the end of the runbook, or is only the rest of a run.
    pub fn allows(&self) -> Result<Vec<String>, Failure> {
        if !self.is_complete() || self.goes_on.is_some() {
            let text = "the plan is not of a whole run to its end, so no run can be held to it";
            return Err(Failure::new("plan_incomplete", text).hint("run it without `--plan`"));
        }
        let effects = self.steps.iter().flat_map(|step| &step.calls).filter(|call| call.undo.is_some());
        Ok(effects.map(|call| call.address.clone()).collect())
    }

    /// Why a run of today, which would go as `now` says, is not what this plan says; a sentence each.
    #[must_use]
    pub fn no_longer_holds(&self, now: &Self) -> Vec<String> {
        let mut changes = self.stale(now);
        // What the plan had to assume may be known by now, and be less: never more.
        let Ok(allowed) = self.allows() else { return changes };
        for more in now.allows().unwrap_or_default() {
            if !allowed.contains(&more) {
                changes.push(format!("`{more}` would be done now, and is not in the plan"));
            }
        }
        changes
    }
}

fn other(what: &str, planned: &str, asked: &str) -> Option<String> {
    (planned != asked).then(|| format!("{what}: `{planned}` in the plan, `{asked}` here"))
}

/// Refuses an effect that a run is not allowed to do; `allowed` is `None` where it is held to no plan.
pub(super) fn within(allowed: Option<&[String]>, address: &str, kind: Kind) -> Result<(), Failure> {
    let allowed = allowed.filter(|_| kind == Kind::Effect);
    if allowed.is_none_or(|allowed| allowed.iter().any(|known| known == address)) {
        return Ok(());
    }
    let text = format!("`{address}` is not in the plan that this run is held to");
    Err(Failure::new("not_planned", text)
        .hint("make a new plan of the site as it is now, and look what it does"))
}
