use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Size, Undone, WhenUnknown},
    moved_data::users_since,
    pg_savepoint::still,
    storage_savepoint::noted_by,
    storage_unpack::live,
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::Remove,
        trees::{FILLING, FillTree, Lacking},
    },
};

/// Put uploaded files back that were deleted since a run has noted them: the rows that return may name them.
///
/// Nothing that is there is touched, whatever it is by now. Taken back before users could write, what was put back goes
/// again; later it stays.
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
    /// Files that were put back, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// Why nothing could come back.
    pub why: Option<String>,
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
        let none = |why: String| Ok(Intent { fill: None, lacking: Lacking::default(), none: Some(why) });
        let Some((folder, packed)) = noted_by(&self.run, site).await? else {
            return none(format!("run {} has noted no uploaded files", self.run));
        };
        if site.files.size(&folder.join(&packed.index.file)).await?.is_none() {
            let why =
                format!("`{}` is gone: the note of the uploaded files stays for 7 days", folder.display());
            site.tell.warn(format!("{why}; files that were deleted since are in the backup only"));
            return none(why);
        }
        let fill = FillTree { folder, packed, live: live(site).await? };
        let lacking = site.trees.lacking(&fill).await?;
        Ok(Intent { fill: Some(fill), lacking, none: None })
    }

    fn summary(intent: &Intent) -> String {
        match (&intent.none, &intent.lacking) {
            (Some(why), _) => format!("put back no uploaded files: {why}"),
            (None, Lacking { files: 0, .. }) => {
                "put back no uploaded files, as none was deleted since".to_owned()
            }
            (None, Lacking { files, bytes, .. }) => {
                format!("put back {files} uploaded files ({}) that were deleted since", Size(*bytes))
            }
        }
    }

    fn result(outcome: &Outcome) -> String {
        match &outcome.why {
            Some(why) => format!("none: {why}"),
            None if outcome.files == 0 => "none was deleted since".to_owned(),
            None => format!("{} files, {}", outcome.files, Size(outcome.bytes)),
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
        let Some(fill) = &intent.fill else { return Ok(Found::Applied(outcome(intent))) };
        Ok(match site.trees.lacking(fill).await?.files {
            0 => Found::Applied(outcome(intent)),
            files if files == intent.lacking.files => Found::NotApplied,
            files => Found::Partial(format!("{files} of {} files are not back yet", intent.lacking.files)),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Some(fill) = &intent.fill {
            put_back(fill, site).await?;
        }
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, back: &Back, site: Operate<'_>) -> Result<Undone, Failure> {
        let Some(fill) = &intent.fill else { return Ok(Undone::nothing("no uploaded files were put back")) };
        if users_since(back) {
            return Ok(Undone::nothing(
                "users could write since, so the uploaded files that were put back stay",
            ));
        }
        let mut removed = 0;
        for (path, blake3) in &intent.lacking.paths {
            let path = fill.live.join(path);
            // Somebody may have put another one there since, or have run the site by hand: that is not ours to remove.
            if blake3.is_some() && site.files.hash(&path).await? == *blake3 {
                still(site.observe()).await?;
                remove(path, site).await?;
                removed += 1;
            }
        }
        let half = fill.live.join(FILLING);
        if site.files.size(&half).await?.is_some() {
            remove(half, site).await?;
            removed += 1;
        }
        Ok(match removed {
            0 => Undone::nothing("no uploaded files were put back"),
            _ => Undone::restored("removed the uploaded files again that were put back"),
        })
    }
}

async fn remove(path: PathBuf, site: Operate<'_>) -> Result<(), Failure> {
    site.files.remove(&Remove { path, what: "uploaded file that was put back".to_owned() }).await
}

/// Fills the tree, and looks whether anything is lacking yet. Gives what was lacking before.
pub(super) async fn put_back(fill: &FillTree, site: Operate<'_>) -> Result<Lacking, Failure> {
    let lacking = site.trees.lacking(fill).await?;
    if lacking.files == 0 {
        return Ok(lacking);
    }
    still(site.observe()).await?;
    site.trees.fill(fill, site.tell).await?;
    let left = site.trees.lacking(fill).await?;
    if left.files > 0 {
        let first =
            left.paths.keys().next().map(|path| format!(", e.g. `{}`", path.display())).unwrap_or_default();
        let text = format!("{} uploaded files could not be put back{first}", left.files);
        return Err(Failure::new("not_put_back", text)
            .hint(format!("they are in the archives in `{}`: `tar --zstd -xf`", fill.folder.display())));
    }
    Ok(lacking)
}

fn outcome(intent: &Intent) -> Outcome {
    Outcome { files: intent.lacking.files, bytes: intent.lacking.bytes, why: intent.none.clone() }
}
