use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Size, Undone, WhenUnknown},
    moved_data::users_since,
    standstill::{still, stop_what_runs},
    storage_savepoint::noted_by,
    storage_unpack::live,
    uploads_back::{half_made, is_damage, out_of_reach, put_back, remove_half_made, untold},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::Remove,
        trees::{FillTree, Lacking},
    },
};

/// Put uploaded files back that were deleted since a run has noted them: the rows that return may name them.
///
/// Nothing that is there is touched, whatever it is by now, and what the note does not give any more is named. Taken back
/// before users could write, what was put back goes again; later it stays.
///
/// Undo: the files that were put back are removed again, as long as no user could write; after that they stay.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageReturn {
    /// The run that has noted the files.
    pub run: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    /// `None`: there is nothing that they could come from.
    #[schemars(with = "serde_json::Value")]
    fill: Option<FillTree>,
    #[schemars(with = "serde_json::Value")]
    lacking: Lacking,
    /// Why nothing can come back.
    none: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Files that were put back.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Why nothing could come back.
    pub why: Option<String>,
    /// What did not come back of what was to.
    #[serde(default)]
    pub not_back: Option<String>,
}

impl Effect for StorageReturn {
    const NAME: &'static str = "storage_return";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { run: "20261120-031500-0001".to_owned() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        still(site).await?;
        let (folder, packed) = match noted_by(&self.run, site).await {
            Ok(Some(noted)) => noted,
            Ok(None) => return Ok(none(format!("run {} has noted no uploaded files", self.run))),
            Err(failure) if is_damage(&failure) => return Ok(damaged(&failure, site)),
            Err(failure) => return Err(failure.into()),
        };
        if site.files.size(&folder.join(&packed.index.file)).await?.is_none() {
            let why = untold(&format!("their note `{}` is gone, which stays for 7 days", folder.display()));
            site.tell.warn(why.as_str());
            return Ok(none(why));
        }
        let fill = FillTree { folder, packed, live: live(site).await? };
        let lacking = match site.trees.lacking(&fill).await {
            Ok(lacking) => lacking,
            Err(failure) if is_damage(&failure) => return Ok(damaged(&failure, site)),
            Err(failure) => return Err(failure.into()),
        };
        if let Some(text) = out_of_reach(&lacking) {
            site.tell.warn(text);
        }
        Ok(Intent { fill: Some(fill), lacking, none: None })
    }

    fn summary(intent: &Intent) -> String {
        match (&intent.none, &intent.lacking) {
            (Some(why), _) => format!("put back no uploaded files: {why}"),
            (None, Lacking { files: 0, unreachable, .. }) if !unreachable.is_empty() => {
                "put back no uploaded files, as none that can be looked for was deleted since".to_owned()
            }
            (None, Lacking { files: 0, .. }) => {
                "put back no uploaded files, as none was deleted since".to_owned()
            }
            (None, Lacking { files, bytes, .. }) => {
                let size = Size(*bytes);
                format!(
                    "put back {files} uploaded files ({size}) that were deleted since, if their note is whole"
                )
            }
        }
    }

    fn result(outcome: &Outcome) -> String {
        let Outcome { files, bytes, why, not_back } = outcome;
        match (why, not_back) {
            (Some(why), _) => format!("none: {why}"),
            (None, Some(not_back)) if *files == 0 => not_back.clone(),
            (None, None) if *files == 0 => "none was deleted since".to_owned(),
            (None, Some(not_back)) => format!("{files} files, {}; {not_back}", Size(*bytes)),
            (None, None) => format!("{files} files, {}", Size(*bytes)),
        }
    }

    fn undo_summary(intent: &Intent) -> String {
        match intent.lacking.files {
            0 => "nothing",
            _ => "remove the files again that were put back; once users could write they stay",
        }
        .to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let Some(fill) = &intent.fill else { return Ok(Found::Applied(outcome(intent, (0, 0), None))) };
        if half_made(&fill.live, site).await? {
            return Ok(Found::Partial("a file is half put back".to_owned()));
        }
        let lacking = match site.trees.lacking(fill).await {
            Ok(lacking) => lacking,
            // Only another attempt says what that means.
            Err(failure) if is_damage(&failure) => return Ok(Found::Partial(failure.to_string())),
            Err(failure) => return Err(failure),
        };
        Ok(match lacking.files {
            0 => {
                let back = (intent.lacking.files, intent.lacking.bytes);
                Found::Applied(outcome(intent, back, out_of_reach(&lacking)))
            }
            files if files == intent.lacking.files => Found::NotApplied,
            files => Found::Partial(format!("{files} of {} files are not back yet", intent.lacking.files)),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        let Some(fill) = &intent.fill else { return Ok(outcome(intent, (0, 0), None)) };
        let put = put_back(fill, site).await?;
        Ok(outcome(intent, put.back_of(&intent.lacking), put.not_back))
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let Some(fill) = &intent.fill else { return Ok(Undone::nothing("no uploaded files were put back")) };
        if users_since(back) {
            return Ok(Undone::nothing(
                "users could write since, so the uploaded files that were put back stay",
            ));
        }
        let left = left_there(fill, &intent.lacking, site.observe()).await?;
        let mut removed = 0;
        for (path, blake3) in &intent.lacking.paths {
            let path = fill.live.join(path);
            // Somebody may have put another one there since, or have run the site by hand: that is not ours to remove.
            if blake3.is_some() && site.files.hash(&path).await? == *blake3 {
                stop_what_runs(site).await?;
                remove(path, site).await?;
                removed += 1;
            }
        }
        removed += u64::from(remove_half_made(&fill.live, site).await?);
        let stay = format!("of what was put back, these stay: {}", left.join(", "));
        Ok(match (removed, left.is_empty()) {
            (0, true) => Undone::nothing("no uploaded files were put back"),
            (0, false) => Undone::nothing(stay),
            (_, true) => Undone::restored("removed the uploaded files again that were put back"),
            (_, false) => Undone::restored(format!("removed {removed} uploaded files again; {stay}")),
        })
    }
}

async fn remove(path: PathBuf, site: Operate<'_>) -> Result<(), Failure> {
    site.files.remove(&Remove { path, what: "uploaded file that was put back".to_owned() }).await
}

fn damaged(failure: &Failure, site: Observe<'_>) -> Intent {
    let why = untold(&failure.to_string());
    site.tell.warn(why.as_str());
    none(why)
}

/// Why nothing comes back.
fn none(why: String) -> Intent {
    Intent { fill: None, lacking: Lacking::default(), none: Some(why) }
}

fn outcome(intent: &Intent, (files, bytes): (u64, u64), not_back: Option<String>) -> Outcome {
    Outcome { files, bytes, why: intent.none.clone(), not_back }
}

/// What was put back and is no file that can be told to be ours: links, names that are no UTF-8, folders.
async fn left_there(fill: &FillTree, was: &Lacking, site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let now = match site.trees.lacking(fill).await {
        Ok(now) => now,
        // Nobody can tell which of them came back: all may have.
        Err(failure) if is_damage(&failure) => Lacking::default(),
        Err(failure) => return Err(failure),
    };
    let unnamed = |lacking: &Lacking| lacking.files.saturating_sub(lacking.paths.len() as u64);
    let is_link =
        |(path, blake3): &(&PathBuf, &Option<String>)| blake3.is_none() && !now.paths.contains_key(*path);
    let all = [
        (was.paths.iter().filter(is_link).count() as u64, "symlinks"),
        (unnamed(was).saturating_sub(unnamed(&now)), "files whose names are no UTF-8"),
        (was.folders.saturating_sub(now.folders), "folders that were made for them"),
    ];
    Ok(all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect())
}
