//! How far the journal had come, noted beside it whenever the lock is taken or given back: a journal that somebody has put
//! back from an older copy knows less than that. A run that it calls unfinished may be over, and what it never heard of may
//! have been done. Where the note is put back with it, nobody can tell.
#![expect(clippy::disallowed_methods, reason = "the journal owns its folder, its database and its locks")]

use std::{fs, io::Write as _};

use serde::{Deserialize, Serialize};

use super::{Folder, JournalError, Reader};

const NAME: &str = "journal.mark";

/// The version of the form.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    format: u32,
    /// Takings of the lock.
    epoch: i64,
    /// Commits of runs.
    commits: i64,
}

/// Refuses a journal that knows less than was noted. One that is missing altogether is begun anew: who lost it is told so
/// by what it has left.
pub(super) fn check(
    folder: &Folder,
    counts: impl FnOnce() -> Result<(i64, i64), JournalError>,
) -> Result<(), JournalError> {
    let Some(mark) = read(folder) else { return Ok(()) };
    // Read after the note: the journal only grows.
    let (epoch, commits) = counts()?;
    if mark.epoch <= epoch && mark.commits <= commits {
        return Ok(());
    }
    Err(JournalError::Older {
        path: folder.journal(),
        mark: folder.path().join(NAME),
        takings: (epoch, mark.epoch),
        commits: (commits, mark.commits),
    })
}

/// Notes how far the journal has come. Where that cannot be written an older copy will not be noticed, which is no reason
/// to keep anybody from going back.
pub(super) fn note(folder: &Folder) {
    let _unnoticed = try_note(folder);
}

fn try_note(folder: &Folder) -> Result<(), JournalError> {
    let Some(reader) = Reader::open(folder)? else { return Ok(()) };
    let (epoch, commits) = reader.counts()?;
    let text = serde_json::json!(Mark { format: FORMAT, epoch, commits }).to_string();
    let beside = format!("{NAME}.partial");
    let mut file = folder.own_file(&beside)?;
    let (from, to) = (folder.path().join(&beside), folder.path().join(NAME));
    // An older note is better than half of a newer one.
    let mut write = || {
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&from, &to)
    };
    write().map_err(JournalError::io("write", &to))
}

/// What was noted of a journal that is gone says nothing of the one that takes its place.
pub(super) fn forget(folder: &Folder) {
    let _none = fs::remove_file(folder.path().join(NAME));
}

/// `None` where nothing was noted, or only half of it when the machine died.
fn read(folder: &Folder) -> Option<Mark> {
    let text = fs::read(folder.path().join(NAME)).ok()?;
    serde_json::from_slice(&text).ok().filter(|mark: &Mark| mark.format == FORMAT)
}
