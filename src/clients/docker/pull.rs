use std::{collections::BTreeMap, time::Duration};

use bollard::{models::CreateImageInfo, query_parameters::CreateImageOptionsBuilder};
use futures::StreamExt as _;

use super::{EngineClient, credentials, failed};
use crate::{
    event::{Failure, Teller, Unit},
    ports::{
        docker::{Docker as _, DockerRead as _, Image, Pull, Tag},
        files::quote,
        project::repository,
    },
};

/// A registry that sends nothing for so long will send nothing more.
const SILENCE: Duration = Duration::from_mins(5);
/// Bytes between two words about progress.
const STRIDE: u64 = 1 << 20;

impl EngineClient {
    /// Brings what was looked up, and nothing else: it is asked for by its digest and gets its name afterwards, so
    /// that a tag which moves meanwhile cannot move the local name.
    pub(super) async fn pulled(&self, request: &Pull, tell: &Teller) -> Result<Image, Failure> {
        let reference = &request.reference;
        let found = self.registered(reference).await?;
        if found != request.digest {
            let text = format!("`{reference}` is another image now than when it was looked up");
            let evidence = [format!("expected {}", request.digest), format!("found {found}")];
            return Err(Failure::new("tag_moved", text)
                .hint("ask the vendor why, then type the command again to take the new one")
                .evidence(evidence));
        }
        let name = format!("{}@{found}", repository(reference));
        self.brought(&name, reference, tell).await?;
        let image = self.image(&name).await?.ok_or_else(|| failed::not_on_host(&name))?;
        let tag = Tag { image_id: image.id.clone(), reference: reference.clone() };
        self.tag(&tag).await?;
        self.image(&image.id).await?.ok_or_else(|| failed::not_on_host(&name))
    }

    async fn brought(&self, name: &str, reference: &str, tell: &Teller) -> Result<(), Failure> {
        let known = credentials::of(&self.processes, reference).await;
        let options = CreateImageOptionsBuilder::new().from_image(name).build();
        let mut steps = self.api().await?.create_image(Some(options), None, known);
        let (mut layers, mut told) = (Layers::default(), 0);
        loop {
            let step = tokio::time::timeout(SILENCE, steps.next()).await.map_err(|_| {
                let text = format!("the registry of `{reference}` sends nothing more");
                Failure::new("registry_unreachable", text)
                    .hint(format!("try it: `docker pull {}`", quote(reference)))
                    .retryable()
            })?;
            let Some(step) = step else { break };
            layers.note(step.map_err(|error| failed::registry(&self.place, reference, &error))?);
            let (done, total) = layers.sums();
            if done >= told + STRIDE || total.is_some_and(|total| done == total && done > told) {
                tell.progress(format!("`{reference}`"), done, total, Unit::Bytes);
                told = done;
            }
        }
        Ok(())
    }
}

/// How far each layer has come, by its short id.
#[derive(Default)]
struct Layers(BTreeMap<String, (u64, Option<u64>)>);

impl Layers {
    fn note(&mut self, step: CreateImageInfo) {
        let (Some(id), Some(status)) = (step.id, step.status) else { return };
        let detail = step.progress_detail.unwrap_or_default();
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        match status.as_str() {
            "Pulling fs layer" | "Waiting" => {
                self.0.entry(id).or_default();
            }
            "Downloading" => {
                self.0.insert(id, (number(detail.current).unwrap_or(0), number(detail.total)));
            }
            "Already exists" => {
                self.0.insert(id, (0, Some(0)));
            }
            "Download complete" | "Pull complete" => {
                if let Some((done, total)) = self.0.get_mut(&id) {
                    // A small layer comes without ever saying how large it is.
                    *done = total.unwrap_or(*done);
                    *total = Some(*done);
                }
            }
            _ => {}
        }
    }

    /// Bytes brought, and in all as soon as every layer has said its size.
    fn sums(&self) -> (u64, Option<u64>) {
        let done = self.0.values().map(|(done, _)| done).sum();
        (done, self.0.values().map(|(_, total)| *total).sum())
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn the_total_is_said_once_every_layer_has_said_its_own() {
        let mut layers = Layers::default();
        let mut note = |id: &str, status: &str, current, total| {
            layers.note(CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail: Some(ProgressDetail { current, total }),
                ..CreateImageInfo::default()
            });
            layers.sums()
        };
        note("a", "Pulling fs layer", None, None);
        note("b", "Pulling fs layer", None, None);
        assert_eq!(note("a", "Downloading", Some(10), Some(100)), (10, None));
        assert_eq!(note("b", "Already exists", None, None), (10, Some(100)));
        assert_eq!(note("a", "Extracting", Some(3), Some(100)), (10, Some(100)));
        assert_eq!(note("a", "Pull complete", None, None), (100, Some(100)));
    }
}
