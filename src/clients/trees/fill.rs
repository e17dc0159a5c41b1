//! What a tree has lost, out of packs. People worked with it meanwhile: nothing that is there is touched, and nothing is
//! followed out of it.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::FileExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fsync, linkat, mkdirat, symlinkat},
    io::Errno,
};

use super::{
    attributes::Dresser,
    check,
    desk::Desk,
    entry::{Entry, Kind, Stored},
    index::{Index, folder_of},
    stream::{Reading, Take},
    walk::{FOLDER, Root, is_gone},
};
use crate::{
    clients::files::writing,
    event::{Failure, Teller, Unit},
    ports::trees::{FILLING, FillTree, Lacking},
};

pub(super) fn lacking(request: &FillTree, desk: &Desk) -> Result<Lacking, Failure> {
    let index = check::index(&request.folder, &request.packed, desk)?;
    let root = Root::open(&request.live)?;
    let mut lacking = Lacking::default();
    for entry in missing(&index, &root, desk)? {
        lacking.files += 1;
        if let Kind::File(stored) = &entry.is {
            lacking.bytes += stored.bytes;
        }
        let path = PathBuf::from(OsStr::from_bytes(&entry.path));
        if path.to_str().is_some() {
            let blake3 = index.content(&entry.path).map(|(_, stored)| stored.blake3.to_hex().to_string());
            lacking.paths.insert(path, blake3);
        }
    }
    Ok(lacking)
}

/// Files and links that the index has and the tree has not. A folder alone is no loss.
fn missing<'a>(index: &'a Index, root: &Root, desk: &Desk) -> Result<Vec<&'a Entry>, Failure> {
    let mut missing = Vec::new();
    for entry in index.entries.iter().filter(|entry| entry.is != Kind::Folder) {
        desk.go_on()?;
        match root.below(&entry.path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC) {
            Ok(_) => {}
            Err(Errno::NOENT) => missing.push(entry),
            // A folder is something else by now, or leads elsewhere: what lies there is no business of ours.
            Err(error) if is_gone(error) => {}
            Err(error) => return Err(writing(&root.at(&entry.path), &error.into())),
        }
    }
    Ok(missing)
}

pub(super) fn fill(request: &FillTree, desk: &Desk, tell: &Teller) -> Result<(), Failure> {
    let index = check::index(&request.folder, &request.packed, desk)?;
    let root = Root::open(&request.live)?;
    let missing = missing(&index, &root, desk)?;
    let wanted = missing.iter().map(|entry| &*entry.path).collect();
    let mut filler = Filler { root: &root, desk, wanted, dresser: Dresser::default(), now: None };
    for entry in &missing {
        filler.folders(&index, folder_of(&entry.path))?;
    }
    filler.files(request, &index, tell)?;
    for entry in missing {
        filler.link(entry)?;
    }
    filler.dresser.tell(tell);
    let live = root.below(b"", FOLDER).map_err(|error| writing(&request.live, &error.into()))?;
    rustix::fs::syncfs(live).map_err(|error| writing(&request.live, &error.into()))
}

struct Filler<'a> {
    root: &'a Root,
    desk: &'a Desk,
    wanted: HashSet<&'a [u8]>,
    dresser: Dresser,
    now: Option<(PathBuf, File)>,
}

impl Filler<'_> {
    fn failed(&self, path: &[u8]) -> impl Fn(Errno) -> Failure {
        let path = self.root.at(path);
        move |error| writing(&path, &error.into())
    }

    fn parent(&self, path: &[u8]) -> Result<OwnedFd, Failure> {
        let folder = folder_of(path);
        self.root.below(folder, FOLDER).map_err(self.failed(folder))
    }

    /// Makes the folders that lead to a file, as they were.
    fn folders(&mut self, index: &Index, folder: &[u8]) -> Result<(), Failure> {
        match self.root.below(folder, FOLDER) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) if !folder.is_empty() => {}
            Err(error) => return Err(self.failed(folder)(error)),
        }
        self.folders(index, folder_of(folder))?;
        mkdirat(self.parent(folder)?, name(folder), Mode::RWXU).map_err(self.failed(folder))?;
        let open = self.root.below(folder, FOLDER).map_err(self.failed(folder))?;
        let Some(entry) = index.find(folder) else { return Ok(()) };
        self.dresser.open(&File::from(open), entry).map_err(|error| writing(&self.root.at(folder), &error))
    }

    /// Only packs that have one of them are read.
    fn files(&mut self, request: &FillTree, index: &Index, tell: &Teller) -> Result<(), Failure> {
        let mut done = 0;
        for known in &index.packs {
            let files = index.of_pack(known.number);
            if !files.iter().any(|(entry, _)| self.wanted.contains(&*entry.path)) {
                continue;
            }
            let (folder, desk) = (&request.folder, self.desk);
            let mut told = |bytes| tell.progress("deleted files", done + bytes, None, Unit::Bytes);
            Reading { folder, pack: &known.pack, files, desk }.read(self, &mut told)?;
            done += known.pack.file.bytes;
        }
        Ok(())
    }

    /// What was a second name of a file is one again, if that file came back too: one that stayed may be another by now.
    fn link(&mut self, entry: &Entry) -> Result<(), Failure> {
        let path = self.root.at(&entry.path);
        match &entry.is {
            Kind::Symlink { to } => {
                let folder = self.parent(&entry.path)?;
                symlinkat(OsStr::from_bytes(to), folder, name(&entry.path))
                    .map_err(self.failed(&entry.path))?;
                self.dresser.link(&path, entry).map_err(|error| writing(&path, &error))
            }
            Kind::Link { to } if self.wanted.contains(&**to) => {
                let (from, into) = (self.parent(to)?, self.parent(&entry.path)?);
                linkat(from, name(to), into, name(&entry.path), AtFlags::empty())
                    .map_err(self.failed(&entry.path))
            }
            _ => Ok(()),
        }
    }
}

impl Take for Filler<'_> {
    fn begin(&mut self, entry: &Entry, stored: &Stored) -> Result<(), Failure> {
        if !self.wanted.contains(&*entry.path) {
            return Ok(());
        }
        // In the tree's own folder, where it is on the right file system; without its name until it is whole.
        let path = self.root.path.join(FILLING);
        // Whatever bears the name, an earlier attempt's or a symlink to somewhere: it is not written through.
        let _left = fs::remove_file(&path);
        let open = self.desk.make(&path).and_then(|open| {
            open.set_len(if stored.data.is_some() { stored.bytes } else { 0 })?;
            Ok(open)
        });
        self.now = Some((path.clone(), open.map_err(|error| writing(&path, &error))?));
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let Some((path, open)) = &self.now else { return Ok(()) };
        open.write_all_at(bytes, offset).map_err(|error| writing(path, &error))
    }

    fn hole(&mut self, _: u64) -> Result<(), Failure> {
        Ok(())
    }

    fn end(&mut self, entry: &Entry) -> Result<(), Failure> {
        let Some((path, open)) = self.now.take() else { return Ok(()) };
        let dressed = self.dresser.open(&open, entry).and_then(|()| Ok(fsync(&open)?));
        dressed.map_err(|error| writing(&path, &error))?;
        let folder = self.parent(&entry.path)?;
        // A second name never takes the place of what is there, on any file system.
        linkat(CWD, &path, folder, name(&entry.path), AtFlags::empty()).map_err(self.failed(&entry.path))?;
        fs::remove_file(&path).map_err(|error| writing(&path, &error))
    }
}

fn name(path: &[u8]) -> &Path {
    let after = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    Path::new(OsStr::from_bytes(&path[after..]))
}
