use std::{path::Path, sync::Arc};

use serde_json::Value;

use super::{
    begin,
    door::{Host, script_site},
    error::HostError,
    notices,
    running::Run,
};
use crate::{
    clients,
    event::Failure,
    run::{self, Plan, SoFar},
    script,
};

/// A runbook that passed the checks, with its parameters understood.
#[derive(Clone)]
pub struct Runbook {
    pub(super) host: Host,
    pub(super) script: Arc<script::Runbook>,
    pub(super) params: Value,
    /// What of it is not as it ships with uplift, a sentence each.
    pub(super) changed: Vec<String>,
    /// What the bundle of the site has to say of the release.
    pub(super) told: Vec<String>,
}

impl Runbook {
    #[must_use]
    pub fn name(&self) -> &str {
        self.script.name()
    }

    #[must_use]
    pub fn header(&self) -> &script::Header {
        self.script.header()
    }

    /// Rehearses it on a twin of the site: changes nothing, takes no lock, creates no file.
    pub async fn plan(&self) -> Plan {
        let mut plan = self.rehearse(SoFar::default()).await;
        plan.warnings.extend(self.told.iter().cloned());
        plan.warnings.extend(notices::untold(&self.host).await);
        plan
    }

    /// The steps alone, to compare them with those of a plan.
    pub(super) async fn steps(&self) -> Plan {
        self.rehearse(SoFar { bare: true, ..SoFar::default() }).await
    }

    async fn rehearse(&self, so_far: SoFar) -> Plan {
        let inner = &self.host.0;
        let context = self.host.rehearsal(Arc::clone(&inner.site), "plan", None);
        let site = script_site(&inner.site);
        let script = Arc::clone(&self.script);
        let plan = Box::pin(run::rehearse(context, script, self.params.clone(), site, so_far)).await;
        Plan { changed: self.changed.clone(), ..plan }
    }

    /// Starts what was planned. Refuses if the site has changed since, or if another run holds it.
    ///
    /// `command` is what the operator typed, for the journal.
    pub async fn start(&self, plan: Plan, command: &str) -> Result<Run, HostError> {
        Box::pin(begin::start(self, plan, false, command)).await
    }

    /// A plan that was kept: what `--dry-run -o json` gave.
    ///
    /// # Errors
    ///
    /// `plan_missing`, `plan_file`, `plan_unreadable`, `plan_newer`, `plan_incomplete`.
    pub fn kept_plan(&self, file: &Path) -> Result<Plan, HostError> {
        let shown = file.display();
        let named = |failure: Failure| {
            HostError::Invalid(Failure { message: format!("`{shown}`: {}", failure.message), ..failure })
        };
        let text = clients::read_text(file).map_err(|error| {
            let why = error.to_string().to_lowercase();
            let failure = Failure::new("plan_file", format!("the plan `{shown}` cannot be read: {why}"));
            HostError::Invalid(failure.hint("see that it is a text file that you may read"))
        })?;
        let text = text.ok_or_else(|| {
            let failure = Failure::new("plan_missing", format!("there is no plan `{shown}`"));
            HostError::Invalid(failure.hint("make one: the same command with `--dry-run -o json > FILE`"))
        })?;
        let plan = Plan::read(&text).map_err(named)?;
        plan.allows().map_err(named)?;
        Ok(plan)
    }

    /// Refuses a kept plan that is about something else than `now`.
    pub fn is_about(&self, kept: &Plan, now: &Plan) -> Result<(), HostError> {
        let differs = kept.differs(now);
        if differs.is_empty() {
            return Ok(());
        }
        let failure = Failure::new("plan_other", "the plan is about something else than what was typed")
            .evidence(differs)
            .hint("type what it was made for, or make a new one with `--dry-run -o json`");
        Err(HostError::Invalid(failure))
    }

    /// Refuses it also where the site has changed since.
    pub fn holds(&self, kept: &Plan, now: &Plan) -> Result<(), HostError> {
        self.is_about(kept, now)?;
        let changes = kept.no_longer_holds(now);
        if changes.is_empty() { Ok(()) } else { Err(HostError::Stale { changes }) }
    }

    /// Starts what a kept plan says, and nothing else: a call that changes something and is not in it is refused, and
    /// what was done until then goes the runbook's way of failing. The same holds when the run is resumed.
    pub async fn start_held(&self, plan: Plan, command: &str) -> Result<Run, HostError> {
        Box::pin(begin::start(self, plan, true, command)).await
    }
}
