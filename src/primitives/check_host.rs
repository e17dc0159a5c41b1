mod restarters;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::restarters::restarters;
use super::contract::Read;
use crate::{backups, event::Failure, ports::Observe};

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
    /// What may start or replace the site's containers by itself: names of containers such as watchtower, paths of units
    /// and timed jobs.
    pub restarters: Vec<String>,
}

impl Read for CheckHost {
    const NAME: &'static str = "check_host";
    const ADMITS: bool = true;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "look at the engine, compose, and what restarts containers".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        let names: Vec<_> = outcome.restarters.iter().map(|name| format!("`{name}`")).collect();
        let others = match names.len() {
            0 => String::new(),
            _ => format!("; watch out for {}", names.join(", ")),
        };
        format!("Docker Engine {}, compose {}{others}", outcome.engine, outcome.compose)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        backups::outlives(&site.site.storage)?;
        let engine = site.docker.engine().await?;
        let compose = site.compose.version().await?;
        let restarters = restarters(site).await?;
        for name in &restarters {
            site.tell.warn(format!(
                "`{name}` may start or replace containers of this site while they are being changed: see that it does not \
                 until this is over"
            ));
        }
        Ok(Outcome { engine: engine.version, compose: compose.to_string(), restarters })
    }
}
