use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::ServiceBefore,
    contract::{Back, Effect, Found, Left, Undone, WhenUnknown},
    held_restarts,
    moved_data::{MOVED, RETURN_CODE, return_code, stay},
};
use crate::{
    backups,
    event::{Failure, Question, Refusal},
    ports::{
        Observe, Operate,
        compose::Up,
        docker::Container,
        project::{configured_images, of_service},
    },
    site::Project,
};

/// Make and start the containers of services as the compose files say now, without touching any other service.
///
/// What ran before is kept first: the containers' whole definitions and their logs. Going back makes the
/// very same containers again, from the same images.
///
/// Undo: the same containers are made again from the same images, with their old values. Once the new release has
/// migrated a database, a person is asked first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComposeUp {
    /// Names of services, e.g. `[site::web]`.
    pub services: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    #[schemars(with = "serde_json::Value")]
    project: Project,
    services: Vec<ServiceBefore>,
    /// Id of the image that each service is to run.
    images: BTreeMap<String, String>,
    /// Applied migrations of each database before: a container of the new release may run more while it boots.
    schemas: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Ids of the containers that run now, by service.
    pub containers: BTreeMap<String, Vec<String>>,
}

impl Effect for ComposeUp {
    const NAME: &'static str = "compose_up";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { services: vec!["web".to_owned()] }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let configured = configured_images(site.compose, &site.site.project).await?;
        let mut services = Vec::new();
        let mut images = BTreeMap::new();
        for service in &self.services {
            images.insert(service.clone(), image_of(service, &configured, site).await?);
            services.push(ServiceBefore::look(service, site).await?);
        }
        Ok(Intent {
            project: site.site.project.clone(),
            services,
            images,
            schemas: backups::schemas(site).await?,
        })
    }

    fn summary(intent: &Intent) -> String {
        let names: Vec<_> = intent.services.iter().map(|before| format!("`{}`", before.service)).collect();
        format!("start {} as configured", names.join(", "))
    }

    fn result(outcome: &Outcome) -> String {
        let made = outcome.containers.iter().map(|(service, ids)| {
            let ids: Vec<_> = ids.iter().map(|id| id.get(..12).unwrap_or(id)).collect();
            format!("`{service}` runs as {}", ids.join(", "))
        });
        made.collect::<Vec<_>>().join(", ")
    }

    fn undo_summary(_: &Intent) -> String {
        "make the same containers again from the same images; once the database has been migrated, only after a \
         person has chosen"
            .to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let (mut done, mut untouched) = (true, true);
        for before in &intent.services {
            let now = of_service(site.docker, &intent.project, &before.service).await?;
            done &= runs(&now, intent.images.get(&before.service));
            untouched &= before.is_so(site).await?;
        }
        // A held container that runs again must also have back what starts it after a reboot.
        if done && held_restarts::owed(&intent.services, site).await?.is_empty() {
            return Ok(Found::Applied(outcome(intent, site).await?));
        }
        Ok(if untouched {
            Found::NotApplied
        } else {
            Found::Partial("some containers were made and do not run as they should".to_owned())
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        for before in &intent.services {
            before.keep(site).await?;
            before.keep_logs(site).await?;
        }
        let services = intent.services.iter().map(|before| before.service.clone()).collect();
        site.compose.up(&Up { project: intent.project.clone(), services }).await?;
        held_restarts::release(&intent.services, site).await?;
        outcome(intent, site.observe()).await
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let mut as_it_was = true;
        for before in &intent.services {
            as_it_was &= before.is_so(site.observe()).await?;
        }
        if as_it_was {
            return Ok(Undone::nothing("the same containers as before are there"));
        }
        let added = moved(intent, site.observe()).await?;
        let decided = back.decision.as_ref().is_some_and(|decision| decision.choice == RETURN_CODE);
        if !added.is_empty() && !decided {
            return Ok(Undone::NeedsPerson { question: question(intent, &added, site.observe()).await? });
        }
        for before in intent.services.iter().rev() {
            before.restore(site).await?;
        }
        let names: Vec<_> = intent.services.iter().map(|before| format!("`{}`", before.service)).collect();
        let left = if added.is_empty() { Vec::new() } else { vec![Left::Schema] };
        Ok(Undone::Restored { what: format!("made {} what it was", names.join(", ")), left })
    }
}

/// Id of the image that the compose files name for a service.
pub(super) async fn image_of(
    service: &str,
    configured: &BTreeMap<String, String>,
    site: Observe<'_>,
) -> Result<String, Refusal> {
    let reference = configured.get(service).ok_or_else(|| {
        let failure =
            Failure::new("no_such_service", format!("the compose files have no service `{service}`"));
        let known = configured.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        Refusal(failure.hint(format!("their services: {known}")))
    })?;
    let image = site.docker.image(reference).await?.ok_or_else(|| {
        let failure = Failure::new("image_missing", format!("`{reference}` is not on this host"));
        Refusal(failure.hint("pull it first: `compose_pull(#{ tag: ... })` in the runbook"))
    })?;
    Ok(image.id)
}

/// Migrations that were not there before, by database.
async fn moved(intent: &Intent, site: Observe<'_>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut added = BTreeMap::new();
    for (database, now) in backups::schemas(site).await? {
        let before = intent.schemas.get(&database);
        let new: Vec<_> =
            now.into_iter().filter(|version| before.is_none_or(|before| !before.contains(version))).collect();
        if !new.is_empty() {
            added.insert(database, new);
        }
    }
    Ok(added)
}

async fn question(
    intent: &Intent,
    added: &BTreeMap<String, Vec<String>>,
    site: Observe<'_>,
) -> Result<Question, Failure> {
    let mut found: Vec<_> = added
        .iter()
        .map(|(database, versions)| format!("`{database}` has been migrated: {}", versions.join(", ")))
        .collect();
    for before in &intent.services {
        for container in of_service(site.docker, &intent.project, &before.service).await? {
            let state = serde_json::to_value(container.state).unwrap_or_default();
            let state = state.as_str().unwrap_or("there").to_owned();
            found.push(format!("`{}` is {state}, from `{}`", before.service, container.image));
        }
    }
    let old: Vec<_> = intent
        .services
        .iter()
        .flat_map(|before| &before.containers)
        .map(|container| format!("`{}`", container.image))
        .collect();
    let choices = vec![return_code(&old.join(", ")), stay()];
    Ok(Question { address: String::new(), text: MOVED.to_owned(), found, choices, flag: None })
}

fn runs(now: &[Container], image: Option<&String>) -> bool {
    !now.is_empty()
        && now.iter().all(|container| Some(&container.image_id) == image && container.is_running())
}

async fn outcome(intent: &Intent, site: Observe<'_>) -> Result<Outcome, Failure> {
    let mut containers = BTreeMap::new();
    for before in &intent.services {
        let now = of_service(site.docker, &intent.project, &before.service).await?;
        containers.insert(before.service.clone(), now.into_iter().map(|container| container.id).collect());
    }
    Ok(Outcome { containers })
}
