//! How far the journal had come, noted beside it whenever the lock is taken or given back: a journal that somebody has put
//! back from an older copy knows less than that. A run that it calls unfinished may be over, and what it never heard of may
//! have been done. The backups have a second note: whoever keeps copies of the rest of the folder, or of the disk that it
//! lies on, as a rule leaves them out. Where both are put back, nobody can tell.
#![expect(clippy::disallowed_methods, reason = "the journal owns its folder, its database and its locks")]

use std::{fs, io::Write as _};

use rustix::system::uname;
use serde::{Deserialize, Serialize};

use super::{Folder, JournalError, Reader};

/// In the state folder, and in the folder of the backups where there is one: hidden there, among names that people list.
const NAMES: [&str; 2] = ["journal.mark", "backups/.journal.mark"];

/// The version of the form.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    format: u32,
    /// Host and state folder: backups that were brought from another site say nothing of the journal of this one. Empty in
    /// what an older uplift wrote, which had no note but the one beside the journal.
    #[serde(default)]
    of: String,
    /// Takings of the lock.
    epoch: i64,
    /// Commits of runs.
    commits: i64,
}

/// Refuses to begin a journal anew where one was: a run may be in its middle, and nothing would say so. What was noted with
/// the backups alone keeps nobody from it: they may have come to a host that has lost everything.
pub(super) fn check_gone(folder: &Folder) -> Result<(), JournalError> {
    match read(folder, NAMES[0]) {
        Some(Mark { epoch, commits, .. }) => Err(JournalError::Gone {
            path: folder.journal(),
            mark: folder.path().join(NAMES[0]),
            takings: epoch,
            commits,
        }),
        None => Ok(()),
    }
}

/// Refuses a journal that knows less than was noted.
pub(super) fn check(
    folder: &Folder,
    counts: impl FnOnce() -> Result<(i64, i64), JournalError>,
) -> Result<(), JournalError> {
    let marks: Vec<_> = NAMES.iter().filter_map(|name| Some((*name, read(folder, name)?))).collect();
    if marks.is_empty() {
        return Ok(());
    }
    // Read after the notes: the journal only grows.
    let (epoch, commits) = counts()?;
    let ahead: Vec<_> =
        marks.into_iter().filter(|(_, mark)| mark.epoch > epoch || mark.commits > commits).collect();
    let most = |of: fn(&Mark) -> i64| ahead.iter().map(|(_, mark)| of(mark)).max();
    match (most(|mark| mark.epoch), most(|mark| mark.commits)) {
        (Some(takings), Some(noted)) => Err(JournalError::Older {
            path: folder.journal(),
            takings: (epoch, takings),
            commits: (commits, noted),
            marks: ahead.into_iter().map(|(name, _)| folder.path().join(name)).collect(),
        }),
        _ => Ok(()),
    }
}

/// Notes how far the journal has come. Where that cannot be written an older copy will not be noticed, which is no reason
/// to keep anybody from going back.
pub(super) fn note(folder: &Folder, (epoch, commits): (i64, i64)) {
    let mark = Mark { format: FORMAT, of: of(folder), epoch, commits };
    for name in NAMES {
        let _unnoticed = write(folder, name, &mark);
    }
}

/// The same with what the journal says by now.
pub(super) fn note_now(folder: &Folder) {
    if let Ok(Some(counts)) = Reader::open(folder).and_then(|found| found.map(|one| one.counts()).transpose())
    {
        note(folder, counts);
    }
}

fn of(folder: &Folder) -> String {
    format!("{}:{}", uname().nodename().to_string_lossy(), folder.path().display())
}

fn write(folder: &Folder, name: &str, mark: &Mark) -> Result<(), JournalError> {
    let beside = format!("{name}.partial");
    let mut file = folder.own_file(&beside)?;
    let (from, to) = (folder.path().join(&beside), folder.path().join(name));
    // An older note is better than half of a newer one.
    let mut write = || {
        file.set_len(0)?;
        file.write_all(serde_json::json!(mark).to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(&from, &to)
    };
    write().map_err(JournalError::io("write", &to))
}

/// What was noted of a journal that is gone says nothing of the one that takes its place.
pub(super) fn forget(folder: &Folder) {
    for name in NAMES {
        let _none = fs::remove_file(folder.path().join(name));
    }
}

/// `None` where nothing was noted of this journal, or only half of it when the machine died.
fn read(folder: &Folder, name: &str) -> Option<Mark> {
    let text = fs::read(folder.path().join(name)).ok()?;
    let mark: Mark = serde_json::from_slice(&text).ok()?;
    // Beside the journal it is about that one, wherever the folder was moved to.
    let own = name == NAMES[0] || mark.of == of(folder);
    (mark.format == FORMAT && own).then_some(mark)
}
