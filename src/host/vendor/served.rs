//! For which releases of the product a bundle is made, and at which an upgrade must stop.

use std::cmp::Ordering;

use semver::{Prerelease, Version};
use serde_json::Value;

use super::{Manifest, Pack};
use crate::{
    event::Failure,
    primitives::release_order,
    script::{Header, ParamType},
};

/// Refuses to bring a release that the bundle does not know, or to jump over one.
pub(in crate::host) fn served(
    pack: &Pack,
    header: &Header,
    params: &Value,
    now: &str,
) -> Result<(), Failure> {
    let brings = header.params.get("to").is_some_and(|param| param.kind == ParamType::Tag);
    let Some(to) = params.get("to").and_then(Value::as_str).filter(|_| brings) else { return Ok(()) };
    let Manifest { serves, stops, .. } = pack.manifest();
    if core(to).is_some_and(|version| !serves.matches(&version)) {
        let text =
            format!("the bundle {} is made for releases {serves}, and `{to}` is none of them", pack.shipped);
        return Err(Failure::new("release_not_served", text).hint(
            "install the bundle that came with that release: `uplift runbook install FILE`; or go without one: `uplift runbook \
             revert`",
        ));
    }
    let between = |stop: &&Version| {
        let stop = stop.to_string();
        release_order(now, &stop) == Some(Ordering::Greater)
            && release_order(&stop, to) == Some(Ordering::Greater)
    };
    let Some(stop) = stops.iter().filter(between).min() else { return Ok(()) };
    let text =
        format!("no upgrade from `{now}` to `{to}` may jump over `{stop}`, says the bundle {}", pack.shipped);
    Err(Failure::new("stop_required", text)
        .hint(format!("upgrade to that one first: `uplift upgrade --to {stop}`")))
}

/// What is not refused, and yet to be known before anything is begun.
pub(in crate::host) fn untold(pack: &Pack, now: &str, to: Option<&str>) -> Vec<String> {
    let Manifest { serves, stops, .. } = pack.manifest();
    let mut told = Vec::new();
    for tag in [Some(now), to].into_iter().flatten() {
        match core(tag) {
            None => told.push(format!(
                "whether the bundle {} is made for `{tag}` cannot be told from that name (it is made for {serves})",
                pack.shipped
            )),
            Some(version) if !serves.matches(&version) => told.push(format!(
                "the bundle {} is made for releases {serves}, and this site runs `{tag}`",
                pack.shipped
            )),
            Some(_) => {}
        }
    }
    if let Some(to) = to
        && !stops.is_empty()
        && release_order(now, to).is_none()
    {
        let stops = stops.iter().map(|stop| format!("`{stop}`")).collect::<Vec<_>>().join(", ");
        told.push(format!("no upgrade may jump over {stops}: see that this one does not"));
    }
    told
}

/// A tag as a version, without what says that it comes before a release, or is a flavour of it: `v1.2.0-alpine` is 1.2.0.
fn core(tag: &str) -> Option<Version> {
    let version = Version::parse(tag.trim_start_matches('v')).ok()?;
    Some(Version { pre: Prerelease::EMPTY, build: semver::BuildMetadata::EMPTY, ..version })
}
