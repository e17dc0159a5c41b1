//! A tree out of a set, beside the live one.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::fs::syncfs;

use super::{
    attributes::Dresser,
    check,
    desk::Desk,
    entry::{Entry, Kind, Stored},
    index::Index,
    stream::Take,
    walk::MARK,
};
use crate::{
    clients::files::writing,
    event::{Failure, Teller},
    ports::trees::UnpackTree,
};

/// Gives the inode of the new tree.
pub(super) fn unpack(request: &UnpackTree, desk: &Desk, tell: &Teller) -> Result<u64, Failure> {
    let index = check::index(&request.folder, &request.packed, desk)?;
    clear(&request.into)?;
    let made = Unpacker { into: &request.into, dresser: Dresser::default(), now: None };
    let done = made.all(request, &index, desk, tell);
    if done.is_err() {
        let _left = clear(&request.into);
    }
    done
}

/// Removes what an earlier attempt left, and nothing else: after an exchange a tree that people worked with bears
/// this name.
fn clear(into: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| writing(into, &error);
    match fs::symlink_metadata(into) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(about) if about.is_dir() => {}
        Ok(_) => return Err(in_the_way(into)),
    }
    let names = fs::read_dir(into).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
    let marked = names.iter().any(|name| name.file_name() == MARK);
    if !marked && !names.is_empty() {
        return Err(in_the_way(into));
    }
    // The mark goes last, so that what is left of a removal that was broken off is still known.
    for entry in names.iter().filter(|name| name.file_name() != MARK) {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| writing(&path, &error))?;
    }
    if marked {
        fs::remove_file(into.join(MARK)).map_err(failed)?;
    }
    fs::remove_dir(into).map_err(failed)
}

fn in_the_way(into: &Path) -> Failure {
    let shown = into.display();
    let quoted = crate::ports::files::quoted(into);
    Failure::new("tree_in_the_way", format!("`{shown}` is there, and no earlier attempt has left it"))
        .hint(format!("look what it is; if it may go elsewhere: `mv {quoted} {quoted}.aside`"))
}

struct Unpacker<'a> {
    into: &'a Path,
    dresser: Dresser,
    now: Option<(PathBuf, File)>,
}

impl Unpacker<'_> {
    fn at(&self, path: &[u8]) -> PathBuf {
        self.into.join(OsStr::from_bytes(path))
    }

    fn all(
        mut self,
        request: &UnpackTree,
        index: &Index,
        desk: &Desk,
        tell: &Teller,
    ) -> Result<u64, Failure> {
        self.skeleton(index, desk)?;
        check::packs(&request.folder, index, &mut self, desk, tell, "uploaded files")?;
        self.finish(index, desk)?;
        self.dresser.tell(tell);
        let failed = |error: io::Error| writing(self.into, &error);
        let open = File::open(self.into).map_err(failed)?;
        // All of it at once: a sync per file would take as many turns of the disk as there are files.
        syncfs(&open).map_err(|error| failed(error.into()))?;
        if let Some(above) = self.into.parent() {
            File::open(above).and_then(|above| above.sync_all()).map_err(failed)?;
        }
        Ok(open.metadata().map_err(failed)?.ino())
    }

    /// Folders, in which only we may go for now.
    fn skeleton(&self, index: &Index, desk: &Desk) -> Result<(), Failure> {
        for entry in index.entries.iter().filter(|entry| entry.is == Kind::Folder) {
            desk.go_on()?;
            let path = if entry.path.is_empty() { self.into.to_owned() } else { self.at(&entry.path) };
            DirBuilder::new().mode(0o700).create(&path).map_err(|error| writing(&path, &error))?;
            if entry.path.is_empty() {
                let mark = path.join(MARK);
                fs::write(&mark, "made by uplift, and not in use\n")
                    .map_err(|error| writing(&mark, &error))?;
            }
        }
        Ok(())
    }

    /// Links, and then the folders from the inside out: whatever is made in one changes its time.
    fn finish(&mut self, index: &Index, desk: &Desk) -> Result<(), Failure> {
        for entry in &index.entries {
            desk.go_on()?;
            let path = self.at(&entry.path);
            let done = match &entry.is {
                Kind::Symlink { to } => {
                    symlink(OsStr::from_bytes(to), &path).and_then(|()| self.dresser.link(&path, entry))
                }
                Kind::Link { to } => fs::hard_link(self.at(to), &path),
                Kind::Folder | Kind::File(_) => Ok(()),
            };
            done.map_err(|error| writing(&path, &error))?;
        }
        for entry in index.entries.iter().rev().filter(|entry| entry.is == Kind::Folder) {
            desk.go_on()?;
            let path = self.at(&entry.path);
            let done = File::open(&path).and_then(|open| self.dresser.open(&open, entry));
            done.map_err(|error| writing(&path, &error))?;
        }
        Ok(())
    }

    fn current(&self) -> Result<&(PathBuf, File), Failure> {
        self.now
            .as_ref()
            .ok_or_else(|| Failure::inside("internal", "a file of the set has content before it has a name"))
    }
}

impl Take for Unpacker<'_> {
    fn begin(&mut self, entry: &Entry, stored: &Stored) -> Result<(), Failure> {
        let path = self.at(&entry.path);
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let open = open.map_err(|error| writing(&path, &error))?;
        if stored.data.is_some() {
            open.set_len(stored.bytes).map_err(|error| writing(&path, &error))?;
        }
        self.now = Some((path, open));
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let (path, open) = self.current()?;
        open.write_all_at(bytes, offset).map_err(|error| writing(path, &error))
    }

    fn hole(&mut self, _: u64) -> Result<(), Failure> {
        Ok(())
    }

    fn end(&mut self, entry: &Entry) -> Result<(), Failure> {
        let Some((path, open)) = self.now.take() else { return Ok(()) };
        self.dresser.open(&open, entry).map_err(|error| writing(&path, &error))
    }
}
