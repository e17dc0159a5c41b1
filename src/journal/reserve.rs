//! Room that is set aside, so that a full disk cannot keep the last word of a run from being written.
#![expect(clippy::disallowed_methods, reason = "the journal owns its folder, its database and its locks")]

use std::{fs, io::Write as _};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use super::{Folder, JournalError};

const NAME: &str = "journal.reserve";

/// Bytes: about a thousand pages of the write-ahead log, some two hundred commits.
const SIZE: u64 = 4 << 20;

/// Sets the room aside if it is not. Fails with `journal_no_room` if there is none to set aside.
pub(super) fn ensure(folder: &Folder) -> Result<(), JournalError> {
    let path = folder.path().join(NAME);
    if fs::symlink_metadata(&path).is_ok_and(|about| about.is_file() && about.len() == SIZE) {
        return Ok(());
    }
    let mut file = folder.own_file(NAME)?;
    let taken = match fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let block = vec![0_u8; 64 << 10];
            (0..SIZE / (64 << 10)).try_for_each(|_| file.write_all(&block))
        }
        other => other.map_err(Into::into),
    };
    taken.and_then(|()| file.sync_all()).map_err(|error| {
        // Half a reserve only takes room away from others.
        let _ = fs::remove_file(&path);
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                JournalError::NoRoom { path: folder.path().to_owned() }
            }
            _ => JournalError::Io { what: "reserve room in", path, source: error },
        }
    })
}

/// Gives the room back to the file system; true if there was some.
pub(super) fn release(folder: &Folder) -> bool {
    fs::remove_file(folder.path().join(NAME)).is_ok()
}
