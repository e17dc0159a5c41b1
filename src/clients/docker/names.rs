//! Names that compose gives containers while it exchanges them.

use bollard::query_parameters::RenameContainerOptionsBuilder;

use super::EngineClient;
use crate::{
    event::Failure,
    ports::docker::{Container, DockerRead as _},
};

/// Compose's own label on a container that it has made in another's place.
const REPLACES: &str = "com.docker.compose.replace";

impl EngineClient {
    /// Gives containers of one service the names that compose would have given them.
    ///
    /// Compose makes the new container as `ID_NAME`, removes the old one and renames the new one. Interrupted before
    /// the last step, it never comes back to it: its next `up` starts the container under the name that it has, and
    /// whatever knows the service's container by name no longer finds it.
    pub(in crate::clients) async fn give_usual_names(&self, service: &[Container]) -> Result<(), Failure> {
        for container in service {
            let Some(name) = usual_name(container) else { continue };
            if self.container(name).await?.is_some() {
                continue;
            }
            let options = RenameContainerOptionsBuilder::new().name(name).build();
            let renamed = self.api().await?.rename_container(&container.id, options).await;
            renamed.map_err(|error| self.about(&container.id, &error))?;
        }
        Ok(())
    }
}

/// The name that compose was about to give it; `None` if it has its own.
fn usual_name(container: &Container) -> Option<&str> {
    let (id, name) = container.name.split_once('_')?;
    let is_id = id.len() == 12 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_id && container.labels.contains_key(REPLACES)).then_some(name)
}
