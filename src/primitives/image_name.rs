use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Back, Effect, Found, Undone, WhenUnknown};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, Operate, docker::Tag},
};

/// Give an image on this host another name, so that compose runs exactly it.
///
/// A name that another image has already is refused.
///
/// Undo: nothing is done: the name stays, because it only keeps the image from being lost.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageName {
    /// The image by its id, or by a name that it has.
    pub image: String,
    /// The new name, `repository:tag`.
    pub reference: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    image_id: String,
    reference: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Id of the image.
    pub image_id: String,
    /// The name that it has now.
    pub reference: String,
}

impl Effect for ImageName {
    const NAME: &'static str = "image_name";
    const ADDS_ONLY: bool = true;
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            image: "registry.example/strata/server:1.0.0".to_owned(),
            reference: "registry.example/strata/server:uplift-20261124-031500-7f3a".to_owned(),
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let image = site.docker.image(&self.image).await?.ok_or_else(|| {
            let failure = Failure::new("image_missing", format!("`{}` is not on this host", self.image));
            Refusal(failure.hint("pull it first, by its digest"))
        })?;
        let taken = site.docker.image(&self.reference).await?;
        if taken.is_some_and(|other| other.id != image.id) {
            let text = format!("`{}` is the name of another image", self.reference);
            return Err(Refusal(Failure::new("name_taken", text).hint("choose another tag for it")));
        }
        Ok(Intent { image_id: image.id, reference: self.reference.clone() })
    }

    fn summary(intent: &Intent) -> String {
        format!("call {} `{}`", short(&intent.image_id), intent.reference)
    }

    fn result(outcome: &Outcome) -> String {
        format!("{} is `{}` too", short(&outcome.image_id), outcome.reference)
    }

    fn undo_summary(_: &Intent) -> String {
        "the name stays: it only keeps the image from being lost".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let named = site.docker.image(&intent.reference).await?;
        Ok(match named {
            Some(image) if image.id == intent.image_id => Found::Applied(outcome(intent)),
            _ => Found::NotApplied,
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if matches!(Self::probe(intent, site.observe()).await?, Found::NotApplied) {
            let tag = Tag { image_id: intent.image_id.clone(), reference: intent.reference.clone() };
            site.docker.tag(&tag).await?;
        }
        Ok(outcome(intent))
    }

    async fn undo(_: &Intent, _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::nothing("the name stays: it only keeps the image from being lost"))
    }
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { image_id: intent.image_id.clone(), reference: intent.reference.clone() }
}

fn short(id: &str) -> &str {
    id.get(..19).unwrap_or(id)
}
