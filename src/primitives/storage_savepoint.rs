use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Left, Size, Undone, WhenUnknown, to_bytes},
    moved_data::{Reached, data_returned},
    standstill::still,
    storage_unpack::live,
    uploads_back::{is_damage, put_back, untold},
};
use crate::{
    backups,
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::{MakeFolder, Remove},
        trees::{ExchangeTrees, FillTree, PackTree, Packed, UnpackTree},
    },
};

/// Note the uploaded files while the application stands still, and copy those that the backup has not yet.
///
/// A release that is tried in the dark has the live files, and its migrations may delete some. Taken back in the dark,
/// the files are what they were. Once users could reach the new release what they uploaded stays, and deleted files come
/// back where the data returns.
///
/// Undo: what the release has deleted or changed of the files is put back. Once users could reach it, only what was
/// deleted comes back, and only if the data returns.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageSavepoint {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    #[schemars(with = "serde_json::Value")]
    request: PackTree,
    /// Where they are unpacked if they have to come back; `None` where nothing can take the live folder's place.
    beside: Option<PathBuf>,
    /// When everything stood still, RFC 3339 in UTC. Empty in what an older uplift wrote.
    #[serde(default)]
    since: String,
    /// Where its outcome is written down.
    told: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Files that were noted.
    pub files: u64,
    /// Files among them that were not in the backup yet.
    pub new_files: u64,
    /// Bytes of those.
    pub new_bytes: u64,
    /// Where the copies lie: nothing that a runbook needs.
    #[schemars(with = "serde_json::Value")]
    packed: Packed,
}

impl Effect for StorageSavepoint {
    const NAME: &'static str = "storage_savepoint";
    const ADDS_ONLY: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {}
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        still(site).await?;
        let (from, folder) = (live(site).await?, backups::folder(site.site));
        let beside = match site.trees.beside(&from, &format!("uplift-restore-{}", site.run)).await {
            Ok(beside) => Some(beside),
            Err(failure) if failure.code == "tree_is_mount" => {
                let from = from.display();
                site.tell.warn(format!(
                    "`{from}` is a mount of its own: what a trial deletes there comes back by the backup only"
                ));
                None
            }
            Err(failure) => return Err(failure.into()),
        };
        let previous = backups::newest_with_uploads(site).await?;
        let into = backups::uploads_note(&folder, site.run);
        let request = PackTree { from, into, previous, keep_vanished: false, trust_previous: true };
        let since = site.clock.now().to_string();
        Ok(Intent { request, beside, since, told: site.kept().join(TOLD) })
    }

    fn summary(_: &Intent) -> String {
        "note the uploaded files as they are".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        let Outcome { files, new_files, new_bytes, .. } = outcome;
        match new_files {
            0 => format!("{files} files, the backup has all of them"),
            _ => format!("{files} files, {new_files} of them ({}) newer than the backup", Size(*new_bytes)),
        }
    }

    fn undo_summary(_: &Intent) -> String {
        "put back what the release has deleted or changed of the uploaded files; once users could reach it, only what was \
         deleted, and only if the data returns"
            .to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        if let Some(noted) = intent.noted(site).await?
            && intent.is_whole(&noted, site).await?
        {
            return Ok(Found::Applied(noted));
        }
        let begun = site.files.list(&intent.request.into).await?;
        Ok(if begun.is_empty() {
            Found::NotApplied
        } else {
            Found::Partial("some of the files are noted".to_owned())
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Found::Applied(noted) = Self::probe(intent, site.observe()).await? {
            return Ok(noted);
        }
        still(site.observe()).await?;
        let packed = intent.pass(&intent.request, site).await?;
        let (files, new_files, new_bytes) = (packed.files, packed.read_files, packed.read_bytes);
        let outcome = Outcome { files, new_files, new_bytes, packed };
        write_kept(&intent.told, to_bytes(&outcome)?, "which uploaded files there were", site).await?;
        Ok(outcome)
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let (reached, _) = Reached::seen(back, &intent.since, site.observe()).await?;
        if matches!(reached, Reached::Users { .. }) {
            return intent.after_users(data_returned(back), site).await;
        }
        let noted = intent.noted(site.observe()).await?;
        let put_back = match &noted {
            Some(noted) if reached == Reached::Nobody => intent.put_back(noted, site).await?,
            _ => false,
        };
        // From here on a second attempt finds nothing to do.
        let there = intent.clear(site).await?;
        Ok(match (put_back, &intent.beside) {
            (true, Some(beside)) => Undone::restored(format!(
                "the uploaded files are the ones from before; as the newer release has left them they stay in `{}`",
                beside.display()
            )),
            _ if there => {
                Undone::restored("the uploaded files are as they were; the note of them is removed")
            }
            _ => Undone::nothing("the uploaded files are as they were"),
        })
    }
}

impl Intent {
    /// Files that users have uploaded stay. Where the data has returned, its rows may name files that were deleted since.
    /// Its databases have their places already: what the note does not give any more is named, and the site comes up.
    async fn after_users(&self, data_returned: bool, site: Operate<'_>) -> Result<Undone, Failure> {
        if !data_returned {
            return self.as_users_left_them(site.observe()).await;
        }
        let packed = match self.noted(site.observe()).await {
            Ok(Some(noted)) => noted.packed,
            Ok(None) => return Ok(not_told("the note of them is gone", site)),
            Err(failure) if is_damage(&failure) => return Ok(not_told(&failure.to_string(), site)),
            Err(failure) => return Err(failure),
        };
        let (folder, live) = (self.request.into.clone(), self.request.from.clone());
        let put = put_back(&FillTree { folder, packed, live }, site).await?;
        let (files, _) = put.back();
        let back =
            format!("put back {files} uploaded files that were deleted since; those that came since stay");
        Ok(match (files, put.not_back) {
            (0, None) => {
                Undone::nothing("none of the uploaded files of before is missing; those that came since stay")
            }
            (_, None) => Undone::restored(back),
            (0, Some(what)) => Undone::Restored { what, left: vec![Left::Uploads] },
            (_, Some(what)) => {
                Undone::Restored { what: format!("{back}; {what}"), left: vec![Left::Uploads] }
            }
        })
    }

    async fn as_users_left_them(&self, site: Observe<'_>) -> Result<Undone, Failure> {
        const STAY: &str =
            "users could upload and delete files since, so the uploaded files stay as they are";
        let note = self.request.into.display();
        Ok(Undone::nothing(if is_there(&self.request.into, site).await? {
            format!(
                "{STAY}; those of before are in the archives in `{note}`, which stay for 7 days: bring back what is missing \
                 with `tar --zstd -xf`"
            )
        } else {
            format!("{STAY}; the note of those of before, `{note}`, is gone")
        }))
    }

    /// What was noted, if that came to its end and has not been of use yet.
    async fn noted(&self, site: Observe<'_>) -> Result<Option<Outcome>, Failure> {
        noted(&self.told, site).await
    }

    async fn is_whole(&self, noted: &Outcome, site: Observe<'_>) -> Result<bool, Failure> {
        let index = self.request.into.join(&noted.packed.index.file);
        Ok(site.files.size(&index).await? == Some(noted.packed.index.bytes))
    }

    async fn pass(&self, request: &PackTree, site: Operate<'_>) -> Result<Packed, Failure> {
        let what = "folder for a note of the uploaded files".to_owned();
        site.files.make_folder(&MakeFolder { path: request.into.clone(), what }).await?;
        site.trees.pack(request, site.tell).await
    }

    /// A second pass, which nothing is relied on but its hash.
    fn again(&self) -> PackTree {
        let mut into = self.request.into.clone().into_os_string();
        into.push("-again");
        let previous = Some(self.request.into.clone());
        PackTree { into: into.into(), previous, ..self.request.clone() }
    }

    /// Lets the files of before take their place again if they are not what was noted; says whether they did.
    async fn put_back(&self, noted: &Outcome, site: Operate<'_>) -> Result<bool, Failure> {
        let (packed, note) = (&noted.packed, self.request.into.display());
        if !self.is_whole(noted, site.observe()).await? {
            let text =
                format!("what the uploaded files were cannot be told: `{note}` is not what was written");
            return Err(Failure::new("note_damaged", text)
                .hint("compare them with a backup: `uplift backup list`, `uplift backup verify SET`"));
        }
        let again = self.pass(&self.again(), site).await?;
        if again.tree_blake3 == packed.tree_blake3 {
            return Ok(false);
        }
        still(site.observe()).await?;
        let live = self.request.from.clone();
        let Some(beside) = &self.beside else {
            let text = format!(
                "the release has changed uploaded files, and nothing can take the place of `{}`",
                live.display()
            );
            return Err(Failure::new("tree_is_mount", text).hint(format!(
                "what they were is in the archives in `{note}`: bring back what is missing with `tar --zstd -xf`"
            )));
        };
        let (folder, packed) = (self.request.into.clone(), packed.clone());
        let expected =
            site.trees.unpack(&UnpackTree { folder, packed, into: beside.clone() }, site.tell).await?;
        let other = beside.clone();
        site.trees.exchange(&ExchangeTrees { live: live.clone(), other, expected }).await?;
        if site.trees.inode(&live).await? == Some(expected) {
            return Ok(true);
        }
        let text = format!("`{}` is not the folder that was to take its place", live.display());
        Err(Failure::new("tree_replaced", text).hint("look at it and at what lies beside it"))
    }

    /// Removes both passes; says whether anything was there. What was written down goes first: without it nobody looks for
    /// the passes any more.
    async fn clear(&self, site: Operate<'_>) -> Result<bool, Failure> {
        let mut there = false;
        for path in [self.told.clone(), self.again().into, self.request.into.clone()] {
            if !is_there(&path, site.observe()).await? {
                continue;
            }
            let (what, removed) = ("note of the uploaded files".to_owned(), path.clone());
            site.files.remove(&Remove { path: removed, what }).await?;
            if is_there(&path, site.observe()).await? {
                return Err(Failure::new("not_removed", format!("`{}` is still there", path.display()))
                    .hint("see what holds it with `lsof`, then type the command again"));
            }
            there = true;
        }
        Ok(there)
    }
}

fn not_told(why: &str, site: Operate<'_>) -> Undone {
    let what = untold(why);
    site.tell.warn(what.as_str());
    Undone::Restored { what, left: vec![Left::Uploads] }
}

const TOLD: &str = "uploads.json";

async fn noted(told: &Path, site: Observe<'_>) -> Result<Option<Outcome>, Failure> {
    let Some(file) = site.files.read(told).await? else { return Ok(None) };
    serde_json::from_slice(&file.bytes).map_err(|error| {
        Failure::new("not_kept", format!("`{}` is not what was written: {error}", told.display()))
            .hint("compare the uploaded files with a backup: `uplift backup list`")
    })
}

/// Where a run has noted the uploaded files, if it has.
pub(super) async fn noted_by(run: &str, site: Observe<'_>) -> Result<Option<(PathBuf, Packed)>, Failure> {
    let told = site.kept_of(run).join(TOLD);
    let folder = backups::uploads_note(&backups::folder(site.site), run);
    Ok(noted(&told, site).await?.map(|noted| (folder, noted.packed)))
}

/// A file, or a folder with something in it.
async fn is_there(path: &Path, site: Observe<'_>) -> Result<bool, Failure> {
    Ok(site.files.size(path).await?.is_some() || !site.files.list(path).await?.is_empty())
}
