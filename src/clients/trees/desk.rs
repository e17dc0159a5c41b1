//! Work on a thread of its own that can be stopped from outside, and what it has made and not finished.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::failed::stopped;
use crate::{
    clients::files::{blocking, fresh},
    event::Failure,
};

/// Knows what must go if the work does not come to its end. Names change only under its lock, so that nothing new
/// appears once the work was stopped.
#[derive(Clone, Default)]
pub(super) struct Desk {
    stopped: Arc<AtomicBool>,
    made: Arc<Mutex<Vec<PathBuf>>>,
}

/// Clears the desk of work that nobody waits for any more.
struct Leaving(Desk);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Runs what blocks on a thread made for that. Dropped before its end it stops soon, and what it had made is gone
/// at once.
pub(super) async fn work<T: Send + 'static>(
    work: impl FnOnce(&Desk) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let desk = Desk::default();
    let _leaving = Leaving(desk.clone());
    blocking(move || {
        let done = work(&desk);
        if done.is_err() {
            desk.clear();
        }
        done
    })
    .await
}

impl Desk {
    /// Fails if nobody waits for the work any more.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        if self.stopped.load(Ordering::Relaxed) { Err(stopped()) } else { Ok(()) }
    }

    fn locked(&self) -> io::Result<MutexGuard<'_, Vec<PathBuf>>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stopped.load(Ordering::Relaxed) { Err(io::Error::other("stopped")) } else { Ok(made) }
    }

    /// A new file, empty; what an earlier try left there goes.
    pub(super) fn make(&self, path: &Path) -> io::Result<File> {
        let mut made = self.locked()?;
        let file = fresh(path)?;
        made.push(path.to_owned());
        Ok(file)
    }

    /// One more name for a file.
    pub(super) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut made = self.locked()?;
        fs::hard_link(from, to)?;
        made.push(to.to_owned());
        Ok(())
    }

    /// Gives what was made another name; it may still have to go.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut made = self.locked()?;
        fs::rename(from, to)?;
        made.retain(|path| path != from);
        made.push(to.to_owned());
        Ok(())
    }

    /// Takes back what turned out to be of no use.
    pub(super) fn discard(&self, path: &Path) {
        if let Ok(mut made) = self.locked() {
            made.retain(|known| known != path);
            let _gone = fs::remove_file(path);
        }
    }

    /// The last rename: from here on all that was made stays.
    pub(super) fn finish(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut made = self.locked()?;
        fs::rename(from, to)?;
        made.clear();
        Ok(())
    }

    /// Stops the work and removes what it made.
    fn clear(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopped.store(true, Ordering::Relaxed);
        for path in made.drain(..) {
            let _gone = fs::remove_file(path);
        }
    }
}
