use std::sync::Arc;

use serde_json::Value;

use crate::{
    primitives::contract::Catalogue,
    script::{self, Conduct, Runbook},
};

/// Runs a script on its own thread without holding up the runtime.
pub(super) async fn perform(
    runbook: Arc<Runbook>,
    catalogue: Arc<Catalogue>,
    params: Value,
    site: Value,
    conduct: Arc<dyn Conduct>,
) -> Result<Value, script::ScriptError> {
    let work = move || script::perform(&runbook, catalogue, params, site, conduct);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let panic = if error.is_panic() { "the script host panicked" } else { "the script host was stopped" };
        Err(script::ScriptError::internal(panic))
    })
}
