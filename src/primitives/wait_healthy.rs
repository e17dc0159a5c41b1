use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Read, Span},
    watch::{Watched, watch},
};
use crate::{event::Failure, ports::Observe};

/// Wait until a service is well and stays so: web answers `/up` with 200, any other service runs without a restart.
///
/// A container that dies ends the wait at once. The time limit counts from the last sign of progress: a new line in
/// the container's log, or a migration that was applied.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitHealthy {
    /// Name of the service, e.g. `site::web`.
    pub service: String,
    /// How long it must stay well without a break. Initially `10s`.
    #[serde(default = "ten_seconds")]
    pub stable_for: Span,
    /// How long to wait without any sign of progress. Initially `10m`.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

fn ten_minutes() -> Span {
    Span(Duration::from_mins(10))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    pub service: String,
    /// Milliseconds until it was well for the first time.
    pub well_after_ms: u64,
    /// Milliseconds for which it stayed so.
    pub stable_ms: u64,
}

impl Read for WaitHealthy {
    const NAME: &'static str = "wait_healthy";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { service: "web".to_owned(), stable_for: ten_seconds(), timeout: ten_minutes() }
    }

    fn summary(&self) -> String {
        format!("wait until `{}` is well and stays so for {}", self.service, self.stable_for)
    }

    fn result(outcome: &Outcome) -> String {
        format!(
            "`{}` was well after {:.1} s and stayed so for {:.1} s",
            outcome.service,
            seconds(outcome.well_after_ms),
            seconds(outcome.stable_ms)
        )
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let watched = Watched {
            service: &self.service,
            container: None,
            stable_for: self.stable_for.0,
            timeout: self.timeout.0,
        };
        let well = watch(&watched, site).await?;
        let (well_after_ms, stable_ms) = (well.after_ms, well.stable_ms);
        Ok(Outcome { service: self.service.clone(), well_after_ms, stable_ms })
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds on a screen")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
