#![expect(clippy::disallowed_methods, reason = "the journal owns its folder, its database and its locks")]

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Gid, OFlags, Uid, fchown, fstatfs},
    io::Errno,
    process::geteuid,
};

use super::{JournalError, processes};
use crate::ports::{files::quote, mount};

/// The state folder of one site: `.uplift` in the site folder unless the settings say otherwise.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    owner: (u32, u32),
}

impl Folder {
    /// The state folder at `path`, if there is one. Only looks.
    #[must_use]
    pub fn find(path: &Path) -> Option<Self> {
        let path = fs::canonicalize(path).ok()?;
        let about = fs::metadata(&path).ok().filter(fs::Metadata::is_dir)?;
        Some(Self { path, owner: (about.uid(), about.gid()) })
    }

    /// The state folder at `path`, made (0700) if there is none, and fit to hold a journal: on a local disk, owned
    /// by the owner of the site folder, and that is who we are, or root.
    pub fn prepare(path: &Path) -> Result<Self, JournalError> {
        let found = match fs::symlink_metadata(path) {
            Ok(about) => Some(about),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(JournalError::io("look at", path)(error)),
        };
        // As root, following a link that somebody else has put there would give away any folder of the system.
        if let Some(about) = &found
            && !about.is_dir()
        {
            let what = if about.is_symlink() { "a link" } else { "a file" };
            return Err(JournalError::NotOurs { path: path.to_owned(), what: what.to_owned() });
        }
        let site = parent(path)?;
        let place = found.as_ref().map_or(site.as_path(), |_| path);
        let about = fs::metadata(place).map_err(JournalError::io("look at", place))?;
        // First, because a stranger may not even open it, and would be told that instead of what to type.
        may_write(place, about.uid())?;
        refuse_network(place)?;
        if found.is_none() {
            DirBuilder::new().mode(0o700).create(path).map_err(JournalError::io("make", path))?;
        }
        let folder = Self { path: path.to_owned(), owner: (about.uid(), about.gid()) };
        folder.settle(found.is_none())?;
        let path = fs::canonicalize(path).map_err(JournalError::io("look at", path))?;
        Ok(Self { path, ..folder })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.db")
    }

    /// Why the folder's files cannot be looked at: as a rule because they are somebody else's.
    pub(super) fn unreadable(&self, error: io::Error) -> JournalError {
        match may_write(&self.path, self.owner.0) {
            Err(stranger) if error.kind() == io::ErrorKind::PermissionDenied => stranger,
            _ => JournalError::io("read", self.journal())(error),
        }
    }

    /// Opens a file of ours in the folder, making it 0600 and the owner's; a link in its place is refused.
    pub(super) fn own_file(&self, name: &str) -> Result<File, JournalError> {
        let file =
            ours().create(true).open(self.path.join(name)).map_err(|error| self.cannot(name, error))?;
        self.give(&file).map_err(JournalError::io("give its owner", self.path.join(name)))?;
        Ok(file)
    }

    /// As [`Self::own_file`], but leaves a file that is there alone. For the database: closing any descriptor of
    /// it would drop the locks that `SQLite` holds on it elsewhere in this process.
    pub(super) fn make_file(&self, name: &str) -> Result<(), JournalError> {
        match ours().create_new(true).open(self.path.join(name)) {
            Ok(file) => self.give(&file).map_err(JournalError::io("give its owner", self.path.join(name))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.refuse_link(name),
            Err(error) => Err(self.cannot(name, error)),
        }
    }

    fn refuse_link(&self, name: &str) -> Result<(), JournalError> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|about| about.is_symlink()) {
            return Err(JournalError::NotOurs { path, what: "a link".to_owned() });
        }
        Ok(())
    }

    fn cannot(&self, name: &str, error: io::Error) -> JournalError {
        let path = self.path.join(name);
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) => JournalError::NotOurs { path, what: "a link".to_owned() },
            Some(Errno::NOSPC | Errno::DQUOT) => JournalError::NoRoom { path: self.path.clone() },
            _ => JournalError::Io { what: "open", path, source: error },
        }
    }

    /// Narrows the folder to 0700 and, when it was made by root, gives it to the site folder's owner.
    fn settle(&self, new: bool) -> Result<(), JournalError> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed())
            .open(&self.path)
            .map_err(JournalError::io("open", &self.path))?;
        if new {
            self.give(&opened).map_err(JournalError::io("give its owner", &self.path))?;
        }
        let mode = opened.metadata().map_err(JournalError::io("look at", &self.path))?.mode();
        if mode & 0o077 != 0 {
            let narrow = fs::Permissions::from_mode(0o700);
            opened.set_permissions(narrow).map_err(JournalError::io("protect", &self.path))?;
        }
        Ok(())
    }

    /// Root works for the owner, and must not leave files behind that the owner cannot open.
    fn give(&self, file: &File) -> io::Result<()> {
        let (uid, gid) = self.owner;
        let about = file.metadata()?;
        if geteuid().is_root() && (about.uid(), about.gid()) != (uid, gid) {
            fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(())
    }
}

fn ours() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn parent(path: &Path) -> Result<PathBuf, JournalError> {
    let absolute = std::path::absolute(path).map_err(JournalError::io("look at", path))?;
    Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))
}

fn refuse_network(path: &Path) -> Result<(), JournalError> {
    let opened = File::open(path).map_err(JournalError::io("open", path))?;
    let magic = fstatfs(&opened).map_err(|error| JournalError::io("look at", path)(error.into()))?.f_type;
    let kind = processes::mount_of(&opened).map(|(kind, _, _)| kind).unwrap_or_default();
    match mount::network(magic.cast_unsigned(), &kind) {
        Some(kind) => Err(JournalError::NetworkMount { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

fn may_write(path: &Path, owner: u32) -> Result<(), JournalError> {
    let user = geteuid();
    if user.is_root() || user.as_raw() == owner {
        return Ok(());
    }
    let command: Vec<String> = std::env::args().map(|word| quote(&word)).collect();
    Err(JournalError::NotOwner {
        path: path.to_owned(),
        owner: processes::user_name(owner),
        user: processes::user_name(user.as_raw()),
        sudo: format!("sudo {}", command.join(" ")),
    })
}
