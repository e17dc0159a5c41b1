use serde_json::{Map, Value, json};

use super::{ComposeCommand, failed, not_started};
use crate::{
    event::Failure,
    ports::{
        compose::{ComposeRead as _, RunAside, SILENCED, project_arguments},
        docker::{Container, Docker as _, DockerRead as _, RemoveContainer, Select, State},
    },
};

impl ComposeCommand {
    /// One container of a service, where no user and no proxy finds it. Compose gives such a container neither the
    /// service's name on the networks nor its ports by itself; the rest is taken out by one more file, read from the
    /// input so that nothing is left behind.
    pub(super) async fn ran_aside(&self, request: &RunAside) -> Result<String, Failure> {
        if let Some(there) = self.named(&request.name).await? {
            if there.state != State::Created {
                return Ok(there.id);
            }
            // Made and never started: whoever made it was killed in between.
            let remove = RemoveContainer { id: there.id, service: request.service.clone() };
            self.engine.remove(&remove).await?;
        }
        let config = self.config(&request.project, &request.overrides).await?;
        let variables = config.services.get(&request.service).map(|service| &service.environment);
        let set =
            SILENCED.into_iter().filter(|(name, _)| variables.is_some_and(|all| all.contains_key(*name)));
        let file = hidden(&request.service, set);
        let mut words = project_arguments(&request.project);
        words.extend(
            ["--file", "-", "run", "--detach", "--no-deps", "--no-TTY", "--interactive=false"]
                .map(str::to_owned),
        );
        words.extend(["--name".to_owned(), request.name.clone(), request.service.clone()]);
        let done = self.fed(words, &request.project, &request.overrides, file).await;
        let ended = done.map_err(|error| not_started(&error))?;
        if !ended.status.success() {
            return Err(failed("run", &ended).unknown());
        }
        match self.named(&request.name).await.map_err(Failure::unknown)? {
            Some(there) => Ok(there.id),
            None => {
                Err(Failure::new("compose_failed", "`docker compose run` said yes and made no container")
                    .hint("see what there is: `docker ps -a`")
                    .unknown())
            }
        }
    }

    async fn named(&self, name: &str) -> Result<Option<Container>, Failure> {
        Ok(self.engine.containers(&Select::All).await?.into_iter().find(|one| one.name == name))
    }
}

/// What is laid over the project's files. No user reaches the container, so there is nothing that it would have to drain
/// when it stops, and all that time the site is away. YAML tags have no JSON: the text is JSON, which YAML reads, but for them.
fn hidden<'a>(service: &str, silenced: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let silent: Map<String, Value> = silenced.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let environment =
        if silent.is_empty() { String::new() } else { format!(", environment: {}", Value::from(silent)) };
    format!(
        "services: {{ {}: {{ labels: !reset {{}}, ports: !reset [], container_name: !reset null, restart: \"no\", \
         stop_grace_period: 2s, pull_policy: never{environment} }} }}\n",
        json!(service)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_a_container_is_one_line_of_yaml() {
        assert_eq!(
            hidden("web", [("VIRTUAL_HOST", "")].into_iter()),
            "services: { \"web\": { labels: !reset {}, ports: !reset [], container_name: !reset null, \
             restart: \"no\", stop_grace_period: 2s, pull_policy: never, environment: {\"VIRTUAL_HOST\":\"\"} } }\n"
        );
    }
}
