use std::{io, os::unix::ffi::OsStrExt as _, path::Path};

use super::entry::shown;
use crate::{clients::files::unread, event::Failure, ports::files::not_unpacked};

/// Something of a set is not what was written; `why` names the place.
pub(super) fn damaged(path: &Path, why: &str) -> Failure {
    let text = format!("`{}` is not what was written: {why}", path.display());
    Failure::new("set_damaged", text).hint("do not rely on this backup; make a new one")
}

/// Something of a set cannot be read to its end; `at` names the place.
pub(super) fn broken(path: &Path, at: &str, error: &io::Error) -> Failure {
    unread(path, error).unwrap_or_else(|| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "it is missing".to_owned(),
            _ => not_unpacked(error),
        };
        damaged(path, &if at.is_empty() { why } else { format!("{at}: {why}") })
    })
}

/// Something of a tree cannot be read. A copy without it would be no copy.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = shown(path.as_os_str().as_bytes());
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::new("unreadable_file", format!("`{shown}` cannot be read: permission denied"))
            .hint("run it again with `sudo`");
    }
    let why = error.to_string().to_lowercase();
    Failure::new("unreadable_file", format!("`{shown}` cannot be read: {why}"))
        .hint("look at the disk with `dmesg`, and at the file's own history; a backup needs all files")
}

/// Whoever asked for the work listens no more.
pub(super) fn stopped() -> Failure {
    Failure::new("stopped", "the work was stopped").hint("type the command again")
}
