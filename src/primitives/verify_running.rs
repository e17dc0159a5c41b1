use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::Read,
    pending_migrations::{applied, brought},
    set_config::web_of,
};
use crate::{
    event::Failure,
    ports::{
        Observe,
        docker::Container,
        project::{of_service, repository},
    },
    site::{Service, fingerprints},
};

/// Prove that every container of the product runs the release: same image, same keys, nothing left to migrate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyRunning {
    /// The image tag, e.g. `1.1.0`.
    pub tag: String,
    /// Names of the services that must run it. Initially all of the product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Fingerprints of the keys that it must have, by name, as `restore_set` gives them. Initially those that the site
    /// had when it was looked at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Services that run the release.
    pub services: Vec<String>,
    /// The image's id on this host.
    pub image: String,
}

impl Read for VerifyRunning {
    const NAME: &'static str = "verify_running";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { tag: "1.1.0".to_owned(), services: Vec::new(), keys: None }
    }

    fn summary(&self) -> String {
        format!("prove that everything runs `{}`", self.tag)
    }

    fn result(outcome: &Outcome) -> String {
        let names: Vec<_> = outcome.services.iter().map(|name| format!("`{name}`")).collect();
        format!("{} {} it", names.join(" and "), if names.len() == 1 { "runs" } else { "run" })
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let mut services = Vec::new();
        let mut image_id = String::new();
        let meant = |one: &&Service| self.services.is_empty() || self.services.contains(&one.name);
        for service in site.site.product().filter(meant) {
            let reference = format!("{}:{}", service.repository, self.tag);
            let image = site.docker.image(&reference).await?.ok_or_else(|| {
                Failure::new("image_missing", format!("`{reference}` is not on this host"))
                    .hint("pull it first: `compose_pull(#{ tag: ... })` in the runbook")
            })?;
            let containers = of_service(site.docker, &site.site.project, &service.name).await?;
            if containers.is_empty() {
                return Err(Failure::new(
                    "container_missing",
                    format!("`{}` has no container", service.name),
                )
                .hint("start it in an earlier step: `compose_up(#{ services: [...] })`"));
            }
            for container in containers {
                runs(&container, service, &image.id, &reference, site.clock.now())?;
            }
            image_id = image.id;
            services.push(service.name.clone());
        }
        self.same_keys(site).await?;
        self.nothing_pending(&image_id, site).await?;
        Ok(Outcome { services, image: image_id })
    }
}

impl VerifyRunning {
    /// The keys that the files give now are the ones that it must have.
    async fn same_keys(&self, site: Observe<'_>) -> Result<(), Failure> {
        let config = site.compose.config(&site.site.project, &BTreeMap::new()).await?;
        let found = fingerprints(&web_of(&config, site)?.environment);
        if let Some(keys) = &self.keys {
            if found == *keys {
                return Ok(());
            }
            let text = "the encryption keys are not the ones that the restored databases were written with";
            return Err(Failure::new("keys_changed", text)
                .hint("put those keys into the env file: without them encrypted columns cannot be read"));
        }
        if found == fingerprints(&site.site.secrets) {
            return Ok(());
        }
        Err(Failure::new("keys_changed", "the encryption keys are not the ones that the site had before")
            .hint("put the keys in the env file back: without them encrypted columns cannot be read"))
    }

    async fn nothing_pending(&self, image: &str, site: Observe<'_>) -> Result<(), Failure> {
        let Some(brought) = brought(image, site).await? else { return Ok(()) };
        let applied = applied(site).await?;
        let left = brought.iter().filter(|version| !applied.contains(version));
        let left: Vec<_> = left.map(|version| format!("`{version}`")).collect();
        if left.is_empty() {
            return Ok(());
        }
        let database = site.site.databases.primary();
        let text = format!("{} of the release were not applied to `{database}`", left.join(", "));
        Err(Failure::new("migrations_missing", text)
            .hint("check `STRATA_RUN_DB_PREPARE=true` for web in the compose file"))
    }
}

fn runs(
    container: &Container,
    service: &Service,
    image: &str,
    reference: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    if container.image_id != image {
        let text = format!("`{}` runs `{}` instead of `{reference}`", service.name, container.image);
        let other = repository(&container.image) != service.repository;
        let failure = Failure::new("other_image", text);
        return Err(if other {
            failure.hint("the compose file names another image for it")
        } else {
            failure.hint("see which image the files name for it, as `docker compose config --images` tells")
        });
    }
    if !container.is_running() {
        return Err(Failure::new("service_down", format!("`{}` does not run", service.name))
            .hint(format!("see why: `docker logs --tail 50 {}`", container.name)));
    }
    if container.keeps_dying(now) {
        let text = format!("`{}` keeps dying: the engine has started it again since", service.name);
        return Err(Failure::new("service_dying", text)
            .hint(format!("see why: `docker logs --tail 50 {}`", container.name)));
    }
    Ok(())
}
