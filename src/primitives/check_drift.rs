use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    event::Failure,
    ports::{Observe, compose::ServiceConfig, docker::Container, project::of_service},
    site::Secret,
};

/// Compare what runs with what the files say: an edit that nobody has applied yet must not ride along.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckDrift {
    /// Go on although files and containers differ.
    #[serde(default)]
    pub allow: bool,
    /// What is compared: `everything`, or only where the `data` is.
    #[serde(default)]
    pub of: Compared,
    /// Whether containers that do not run are compared too.
    #[serde(default = "yes")]
    pub stopped: bool,
}

/// What is compared of containers and files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Compared {
    #[default]
    Everything,
    /// The settings that say which databases are in use, and where uploaded files lie.
    Data,
}

fn yes() -> bool {
    true
}

/// Settings that say where the data is, with what the product takes where they are not set.
const DATA: [(&str, &str); 7] = [
    ("DB_HOST", ""),
    ("DB_PORT", "5432"),
    ("DB_NAME", ""),
    ("DB_DATABASE", ""),
    ("STORAGE_BACKEND", "local"),
    ("S3_BUCKET", ""),
    ("S3_ENDPOINT", ""),
];

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What differs, a sentence each.
    pub differs: Vec<String>,
}

impl Read for CheckDrift {
    const NAME: &'static str = "check_drift";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { allow: true, of: Compared::Everything, stopped: true }
    }

    fn summary(&self) -> String {
        match self.of {
            Compared::Everything => "compare what runs with the compose files".to_owned(),
            Compared::Data => "compare where the data is with what the files say".to_owned(),
        }
    }

    fn result(outcome: &Outcome) -> String {
        match outcome.differs.len() {
            0 => "what runs is what the files say".to_owned(),
            _ => outcome.differs.join("; "),
        }
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let config = site.compose.config(&site.site.project, &BTreeMap::new()).await?;
        let (mut differs, mut stopped) = (Vec::new(), Vec::new());
        for service in site.site.product() {
            let Some(configured) = config.services.get(&service.name) else { continue };
            for container in of_service(site.docker, &site.site.project, &service.name).await? {
                if !self.stopped && !container.is_up() {
                    continue;
                }
                let found = self.differences(&container, configured, site).await?;
                if !found.is_empty() && !container.is_up() && !stopped.contains(&service.name) {
                    stopped.push(service.name.clone());
                }
                differs.extend(found);
            }
        }
        if !differs.is_empty() && !self.allow {
            return Err(self.refusal(differs, &stopped));
        }
        Ok(Outcome { differs })
    }
}

impl CheckDrift {
    async fn differences(
        &self,
        container: &Container,
        configured: &ServiceConfig,
        site: Observe<'_>,
    ) -> Result<Vec<String>, Failure> {
        if self.of == Compared::Data {
            return Ok(data(container, configured, site).await?.into_iter().collect());
        }
        let mut found = Vec::from_iter(image(container, configured, site).await?);
        found.extend(policy(container, configured));
        found.extend(variables(container, configured, site).await?);
        found.extend(ports(container, configured));
        Ok(found)
    }

    fn refusal(&self, differs: Vec<String>, stopped: &[String]) -> Failure {
        let apply = apply(stopped);
        let (text, hint) = match (self.of, self.stopped) {
            (Compared::Everything, _) => (
                "what runs is not what the compose files say",
                format!("{apply}, and type the command again"),
            ),
            (Compared::Data, true) => (
                "the site has its data elsewhere than the files say",
                format!("{apply}, and type the command again"),
            ),
            (Compared::Data, false) => (
                "the site has its data elsewhere than the files say",
                format!(
                    "{apply}; if it is meant for where the files point to, stop the site: `docker compose stop`"
                ),
            ),
        };
        Failure::new("drift", text).evidence(differs).hint(hint)
    }
}

/// How the files are applied. What stands still may be held for a reason, and is not started by the way.
fn apply(stopped: &[String]) -> String {
    let policy = "a restart policy with `docker update`, or put them back";
    if stopped.is_empty() {
        return format!("apply the files first with `docker compose up -d`, {policy}");
    }
    let names: Vec<_> = stopped.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "{} does not run, and `docker compose up -d` would start it: apply the files to it without that, `docker \
         compose up --no-start --no-deps {}`, to what runs with `docker compose up -d --no-deps SERVICE`, {policy}",
        names.join(", "),
        stopped.join(" ")
    )
}

fn service(container: &Container) -> &str {
    container.service().unwrap_or(&container.name)
}

/// By id: the same name may mean another image since the container was made.
async fn image(
    container: &Container,
    configured: &ServiceConfig,
    site: Observe<'_>,
) -> Result<Option<String>, Failure> {
    let Some(meant) = &configured.image else { return Ok(None) };
    let id = site.docker.image(meant).await?.map(|image| image.id);
    if id.as_ref() == Some(&container.image_id) {
        return Ok(None);
    }
    let runs = if container.image == *meant {
        "another image of that name".to_owned()
    } else {
        format!("`{}`", container.image)
    };
    Ok(Some(format!("the files say `{meant}` and `{}` runs {runs}", service(container))))
}

fn policy(container: &Container, configured: &ServiceConfig) -> Option<String> {
    let normal = |policy: &str| if policy.is_empty() { "no".to_owned() } else { policy.to_owned() };
    let (runs, files) = (normal(&container.restart_policy), normal(&configured.restart));
    (runs != files).then(|| {
        format!(
            "`{}` has the restart policy `{runs}` and the files say `{files}`, which compose does not apply to a \
             container that is there: `docker update --restart {files} {}`",
            service(container),
            container.name
        )
    })
}

/// Names alone: values may be secrets.
async fn variables(
    container: &Container,
    configured: &ServiceConfig,
    site: Observe<'_>,
) -> Result<Option<String>, Failure> {
    let made_with = site.docker.environment(&container.id).await?;
    let differs = configured.environment.iter().filter(|(name, value)| made_with.get(*name) != Some(value));
    let names: Vec<_> = differs.map(|(name, _)| format!("`{name}`")).collect();
    Ok(other_values(container, &names))
}

/// An edit of `DB_HOST` that nobody has applied would have another database backed up than the one in use. What was
/// taken out of the files counts as well.
async fn data(
    container: &Container,
    configured: &ServiceConfig,
    site: Observe<'_>,
) -> Result<Option<String>, Failure> {
    let made_with = site.docker.environment(&container.id).await?;
    let differs = DATA.iter().filter(|(name, usual)| {
        let value = |of: &BTreeMap<String, Secret>| {
            let set = of.get(*name).map(|value| value.reveal().trim().to_owned());
            set.filter(|value| !value.is_empty()).unwrap_or_else(|| (*usual).to_owned())
        };
        value(&made_with) != value(&configured.environment)
    });
    let names: Vec<_> = differs.map(|(name, _)| format!("`{name}`")).collect();
    Ok(other_values(container, &names))
}

fn other_values(container: &Container, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "`{}` was started with other values of {} than the files give",
            service(container),
            names.join(", ")
        )
    })
}

fn ports(container: &Container, configured: &ServiceConfig) -> Option<String> {
    let moved = configured.ports.iter().find(|port| {
        let bound = container.ports.get(&port.target).map(|binding| binding.host_port);
        port.published.is_some() && bound != port.published
    })?;
    let published = moved.published.unwrap_or_default();
    Some(format!("the files publish `{}` on port {published} and it runs without that", service(container)))
}
