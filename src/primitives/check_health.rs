use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    event::Failure,
    ports::{
        Observe,
        compose::by_hand,
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
    const ADMITS: bool = true;
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
            runs(&service.name, &containers, site)?;
        }
        let web = of_service(site.docker, &site.site.project, &site.site.web.name).await?;
        let probe = web.iter().find_map(|container| Probe::up(site.site, container));
        let probe = probe.ok_or_else(|| no_address(site))?;
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
            403 => {
                let asked = probe.headers.iter().find(|(name, _)| name == "Host");
                let host = asked.map_or("this host's address", |(_, host)| host.as_str());
                let text = format!("`{}` answers 403 when it is asked for as `{host}`", probe.url);
                Err(Failure::new("up_forbidden", text).hint(
                    "web refuses names that it does not know: set `APP_HOST` in the env file to the name by which users \
                     reach it, and apply that",
                ))
            }
            status => Err(Failure::new("not_healthy", format!("`{}` answers {status}", probe.url)).hint(
                "mend the site first: what was broken before cannot be told from what an upgrade breaks",
            )),
        }
    }
}

fn no_address(site: Observe<'_>) -> Failure {
    let web = &site.site.web.name;
    Failure::new("no_address", format!("`{web}` has no address at which this host could ask it"))
        .hint("publish its port in the compose file, or give it a network of its own")
}

/// One that the engine starts again and again is told apart from one that somebody has stopped.
fn runs(service: &str, containers: &[Container], site: Observe<'_>) -> Result<(), Failure> {
    let now = site.clock.now();
    if let Some(dying) = containers.iter().find(|container| container.dies_often(now)) {
        let times = dying.restarts;
        let text = format!("`{service}` keeps dying: the engine has started it again {times} times");
        return Err(Failure::new("service_dying", text)
            .hint(format!(
                "see why: `docker logs --tail 50 {name}`, and mend it first; where that is done already, `docker restart \
                 {name}` counts anew",
                name = dying.name
            )));
    }
    if containers.iter().any(Container::is_running) {
        return Ok(());
    }
    if let Some(paused) = containers.iter().find(|container| container.state == State::Paused) {
        return Err(Failure::new("service_down", format!("`{service}` is paused"))
            .hint(format!("let it go on first: `docker unpause {}`", paused.name)));
    }
    let (state, start) = if containers.is_empty() {
        ("has no container", format!("up -d --no-deps {service}"))
    } else {
        ("does not run", format!("start {service}"))
    };
    Err(Failure::new("service_down", format!("`{service}` {state}"))
        .hint(format!(
            "start it first, what was broken before cannot be told from what an upgrade breaks: `{} {start}`; whether a \
             run has left it stopped on purpose is told by `uplift status`",
            by_hand(&site.site.project)
        )))
}
