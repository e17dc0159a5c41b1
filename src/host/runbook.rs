use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    begin,
    door::{Host, script_site},
    error::HostError,
    notices,
    running::Run,
};
use crate::{
    event::Teller,
    run::{self, Context, Plan},
    script,
};

/// A runbook that passed the checks, with its parameters understood.
#[derive(Clone)]
pub struct Runbook {
    pub(super) host: Host,
    pub(super) script: Arc<script::Runbook>,
    pub(super) params: Value,
}

impl Runbook {
    pub(super) fn new(host: Host, script: Arc<script::Runbook>, params: Value) -> Self {
        Self { host, script, params }
    }

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
        let inner = &self.host.0;
        let context = Context {
            catalogue: Arc::clone(&inner.catalogue),
            ports: inner.ports.clone(),
            site: Arc::clone(&inner.site),
            run: "plan".to_owned(),
            tell: Teller::silent(),
            cancel: CancellationToken::new(),
            runtime: tokio::runtime::Handle::current(),
        };
        let site = script_site(&inner.site);
        let mut plan = run::rehearse(context, Arc::clone(&self.script), self.params.clone(), site).await;
        plan.warnings.extend(notices::untold(&self.host).await);
        plan
    }

    /// Starts what was planned. Refuses if the site has changed since, or if another run holds it.
    ///
    /// `command` is what the operator typed, for the journal.
    pub async fn start(&self, plan: Plan, command: &str) -> Result<Run, HostError> {
        begin::start(self, plan, command).await
    }
}
