//! Uploaded files that come back by the note of a run, and those that do not.

use std::path::Path;

use super::standstill::still;
use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        files::Remove,
        trees::{FILLING, FillTree, Lacking},
    },
};

/// How many files are named.
const NAMED: usize = 3;

/// What is to be done about files that are not back.
const ELSEWHERE: &str =
    "rows that name them point to nothing, and only a backup set may hold them: `uplift backup list`";

/// Before and after files were put back.
pub(super) struct PutBack {
    was: Lacking,
    /// `None`: the note cannot be read, so nobody knows.
    left: Option<Lacking>,
    /// What is not back, in a sentence.
    pub(super) not_back: Option<String>,
}

impl PutBack {
    fn unknown(was: Lacking, why: &Failure) -> Self {
        Self { was, left: None, not_back: Some(untold(&why.to_string())) }
    }

    /// Files, and their bytes, that are there again; nothing is said of those that nobody can tell of.
    pub(super) fn back(&self) -> (u64, u64) {
        self.back_of(&self.was)
    }

    /// The same where a first attempt may have put some of them back.
    pub(super) fn back_of(&self, was: &Lacking) -> (u64, u64) {
        self.left.as_ref().map_or((0, 0), |left| {
            (was.files.saturating_sub(left.files), was.bytes.saturating_sub(left.bytes))
        })
    }
}

/// The note itself is at fault, or the disk that it lies on: another attempt finds the same.
pub(super) fn is_damage(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "set_damaged" | "not_kept" | "file_failed")
}

/// What is said where the note cannot be read.
pub(super) fn untold(why: &str) -> String {
    format!("which uploaded files were deleted since cannot be told, as {why}: {ELSEWHERE}")
}

/// What is said of files that nobody looks for.
pub(super) fn out_of_reach(lacking: &Lacking) -> Option<String> {
    let named = named(lacking.unreachable.iter().map(String::as_str), lacking.unreachable.len());
    (!lacking.unreachable.is_empty()).then(|| {
        format!(
            "{} uploaded files of before are not looked for{named}: what was a folder on the way to them is none any more, \
             or leads elsewhere; if they are not there, their rows point to nothing",
            lacking.unreachable.len()
        )
    })
}

fn named<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let first: Vec<_> = names.take(NAMED).map(|name| format!("`{name}`")).collect();
    match (first.len(), count.saturating_sub(first.len())) {
        (0, _) => String::new(),
        (_, 0) => format!(" ({})", first.join(", ")),
        (_, more) => format!(" ({} and {more} more)", first.join(", ")),
    }
}

fn not_back(left: &Lacking, damage: Option<&Failure>) -> Option<String> {
    let mut parts = Vec::new();
    if left.files > 0 {
        let paths = left.paths.keys().filter_map(|path| path.to_str());
        let named = named(paths, usize::try_from(left.files).unwrap_or(usize::MAX));
        let why = damage.map(|failure| format!(", as {failure}")).unwrap_or_default();
        parts.push(format!("{} uploaded files could not be put back{named}{why}: {ELSEWHERE}", left.files));
    }
    parts.extend(out_of_reach(left));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// An attempt that was killed has left it.
pub(super) async fn half_made(live: &Path, site: Observe<'_>) -> Result<bool, Failure> {
    Ok(site.files.size(&live.join(FILLING)).await?.is_some())
}

/// Says whether there was one.
pub(super) async fn remove_half_made(live: &Path, site: Operate<'_>) -> Result<bool, Failure> {
    let there = half_made(live, site.observe()).await?;
    if there {
        still(site.observe()).await?;
        let what = "uploaded file that was put back".to_owned();
        site.files.remove(&Remove { path: live.join(FILLING), what }).await?;
    }
    Ok(there)
}

/// Fills the tree as far as the note is whole, and warns of what is not back. The databases may have changed places
/// already: the site does not stay down for a file that another attempt would not find either.
pub(super) async fn put_back(fill: &FillTree, site: Operate<'_>) -> Result<PutBack, Failure> {
    remove_half_made(&fill.live, site).await?;
    let put = match site.trees.lacking(fill).await {
        Ok(was) if was.files == 0 => PutBack { not_back: not_back(&was, None), left: Some(was.clone()), was },
        Ok(was) => fill_up(fill, was, site).await?,
        Err(failure) if is_damage(&failure) => PutBack::unknown(Lacking::default(), &failure),
        Err(failure) => return Err(failure),
    };
    if let Some(not_back) = &put.not_back {
        site.tell.warn(not_back.as_str());
    }
    Ok(put)
}

async fn fill_up(fill: &FillTree, was: Lacking, site: Operate<'_>) -> Result<PutBack, Failure> {
    still(site.observe()).await?;
    let damage = match site.trees.fill(fill, site.tell).await {
        Ok(()) => None,
        Err(failure) if is_damage(&failure) => Some(failure),
        Err(failure) => return Err(failure),
    };
    Ok(match site.trees.lacking(fill).await {
        Ok(left) => PutBack { was, not_back: not_back(&left, damage.as_ref()), left: Some(left) },
        Err(failure) if is_damage(&failure) => PutBack::unknown(was, &failure),
        Err(failure) => return Err(failure),
    })
}
