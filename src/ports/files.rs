//! Files and folders on the host where uplift runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::event::{Change, Failure, Write};

/// Where a host keeps units, timers and timed jobs.
pub const UNITS: [&str; 9] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
];

/// The timed jobs that lie in no folder.
pub const CRONTAB: &str = "/etc/crontab";

/// The group of the folder, where the writer may name that; else the one that a new file gets by itself.
pub const OWN_GROUP: u32 = u32::MAX;

/// A file as it is. The content may hold secrets: it never goes into a journal.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    pub bytes: Vec<u8>,
    /// Permission bits, e.g. `0o600`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Room on the file system that holds a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes that an ordinary user may still write.
    pub free: u64,
    pub total: u64,
    /// Equal for paths on the same file system.
    pub device: u64,
    /// NFS, SMB and their like.
    pub network: bool,
}

/// Replaces a file as a whole or makes it: written beside it, synced, renamed.
#[derive(Clone, PartialEq, Eq)]
pub struct WriteFile {
    pub path: PathBuf,
    pub file: File,
    /// What the file is, in a few words for the plan.
    pub what: String,
}

/// Copies a file; refuses to replace one with other content. Where root makes it, the copy belongs to the owner of the
/// folder that it goes into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyFile {
    pub from: PathBuf,
    pub to: PathBuf,
    pub mode: u32,
    pub what: String,
}

/// Makes a folder with its parents, 0700 where it is new; nothing if it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeFolder {
    pub path: PathBuf,
    pub what: String,
}

/// Removes a file or a whole folder that uplift made; nothing if it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    pub path: PathBuf,
    pub what: String,
}

/// Gives a finished file or folder its final name; fails if that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub from: PathBuf,
    pub to: PathBuf,
    pub what: String,
}

/// How far a growing file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which file it was: another may have its name by now.
    pub file: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// What has come to a growing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    pub bytes: Vec<u8>,
    pub position: Position,
    /// It was begun anew since: these bytes do not follow those that were read before.
    pub again: bool,
}

/// What lies at a path and below it, as a look at the disk tells it. Nothing is opened, and no link is followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lies {
    /// Lengths of its files.
    pub bytes: u64,
    /// Who owns the path itself: user and group id.
    pub owner: (u32, u32),
    /// What is neither a plain file nor a folder of the same file system: links, pipes, mounts.
    pub strange: Vec<PathBuf>,
}

#[async_trait]
pub trait FilesRead: Send + Sync {
    /// `None` if there is none; `permission_denied` with the fix if it cannot be read.
    async fn read(&self, path: &Path) -> Result<Option<File>, Failure>;
    /// BLAKE3 of the content as 64 hex digits; read as a stream. `None` if there is no such file.
    async fn hash(&self, path: &Path) -> Result<Option<String>, Failure>;
    /// Length in bytes; `None` if there is no such file.
    async fn size(&self, path: &Path) -> Result<Option<u64>, Failure>;
    /// Names in a folder, sorted; empty if there is no such folder.
    async fn list(&self, path: &Path) -> Result<Vec<String>, Failure>;
    /// User and group id of whoever owns what lies there; `None` if nothing does. Nothing below it is looked at.
    async fn owner(&self, path: &Path) -> Result<Option<(u32, u32)>, Failure>;
    /// What lies there and below; `None` if nothing does.
    async fn lies(&self, path: &Path) -> Result<Option<Lies>, Failure>;
    /// The path with every link in it followed; as it is, where nothing is there.
    async fn real(&self, path: &Path) -> Result<PathBuf, Failure>;
    /// Fails with the reason why [`Files::write`] could not replace the file at `path`, or make it: a folder that may not be
    /// written to, another owner, a mount of its own, a mark (`not_replaceable`). Nothing is written for it.
    async fn replaceable(&self, path: &Path) -> Result<(), Failure>;
    /// Room where `path` is or, if it does not exist, where it would be.
    async fn space(&self, path: &Path) -> Result<Space, Failure>;
    /// What has come to a growing file after `from`, as much as is read at once; from its beginning where it is another
    /// file by now, or a shorter one. `None` if there is no such file.
    async fn grown(&self, path: &Path, from: Option<Position>) -> Result<Option<Grown>, Failure>;
}

#[async_trait]
pub trait Files: FilesRead {
    async fn write(&self, request: &WriteFile) -> Result<(), Failure>;
    async fn copy(&self, request: &CopyFile) -> Result<(), Failure>;
    async fn make_folder(&self, request: &MakeFolder) -> Result<(), Failure>;
    async fn remove(&self, request: &Remove) -> Result<(), Failure>;
    async fn rename(&self, request: &Rename) -> Result<(), Failure>;
    /// A log of lines (0600, its folder 0700), made with its first line.
    fn log(&self, path: &Path) -> Arc<dyn LineLog>;
}

impl WriteFile {
    /// `before` is the file as it is now; `diff` is made by the caller, who knows what in it is secret.
    #[must_use]
    pub fn change(&self, before: Option<&File>, diff: &str) -> Write {
        let path = self.path.display().to_string();
        let change = match before {
            Some(_) => Change::File { path, diff: diff.to_owned() },
            None => {
                Change::Added { path, bytes: Some(self.file.bytes.len() as u64), what: self.what.clone() }
            }
        };
        Write { change, shell: before.map(|_| format!("\"${{EDITOR:-vi}}\" {}", quoted(&self.path))) }
    }
}

impl CopyFile {
    #[must_use]
    pub fn change(&self, bytes: Option<u64>) -> Write {
        let change = Change::Added { path: self.to.display().to_string(), bytes, what: self.what.clone() };
        Write {
            change,
            shell: Some(format!("install -m {:o} {} {}", self.mode, quoted(&self.from), quoted(&self.to))),
        }
    }
}

impl MakeFolder {
    #[must_use]
    pub fn change(&self) -> Write {
        let change =
            Change::Added { path: self.path.display().to_string(), bytes: None, what: self.what.clone() };
        Write { change, shell: Some(format!("install -d -m 700 {}", quoted(&self.path))) }
    }
}

impl Remove {
    #[must_use]
    pub fn change(&self) -> Write {
        let change = Change::Removed { path: self.path.display().to_string(), what: self.what.clone() };
        Write { change, shell: Some(format!("rm -rf {}", quoted(&self.path))) }
    }
}

impl Rename {
    #[must_use]
    pub fn change(&self) -> Write {
        let change =
            Change::Added { path: self.to.display().to_string(), bytes: None, what: self.what.clone() };
        Write { change, shell: Some(format!("mv -T {} {}", quoted(&self.from), quoted(&self.to))) }
    }
}

/// What is wrong with a compressed file by what the unpacking of it says, whose own words name nothing that a reader knows:
/// it ends too early, or other bytes stand in it than were written.
#[must_use]
pub fn not_unpacked(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it is damaged, it ends too early".to_owned(),
        // What the system says of a file or a disk stays what it is, and so do our own words.
        std::io::ErrorKind::Other if error.raw_os_error().is_none() => {
            "it is damaged and cannot be unpacked".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A path as a POSIX shell reads it back.
#[must_use]
pub fn quoted(path: &Path) -> String {
    quote(&path.display().to_string())
}

/// Any text as a POSIX shell reads it back.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A growing file of lines that is never read back by the one who writes it.
pub trait LineLog: Send + Sync {
    /// Appends a line. What cannot be written is lost: a log must not stop the work that it is about.
    fn line(&self, text: &str);
}
