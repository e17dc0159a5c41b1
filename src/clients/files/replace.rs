//! Whether a file could be replaced, found out without a write.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use rustix::{
    fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags, accessat, statx},
    process::{getegid, geteuid, getgroups},
};

use super::{
    failed::{reading, writing},
    is_absent,
    write::behind_links,
};
use crate::{event::Failure, ports::files::quoted};

/// Fails with what `write` would meet at `path`: another file takes its place there, with its owner.
pub(super) fn replaceable(path: &Path) -> Result<(), Failure> {
    let path = behind_links(path);
    let mut folder = path.parent().unwrap_or(Path::new("/"));
    while let (false, Some(above)) = (folder.exists(), folder.parent()) {
        folder = above;
    }
    for one in [&path, folder] {
        held_by_its_marks(&path, one)?;
    }
    accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|error| writing(&path, &error.into()))?;
    match fs::metadata(&path) {
        Ok(about) if about.is_dir() => Err(writing(&path, &io::ErrorKind::IsADirectory.into())),
        Ok(about) if !may_give_to(about.uid(), about.gid()) => {
            Err(writing(&path, &io::ErrorKind::PermissionDenied.into()))
        }
        Err(error) if !is_absent(&error) => Err(reading(&path, &error)),
        _ => Ok(()),
    }
}

/// Root replaces no file that is marked so, and nobody one that is a mount of its own.
fn held_by_its_marks(path: &Path, at: &Path) -> Result<(), Failure> {
    // Where the file system does not tell, the write will.
    let Ok(about) = statx(CWD, at, AtFlags::empty(), StatxFlags::BASIC_STATS) else { return Ok(()) };
    let marks = about.stx_attributes;
    let refused = |why: String, hint: String| {
        let text = format!("`{}` cannot be replaced: {why}", path.display());
        Err(Failure::new("not_replaceable", text).hint(hint))
    };
    if marks.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        let why = format!("`{}` is marked so that nobody changes it", at.display());
        return refused(
            why,
            format!("take the mark away for as long as this takes: `chattr -ia {}`", quoted(at)),
        );
    }
    if at == path && marks.contains(StatxAttributes::MOUNT_ROOT) {
        let hint = "mount the folder that it lies in instead, or let a link to the file lie there";
        return refused("it is a mount of its own".to_owned(), hint.to_owned());
    }
    Ok(())
}

/// Whether this process may make a file of that owner.
fn may_give_to(uid: u32, gid: u32) -> bool {
    let groups = || getgroups().unwrap_or_default();
    let own_group = || getegid().as_raw() == gid || groups().iter().any(|group| group.as_raw() == gid);
    geteuid().is_root() || (geteuid().as_raw() == uid && own_group())
}
