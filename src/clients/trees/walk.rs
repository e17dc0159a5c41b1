//! A tree as it is. Nothing is followed out of it: every path is opened from its folder, without symlinks.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, accessat, openat,
        openat2, readlinkat, statx,
    },
    io::Errno,
};

use super::{
    attributes,
    desk::Desk,
    entry::{Attribute, Entry, Kind, Moment},
    failed::unreadable,
};
use crate::{event::Failure, ports::trees::FILLING};

/// Of a folder that was unpacked and has not taken its place yet.
pub(super) const MARK: &str = ".uplift-unpacked";

pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What the file system says of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    pub(super) kind: FileType,
    /// Permissions, without the kind.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// Bytes that it takes on disk.
    pub(super) taken: u64,
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    pub(super) links: u32,
    pub(super) mtime: Moment,
    pub(super) ctime: Moment,
}

/// One thing in a tree. Files are not opened yet, so their attributes are not known.
pub(super) struct Found {
    pub(super) path: Vec<u8>,
    pub(super) about: About,
    pub(super) xattrs: Vec<Attribute>,
    /// Of a symlink.
    pub(super) to: Vec<u8>,
}

/// A tree's open folder.
pub(super) struct Root {
    pub(super) path: PathBuf,
    open: OwnedFd,
}

/// What a walk leaves out, and what it finds on the way.
#[derive(Default)]
pub(super) struct Walk {
    /// Folders that are not gone into.
    pub(super) not_into: Vec<((u32, u32), u64)>,
    /// Fail at a file that we may not read, although it need not be opened now.
    pub(super) ask_for_access: bool,
    pub(super) vanished: Vec<Vec<u8>>,
    /// Neither file nor folder nor symlink.
    pub(super) skipped: Vec<Vec<u8>>,
}

impl About {
    fn new(of: &Statx) -> Self {
        let mode = u32::from(of.stx_mode);
        Self {
            kind: FileType::from_raw_mode(mode),
            mode: mode & 0o7777,
            uid: of.stx_uid,
            gid: of.stx_gid,
            size: of.stx_size,
            taken: of.stx_blocks.saturating_mul(512),
            device: (of.stx_dev_major, of.stx_dev_minor),
            inode: of.stx_ino,
            links: of.stx_nlink,
            mtime: (of.stx_mtime.tv_sec, of.stx_mtime.tv_nsec),
            ctime: (of.stx_ctime.tv_sec, of.stx_ctime.tv_nsec),
        }
    }

    pub(super) fn of_open(open: impl AsFd) -> io::Result<Self> {
        Ok(Self::new(&statx(open, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?))
    }

    /// Blocks may be given to a file long after it was written.
    pub(super) fn same(&self, other: &Self) -> bool {
        Self { taken: 0, ..*self } == Self { taken: 0, ..*other }
    }

    pub(super) fn identity(&self) -> ((u32, u32), u64) {
        (self.device, self.inode)
    }
}

impl Found {
    /// Its line in the index.
    pub(super) fn entry(&self, is: Kind) -> Entry {
        let About { mode, uid, gid, mtime, .. } = self.about;
        Entry { path: self.path.clone(), mode, uid, gid, mtime, xattrs: self.xattrs.clone(), is }
    }
}

/// It is not there any more, or something else is.
pub(super) fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::STALE)
}

impl Root {
    /// The folder itself may be named through a symlink.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let flags = FOLDER.difference(OFlags::NOFOLLOW);
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(open) => Ok(Self { path: path.to_owned(), open }),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(missing(path)),
            Err(error) => Err(unreadable(path, &error.into())),
        }
    }

    pub(super) fn at(&self, path: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(path))
    }

    /// Opens what lies at a path of the tree, never through a symlink.
    pub(super) fn below(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.open, path, flags, Mode::empty(), within) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => self.by_steps(path, flags),
            other => other,
        }
    }

    fn by_steps(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        let mut here: Option<OwnedFd> = None;
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { FOLDER } else { flags | OFlags::NOFOLLOW };
            let from = here.as_ref().map_or(self.open.as_fd(), AsFd::as_fd);
            here = Some(openat(from, part, flags, Mode::empty())?);
        }
        here.ok_or(Errno::NOENT)
    }

    /// Everything in the tree, in no order; its own folder comes first.
    pub(super) fn walk(
        &self,
        walk: &mut Walk,
        desk: &Desk,
        each: &mut dyn FnMut(Found) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut folders = vec![Vec::new()];
        while let Some(folder) = folders.pop() {
            desk.go_on()?;
            let failed = |error: io::Error| unreadable(&self.at(&folder), &error);
            let open = match self.below(&folder, FOLDER) {
                Ok(open) => open,
                Err(error) if is_gone(error) && !folder.is_empty() => {
                    walk.vanished.push(folder);
                    continue;
                }
                Err(error) => return Err(failed(error.into())),
            };
            let about = About::of_open(&open).map_err(failed)?;
            if walk.not_into.contains(&about.identity()) {
                walk.skipped.push(folder);
                continue;
            }
            let xattrs = attributes::of_open(&open).map_err(failed)?;
            each(Found { path: folder.clone(), about, xattrs, to: Vec::new() })?;
            for name in names(&open).map_err(failed)? {
                let path = if folder.is_empty() { name.clone() } else { [&*folder, b"/", &*name].concat() };
                if path == MARK.as_bytes() || path == FILLING.as_bytes() {
                    continue;
                }
                if let Some(folder) = self.one(&open, &name, path, walk, each)? {
                    folders.push(folder);
                }
            }
        }
        Ok(())
    }

    /// One name in an open folder. Gives it back if it is a folder too.
    fn one(
        &self,
        folder: &OwnedFd,
        name: &[u8],
        path: Vec<u8>,
        walk: &mut Walk,
        each: &mut dyn FnMut(Found) -> Result<(), Failure>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let failed = |error: io::Error| unreadable(&self.at(&path), &error);
        let about = match statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
            Ok(about) => About::new(&about),
            Err(error) if is_gone(error) => {
                walk.vanished.push(path);
                return Ok(None);
            }
            Err(error) => return Err(failed(error.into())),
        };
        let (mut xattrs, mut to) = (Vec::new(), Vec::new());
        match about.kind {
            FileType::Directory => return Ok(Some(path)),
            FileType::RegularFile => {
                if walk.ask_for_access {
                    accessat(folder, name, Access::READ_OK, AtFlags::EACCESS)
                        .map_err(|error| failed(error.into()))?;
                }
            }
            FileType::Symlink => match readlinkat(folder, name, Vec::new()) {
                Ok(text) => {
                    to = text.into_bytes();
                    xattrs = attributes::of_link(&self.at(&path)).unwrap_or_default();
                }
                Err(error) if is_gone(error) || error == Errno::INVAL => {
                    walk.vanished.push(path);
                    return Ok(None);
                }
                Err(error) => return Err(failed(error.into())),
            },
            _ => {
                walk.skipped.push(path);
                return Ok(None);
            }
        }
        each(Found { path, about, xattrs, to })?;
        Ok(None)
    }

    /// A file of the tree for reading, with what it is; `None` if it is no file any more.
    pub(super) fn file(&self, path: &[u8]) -> Result<Option<(File, About)>, Failure> {
        let failed = |error: io::Error| unreadable(&self.at(path), &error);
        // A pipe that took its place would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = match self.below(path, flags) {
            Ok(open) => open,
            Err(error) if is_gone(error) || error == Errno::NXIO => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let about = About::of_open(&open).map_err(failed)?;
        Ok((about.kind == FileType::RegularFile).then(|| (File::from(open), about)))
    }
}

fn names(folder: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

pub(super) fn missing(path: &Path) -> Failure {
    Failure::new("folder_missing", format!("the folder `{}` does not exist", path.display()))
        .hint("mount or make it, or name another")
}
