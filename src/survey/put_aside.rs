//! Uploaded files that a restore has put aside, or has left unpacked beside the live ones.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::status::KeptStatus;
use crate::{
    event::Failure,
    ports::{Observe, files::quoted, trees::BESIDE},
    site::Storage,
};

/// As long as databases that were replaced are kept.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Each such folder, with its size. Nothing removes them but a person.
pub(super) async fn uploads(site: Observe<'_>) -> Result<Vec<KeptStatus>, Failure> {
    let Storage::Local { volume, .. } = &site.site.storage else { return Ok(Vec::new()) };
    let live = if volume.starts_with('/') {
        Some(PathBuf::from(volume))
    } else {
        site.docker.volume(volume).await?.map(PathBuf::from)
    };
    let Some(folder) = live.as_deref().and_then(std::path::Path::parent) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in site.files.list(folder).await? {
        let Some(run) = name.strip_prefix(BESIDE) else { continue };
        let path = folder.join(&name);
        let made = moment(run);
        let expires = made.and_then(|made| made.checked_add(KEPT_FOR).ok());
        found.push(KeptStatus {
            name: path.display().to_string(),
            what: format!(
                "uploaded files that the restore {run} has put aside; once nobody needs them: `sudo rm -r {}`",
                quoted(&path)
            ),
            owner: String::new(),
            kind: None,
            run: Some(run.to_owned()),
            bytes: site.trees.facts(&path).await?.bytes,
            made: made.map(|at| at.to_string()),
            expires: expires.map(|at| at.to_string()),
        });
    }
    Ok(found)
}

/// When a run began, by its name.
fn moment(run: &str) -> Option<Timestamp> {
    let at = DateTime::strptime("%Y%m%d-%H%M%S", run.get(..15)?).ok()?;
    TimeZone::UTC.to_timestamp(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_run_says_when_it_began() {
        assert_eq!(moment("20261124-031500-7f3a"), "2026-11-24T03:15:00Z".parse().ok());
        assert_eq!(moment("somebody"), None);
    }
}
