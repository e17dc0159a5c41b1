#![expect(clippy::disallowed_methods, reason = "the journal owns its folder, its database and its locks")]

use std::{
    fs::{self, File, TryLockError},
    io::{self, Seek as _, Write as _},
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Folder, JournalError, mark, processes, schema};
use crate::event::moment;

const LOCK: &str = "lock";
const SHOWN: &str = "lock.json";
pub(super) const CHILDREN: &str = "children.lock";

/// Who works on a site, in words for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub run: String,
    pub command: String,
    pub user: String,
    pub host: String,
    pub since: Timestamp,
    /// Filled in by [`Lock::take`].
    #[serde(default)]
    pub pid: u32,
    /// The process id space that `pid` counts in; filled in by [`Lock::take`].
    #[serde(default)]
    pub space: String,
}

impl Holder {
    pub(super) fn in_words(&self) -> String {
        let Self { run, command, user, host, since, pid, .. } = self;
        let run = if run.is_empty() { String::new() } else { format!(" run `{run}`,") };
        let since = moment(*since);
        format!(":{run} `{command}` by `{user}` on `{host}`, process {pid}, since {since}")
    }
}

/// The right to change the site, held by the kernel for as long as this value and its process live.
///
/// A second lock, on another file, is for the commands that a run starts: they inherit its descriptor, so that one
/// which outlives a killed run keeps the next run out.
#[derive(Debug)]
pub struct Lock {
    folder: Folder,
    main: File,
    shown: File,
    children: File,
    epoch: i64,
    holder: Holder,
}

impl Lock {
    /// Takes the site, or says who has it. Each taking has a number of its own, which every write is checked by.
    pub fn take(folder: &Folder, holder: Holder) -> Result<Self, JournalError> {
        let main = folder.own_file(LOCK)?;
        if !try_lock(&main, folder, LOCK)? {
            return Err(JournalError::Held { holder: self::holder(folder).map(Box::new) });
        }
        let children = folder.own_file(CHILDREN)?;
        if !try_lock(&children, folder, CHILDREN)? {
            return Err(JournalError::Orphans { orphans: processes::orphans(folder)? });
        }
        let (epoch, commits) = schema::next_epoch(folder)?;
        mark::note(folder, (epoch, commits));
        let holder = Holder { pid: std::process::id(), space: processes::pid_space(), ..holder };
        let shown = folder.own_file(SHOWN)?;
        let lock = Self { folder: folder.clone(), main, shown, children, epoch, holder };
        // Only for display: a disk without room for it must not keep anybody from going back.
        let _ = lock.show();
        Ok(lock)
    }

    /// The number of this taking.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// A descriptor for a command to inherit: while any copy of it is open, no other run can begin.
    pub fn children(&self) -> Result<OwnedFd, JournalError> {
        Ok(self.children.try_clone().map_err(JournalError::io("lend", CHILDREN))?.into())
    }

    /// Says under which run's name the site is held, once that is known.
    pub fn name(&mut self, run: &str) {
        run.clone_into(&mut self.holder.run);
        let _ = self.show();
    }

    fn show(&self) -> io::Result<()> {
        let mut shown = &self.shown;
        shown.set_len(0)?;
        shown.rewind()?;
        shown.write_all(&serde_json::to_vec_pretty(&self.holder)?)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        mark::note_now(&self.folder);
        let _ = self.shown.set_len(0);
        // Said aloud, because a copy of this descriptor may live for a moment in a child about to become another
        // program. The children's lock is only closed: unlocking it would free it in their hands too.
        let _ = self.main.unlock();
    }
}

/// A few tries: [`held`] may have asked at this very moment.
fn try_lock(file: &File, folder: &Folder, name: &'static str) -> Result<bool, JournalError> {
    for pause in [0, 5, 20, 75] {
        thread::sleep(Duration::from_millis(pause));
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(JournalError::io("lock", folder.path().join(name))(error));
            }
        }
    }
    Ok(false)
}

/// Whether anybody works on the site now: the kernel's word, never the file's.
pub(super) fn held(folder: &Folder) -> bool {
    let path = folder.path().join(LOCK);
    if !processes::lockers(&path).is_empty() {
        return true;
    }
    // The table leaves out processes of other containers. Only if the last holder was one is the lock itself asked.
    shown(folder).is_some_and(|holder| elsewhere(&holder) && taken(&path))
}

fn elsewhere(holder: &Holder) -> bool {
    holder.space != processes::pid_space()
}

/// Asks the lock itself, shared and for no time at all.
fn taken(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Who holds the site. The file is believed only if the kernel names the same process or, for one of another
/// container, which it does not name, if somebody has the lock.
pub(super) fn holder(folder: &Folder) -> Option<Holder> {
    let shown = shown(folder);
    let path = folder.path().join(LOCK);
    let here = processes::lockers(&path).first().copied();
    match (here, shown) {
        (Some(pid), Some(holder)) if holder.pid == pid => Some(holder),
        (None, Some(holder)) if elsewhere(&holder) && taken(&path) => Some(holder),
        _ => None,
    }
}

fn shown(folder: &Folder) -> Option<Holder> {
    serde_json::from_slice(&fs::read(folder.path().join(SHOWN)).ok()?).ok()
}
