//! What runs have left beside their record: copies for the way back in `kept/RUN`, and logs. Which of it may go is judged
//! here, by reading; what a run did stays in the journal for ever.

use std::path::PathBuf;

use crate::{
    backups::{self, DELETING, Judged},
    event::Failure,
    ports::{
        Observe,
        points::{PastRun, Points, PointsRead},
    },
};

/// What lies in a run's kept folder, by the names that stock primitives and the run itself give. Anything else is somebody
/// else's, and stays with all that is beside it.
const OURS: [&str; 15] = [
    "before",
    "config",
    "containers",
    "env",
    "files",
    "loaded.json",
    "logs",
    "made",
    "never-begun",
    "restart-policies.json",
    "tasks",
    "told",
    "unpacked.json",
    "uploads.json",
    "trial-",
];

/// What one run has left, and whether it goes.
pub(super) struct RunLeft {
    pub judged: Judged,
    pub bytes: u64,
    /// Its kept folder is there.
    pub kept: bool,
    /// Names of its logs.
    pub logs: Vec<String>,
}

/// What all runs have left, newest first.
#[derive(Default)]
pub(super) struct OldRuns {
    pub runs: Vec<RunLeft>,
    /// Kept folders that an earlier removal has left.
    pub leftovers: Vec<String>,
}

impl OldRuns {
    /// What stays and why, a sentence for each reason.
    pub(super) fn why_it_stays(&self) -> Vec<String> {
        let groups = backups::in_groups(self.runs.iter().map(|left| &left.judged));
        groups.into_iter().map(|group| format!("copies and logs of {group}")).collect()
    }
}

/// Where the runs keep their copies.
pub(super) fn kept_folder(site: Observe<'_>) -> PathBuf {
    site.site.state.join("kept")
}

/// Where the runs' logs lie.
pub(super) fn logs_folder(site: Observe<'_>) -> PathBuf {
    site.site.state.join("logs")
}

/// Judges what every run has left, but for the one that asks. Nothing of a run that the record does not know.
pub(super) async fn judged(site: Observe<'_>) -> Result<OldRuns, Failure> {
    // Without the record nobody can say which runs are over.
    let Ok(record) = site.port::<Points>() else { return Ok(OldRuns::default()) };
    let mut runs = record.runs()?;
    runs.retain(|run| run.run != site.run);
    let kept = site.files.list(&kept_folder(site)).await?;
    let logs = site.files.list(&logs_folder(site)).await?;
    let (now, mut others) = (site.clock.now(), None);
    let mut found = OldRuns::default();
    // What only removed is not counted: otherwise each removal would make the next one needed.
    let mut counted = 0;
    for run in &runs {
        let newer = counted;
        counted += usize::from(!run.tidied);
        let mut left = RunLeft {
            judged: backups::judge_run(run, newer, now, None),
            bytes: 0,
            kept: kept.contains(&run.run),
            logs: logs.iter().filter(|name| is_log(name, &run.run)).cloned().collect(),
        };
        if !left.kept && left.logs.is_empty() {
            continue;
        }
        let foreign = weigh(&mut left, site).await?;
        // What costs a question to the server is asked only of what would go.
        if left.judged.goes {
            let why = match foreign {
                Some(why) => Some(why),
                None => leads_back(run, &mut others, &*record, site).await?,
            };
            left.judged = backups::judge_run(run, newer, now, why.as_deref());
        }
        found.runs.push(left);
    }
    found.leftovers = kept.into_iter().filter(|name| name.starts_with(DELETING)).collect();
    Ok(found)
}

/// Whether something that a run has left goes.
pub(crate) async fn any_goes(site: Observe<'_>) -> Result<bool, Failure> {
    let OldRuns { runs, leftovers } = judged(site).await?;
    Ok(!leftovers.is_empty() || runs.iter().any(|left| left.judged.goes))
}

/// Adds up what a run has left; says what in it is not uplift's.
async fn weigh(left: &mut RunLeft, site: Observe<'_>) -> Result<Option<String>, Failure> {
    let mut foreign = None;
    let folder = kept_folder(site).join(&left.judged.name);
    if left.kept {
        let names = site.files.list(&folder).await?;
        let own = |name: &String| {
            OURS.iter().any(|ours| name == ours || (ours.ends_with('-') && name.starts_with(ours)))
        };
        foreign = names.into_iter().find(|name| !own(name)).map(|name| folder.join(name));
        if site.files.size(&folder).await?.is_some() {
            foreign = Some(folder.clone());
        }
    }
    let logs = left.logs.iter().map(|name| logs_folder(site).join(name));
    for path in left.kept.then_some(folder).into_iter().chain(logs) {
        let lies = site.files.lies(&path).await?.unwrap_or_default();
        left.bytes += lies.bytes;
        foreign = foreign.or(lies.strange.into_iter().next());
    }
    Ok(foreign.map(|path| format!("`{}` is not uplift's: move it away, and the rest can go", path.display())))
}

/// What other runs and the server have, looked at once.
struct Others {
    /// Runs whose databases are kept.
    kept: Vec<String>,
    /// Names of backup sets.
    sets: Vec<String>,
}

/// Why somebody may yet want to go back to a run.
async fn leads_back(
    run: &PastRun,
    others: &mut Option<Others>,
    record: &dyn PointsRead,
    site: Observe<'_>,
) -> Result<Option<String>, Failure> {
    let Others { kept, sets } = match others {
        Some(others) => others,
        None => others.insert(look(site).await?),
    };
    if kept.contains(&run.run) {
        return Ok(Some("databases that it has kept are there".to_owned()));
    }
    if sets.iter().any(|set| set.starts_with(&run.run)) {
        return Ok(Some("its backup is there".to_owned()));
    }
    let Some(point) = record.point(&run.run)? else { return Ok(None) };
    let offered = super::way_back::offers(&point, site).await?;
    Ok(offered.then(|| "one can return from it: `uplift rollback --list`".to_owned()))
}

async fn look(site: Observe<'_>) -> Result<Others, Failure> {
    let all = &site.site.databases;
    let of: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
    let kept = site.postgres.kept(&all.endpoint, &of).await?;
    let kept = kept.into_iter().filter_map(|one| Some(one.mark?.run)).collect();
    Ok(Others { kept, sets: site.files.list(&backups::folder(site.site)).await? })
}

/// The log of a run, or a part of it that was rotated away: `RUN.jsonl`, `RUN.jsonl.2`, `RUN.jsonl-20261124.gz`.
fn is_log(name: &str, run: &str) -> bool {
    let Some(rest) = name.strip_prefix(run).and_then(|rest| rest.strip_prefix(".jsonl")) else {
        return false;
    };
    let packed = [".gz", ".xz", ".zst", ".bz2"].iter().find_map(|end| rest.strip_suffix(end));
    let part = packed.unwrap_or(rest);
    let numbered = part.strip_prefix(['.', '-']).is_some_and(|number| {
        number.starts_with(|letter: char| letter.is_ascii_digit())
            && number.chars().all(|letter| letter.is_ascii_digit() || letter == '-')
    });
    rest.is_empty() || numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_parts_of_a_log_are_known() {
        let run = "20261124-031500-7f3a";
        for rest in ["", ".1", ".2.gz", "-20261124", "-20261124.zst", "-20261124-0315"] {
            assert!(is_log(&format!("{run}.jsonl{rest}"), run), "{rest}");
        }
        for rest in [".gz", ".bak", "x", "-", ".1.old", ".gz.1x"] {
            assert!(!is_log(&format!("{run}.jsonl{rest}"), run), "{rest}");
        }
        assert!(!is_log("20261124-031500-7f3b.jsonl", run));
    }
}
