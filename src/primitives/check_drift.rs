use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    event::Failure,
    ports::{
        Observe,
        project::{configured_images, of_service},
    },
};

/// Compare what runs with what the files say: an edit that nobody has applied yet must not ride along.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckDrift {
    /// Go on although files and containers differ.
    #[serde(default)]
    pub allow: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What differs, a sentence each.
    pub differs: Vec<String>,
}

impl Read for CheckDrift {
    const NAME: &'static str = "check_drift";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { allow: true }
    }

    fn summary(&self) -> String {
        "compare what runs with the compose files".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        match outcome.differs.len() {
            0 => "what runs is what the files say".to_owned(),
            _ => outcome.differs.join("; "),
        }
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let config = site.compose.config(&site.site.project, &BTreeMap::new()).await?;
        let images = configured_images(site.compose, &site.site.project).await?;
        let mut differs = Vec::new();
        for service in std::iter::once(&site.site.web).chain(&site.site.job) {
            let Some(configured) = images.get(&service.name) else { continue };
            let restart =
                config.services.get(&service.name).map(|one| one.restart.clone()).unwrap_or_default();
            for container in of_service(site.docker, &site.site.project, &service.name).await? {
                // By id: the same name may mean another image since the container was made.
                let meant = site.docker.image(configured).await?.map(|image| image.id);
                if meant.as_ref() != Some(&container.image_id) {
                    let name = &service.name;
                    let runs = if container.image == *configured {
                        "another image of that name".to_owned()
                    } else {
                        format!("`{}`", container.image)
                    };
                    differs.push(format!("the files say `{configured}` and `{name}` runs {runs}"));
                }
                let normal =
                    |policy: &str| if policy.is_empty() { "no".to_owned() } else { policy.to_owned() };
                if normal(&container.restart_policy) != normal(&restart) {
                    let policy = &container.restart_policy;
                    let name = &service.name;
                    differs.push(format!(
                        "`{name}` has the restart policy `{policy}` and the files say `{restart}`"
                    ));
                }
            }
        }
        if !differs.is_empty() && !self.allow {
            return Err(Failure::new("drift", "what runs is not what the compose files say")
                .evidence(differs)
                .hint("apply the files first with `docker compose up -d`, or put them back, and type the command again"));
        }
        Ok(Outcome { differs })
    }
}
