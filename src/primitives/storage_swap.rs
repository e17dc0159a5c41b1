use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Left, Undone, WhenUnknown},
    moved_data::stay,
    standstill::{still, stop_what_runs},
};
use crate::{
    event::{Choice, Failure, Question, Refusal},
    ports::{Observe, Operate, trees::ExchangeTrees},
};

/// Let a folder that `storage_unpack` has filled take the place of the live uploaded files, in one moment.
///
/// The application stands still. What was live stays beside it.
///
/// Undo: the folders change places again.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageSwap {
    /// The folder of the live files, as `storage_unpack` gives it.
    pub live: PathBuf,
    /// The folder beside it that takes its place, as `storage_unpack` gives it.
    pub beside: PathBuf,
    /// The number of the folder beside it, as `storage_unpack` gives it.
    pub inode: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    live: PathBuf,
    beside: PathBuf,
    inode: u64,
    /// Number of the folder that was live.
    was: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The folder whose files are other ones now.
    pub live: PathBuf,
    /// Where the files lie that were live before.
    pub aside: PathBuf,
}

impl Effect for StorageSwap {
    const NAME: &'static str = "storage_swap";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            live: "/var/lib/docker/volumes/strata_strata_storage/_data".into(),
            beside: "/var/lib/docker/volumes/strata_strata_storage/beside".into(),
            inode: String::new(),
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        still(site).await?;
        let gone = |path: &PathBuf| {
            Refusal(
                Failure::new("tree_missing", format!("there is no folder `{}`", path.display()))
                    .hint("look for it with `ls -la` beside the uploaded files; begin again"),
            )
        };
        let was = site.trees.inode(&self.live).await?.ok_or_else(|| gone(&self.live))?;
        let there = site.trees.inode(&self.beside).await?.ok_or_else(|| gone(&self.beside))?;
        // Without a number whatever lies there is meant.
        if !self.inode.is_empty() && there.to_string() != self.inode {
            let text = format!("`{}` is not the folder that was filled", self.beside.display());
            return Err(Refusal(Failure::new("tree_replaced", text).hint("begin again")));
        }
        Ok(Intent { live: self.live.clone(), beside: self.beside.clone(), inode: there, was })
    }

    fn summary(intent: &Intent) -> String {
        format!("let the unpacked files take the place of `{}`", intent.live.display())
    }

    fn result(outcome: &Outcome) -> String {
        format!("the files are those of the set; those of before lie in `{}`", outcome.aside.display())
    }

    fn undo_summary(_: &Intent) -> String {
        "let the files of before take their place again".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        Ok(match site.trees.inode(&intent.live).await? {
            Some(inode) if inode == intent.inode => Found::Applied(outcome(intent)),
            Some(inode) if inode == intent.was => Found::NotApplied,
            _ => Found::CannotTell(format!("`{}` is another folder by now", intent.live.display())),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        still(site.observe()).await?;
        exchange(intent, intent.inode, site).await?;
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        if site.trees.inode(&intent.live).await? == Some(intent.was) {
            return Ok(Undone::nothing("the uploaded files are the ones from before"));
        }
        if site.trees.inode(&intent.beside).await?.is_none() {
            if back.decision.as_ref().is_none_or(|decision| decision.choice != WITHOUT) {
                return Ok(Undone::NeedsPerson { question: intent.lost() });
            }
            let what = "the uploaded files stay those of the set: those of before are gone".to_owned();
            return Ok(Undone::Restored { what, left: vec![Left::Uploads] });
        }
        stop_what_runs(site).await?;
        exchange(intent, intent.was, site).await?;
        Ok(Undone::restored("the uploaded files are the ones from before again"))
    }
}

/// Go back although the files of before are gone.
const WITHOUT: &str = "without-files";

impl Intent {
    /// Asked where somebody has removed the folder of before: waiting does not bring it back.
    fn lost(&self) -> Question {
        let beside = self.beside.display();
        let without = Choice {
            key: WITHOUT.to_owned(),
            does: "go back, and let the uploaded files stay those of the set".to_owned(),
            costs: "uploaded files of before that no backup has are lost".to_owned(),
            also: String::new(),
        };
        Question {
            address: String::new(),
            text: "the uploaded files of before are not there any more: what is to be done without them?"
                .to_owned(),
            found: vec![
                format!("there is no `{beside}`, where the restore has put them aside"),
                "whoever has moved it away moves it back before he chooses".to_owned(),
            ],
            choices: vec![without, stay()],
            flag: None,
        }
    }
}

/// Lets the folder with this number be the live one, and looks whether it is.
async fn exchange(intent: &Intent, expected: u64, site: Operate<'_>) -> Result<(), Failure> {
    let (live, other) = (intent.live.clone(), intent.beside.clone());
    site.trees.exchange(&ExchangeTrees { live, other, expected }).await?;
    if site.trees.inode(&intent.live).await? == Some(expected) {
        return Ok(());
    }
    let text = format!("`{}` is not the folder that was to take its place", intent.live.display());
    Err(Failure::new("tree_replaced", text).hint("look at it and at what lies beside it"))
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { live: intent.live.clone(), aside: intent.beside.clone() }
}
