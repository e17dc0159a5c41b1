use bollard::models::ImageInspect;

use super::{EngineClient, credentials, failed};
use crate::{
    event::Failure,
    ports::{docker::Image, files::quote},
};

/// What is shown of an image.
pub(super) fn shown(found: ImageInspect) -> Image {
    let sorted = |names: Option<Vec<String>>| {
        // The engine writes `<none>` where a name is missing.
        let mut names: Vec<_> =
            names.unwrap_or_default().into_iter().filter(|name| !name.contains("<none>")).collect();
        names.sort();
        names
    };
    Image {
        id: found.id.unwrap_or_default(),
        tags: sorted(found.repo_tags),
        digests: sorted(found.repo_digests),
        size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
    }
}

impl EngineClient {
    /// The digest that the registry has for a reference now.
    pub(super) async fn registered(&self, reference: &str) -> Result<String, Failure> {
        let known = credentials::of(&self.processes, reference).await;
        let found = self.api().await?.inspect_registry_image(reference, known).await;
        let found = found.map_err(|error| failed::registry(&self.place, reference, &error))?;
        found.descriptor.digest.filter(|digest| !digest.is_empty()).ok_or_else(|| {
            let text = format!("the registry gives no digest for `{reference}`");
            Failure::new("registry_unreachable", text)
                .hint(format!("try it: `docker pull {}`", quote(reference)))
                .retryable()
        })
    }
}
