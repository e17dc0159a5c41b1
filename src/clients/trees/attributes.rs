//! Owners, modes, times and extended attributes: read from what is open, given to what was made.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chownat, fchmod, fchown,
        fgetxattr, flistxattr, fsetxattr, futimens, lgetxattr, llistxattr, lsetxattr, utimensat,
    },
    io::Errno,
};

use super::entry::{Attribute, Entry, Moment, shown};
use crate::event::Teller;

/// More than any file system has of them.
const MOST: usize = 64 << 10;

pub(super) fn of_open(open: impl AsFd) -> io::Result<Vec<Attribute>> {
    read(|names| flistxattr(&open, names), |name, value| fgetxattr(&open, name, value))
}

/// Those of the link itself.
pub(super) fn of_link(path: &Path) -> io::Result<Vec<Attribute>> {
    read(|names| llistxattr(path, names), |name, value| lgetxattr(path, name, value))
}

fn read(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<Attribute>> {
    // Nearly always there is none, and most file systems say so without looking into the buffer.
    let mut small = [0; 256];
    let names = match list(&mut small) {
        Ok(length) => small[..length].to_vec(),
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            let mut names = vec![0; MOST];
            let length = list(&mut names)?;
            names.truncate(length);
            names
        }
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; MOST];
        match get(name, &mut value) {
            Ok(length) => value.truncate(length),
            // Gone since, or listed and not for us.
            Err(Errno::NODATA | Errno::NOTSUP) => continue,
            Err(error) => return Err(error.into()),
        }
        found.push(Attribute { name: name.to_vec(), value });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

/// Gives what was made what its line in the index says, and remembers which extended attributes were refused.
#[derive(Default)]
pub(super) struct Dresser {
    refused: BTreeMap<Vec<u8>, (u64, String)>,
}

impl Dresser {
    pub(super) fn open(&mut self, open: &File, entry: &Entry) -> io::Result<()> {
        let now = open.metadata()?;
        if (now.uid(), now.gid()) != (entry.uid, entry.gid) {
            fchown(open, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
        }
        // After the owner, whose change takes bits away.
        fchmod(open, Mode::from_raw_mode(entry.mode))?;
        for one in &entry.xattrs {
            self.judge(entry, one, fsetxattr(open, &*one.name, &one.value, XattrFlags::empty()))?;
        }
        Ok(futimens(open, &times(entry.mtime))?)
    }

    /// A link has no mode of its own.
    pub(super) fn link(&mut self, path: &Path, entry: &Entry) -> io::Result<()> {
        let now = std::fs::symlink_metadata(path)?;
        if (now.uid(), now.gid()) != (entry.uid, entry.gid) {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        for one in &entry.xattrs {
            self.judge(entry, one, lsetxattr(path, &*one.name, &one.value, XattrFlags::empty()))?;
        }
        Ok(utimensat(CWD, path, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// A label that this host does not know is no reason to leave people without their files; it is told.
    fn judge(&mut self, entry: &Entry, one: &Attribute, set: rustix::io::Result<()>) -> io::Result<()> {
        match set {
            Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => {
                let of = self.refused.entry(one.name.clone()).or_insert_with(|| (0, shown(&entry.path)));
                of.0 += 1;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    pub(super) fn tell(&self, tell: &Teller) {
        for (name, (count, first)) in &self.refused {
            let name = shown(name);
            tell.warn(format!(
                "the attribute `{name}` could not be set on {count} of the files, first `{first}`"
            ));
        }
    }
}

pub(super) fn times(mtime: Moment) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.0, tv_nsec: mtime.1.into() },
    }
}
