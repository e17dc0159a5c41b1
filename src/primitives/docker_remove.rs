use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    docker_run::spec::{Spec, There, note_of},
};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, Operate},
};

/// Take a container away that a `docker_run` of this run has made to stay.
///
/// No other is touched, whatever its name. What it has said is kept with the run.
///
/// Undo: the same container is made again from its image, and runs. Taken back as a whole, a run comes by the same stages as on
/// its way there: what stood in the site's place stands there once more until the site itself does.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DockerRemove {
    /// The name that it was given.
    pub name: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    spec: Spec,
    /// The container that goes; `None` where somebody has removed it already.
    id: Option<String>,
    /// It ran.
    ran: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The container's name.
    pub container: String,
    /// It was there.
    pub removed: bool,
}

impl Effect for DockerRemove {
    const NAME: &'static str = "docker_remove";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { name: "waiting-page".to_owned() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let not_ours = || {
            let text = format!("this run has made no container named `{}`", self.name);
            Refusal(Failure::new("not_made_here", text).hint(
                "`docker_remove` takes away what a `docker_run` with `stays: true` and this `name` has made in the same run",
            ))
        };
        if self.name.contains(['/', '\0']) {
            return Err(not_ours());
        }
        let note = site.files.read(&note_of(&self.name, site)).await?;
        let spec: Option<Spec> = note.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        let spec = spec.ok_or_else(not_ours)?;
        match spec.there(site).await? {
            There::Foreign => Err(not_ours()),
            There::Nothing => Ok(Intent { spec, id: None, ran: false }),
            There::Ours(one) => Ok(Intent { spec, ran: one.is_up(), id: Some(one.id) }),
        }
    }

    fn summary(intent: &Intent) -> String {
        match &intent.id {
            Some(_) => format!("remove `{}`", intent.spec.name),
            None => format!("remove `{}`, which is gone already", intent.spec.name),
        }
    }

    fn result(outcome: &Outcome) -> String {
        let what = if outcome.removed { "removed" } else { "was gone already" };
        format!("`{}` {what}", outcome.container)
    }

    fn undo_summary(intent: &Intent) -> String {
        if intent.ran {
            format!("run `{}` again", intent.spec.name)
        } else {
            "nothing: it did not run".to_owned()
        }
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let Some(id) = &intent.id else { return Ok(Found::Applied(intent.outcome())) };
        Ok(match site.docker.container(id).await? {
            None => Found::Applied(intent.outcome()),
            Some(one) if one.is_up() == intent.ran => Found::NotApplied,
            Some(_) => Found::Partial("it was stopped, and is there yet".to_owned()),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Some(id) = &intent.id
            && let Some(one) = site.docker.container(id).await?
        {
            intent.spec.take_away(&one, site).await?;
        }
        Ok(intent.outcome())
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        if !intent.ran {
            return Ok(Undone::nothing("it did not run when it was to be removed"));
        }
        match intent.spec.there(site.observe()).await? {
            There::Ours(one) if one.is_up() => return Ok(Undone::nothing("it runs")),
            // Stopped and not removed: made again, it is what it was.
            There::Ours(one) => intent.spec.take_away(&one, site).await?,
            There::Foreign => return Err(intent.spec.taken()),
            There::Nothing => {}
        }
        intent.spec.stand(site).await?;
        Ok(Undone::restored(format!("`{}` runs again", intent.spec.name)))
    }
}

impl Intent {
    fn outcome(&self) -> Outcome {
        Outcome { container: self.spec.name.clone(), removed: self.id.is_some() }
    }
}
