#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs::{self, DirBuilder, File as Open, OpenOptions, Permissions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::failed::{missing, taken, writing};
use crate::{event::Failure, ports::files::OWN_GROUP};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A file in the making, beside the place where it will be. Removed unless it takes that place.
pub(super) struct Beside {
    at: PathBuf,
    place: PathBuf,
    open: Open,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _moved = fs::remove_file(&self.at);
    }
}

impl Beside {
    pub(super) fn new(place: &Path) -> Result<Self, Failure> {
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let at = place.with_file_name(format!(".{name}.uplift-{}-{number}", std::process::id()));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at);
        let open = made.map_err(|error| writing(place, &error))?;
        Ok(Self { at, place: place.to_owned(), open })
    }

    /// Writes all of `content`, gives it the mode and, where one is named, the owner, and waits until the disk has it.
    pub(super) fn filled(
        mut self,
        content: &mut impl Read,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, Failure> {
        let mut work = || {
            io::copy(content, &mut self.open)?;
            let now = self.open.metadata()?;
            match owner.filter(|owner| *owner != (now.uid(), now.gid())) {
                Some((uid, OWN_GROUP)) => {
                    let group =
                        self.place.parent().and_then(|folder| fs::metadata(folder).ok()?.gid().into());
                    match fchown(&self.open, Some(uid), group) {
                        // Only root may name every group.
                        Err(error) if error.kind() == ErrorKind::PermissionDenied && uid == now.uid() => {}
                        given => given?,
                    }
                }
                Some((uid, gid)) => fchown(&self.open, Some(uid), Some(gid))?,
                None => {}
            }
            // After the owner, whose change takes bits away.
            self.open.set_permissions(Permissions::from_mode(mode))?;
            self.open.sync_all()
        };
        work().map_err(|error| writing(&self.place, &error))?;
        Ok(self)
    }

    /// Takes its place, whatever is there.
    pub(super) fn replace(self) -> Result<(), Failure> {
        fs::rename(&self.at, &self.place).map_err(|error| writing(&self.place, &error))?;
        synced_folder(&self.place)
    }

    /// Takes its place if that is free.
    pub(super) fn keep(self) -> Result<(), Failure> {
        into_free_place(&self.at, &self.place)?;
        synced_folder(&self.place)
    }
}

/// Who is to have what root makes at `path`: the owner of its folder. `None` for anybody else, who has it already, and
/// could not give it away.
pub(super) fn heir(path: &Path) -> Option<(u32, u32)> {
    let folder = path.parent().filter(|_| rustix::process::geteuid().is_root())?;
    fs::metadata(folder).ok().map(|about| (about.uid(), about.gid()))
}

/// A new file, empty, 0600, of the folder's owner; what an earlier try left there goes. Never what a link leads to: as root
/// that would give away any file of the system.
pub(in crate::clients) fn fresh(path: &Path) -> io::Result<Open> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some((uid, gid)) = heir(path) {
        match fchown(&open, Some(uid), Some(gid)) {
            // Some file systems of the network know no other owner than their own.
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(open)
}

/// Where a file really lies: a link to it must stay a link.
pub(super) fn behind_links(path: &Path) -> PathBuf {
    let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
    let real = if is_link { fs::canonicalize(path).ok() } else { None };
    real.unwrap_or_else(|| path.to_owned())
}

pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => return Ok(()),
        Ok(_) => return Err(taken(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(writing(path, &error)),
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        // Somebody else was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        Err(error) => return Err(writing(path, &error)),
    }
    if rustix::process::geteuid().is_root()
        && let Some(about) = above.and_then(|above| fs::metadata(above).ok())
    {
        chown(path, Some(about.uid()), Some(about.gid())).map_err(|error| writing(path, &error))?;
    }
    synced_folder(path)
}

pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => synced_folder(path),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(writing(path, &error)),
    }
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(from).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Err(missing(from));
    }
    into_free_place(from, to)?;
    synced_folder(to)?;
    if from.parent() == to.parent() { Ok(()) } else { synced_folder(from) }
}

/// Renames without ever replacing anything, in one step of the kernel where the file system can do that.
fn into_free_place(from: &Path, to: &Path) -> Result<(), Failure> {
    let done = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(taken(to));
            }
            fs::rename(from, to)
        }
        other => other.map_err(io::Error::from),
    };
    done.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => taken(to),
        _ => writing(to, &error),
    })
}

/// Waits until the disk knows the names in the folder of `path`.
fn synced_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match Open::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems of the network cannot do it: the name is as safe there as they make it.
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Err(writing(folder, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("shared.env"), folder.path().join(".env"));
        fs::write(&real, "old").unwrap();
        symlink("shared.env", &link).unwrap();
        let beside = Beside::new(&behind_links(&link)).unwrap();
        beside.filled(&mut &b"new"[..], 0o640, heir(&real)).unwrap().replace().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_file_that_was_not_finished_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        drop(Beside::new(&folder.path().join("a")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn new_folders_are_private_and_belong_to_whom_the_one_above_does() {
        let folder = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(4321), Some(4322)).unwrap();
        }
        let above = fs::metadata(folder.path()).unwrap();
        let inner = folder.path().join("a/b");
        make_folder(&inner).unwrap();
        for made in [folder.path().join("a"), inner] {
            let about = fs::metadata(made).unwrap();
            assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (above.uid(), above.gid(), 0o700));
        }
    }

    /// As root, for somebody who will not be root tomorrow; and what a link in its place leads to stays as it is.
    #[test]
    fn a_new_file_is_private_and_belongs_to_whom_its_folder_does() {
        let folder = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(4321), Some(4322)).unwrap();
        }
        let above = fs::metadata(folder.path()).unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("other"));
        fs::write(&other, "mine").unwrap();
        symlink(&other, &path).unwrap();
        fresh(&path).unwrap();
        let about = fs::symlink_metadata(&path).unwrap();
        assert!(about.is_file());
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (above.uid(), above.gid(), 0o600));
        assert_eq!(fs::read(&other).unwrap(), b"mine");
    }

    #[test]
    fn nothing_is_renamed_over_another_thing() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "from").unwrap();
        symlink("nowhere", &to).unwrap();
        assert_eq!(
            rename(&from, &to).unwrap_err().code,
            "file_exists",
            "even a link to nothing is something"
        );
        assert_eq!(fs::read(&from).unwrap(), b"from");
    }
}
