#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown, lchown},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::OFlags;

use crate::ports::files::LineLog;

/// A file of lines, 0600, that grows at its end. Whole lines are written at once, so that a reader who follows it
/// never sees half of one.
struct Lines(Mutex<File>);

impl LineLog for Lines {
    fn line(&self, text: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A log must not stop the work that it is about.
        let _lost = file.write_all(format!("{text}\n").as_bytes());
    }
}

/// Opens or makes the log at `path` with its folder (0700), both owned like the folder above; `None` if that cannot
/// be done.
pub(super) fn open(path: &Path) -> Option<Arc<dyn LineLog>> {
    let folder = path.parent()?;
    let above = fs::metadata(folder.parent()?).ok()?;
    // Only root may give away, and only root needs to. As root, a link that somebody else put here is not followed.
    let (uid, gid) = (Some(above.uid()), Some(above.gid()));
    match fs::symlink_metadata(folder) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => return None,
        Err(_) => {
            DirBuilder::new().mode(0o700).create(folder).ok()?;
            let _kept = lchown(folder, uid, gid);
        }
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let file = options.open(path).ok()?;
    let _kept = fchown(&file, uid, gid);
    Some(Arc::new(Lines(Mutex::new(file))))
}
