//! Two folders that change names in one moment, and what must be known before.
#![expect(clippy::disallowed_methods, reason = "the clients rename files")]

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, RenameFlags, StatxAttributes, StatxFlags, Timespec, Timestamps, futimens,
        renameat_with, statx,
    },
    io::Errno,
};

use super::walk::{MARK, missing};
use crate::{
    clients::files::writing,
    event::Failure,
    ports::{files::quoted, trees::ExchangeTrees},
};

pub(super) fn inode(path: &Path) -> Result<Option<u64>, Failure> {
    match fs::metadata(path) {
        Ok(about) => Ok(about.is_dir().then(|| about.ino())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(reading(path, &error)),
    }
}

fn reading(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    if error.kind() == ErrorKind::PermissionDenied {
        return Failure::new("permission_denied", format!("`{shown}` may not be read"))
            .hint("run it again with `sudo`");
    }
    Failure::new("file_failed", format!("`{shown}` cannot be read: {}", error.to_string().to_lowercase()))
}

/// A new name beside the folder itself, also where it is named through a symlink.
pub(super) fn beside(live: &Path, name: &str) -> Result<PathBuf, Failure> {
    if inode(live)?.is_none() {
        return Err(missing(live));
    }
    let real = fs::canonicalize(live).map_err(|error| reading(live, &error))?;
    let parent = real.parent().ok_or_else(|| is_mount(live))?;
    if is_mount_point(&real, parent).map_err(|error| reading(live, &error))? {
        return Err(is_mount(live));
    }
    Ok(parent.join(name))
}

fn is_mount(live: &Path) -> Failure {
    let text = format!("`{}` is a mount point: nothing can take its place", live.display());
    Failure::new("tree_is_mount", text).hint(format!("see what is mounted there: `findmnt {}`", quoted(live)))
}

/// A folder that is mounted to another place of the same file system has the same device as the one above it: only
/// the kernel knows.
fn is_mount_point(path: &Path, parent: &Path) -> io::Result<bool> {
    let about = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
    if about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    Ok(fs::metadata(path)?.dev() != fs::metadata(parent)?.dev())
}

pub(super) fn exchange(request: &ExchangeTrees) -> Result<(), Failure> {
    let other = &request.other;
    // A link to the live folder stays, and leads to the new one.
    let live = fs::canonicalize(&request.live).unwrap_or_else(|_| request.live.clone());
    let there = inode(&live)?;
    if there != Some(request.expected) {
        if inode(other)? != Some(request.expected) {
            let text = format!("`{}` is not the folder that was made to take its place", other.display());
            return Err(Failure::new("tree_replaced", text).hint("see what is there: `ls -la`"));
        }
        unmark(other).map_err(|error| writing(other, &error))?;
        let how = if there.is_some() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, other, CWD, &live, how).map_err(|error| refused(&live, other, error))?;
    }
    for path in [&live, other] {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| writing(folder, &error))?;
    }
    Ok(())
}

/// From here on it is a tree that people work with. Its time stays what it was.
fn unmark(folder: &Path) -> io::Result<()> {
    let about = fs::metadata(folder)?;
    match fs::remove_file(folder.join(MARK)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(about.atime(), about.atime_nsec()),
        last_modification: time(about.mtime(), about.mtime_nsec()),
    };
    Ok(futimens(&File::open(folder)?, &times)?)
}

fn refused(live: &Path, other: &Path, error: Errno) -> Failure {
    match error {
        Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => {
            let text = format!(
                "the file system of `{}` cannot give two folders each other's name in one moment",
                live.display()
            );
            let (live, other) = (quoted(live), quoted(other));
            Failure::new("exchange_unsupported", text).hint(format!(
                "while nothing uses it: `mv {live} {other}.was && mv {other} {live} && mv {other}.was {other}`, and go on"
            ))
        }
        Errno::BUSY | Errno::XDEV => is_mount(live),
        error => writing(live, &error.into()),
    }
}
