use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    event::Failure,
    ports::{
        Observe,
        project::{of_service, references},
    },
};

/// Check the release that is asked for: a tag that stays what it is, known to the registry, and no step back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRelease {
    /// The image tag, e.g. `1.1.0`.
    pub tag: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    pub tag: String,
    /// What the registry has under this tag now.
    pub digest: String,
    /// Every service of the product runs exactly this already.
    pub already: bool,
}

const MOVING: [&str; 12] = [
    "latest",
    "stable",
    "main",
    "master",
    "edge",
    "nightly",
    "release",
    "production",
    "prod",
    "next",
    "beta",
    "dev",
];

impl Read for CheckRelease {
    const NAME: &'static str = "check_release";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { tag: "1.1.0".to_owned() }
    }

    fn summary(&self) -> String {
        format!("look up `{}` in the registry", self.tag)
    }

    fn result(outcome: &Outcome) -> String {
        let digest = outcome.digest.get(..19).unwrap_or(&outcome.digest);
        format!("`{}` is {digest}{}", outcome.tag, if outcome.already { ", which runs already" } else { "" })
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        immutable(&self.tag)?;
        forwards(&site.site.version, &self.tag)?;
        let mut digest = String::new();
        for reference in references(site.site, &self.tag) {
            let found = site.docker.remote_digest(&reference).await?;
            if digest.is_empty() {
                digest = found;
            }
        }
        let already = site.site.version == self.tag && all_run(&digest, site).await?;
        Ok(Outcome { tag: self.tag.clone(), digest, already })
    }
}

/// A tag that may mean another image tomorrow is no place to return to, and none to go to.
fn immutable(tag: &str) -> Result<(), Failure> {
    if is_moving(tag) {
        let text = format!("`{tag}` is a moving tag: tomorrow it may mean another release");
        return Err(Failure::new("moving_tag", text).hint("name one release in full, e.g. `--to 1.1.0`"));
    }
    Ok(())
}

/// A word that registries move from release to release, or a version that is not written in full.
pub(super) fn is_moving(tag: &str) -> bool {
    let parts: Vec<_> = tag.trim_start_matches('v').split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.chars().all(|digit| digit.is_ascii_digit());
    let short = parts.len() < 3 && parts.iter().all(number);
    short || MOVING.contains(&tag.to_lowercase().as_str())
}

fn forwards(now: &str, to: &str) -> Result<(), Failure> {
    let read = |tag: &str| Version::parse(tag.trim_start_matches('v')).ok();
    if let (Some(from), Some(target)) = (read(now), read(to))
        && target < from
    {
        let text = format!("`{to}` is older than `{now}`, which this site runs");
        return Err(Failure::new("downgrade", text)
            .hint("an older release cannot read a newer database; an unfinished run is taken back with `uplift rollback`"));
    }
    Ok(())
}

async fn all_run(digest: &str, site: Observe<'_>) -> Result<bool, Failure> {
    for service in site.site.product() {
        let containers = of_service(site.docker, &site.site.project, &service.name).await?;
        if containers.is_empty() {
            return Ok(false);
        }
        for container in containers {
            let image = site.docker.image(&container.image_id).await?;
            let runs = image.is_some_and(|image| image.digest_in(&service.repository) == Some(digest));
            if !runs || !container.is_running() || container.keeps_dying(site.clock.now()) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_tags_are_refused() {
        for tag in ["latest", "stable", "main", "1", "v2", "1.1", "Latest"] {
            assert_eq!(immutable(tag).unwrap_err().code, "moving_tag", "{tag}");
        }
        for tag in ["1.1.0", "v1.1.0", "2026.11.3-rc1", "sha-1a2b3c4"] {
            assert!(immutable(tag).is_ok(), "{tag}");
        }
    }

    #[test]
    fn a_step_back_is_refused() {
        assert_eq!(forwards("1.10.0", "1.9.0").unwrap_err().code, "downgrade");
        assert!(forwards("1.9.0", "1.10.0").is_ok());
        assert!(forwards("latest", "1.0.0").is_ok());
    }
}
