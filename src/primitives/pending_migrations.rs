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
    /// There are some.
    pub any: bool,
    /// How many there are.
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
        let brought = match site.docker.image(&reference).await? {
            Some(image) => brought(&image.id, site).await?,
            None => None,
        };
        let Some(mut versions) = brought else {
            return Ok(Outcome { any: true, count: 0, versions: Vec::new(), assumed: true });
        };
        let applied = applied(site).await?;
        not_older(&self.tag, &versions, &applied)?;
        versions.retain(|version| !applied.contains(version));
        versions.sort_unstable();
        Ok(Outcome { any: !versions.is_empty(), count: versions.len(), versions, assumed: false })
    }
}

/// The migrations in an image, by their versions; `None` if the image is not on this host.
pub(super) async fn brought(image_id: &str, site: Observe<'_>) -> Result<Option<Vec<String>>, Failure> {
    match site.docker.image_files(image_id, FOLDER).await {
        Ok(names) => Ok(Some(names.iter().filter_map(|name| version(name)).collect())),
        Err(failure) if failure.code == "not_on_host" => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The migrations that the primary database has.
pub(super) async fn applied(site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let databases = &site.site.databases;
    let versions = site.postgres.schema_versions(&databases.endpoint, databases.primary()).await?;
    Ok(versions.unwrap_or_default())
}

/// The version in the name of a migration's file: fourteen digits.
fn version(name: &str) -> Option<String> {
    name.get(..14).filter(|version| version.chars().all(|c| c.is_ascii_digit())).map(str::to_owned)
}

/// A release whose newest migration is older than the database's was made before the one that moved the database.
/// Single old versions may be missing from an image: products squash them.
fn not_older(tag: &str, brought: &[String], applied: &[String]) -> Result<(), Failure> {
    let newest = |versions: &[String]| versions.iter().filter(|one| one.len() == 14).max().cloned();
    match (newest(brought), newest(applied)) {
        (Some(ours), Some(theirs)) if ours < theirs => {
            let text = format!(
                "the database is newer than `{tag}`: it has migration `{theirs}`, the release ends at `{ours}`"
            );
            Err(Failure::new("schema_ahead", text)
                .hint("name a release that is at least as new as the one that migrated this database"))
        }
        _ => Ok(()),
    }
}
