use std::collections::HashMap;

use bollard::{
    models::{NetworkConnectRequest, NetworkingConfig},
    query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder},
};

use super::{
    EngineClient, failed,
    failed::{is_missing, not_on_host},
    snapshot::Definition,
};
use crate::{
    event::Failure,
    ports::docker::{DockerRead as _, Recreate},
};

impl EngineClient {
    /// The container of a snapshot, made again or found.
    pub(super) async fn made_again(&self, request: &Recreate) -> Result<String, Failure> {
        let definition = Definition::read(&request.snapshot)?;
        let id = match self.named(&definition.name).await? {
            Some((id, there)) => {
                if !there.is_same(&definition) {
                    let text = format!("there is another container named `{}`", definition.name);
                    return Err(Failure::new("name_taken", text)
                        .hint(format!("look at it: `docker inspect {}`", definition.name)));
                }
                let missing: Vec<_> =
                    definition.networks.keys().filter(|name| !there.networks.contains_key(*name)).collect();
                self.connect(&id, &definition, &missing).await?;
                return Ok(id);
            }
            None => self.make(&definition).await?,
        };
        let first = definition.first_network();
        let others: Vec<_> = definition.networks.keys().filter(|name| Some(name.as_str()) != first).collect();
        if let Err(failure) = self.connect(&id, &definition, &others).await {
            // Half of it would take the name. It never ran, and nothing is in it.
            let options = RemoveContainerOptionsBuilder::new().v(false).build();
            let _gone = self.api().await?.remove_container(&id, Some(options)).await;
            return Err(failure);
        }
        Ok(id)
    }

    async fn named(&self, name: &str) -> Result<Option<(String, Definition)>, Failure> {
        match self.api().await?.inspect_container(name, None).await {
            Ok(found) => {
                let id = found.id.clone().unwrap_or_default();
                let known = Definition::of(found)?;
                // A container is also found by the beginning of its id.
                Ok((known.name == name).then_some((id, known)))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.answered(&error)),
        }
    }

    /// Makes it in its first network: engines before API 1.44 take no more than one here.
    async fn make(&self, definition: &Definition) -> Result<String, Failure> {
        let image = self.image(&definition.image_id).await?;
        let image = image.ok_or_else(|| not_on_host(&definition.image_id))?;
        let mut body = definition.body.clone();
        // By its name, where that still means the very same image: so that it looks as it did.
        let asked =
            body.image.take().filter(|name| image.tags.contains(name) || image.digests.contains(name));
        body.image = Some(asked.unwrap_or_else(|| image.id.clone()));
        body.networking_config = definition.first_network().map(|name| {
            let endpoint = definition.networks[name].clone();
            NetworkingConfig { endpoints_config: Some(HashMap::from([(name.to_owned(), endpoint)])) }
        });
        let options = CreateContainerOptionsBuilder::new().name(&definition.name).build();
        let made = self.api().await?.create_container(Some(options), body).await;
        let id = made.map_err(|error| failed::begun(&error, self.answered(&error)))?.id;
        let shown = self.there(&id).await?;
        if shown.image_id == definition.image_id {
            return Ok(id);
        }
        // The name moved at this very moment.
        let options = RemoveContainerOptionsBuilder::new().v(false).build();
        let removed = self.api().await?.remove_container(&id, Some(options)).await;
        removed.map_err(|error| self.answered(&error))?;
        let text = format!("the image `{}` changed its name meanwhile", definition.image_id);
        Err(Failure::new("image_moved", text)
            .hint("let whoever tags or pulls images here come to an end, and type the command again")
            .retryable())
    }

    async fn connect(&self, id: &str, definition: &Definition, names: &[&String]) -> Result<(), Failure> {
        for name in names {
            let endpoint_config = definition.networks.get(*name).cloned();
            let request = NetworkConnectRequest { container: id.to_owned(), endpoint_config };
            self.api().await?.connect_network(name, request).await.map_err(|error| {
                if !is_missing(&error) {
                    return self.answered(&error);
                }
                let text = format!("the network `{name}` of `{}` is gone", definition.name);
                Failure::new("network_missing", text).hint(
                    "make it, in the site's folder, without touching what is there: `docker compose up --no-start --no-recreate`",
                )
            })?;
        }
        Ok(())
    }
}
