use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    event::Failure,
    ports::{
        Observe,
        docker::{Container, State},
        http::Probe,
        project::of_service,
    },
};

/// Check that the site is well before anything is done to it, by the same question that will be asked afterwards.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckHealth {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What was asked.
    pub url: String,
}

impl Read for CheckHealth {
    const NAME: &'static str = "check_health";
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn summary(&self) -> String {
        "ask the running release whether it is well".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        format!("`{}` answers 200", outcome.url)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        for service in site.site.product() {
            let containers = of_service(site.docker, &site.site.project, &service.name).await?;
            runs(&service.name, &containers)?;
        }
        let web = of_service(site.docker, &site.site.project, &site.site.web.name).await?;
        let probe = web.iter().find_map(|container| Probe::up(site.site, container));
        let probe =
            probe.ok_or_else(|| Failure::new("no_address", "web has no address that can be asked"))?;
        let answer = site.http.probe(&probe).await?;
        match answer.status {
            200 => Ok(Outcome { url: probe.url }),
            301..=308 => {
                let to = answer.location.unwrap_or_default();
                let text = format!("`{}` sends visitors on to `{to}`", probe.url);
                Err(Failure::new("up_redirects", text).hint(
                    "set `APP_HOST` and `FORCE_SSL` in the env file as the proxy in front of web has them",
                ))
            }
            status => Err(Failure::new("not_healthy", format!("`{}` answers {status}", probe.url)).hint(
                "mend the site first: what was broken before cannot be told from what an upgrade breaks",
            )),
        }
    }
}

/// One that the engine starts again and again is told apart from one that somebody has stopped. One that runs again
/// may only have waited for its database when it was started.
fn runs(service: &str, containers: &[Container]) -> Result<(), Failure> {
    if let Some(dying) = containers.iter().find(|container| container.state == State::Restarting) {
        let times = dying.restarts;
        let text = format!("`{service}` keeps dying: the engine has started it again {times} times");
        return Err(Failure::new("service_dying", text)
            .hint(format!("see why: `docker logs --tail 50 {}`, and mend it first", dying.name)));
    }
    if containers.iter().any(Container::is_running) {
        return Ok(());
    }
    Err(Failure::new("service_down", format!("`{service}` does not run"))
        .hint(
            "start it first, what was broken before cannot be told from what an upgrade breaks; whether a run has \
             left it stopped on purpose, and how it is started, is told by `uplift status`",
        ))
}
