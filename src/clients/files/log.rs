#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, lchown,
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::fs::OFlags;

use super::{opened, reading};
use crate::{
    event::Failure,
    ports::files::{Grown, LineLog, Position},
};

/// A file of lines, 0600, that grows at its end. Whole lines are written at once, so that a reader who follows it
/// never sees half of one.
///
/// Somebody may move it away, empty it or remove it while it grows, as `logrotate` does: what comes later stands in a
/// file at its path all the same.
pub(super) struct Lines {
    path: PathBuf,
    open: Mutex<Option<File>>,
}

impl Lines {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), open: Mutex::default() }
    }

    fn is_in_place(&self, open: &File) -> bool {
        let there = fs::symlink_metadata(&self.path).map(|about| (about.dev(), about.ino()));
        open.metadata().is_ok_and(|about| there.is_ok_and(|there| there == (about.dev(), about.ino())))
    }
}

impl LineLog for Lines {
    fn line(&self, text: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.as_ref().is_some_and(|open| self.is_in_place(open)) {
            *open = opened_to_grow(&self.path);
        }
        // A log must not stop the work that it is about.
        let _lost = open.as_mut().map(|open| open.write_all(format!("{text}\n").as_bytes()));
    }
}

/// Opens or makes the log at `path` with its folder (0700), both owned like the folder above; `None` if that cannot
/// be done.
fn opened_to_grow(path: &Path) -> Option<File> {
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
    // Without waiting: a pipe in its place would keep the run until somebody reads it.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags);
    let file = options.open(path).ok()?;
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let _kept = fchown(&file, uid, gid);
    if about.mode() & 0o077 != 0 {
        let _kept = file.set_permissions(Permissions::from_mode(0o600));
    }
    Some(file)
}

/// Bytes of a growing file that are read at once.
const PIECE: u64 = 1 << 20;

pub(super) fn grown(path: &Path, from: Option<Position>) -> Result<Option<Grown>, Failure> {
    let Some((mut open, about)) = opened(path)? else { return Ok(None) };
    let goes_on = |from: &Position| from.file == about.ino() && from.offset <= about.len();
    let start = from.filter(goes_on).map_or(0, |from| from.offset);
    let mut bytes = Vec::new();
    let read = open.seek(SeekFrom::Start(start)).and_then(|_| open.take(PIECE).read_to_end(&mut bytes));
    read.map_err(|error| reading(path, &error))?;
    let position = Position { file: about.ino(), offset: start + bytes.len() as u64 };
    Ok(Some(Grown { bytes, position, again: from.is_some_and(|from| !goes_on(&from)) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    /// `copytruncate`: the same file, made empty.
    #[test]
    fn a_file_that_was_emptied_grows_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/run.jsonl");
        let log = Lines::at(&path);
        log.line("a long first line");
        let first = grown(&path, None).unwrap().unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        log.line("second");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
        let second = grown(&path, Some(first.position)).unwrap().unwrap();
        assert_eq!((second.bytes.as_slice(), second.again), (&b"second\n"[..], true));
    }

    #[test]
    fn only_its_owner_reads_it_whoever_has_put_it_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/run.jsonl");
        let log = Lines::at(&path);
        log.line("first");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        log.line("second");
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("second\n", 0o600));
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("logs/run.jsonl"), folder.path().join("other"));
        let log = Lines::at(&path);
        log.line("first");
        fs::remove_file(&path).unwrap();
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        log.line("second");
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        fs::remove_file(&path).unwrap();
        let fifo = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo.0, fifo.1, 0).unwrap();
        log.line("nobody reads this, and nobody waits for it");
        fs::remove_file(&path).unwrap();
        log.line("third");
        assert_eq!(fs::read_to_string(&path).unwrap(), "third\n");
    }
}
