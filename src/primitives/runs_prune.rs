use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Left, Size, Undone, WhenUnknown},
    old_runs::{OldRuns, judged, kept_folder, logs_folder},
};
use crate::{
    backups::DELETING,
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::{FilesRead, Remove, Rename},
    },
};

/// Remove the copies and the logs that old runs have left; what each run did stays in the record.
///
/// All are judged once more right before the first file goes. Nothing goes of a run that one can return from, of one
/// that is not over, of the newest 20, nor where a file lies that uplift has not put there. What was removed does not come back.
///
/// Undo: nothing can be done: what was removed does not come back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsPrune {}

/// What goes, by name: what else may come into the folders is nobody's to remove.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    kept: PathBuf,
    logs: PathBuf,
    runs: Vec<Goes>,
    /// Kept folders that an earlier removal has left.
    leftovers: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Goes {
    run: String,
    kept: bool,
    logs: Vec<String>,
    bytes: u64,
    why: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Runs whose copies and logs were removed.
    pub runs: Vec<String>,
    /// Bytes that are free again.
    pub bytes: u64,
    /// What was to go and stays after all, and why.
    pub stays: Vec<String>,
}

impl Effect for RunsPrune {
    const NAME: &'static str = "runs_prune";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let OldRuns { runs, leftovers } = judged(site).await?;
        let goes = runs.into_iter().filter(|left| left.judged.goes).map(|left| Goes {
            run: left.judged.name,
            kept: left.kept,
            logs: left.logs,
            bytes: left.bytes,
            why: left.judged.why,
        });
        Ok(Intent { kept: kept_folder(site), logs: logs_folder(site), runs: goes.collect(), leftovers })
    }

    fn summary(intent: &Intent) -> String {
        let bytes = intent.runs.iter().map(|goes| goes.bytes).sum();
        format!("remove {}", amount(intent.runs.len(), bytes))
    }

    fn result(outcome: &Outcome) -> String {
        let gone = amount(outcome.runs.len(), outcome.bytes);
        match outcome.stays.as_slice() {
            [] => format!("removed {gone}"),
            stays => format!("removed {gone}; stayed after all: {}", stays.join("; ")),
        }
    }

    fn undo_summary(_: &Intent) -> String {
        "what is removed does not come back".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let (there, gone) = intent.standing(site.files).await?;
        Ok(match (there.len(), gone.len()) {
            (0, _) => Found::Applied(Outcome {
                runs: intent.runs.iter().map(|goes| goes.run.clone()).collect(),
                bytes: intent.runs.iter().map(|goes| goes.bytes).sum(),
                stays: Vec::new(),
            }),
            (_, 0) => Found::NotApplied,
            (there, gone) => Found::Partial(format!("{there} of {} are still there", there + gone)),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        let mut done = Outcome::default();
        for name in &intent.leftovers {
            remove(&intent.kept.join(name), "rest of removed copies", site).await?;
        }
        let now = judged(site.observe()).await?;
        for goes in &intent.runs {
            let still = now.runs.iter().find(|left| left.judged.name == goes.run);
            if let Some(left) = still.filter(|left| !left.judged.goes) {
                done.stays.push(format!("`{}`: {}", goes.run, left.judged.why));
                continue;
            }
            intent.remove(goes, site).await.map_err(|failure| so_far(failure, &done))?;
            done.runs.push(goes.run.clone());
            done.bytes += goes.bytes;
        }
        // An answer is no proof: what was said to be removed is looked for.
        let (there, _) = intent.standing(site.files).await?;
        let stays = |path: &PathBuf| {
            intent.runs.iter().any(|goes| done.stayed(&goes.run) && goes.is_at(path, intent))
        };
        match there.iter().find(|path| !stays(path)) {
            None => Ok(done),
            Some(path) => {
                let text = format!("`{}` was to go and is still there", path.display());
                let hint =
                    "see what is to go with `uplift backup prune --dry-run`, then type the command again";
                Err(so_far(Failure::new("not_removed", text).hint(hint), &done))
            }
        }
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let (_, gone) = intent.standing(site.files).await?;
        if gone.is_empty() {
            return Ok(Undone::nothing("no copy and no log was removed yet"));
        }
        let gone: Vec<_> = gone.iter().map(|path| format!("`{}`", path.display())).collect();
        let what = format!("what was removed does not come back: {}", gone.join(", "));
        Ok(Undone::Restored { what, left: vec![Left::Removed] })
    }
}

impl Outcome {
    fn stayed(&self, run: &str) -> bool {
        self.stays.iter().any(|line| line.starts_with(&format!("`{run}`")))
    }
}

impl Goes {
    fn kept(&self, intent: &Intent) -> PathBuf {
        intent.kept.join(&self.run)
    }

    /// Its copies on their way out.
    fn deleting(&self, intent: &Intent) -> PathBuf {
        intent.kept.join(format!("{DELETING}{}", self.run))
    }

    fn logs(&self, intent: &Intent) -> Vec<PathBuf> {
        self.logs.iter().map(|name| intent.logs.join(name)).collect()
    }

    fn is_at(&self, path: &Path, intent: &Intent) -> bool {
        path == self.kept(intent) || self.logs(intent).iter().any(|log| log == path)
    }
}

impl Intent {
    /// What of the planned things is there yet, and what is gone. Copies without their own name are gone, whatever is left
    /// of them; that they are to go all the same shows as their rest.
    async fn standing(
        &self,
        files: &(impl FilesRead + ?Sized),
    ) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
        let (kept, logs) = (files.list(&self.kept).await?, files.list(&self.logs).await?);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        let mut sort = |names: &[String], path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if names.contains(&name) { there.push(path) } else { gone.push(path) }
        };
        for goes in &self.runs {
            if goes.kept {
                sort(&kept, goes.kept(self));
            }
            goes.logs(self).into_iter().for_each(|path| sort(&logs, path));
        }
        self.leftovers.iter().for_each(|name| sort(&kept, self.kept.join(name)));
        let rests = self.runs.iter().map(|goes| goes.deleting(self));
        let is_there = |path: &PathBuf| {
            path.file_name().is_some_and(|name| kept.iter().any(|known| *known == name.to_string_lossy()))
        };
        there.extend(rests.filter(is_there));
        Ok((there, gone))
    }

    /// Copies under another name first: half of them must never stand under the name of a run.
    async fn remove(&self, goes: &Goes, site: Operate<'_>) -> Result<(), Failure> {
        let (from, to) = (goes.kept(self), goes.deleting(self));
        let what = format!("copies of run {}: {}", goes.run, goes.why);
        let names = site.files.list(&self.kept).await?;
        let is_there =
            |path: &Path| names.iter().any(|name| path.file_name().is_some_and(|own| **name == *own));
        if is_there(&to) {
            remove(&to, "rest of removed copies", site).await?;
        }
        if goes.kept && is_there(&from) {
            let aside = "on its way out".to_owned();
            site.files.rename(&Rename { from, to: to.clone(), what: aside }).await?;
            remove(&to, &what, site).await?;
        }
        for log in goes.logs(self) {
            if site.files.size(&log).await?.is_some() {
                remove(&log, &format!("log of run {}: {}", goes.run, goes.why), site).await?;
            }
        }
        Ok(())
    }
}

async fn remove(path: &Path, what: &str, site: Operate<'_>) -> Result<(), Failure> {
    site.files.remove(&Remove { path: path.to_owned(), what: what.to_owned() }).await
}

/// What is already gone belongs to the truth about a failure.
fn so_far(failure: Failure, done: &Outcome) -> Failure {
    let gone = done.runs.iter().map(|run| format!("removed before that: what run `{run}` had left"));
    failure.evidence(gone.collect::<Vec<_>>())
}

fn amount(runs: usize, bytes: u64) -> String {
    let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    format!("what {runs} left beside the record ({})", Size(bytes))
}
