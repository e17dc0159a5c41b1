//! Uploaded files that a run has put aside, or has left unpacked beside the live ones.

use std::path::PathBuf;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::status::KeptStatus;
use crate::{
    event::Failure,
    ports::{Observe, files::quoted, trees::BESIDE},
    site::Storage,
};

/// A folder that is not there, or is a file system of its own, has had nothing put beside it.
const NOTHING_BESIDE: [&str; 2] = ["folder_missing", "tree_is_mount"];

/// Each such folder, with its size. Nothing removes them but a person.
pub(super) async fn uploads(site: Observe<'_>) -> Result<Vec<KeptStatus>, Failure> {
    let Storage::Local { volume, .. } = &site.site.storage else { return Ok(Vec::new()) };
    let live = if volume.starts_with('/') {
        Some(PathBuf::from(volume))
    } else {
        site.docker.volume(volume).await?.map(PathBuf::from)
    };
    let Some(live) = live else { return Ok(Vec::new()) };
    // Where the runs put them: not beside a link to the files, but beside the files.
    let folder = match site.trees.beside(&live, BESIDE).await {
        Ok(beside) => beside.parent().map(PathBuf::from),
        Err(failure) if NOTHING_BESIDE.contains(&failure.code.as_str()) => None,
        Err(failure) => return Err(failure),
    };
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in site.files.list(&folder).await? {
        let Some(run) = name.strip_prefix(BESIDE) else { continue };
        let path = folder.join(&name);
        let made = moment(run);
        found.push(KeptStatus {
            name: path.display().to_string(),
            what: format!(
                "uploaded files that run {run} has put aside; once nobody needs them: `sudo rm -r {}`",
                quoted(&path)
            ),
            owner: String::new(),
            kind: None,
            run: Some(run.to_owned()),
            bytes: site.trees.facts(&path).await?.bytes,
            made: made.map(|at| at.to_string()),
            // They may have been put aside long after it began, and nothing removes them but a person.
            expires: None,
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
