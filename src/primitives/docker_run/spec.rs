//! One container of a runbook's own, as it is recorded: secrets are in it by their places only.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        compose::{PublishedPort, SILENCED},
        docker::{Container, LikeService, Pull, RemoveContainer, RunContainer, RunMount, Select, Stop},
        secrets::lent,
    },
    primitives::as_before::keep_log,
    site::{Reference, Secret},
};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(in crate::primitives) struct Spec {
    pub name: String,
    /// As it is asked for, `repository:tag`.
    pub image: String,
    /// What the registry has for it, where it is not on the host and is brought first.
    pub digest: Option<String>,
    /// When nobody had that name yet, RFC 3339 in UTC: what has it later, from this image, is the runbook's.
    pub since: String,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Reference>,
    /// It has the settings, volumes and networks that the files give this service.
    pub service: Option<String>,
    /// Of another release than the files name.
    pub tag: Option<String>,
    pub networks: Vec<String>,
    #[schemars(with = "serde_json::Value")]
    pub mounts: Vec<RunMount>,
    /// Those of them that the service does not have.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub beside: Vec<RunMount>,
    /// The network that the runbook names.
    #[serde(default)]
    pub network: Option<String>,
    #[schemars(with = "serde_json::Value")]
    pub publish: Vec<PublishedPort>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    pub stays: bool,
}

/// What is there under a name.
pub(in crate::primitives) enum There {
    Nothing,
    Ours(Box<Container>),
    /// Somebody else's.
    Foreign,
}

impl Spec {
    pub(in crate::primitives) async fn there(&self, site: Observe<'_>) -> Result<There, Failure> {
        let all = site.docker.containers(&Select::All).await?;
        Ok(match all.into_iter().find(|one| one.name == self.name) {
            None => There::Nothing,
            Some(one) if self.made(&one) => There::Ours(Box::new(one)),
            Some(_) => There::Foreign,
        })
    }

    /// The name was free when this was decided: whoever has it now came later, and only ours is of this image.
    fn made(&self, one: &Container) -> bool {
        let since: Option<Timestamp> = self.since.parse().ok();
        let same = one.image == self.image || one.image.starts_with("sha256:");
        same && since.is_some_and(|since| one.created >= since)
    }

    /// What a task has that its service does not: the command that a person would type for the service does not show it.
    pub(in crate::primitives) fn beside_the_service(&self) -> String {
        if self.service.is_none() {
            return String::new();
        }
        let mount = |one: &RunMount| {
            let how = if one.read_only { "to be read" } else { "to be written" };
            format!("`{}` at `{}` {how}", one.source, one.target)
        };
        let network = self.network.iter().map(|name| format!("the network `{name}`"));
        let all: Vec<_> = self.beside.iter().map(mount).chain(network).collect();
        if all.is_empty() { String::new() } else { format!(", with {}", all.join(", ")) }
    }

    pub(in crate::primitives) fn taken(&self) -> Failure {
        Failure::new(
            "name_taken",
            format!("there is a container named `{}`, and it is not of this run", self.name),
        )
        .hint(format!("see whose it is: `docker inspect {}`; take another name", self.name))
    }

    /// With the image on the host. Does nothing where the container is there already.
    pub(in crate::primitives) async fn run(&self, site: Operate<'_>) -> Result<String, Failure> {
        let image_id = match (site.docker.image(&self.image).await?, &self.digest) {
            (Some(image), _) => image.id,
            (None, Some(digest)) => {
                let pull = Pull { reference: self.image.clone(), digest: digest.clone() };
                site.docker.pull(&pull, site.tell).await?.id
            }
            (None, None) => {
                return Err(Failure::new(
                    "image_missing",
                    format!("`{}` is not on this host any more", self.image),
                )
                .hint(format!("bring it back: `docker pull {}`", self.image)));
            }
        };
        site.docker.run(&self.request(image_id, site.observe()).await?).await
    }

    async fn request(&self, image_id: String, site: Observe<'_>) -> Result<RunContainer, Failure> {
        let mut secrets = BTreeMap::new();
        for (name, reference) in &self.secrets {
            secrets.insert(name.clone(), lent(reference, site).await?);
        }
        let (settings, extra_hosts) = self.of_service(site).await?;
        let like = self.service.as_ref().map(|service| LikeService {
            project: site.site.project.clone(),
            service: service.clone(),
            tag: self.tag.clone(),
        });
        Ok(RunContainer {
            name: self.name.clone(),
            image: self.image.clone(),
            image_id,
            entrypoint: self.entrypoint.clone(),
            command: self.command.clone(),
            variables: self.env.clone(),
            secrets,
            settings,
            networks: self.networks.clone(),
            extra_hosts,
            mounts: self.mounts.clone(),
            ports: self.publish.clone(),
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            stays: self.stays,
            like,
        })
    }

    /// As the files have them at this moment: no record holds them.
    async fn of_service(
        &self,
        site: Observe<'_>,
    ) -> Result<(BTreeMap<String, Secret>, Vec<String>), Failure> {
        let Some(service) = &self.service else { return Ok((BTreeMap::new(), Vec::new())) };
        let tag = self.tag.iter().map(|tag| ("STRATA_VERSION".to_owned(), tag.clone())).collect();
        let mut config = site.compose.config(&site.site.project, &tag).await?;
        let config = config.services.remove(service).ok_or_else(|| {
            Failure::new("no_such_service", format!("the compose files have no service `{service}`"))
                .hint("see which there are: `docker compose config --services`")
        })?;
        let mut settings = config.environment;
        for (name, value) in SILENCED {
            settings.entry(name.to_owned()).and_modify(|known| *known = Secret::new(value));
        }
        settings.retain(|name, _| !self.env.contains_key(name) && !self.secrets.contains_key(name));
        Ok((settings, config.extra_hosts))
    }

    /// The container of what stays, once it is clear that it does.
    pub(in crate::primitives) async fn stand(&self, site: Operate<'_>) -> Result<(), Failure> {
        let id = self.run(site).await?;
        site.clock.sleep(RunContainer::STAYS_AFTER).await;
        match site.docker.container(&id).await? {
            Some(one) if one.is_up() => Ok(()),
            Some(one) => Err(self.died(&one, site).await?),
            None => {
                let text = format!("`{}` is gone: somebody has removed it", self.name);
                Err(Failure::new("container_missing", text).hint("see who did: `docker events --since 10m`"))
            }
        }
    }

    async fn died(&self, one: &Container, site: Operate<'_>) -> Result<Failure, Failure> {
        const SHOWN: usize = 12;
        let lines = site.docker.logs(&one.id, Some(SHOWN)).await?;
        let lines: Vec<_> = lines.into_iter().map(|line| site.scrubber.scrub(&line.text)).collect();
        self.take_away(one, site).await?;
        let code = one.exit_code.unwrap_or_default();
        let text = format!("`{}` was to stay, and ended with exit code {code}", self.name);
        Ok(Failure::new("container_died", text)
            .hint("mend what its last lines say; a task that ends is written without `stays`")
            .evidence(lines))
    }

    /// Stops it, keeps what it has said and removes it.
    pub(in crate::primitives) async fn take_away(
        &self,
        one: &Container,
        site: Operate<'_>,
    ) -> Result<(), Failure> {
        let (id, service) = (one.id.clone(), self.name.clone());
        if one.is_up() {
            site.docker.stop(&Stop { id: id.clone(), service: service.clone(), timeout: None }).await?;
        }
        keep_log(one, site).await?;
        site.docker.remove(&RemoveContainer { id, service }).await
    }
}

/// Where a run notes the container that it keeps under a name, until it takes it away.
pub(in crate::primitives) fn note_of(name: &str, site: Observe<'_>) -> PathBuf {
    site.kept().join("made").join(format!("{name}.json"))
}
