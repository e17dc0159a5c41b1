use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    backups,
    event::Failure,
    ports::{Observe, docker::Select},
};

/// Look for what might restart or replace containers behind the upgrade's back, and tell it. Refuse a site whose uploaded
/// files would go with its containers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckHost {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Version of Docker Engine.
    pub engine: String,
    /// Version of docker compose.
    pub compose: String,
    /// Names of containers that replace others by themselves, such as watchtower.
    pub restarters: Vec<String>,
}

const RESTARTERS: [&str; 4] = ["watchtower", "ouroboros", "diun", "autoheal"];

impl Read for CheckHost {
    const NAME: &'static str = "check_host";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "look at the engine, compose, and what restarts containers".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        let others = match outcome.restarters.len() {
            0 => String::new(),
            _ => format!("; watch out for {}", outcome.restarters.join(", ")),
        };
        format!("Docker Engine {}, compose {}{others}", outcome.engine, outcome.compose)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        backups::outlives(&site.site.storage)?;
        let engine = site.docker.engine().await?;
        let compose = site.compose.version().await?;
        let all = site.docker.containers(&Select::All).await?;
        let restarters: Vec<_> = all
            .iter()
            .filter(|container| container.is_running())
            .filter(|container| RESTARTERS.iter().any(|name| container.image.contains(name)))
            .map(|container| container.name.clone())
            .collect();
        for name in &restarters {
            site.tell
                .warn(format!("`{name}` may replace containers while the upgrade runs: stop it until then"));
        }
        Ok(Outcome { engine: engine.version, compose: compose.to_string(), restarters })
    }
}
