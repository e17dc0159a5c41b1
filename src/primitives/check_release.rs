use std::{cmp::Ordering, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::Read;
use crate::{
    event::{Failure, Teller},
    ports::{
        Observe,
        project::{of_service, references, tag as tag_of},
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
    /// The tag that was asked for.
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
        forwards(&site.site.version, &self.tag, site.tell)?;
        taken(&self.tag, site).await?;
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

/// A word that registries move from release to release, or a version that is not written in full, also one of a
/// flavour: `1.1`, `1-alpine`.
pub(super) fn is_moving(tag: &str) -> bool {
    let (core, flavour) = parted(tag);
    let Some(numbers) = numbers(core) else { return MOVING.contains(&tag.to_lowercase().as_str()) };
    let short = numbers.len() < 3;
    match flavour {
        // A day, `20261103`, or a count of builds that no year comes near.
        None => short && numbers.iter().all(|number| *number < 10_000),
        Some(flavour) => {
            let is_word = flavour.starts_with(|first: char| first.is_ascii_alphabetic());
            // A date is none of a series: `20261103-a1b2c3d`.
            short && is_word && !is_early(flavour) && numbers.iter().all(|number| *number < 1000)
        }
    }
}

/// Comes before a release: `rc1`, `beta.2`.
fn is_early(flavour: &str) -> bool {
    ["rc", "alpha", "beta", "pre"].iter().any(|word| flavour.starts_with(word))
}

/// The numbers of a tag and what follows them: `1.1.0-rc1` is `1.1.0` and `rc1`.
fn parted(tag: &str) -> (&str, Option<&str>) {
    let bare = tag.trim_start_matches('v');
    bare.split_once('-').map_or((bare, None), |(core, rest)| (core, Some(rest)))
}

/// `rc10` comes after `rc9`, with or without a dot between.
fn early(flavour: &str) -> (&str, u64) {
    let at = flavour.find(|letter: char| letter.is_ascii_digit()).unwrap_or(flavour.len());
    let (word, number) = flavour.split_at(at);
    (word.trim_end_matches(['.', '-']), number.parse().unwrap_or_default())
}

/// Also with leading zeros, as dates have them.
fn numbers(core: &str) -> Option<Vec<u64>> {
    core.split('.').map(|part| part.parse().ok()).collect()
}

/// How `to` stands to `now`, where their names tell.
pub(crate) fn order(now: &str, to: &str) -> Option<Ordering> {
    let (a, b) = (parted(now), parted(to));
    let (core, other) = (numbers(a.0)?, numbers(b.0)?);
    // A date or a count is not of one row with `1.1.0`.
    let is_dated = |core: &[u64]| core.first().is_some_and(|first| *first >= 1000);
    if is_dated(&core) != is_dated(&other) {
        return None;
    }
    let cores = other.cmp(&core);
    if cores.is_ne() {
        return Some(cores);
    }
    match (a.1, b.1) {
        (None, None) => Some(Ordering::Equal),
        (Some(a), Some(b)) if a == b => Some(Ordering::Equal),
        (Some(a), None) if is_early(a) => Some(Ordering::Greater),
        (None, Some(b)) if is_early(b) => Some(Ordering::Less),
        (Some(a), Some(b)) if is_early(a) && is_early(b) => Some(early(b).cmp(&early(a))),
        // Another flavour of the same release.
        _ => None,
    }
}

fn forwards(now: &str, to: &str, tell: &Teller) -> Result<(), Failure> {
    match order(now, to) {
        Some(Ordering::Less) => {
            let text = format!("`{to}` is older than `{now}`, which this site runs");
            Err(Failure::new("downgrade", text).hint(
                "an older release cannot read a newer database; `uplift rollback --list` says from which upgrades one can return",
            ))
        }
        None if now != to => {
            tell.warn(format!(
                "whether `{to}` is newer than `{now}` cannot be told from their names: an older release cannot read a \
                 newer database"
            ));
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// A tag that somebody has written into the compose file stays what it is, whatever the settings say.
async fn taken(tag: &str, site: Observe<'_>) -> Result<(), Failure> {
    let version = BTreeMap::from([("STRATA_VERSION".to_owned(), tag.to_owned())]);
    let config = site.compose.config(&site.site.project, &version).await?;
    for service in site.site.product() {
        let image =
            config.services.get(&service.name).and_then(|one| one.image.as_deref()).unwrap_or_default();
        if tag_of(image) != tag || image.contains('@') {
            let text = format!("`{}` would stay at `{image}`, whatever `STRATA_VERSION` is", service.name);
            return Err(Failure::new("tag_pinned", text).hint(format!(
                "let the compose file take the tag from the settings: `image: {}:${{STRATA_VERSION}}`",
                service.repository
            )));
        }
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
        for tag in
            ["latest", "stable", "main", "1", "v2", "1.1", "Latest", "1.1-alpine", "16-bookworm", "2026.11"]
        {
            assert_eq!(immutable(tag).unwrap_err().code, "moving_tag", "{tag}");
        }
        for tag in [
            "1.1.0",
            "v1.1.0",
            "2026.11.3-rc1",
            "sha-1a2b3c4",
            "1.1-rc1",
            "20261103-a1b2c3d",
            "20261103",
            "1.1.0-alpine",
        ] {
            assert!(immutable(tag).is_ok(), "{tag}");
        }
    }

    #[test]
    fn a_step_back_is_refused() {
        let forwards = |now: &str, to: &str| forwards(now, to, &Teller::silent());
        for (now, to) in
            [("1.10.0", "1.9.0"), ("2026.07.1", "2026.06.30"), ("1.1.0", "1.1.0-rc1"), ("1.1.0.2", "1.1.0")]
        {
            assert_eq!(forwards(now, to).unwrap_err().code, "downgrade", "{now} to {to}");
        }
        for (now, to) in
            [("1.9.0", "1.10.0"), ("latest", "1.0.0"), ("2026.07.1", "2026.07.10"), ("1.1.0-rc1", "1.1.0")]
        {
            assert!(forwards(now, to).is_ok(), "{now} to {to}");
        }
        assert_eq!(order("latest", "1.0.0"), None, "it is warned of");
        assert_eq!(order("20261103-a1b2c3d", "1.1.0"), None);
        assert_eq!(order("1.1.0-rc9", "1.1.0-rc.10"), Some(Ordering::Greater));
        assert_eq!(order("1.1.0", "1.1.0-alpine"), None);
    }
}
