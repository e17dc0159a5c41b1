use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{event::Failure, ports::Observe};

/// Find out which migrations a release would run: those in its image that the primary database does not have.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PendingMigrations {
    /// The image tag, e.g. `1.1.0`.
    pub tag: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    pub any: bool,
    pub count: usize,
    /// Versions that are pending, oldest first.
    pub versions: Vec<String>,
    /// The image is not on this host, so that the worst was taken for true.
    pub assumed: bool,
}

/// Where Rails keeps migrations in the product's image.
const FOLDER: &str = "/rails/db/migrate";

impl Read for PendingMigrations {
    const NAME: &'static str = "pending_migrations";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { tag: "1.1.0".to_owned() }
    }

    fn summary(&self) -> String {
        format!("look which migrations `{}` brings", self.tag)
    }

    fn result(outcome: &Outcome) -> String {
        match outcome.count {
            _ if outcome.assumed => {
                "not known before the image is on this host; migrations are assumed".to_owned()
            }
            0 => "none".to_owned(),
            1 => format!("1 migration: {}", outcome.versions.join(", ")),
            count => format!("{count} migrations: {}", outcome.versions.join(", ")),
        }
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let reference = format!("{}:{}", site.site.web.repository, self.tag);
        let assumed = || Outcome { any: true, count: 0, versions: Vec::new(), assumed: true };
        let Some(image) = site.docker.image(&reference).await? else { return Ok(assumed()) };
        let names = match site.docker.image_files(&image.id, FOLDER).await {
            Ok(names) => names,
            Err(failure) if failure.code == "not_on_host" => return Ok(assumed()),
            Err(failure) => return Err(failure),
        };
        let databases = &site.site.databases;
        let applied = site.postgres.schema_versions(&databases.endpoint, databases.primary()).await?;
        let applied = applied.unwrap_or_default();
        let version = |name: &String| {
            name.get(..14).filter(|v| v.chars().all(|c| c.is_ascii_digit())).map(str::to_owned)
        };
        let mut versions: Vec<_> =
            names.iter().filter_map(version).filter(|v| !applied.contains(v)).collect();
        versions.sort_unstable();
        Ok(Outcome { any: !versions.is_empty(), count: versions.len(), versions, assumed: false })
    }
}
