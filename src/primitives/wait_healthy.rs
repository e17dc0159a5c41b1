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
    /// Its first good answer is enough: that it stays well is seen later, by another call.
    #[serde(default)]
    pub once: bool,
    /// Services that must stay well beside it, e.g. `[site::job]`.
    #[serde(default)]
    pub also: Vec<String>,
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
    /// The service that was waited for.
    pub service: String,
    /// The services beside it.
    #[serde(default)]
    pub also: Vec<String>,
    /// Milliseconds until all of them were well for the first time.
    pub well_after_ms: u64,
    /// Milliseconds for which all of them stayed so.
    pub stable_ms: u64,
}

impl Read for WaitHealthy {
    const NAME: &'static str = "wait_healthy";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            service: "web".to_owned(),
            once: false,
            also: vec!["job".to_owned()],
            stable_for: ten_seconds(),
            timeout: ten_minutes(),
        }
    }

    fn summary(&self) -> String {
        let (is, stays) = if self.also.is_empty() { ("is", "stays") } else { ("are", "stay") };
        let stays =
            if self.once { String::new() } else { format!(" and {stays} so for {}", self.stable_for) };
        format!("wait until {} {is} well{stays}", named(&self.service, &self.also))
    }

    fn result(outcome: &Outcome) -> String {
        let stayed = match outcome.stable_ms {
            0 => String::new(),
            stable => format!(" and stayed so for {:.1} s", seconds(stable)),
        };
        let was = if outcome.also.is_empty() { "was" } else { "were" };
        let named = named(&outcome.service, &outcome.also);
        format!("{named} {was} well after {:.1} s{stayed}", seconds(outcome.well_after_ms))
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let stable_for = if self.once { None } else { Some(self.stable_for.0) };
        let all = std::iter::once(&self.service).chain(&self.also);
        let all: Vec<_> = all
            .map(|service| Watched { service, container: None, stable_for, timeout: self.timeout.0 })
            .collect();
        let all = watch(&all, site).await?;
        Ok(Outcome {
            service: self.service.clone(),
            also: self.also.clone(),
            well_after_ms: all.iter().map(|well| well.after_ms).max().unwrap_or_default(),
            stable_ms: stable_for.and(all.iter().map(|well| well.stable_ms).min()).unwrap_or_default(),
        })
    }
}

fn named(service: &str, also: &[String]) -> String {
    let all = std::iter::once(service).chain(also.iter().map(String::as_str));
    all.map(|service| format!("`{service}`")).collect::<Vec<_>>().join(" and ")
}

#[expect(clippy::cast_precision_loss, reason = "seconds on a screen")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
