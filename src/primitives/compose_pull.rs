use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check_release::is_moving,
    contract::{Back, Effect, Found, Undone, WhenUnknown},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        docker::{Image, Pull, Select, Tag},
        project::{references, repository, tag},
    },
};

/// Bring the images of a release onto this host, checked by their digests.
///
/// Nothing that runs is touched. An image that would lose its only name because the tag has moved gets another one
/// first, so that going back always finds it.
///
/// Undo: nothing is done: the images stay on this host, and nothing uses them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComposePull {
    /// The image tag, e.g. `1.1.0`.
    pub tag: String,
    /// How often a pull that failed for a passing reason is tried again, with growing pauses.
    #[serde(default)]
    pub retries: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    pulls: Vec<Planned>,
    /// Images that run now and would lose their name, with the name that they get.
    keep: Vec<Kept>,
    retries: u32,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Planned {
    reference: String,
    digest: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Kept {
    image_id: String,
    reference: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Images that are on this host now.
    pub images: Vec<Pulled>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Pulled {
    /// The name that the image has here.
    pub reference: String,
    /// What the registry has under the tag: a digest.
    pub digest: String,
    /// The engine's own id of the image.
    pub id: String,
}

const FIRST_WAIT: Duration = Duration::from_secs(1);

impl Effect for ComposePull {
    const NAME: &'static str = "compose_pull";
    const ADDS_ONLY: bool = true;
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { tag: "1.1.0".to_owned(), retries: 3 }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let mut pulls = Vec::new();
        for reference in references(site.site, &self.tag) {
            let digest = site.docker.remote_digest(&reference).await?;
            pulls.push(Planned { reference, digest });
        }
        let keep = losing_their_names(&pulls, site).await?;
        Ok(Intent { pulls, keep, retries: self.retries })
    }

    fn summary(intent: &Intent) -> String {
        let names: Vec<_> = intent.pulls.iter().map(|pull| format!("`{}`", pull.reference)).collect();
        format!("pull {}", names.join(", "))
    }

    fn result(outcome: &Outcome) -> String {
        let images = outcome.images.iter().map(|image| {
            format!("`{}` is {}", image.reference, image.digest.get(..19).unwrap_or(&image.digest))
        });
        images.collect::<Vec<_>>().join(", ")
    }

    fn undo_summary(_: &Intent) -> String {
        "the images stay on this host; nothing uses them".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let mut images = Vec::new();
        for pull in &intent.pulls {
            match site.docker.image(&pull.reference).await? {
                Some(image) if image.digest_in(repository(&pull.reference)) == Some(pull.digest.as_str()) => {
                    images.push(pulled(pull, &image));
                }
                _ if images.is_empty() => return Ok(Found::NotApplied),
                _ => return Ok(Found::Partial("some of the images are on this host".to_owned())),
            }
        }
        Ok(Found::Applied(Outcome { images }))
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        for kept in &intent.keep {
            let tag = Tag { image_id: kept.image_id.clone(), reference: kept.reference.clone() };
            site.docker.tag(&tag).await?;
        }
        let mut images = Vec::new();
        for pull in &intent.pulls {
            images.push(pulled(pull, &with_retries(intent.retries, pull, site).await?));
        }
        Ok(Outcome { images })
    }

    async fn undo(_: &Intent, _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::nothing("the image stays on this host: nothing that runs uses it"))
    }
}

/// Images that run now and of which no name is sure to stay: this pull or another one moves it to another image.
async fn losing_their_names(pulls: &[Planned], site: Observe<'_>) -> Result<Vec<Kept>, Failure> {
    let mut keep: Vec<Kept> = Vec::new();
    for container in site.docker.containers(&Select::Project(site.site.project.name.clone())).await? {
        let Some(image) = site.docker.image(&container.image_id).await? else { continue };
        let ours = image.tags.iter().find(|name| repository(name) == site.site.web.repository);
        let Some(name) = ours else { continue };
        let moves = |name: &String| {
            is_moving(tag(name))
                || pulls.iter().any(|pull| {
                    pull.reference == *name && image.digest_in(repository(name)) != Some(pull.digest.as_str())
                })
        };
        if image.tags.iter().all(moves) && !keep.iter().any(|kept| kept.image_id == image.id) {
            let reference = format!("{}:uplift-{}", repository(name), site.run);
            keep.push(Kept { image_id: image.id, reference });
        }
    }
    Ok(keep)
}

async fn with_retries(retries: u32, pull: &Planned, site: Operate<'_>) -> Result<Image, Failure> {
    let request = Pull { reference: pull.reference.clone(), digest: pull.digest.clone() };
    let mut wait = FIRST_WAIT;
    for _ in 0..retries {
        match site.docker.pull(&request, site.tell).await {
            Err(failure) if failure.retryable => {
                site.tell.warn(format!("{failure}; trying again in {} s", wait.as_secs()));
                site.clock.sleep(wait).await;
                wait *= 2;
            }
            result => return result,
        }
    }
    site.docker.pull(&request, site.tell).await
}

fn pulled(pull: &Planned, image: &Image) -> Pulled {
    Pulled { reference: pull.reference.clone(), digest: pull.digest.clone(), id: image.id.clone() }
}
