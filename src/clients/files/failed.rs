use std::{io, path::Path};

use crate::event::Failure;

/// Why a file could not be read, with what to do.
pub(super) fn reading(path: &Path, error: &io::Error) -> Failure {
    failed(path, "read", error)
}

pub(in crate::clients) fn writing(path: &Path, error: &io::Error) -> Failure {
    failed(path, "written", error)
}

fn failed(path: &Path, verb: &str, error: &io::Error) -> Failure {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Failure::new("permission_denied", format!("`{shown}` may not be {verb}"))
                .hint("run it again with `sudo`")
        }
        io::ErrorKind::IsADirectory => Failure::new("is_a_folder", format!("`{shown}` is a folder"))
            .hint("name a file, or move the folder away"),
        io::ErrorKind::ReadOnlyFilesystem => {
            Failure::new("read_only", format!("`{shown}` lies on a file system that is mounted read-only"))
                .hint("mount it for writing, or choose another folder")
        }
        io::ErrorKind::NotFound => missing(path),
        _ if is_full(error) => no_room(path),
        _ => {
            let why = error.to_string().to_lowercase();
            Failure::new("file_failed", format!("`{shown}` cannot be {verb}: {why}"))
                .hint("look at the disk with `dmesg`, and type the command again")
        }
    }
}

/// Why this host could not read a file of a backup just now; `None` if the error is about what stands in it, or if it is
/// not there. A file that may not be opened, or a disk that is away, says nothing of the backup.
pub(in crate::clients) fn unread(path: &Path, error: &io::Error) -> Option<Failure> {
    error.raw_os_error()?;
    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return None;
    }
    let failure = reading(path, error);
    let hint = "this says nothing of the backup: look at the disk with `dmesg`, and type the command again";
    Some(if failure.code == "file_failed" { failure.hint(hint) } else { failure })
}

/// The disk, or what one user may use of it, is full.
pub(in crate::clients) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(in crate::clients) fn no_room(path: &Path) -> Failure {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    Failure::new("no_room", format!("no space left for `{}`", path.display()))
        .hint(format!("make room there: `df -h {}`", crate::ports::files::quoted(folder)))
}

/// Why a new file could not be made.
pub(in crate::clients) fn not_made(path: &Path, error: &io::Error) -> Failure {
    match folder_in_place(path) {
        Err(failure) => failure,
        Ok(()) => writing(path, error),
    }
}

pub(super) fn missing(path: &Path) -> Failure {
    Failure::new("file_missing", format!("`{}` does not exist", path.display()))
        .hint("put it back, or name another")
}

pub(super) fn taken(path: &Path) -> Failure {
    Failure::new("file_exists", format!("`{}` is there already, with other content", path.display()))
        .hint("look at it, and move it away if it may go")
}

/// Refuses a file whose folder is not there, and a folder where a file would go.
pub(super) fn folder_in_place(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() {
        let text = format!("the folder `{}` does not exist", folder.display());
        return Err(Failure::new("folder_missing", text)
            .hint(format!("make it: `mkdir -p {}`", crate::ports::files::quoted(folder))));
    }
    if path.is_dir() {
        return Err(reading(path, &io::ErrorKind::IsADirectory.into()));
    }
    Ok(())
}
