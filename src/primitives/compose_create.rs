use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::ServiceBefore,
    compose_up::image_of,
    contract::{Back, Effect, Found, Undone, WhenUnknown},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        compose::{Up, by_hand},
        project::{configured_images, of_service},
    },
    site::Project,
};

/// Make the containers of services, with their volumes and networks, without starting them: on a host that has none.
///
/// A service that has a container already is left as it is. Taken back, the containers go; volumes stay.
///
/// Undo: the containers that were made are removed; their volumes stay.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComposeCreate {
    /// Names of services, e.g. `[site::web]`.
    pub services: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    #[schemars(with = "serde_json::Value")]
    project: Project,
    /// Services that have no container.
    services: Vec<ServiceBefore>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Services whose containers were made.
    pub made: Vec<String>,
}

impl Effect for ComposeCreate {
    const NAME: &'static str = "compose_create";
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { services: vec!["web".to_owned(), "job".to_owned()] }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let configured = configured_images(site.compose, &site.site.project).await?;
        let mut services = Vec::new();
        for service in &self.services {
            image_of(service, &configured, site).await?;
            let before = ServiceBefore::look(service, site).await?;
            if before.containers.is_empty() {
                services.push(before);
            }
        }
        Ok(Intent { project: site.site.project.clone(), services })
    }

    fn summary(intent: &Intent) -> String {
        match intent.names().as_slice() {
            [] => "every service has its container".to_owned(),
            names => format!("make the containers of {}, not started", names.join(", ")),
        }
    }

    fn result(outcome: &Outcome) -> String {
        format!("{} containers made, not started", outcome.made.len())
    }

    fn undo_summary(_: &Intent) -> String {
        "remove the containers that were made; volumes stay".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let mut made = 0;
        for before in &intent.services {
            let now = of_service(site.docker, &intent.project, &before.service).await?;
            made += usize::from(!now.is_empty());
        }
        Ok(match made {
            made if made == intent.services.len() => Found::Applied(outcome(intent)),
            0 => Found::NotApplied,
            made => Found::Partial(format!("{made} of {} containers are there", intent.services.len())),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if !matches!(Self::probe(intent, site.observe()).await?, Found::Applied(_)) {
            let services = intent.services.iter().map(|before| before.service.clone()).collect();
            site.compose.create(&Up { project: intent.project.clone(), services }).await?;
        }
        match Self::probe(intent, site.observe()).await? {
            Found::Applied(outcome) => Ok(outcome),
            _ => Err(Failure::new("not_made", "compose has made no container of one of the services").hint(
                format!("see which: `{} ps -a`, then type the command again", by_hand(&intent.project)),
            )),
        }
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let mut removed = false;
        for before in &intent.services {
            if !before.is_so(site.observe()).await? {
                before.restore(site).await?;
                removed = true;
            }
        }
        Ok(if removed {
            Undone::restored("removed the containers that were made")
        } else {
            Undone::nothing("no container was made")
        })
    }
}

impl Intent {
    fn names(&self) -> Vec<String> {
        self.services.iter().map(|before| format!("`{}`", before.service)).collect()
    }
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { made: intent.services.iter().map(|before| before.service.clone()).collect() }
}
