use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Size, Undone, WhenUnknown, to_bytes},
    moved_data::{data_returned, users_had},
    set_of::open,
};
use crate::{
    backups,
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::Remove,
        trees::{BESIDE, UnpackTree},
    },
    site::Storage,
};

/// Unpack the uploaded files of a backup set beside the live ones, every file by its hash.
///
/// The site goes on meanwhile. `storage_swap` lets them take the live ones' place; taken back, they are removed.
///
/// Undo: what was unpacked is removed, unless it is live by then and users could upload into it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageUnpack {
    /// The folder of the set.
    pub set: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    #[schemars(with = "serde_json::Value")]
    request: UnpackTree,
    live: PathBuf,
    told: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The folder of the live files, whose place they are to take.
    pub live: PathBuf,
    /// The new folder beside it, which they are in.
    pub beside: PathBuf,
    /// The new folder's number on its file system, as text: scripts have no numbers that large.
    pub inode: String,
    /// Files that were unpacked.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
}

impl Effect for StorageUnpack {
    const NAME: &'static str = "storage_unpack";
    const ADDS_ONLY: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { set: "/srv/strata/.uplift/backups/20261120-031500-0001".into() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let manifest = open(&self.set, site).await?;
        let packed = manifest.storage.map(|storage| storage.packed).ok_or_else(|| {
            let text = format!("the set `{}` holds no uploaded files", manifest.set);
            Failure::new("set_lacks_files", text).hint("leave this step out: the files of now stay")
        })?;
        let live = live(site).await?;
        let into = site.trees.beside(&live, &format!("{BESIDE}{}", site.run)).await?;
        room(&live, packed.bytes, site).await?;
        let request = UnpackTree { folder: self.set.clone(), packed, into };
        Ok(Intent { request, live, told: site.kept().join("unpacked.json") })
    }

    fn summary(intent: &Intent) -> String {
        let packed = &intent.request.packed;
        format!("unpack {} uploaded files, {}, beside the live ones", packed.files, Size(packed.bytes))
    }

    fn result(outcome: &Outcome) -> String {
        format!("{} files, {}, every one by its hash", outcome.files, Size(outcome.bytes))
    }

    fn undo_summary(_: &Intent) -> String {
        "remove what was unpacked, unless users could upload files there".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let there = site.trees.inode(&intent.request.into).await?;
        let told = site.files.read(&intent.told).await?;
        let outcome: Option<Outcome> = told.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        Ok(match (outcome, there) {
            (Some(outcome), Some(inode)) if outcome.inode == inode.to_string() => Found::Applied(outcome),
            (None, None) => Found::NotApplied,
            _ => Found::Partial("some of the files may be there".to_owned()),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Found::Applied(outcome) = Self::probe(intent, site.observe()).await? {
            return Ok(outcome);
        }
        let inode = site.trees.unpack(&intent.request, site.tell).await?;
        if site.trees.inode(&intent.request.into).await? != Some(inode) {
            let text = format!("`{}` is not there as it was unpacked", intent.request.into.display());
            return Err(Failure::new("not_unpacked", text).hint("check the disk and type the command again"));
        }
        let packed = &intent.request.packed;
        let outcome = Outcome {
            live: intent.live.clone(),
            beside: intent.request.into.clone(),
            inode: inode.to_string(),
            files: packed.files,
            bytes: packed.bytes,
        };
        write_kept(&intent.told, to_bytes(&outcome)?, "where the files were unpacked", site).await?;
        Ok(outcome)
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let path = &intent.request.into;
        let Some(inode) = site.trees.inode(path).await? else {
            return Ok(Undone::nothing("nothing of what was unpacked is there"));
        };
        // Whoever was asked could write: somebody may have started the site by hand.
        let swapped = back.later.iter().any(|one| one.verb == "storage_swap");
        if users_had(back, "storage_swap") || swapped && data_returned(back) {
            let path = path.display();
            return Ok(Undone::nothing(format!(
                "users may have uploaded files there since, so `{path}` stays"
            )));
        }
        // The live folder lies there if the exchange was not taken back.
        if site.trees.inode(&intent.live).await?.is_none() {
            let text = format!("`{}` is gone, so `{}` stays", intent.live.display(), path.display());
            return Err(Failure::new("tree_missing", text).hint("look at both before anything is removed"));
        }
        let told = site.files.read(&intent.told).await?;
        let outcome: Option<Outcome> = told.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        if outcome.is_some_and(|outcome| outcome.inode != inode.to_string()) {
            return Ok(Undone::nothing("the folder beside is the one that was live before; it stays"));
        }
        let what = "uploaded files that were unpacked and not used".to_owned();
        site.files.remove(&Remove { path: path.clone(), what }).await?;
        match site.trees.inode(path).await? {
            None => Ok(Undone::restored("removed what was unpacked")),
            Some(_) => Err(Failure::new("not_removed", format!("`{}` is still there", path.display()))
                .hint("see what holds it with `lsof +D`, then type the command again")),
        }
    }
}

/// The live files stay, so that these need room of their own.
async fn room(live: &Path, bytes: u64, site: Observe<'_>) -> Result<(), Refusal> {
    let (needed, free) = (bytes + bytes / 50, site.files.space(live).await?.free);
    if needed <= free {
        return Ok(());
    }
    let (needed, free) = (Size(needed), Size(free));
    let text = format!("the uploaded files need {needed} beside `{}`, and {free} are free", live.display());
    Err(Refusal(Failure::new("no_room", text).hint("make room there, and type the command again")))
}

/// The folder on this host that holds the uploaded files.
pub(super) async fn live(site: Observe<'_>) -> Result<PathBuf, Failure> {
    let Storage::Local { volume, .. } = &site.site.storage else {
        let text = "the uploaded files of this site lie in object storage";
        return Err(Failure::new("object_storage", text).hint("bring them back there, by its own versions"));
    };
    backups::volume(volume, site).await?.ok_or_else(|| {
        Failure::new("volume_missing", format!("there is no volume `{volume}` on this engine"))
            .hint("make the site's containers once: `docker compose create`")
    })
}
