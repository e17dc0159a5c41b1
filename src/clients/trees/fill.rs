//! What a tree has lost, out of packs. People worked with it meanwhile: nothing that is there is touched, and nothing is
//! followed out of it.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    collections::{HashMap, HashSet},
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
    entry::{Entry, Kind, Stored, shown},
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
    let missing = Missing::of(&index, &root, desk)?;
    let unreachable = missing.unreachable.iter().map(|entry| shown(&entry.path)).collect();
    let mut lacking = Lacking { unreachable, ..Lacking::default() };
    let (mut contents, mut folders) = (HashSet::new(), HashSet::new());
    for entry in missing.entries {
        lacking.files += 1;
        let content = index.content(&entry.path);
        if let Some((first, stored)) = content
            && contents.insert(&*first.path)
        {
            lacking.bytes += stored.bytes;
        }
        let mut folder = folder_of(&entry.path);
        while !folder.is_empty() && root.below(folder, LOOK).is_err() && folders.insert(folder) {
            folder = folder_of(folder);
        }
        let path = PathBuf::from(OsStr::from_bytes(&entry.path));
        if path.to_str().is_some() {
            lacking.paths.insert(path, content.map(|(_, stored)| stored.blake3.to_hex().to_string()));
        }
    }
    lacking.folders = folders.len() as u64;
    Ok(lacking)
}

const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Files and links that the index has and the tree has not. A folder alone is no loss.
#[derive(Default)]
struct Missing<'a> {
    entries: Vec<&'a Entry>,
    /// A folder is something else by now, or leads elsewhere: what lies there is no business of ours.
    unreachable: Vec<&'a Entry>,
}

impl<'a> Missing<'a> {
    fn of(index: &'a Index, root: &Root, desk: &Desk) -> Result<Self, Failure> {
        let mut missing = Self::default();
        for entry in index.entries.iter().filter(|entry| entry.is != Kind::Folder) {
            desk.go_on()?;
            match root.below(&entry.path, LOOK) {
                Ok(_) => {}
                Err(Errno::NOENT) => missing.entries.push(entry),
                Err(error) if is_gone(error) => missing.unreachable.push(entry),
                Err(error) => return Err(writing(&root.at(&entry.path), &error.into())),
            }
        }
        Ok(missing)
    }

    /// Where each content is made, by its line in the index: at its first name that is missing. A name that stayed may be
    /// another file by now.
    fn places(&self, index: &'a Index) -> HashMap<&'a [u8], &'a [u8]> {
        let mut places: HashMap<&[u8], &[u8]> = HashMap::new();
        for entry in &self.entries {
            if let Some((first, _)) = index.content(&entry.path) {
                places.entry(&first.path).or_insert(&entry.path);
            }
        }
        places
    }
}

/// Something stands there meanwhile, or nothing may be made there: one file less comes back, and no other is kept from it.
fn in_the_way(error: Errno) -> bool {
    let there = [Errno::EXIST, Errno::ISDIR, Errno::MLINK, Errno::NAMETOOLONG, Errno::PERM];
    is_gone(error) || there.contains(&error)
}

pub(super) fn fill(request: &FillTree, desk: &Desk, tell: &Teller) -> Result<(), Failure> {
    let root = Root::open(&request.live)?;
    // An attempt that was killed may have left it, as a second name of a file that is whole.
    let half = request.live.join(FILLING);
    match fs::remove_file(&half) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(writing(&half, &error)),
        _ => {}
    }
    let index = check::index(&request.folder, &request.packed, desk)?;
    let missing = Missing::of(&index, &root, desk)?;
    let (places, dresser) = (missing.places(&index), Dresser::default());
    let mut filler = Filler { root: &root, index: &index, desk, places, dresser, now: None, damage: None };
    for entry in &missing.entries {
        filler.folders(folder_of(&entry.path))?;
    }
    filler.files(request, tell)?;
    for entry in missing.entries {
        filler.link(entry)?;
    }
    filler.dresser.tell(tell);
    let live = root.below(b"", FOLDER).map_err(|error| writing(&request.live, &error.into()))?;
    rustix::fs::syncfs(live).map_err(|error| writing(&request.live, &error.into()))?;
    filler.damage.map_or(Ok(()), Err)
}

struct Filler<'a> {
    root: &'a Root,
    index: &'a Index,
    desk: &'a Desk,
    /// See [`Missing::places`].
    places: HashMap<&'a [u8], &'a [u8]>,
    dresser: Dresser,
    now: Option<(PathBuf, File)>,
    /// Of the first pack that is not what was written.
    damage: Option<Failure>,
}

impl Filler<'_> {
    /// Leaves out what something stands in the way of.
    fn unless_in_the_way<T>(&self, path: &[u8], done: rustix::io::Result<T>) -> Result<Option<T>, Failure> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) if in_the_way(error) => Ok(None),
            Err(error) => Err(writing(&self.root.at(path), &error.into())),
        }
    }

    fn parent(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        self.root.below(folder_of(path), FOLDER)
    }

    /// Makes the folders that lead to a file, as they were.
    fn folders(&mut self, folder: &[u8]) -> Result<(), Failure> {
        match self.root.below(folder, FOLDER) {
            Err(Errno::NOENT) if !folder.is_empty() => {}
            there => return self.unless_in_the_way(folder, there).map(drop),
        }
        self.folders(folder_of(folder))?;
        let made = self
            .parent(folder)
            .and_then(|parent| mkdirat(parent, name(folder), Mode::RWXU))
            .and_then(|()| self.root.below(folder, FOLDER));
        let Some(open) = self.unless_in_the_way(folder, made)? else { return Ok(()) };
        let Some(entry) = self.index.find(folder) else { return Ok(()) };
        self.dresser.open(&File::from(open), entry).map_err(|error| writing(&self.root.at(folder), &error))
    }

    /// Only packs that have one of them are read, and what one has comes back where another is damaged.
    fn files(&mut self, request: &FillTree, tell: &Teller) -> Result<(), Failure> {
        let (mut done, index) = (0, self.index);
        for known in &index.packs {
            let files = index.of_pack(known.number);
            if !files.iter().any(|(entry, _)| self.places.contains_key(&*entry.path)) {
                continue;
            }
            let (folder, desk) = (&request.folder, self.desk);
            let mut told = |bytes| tell.progress("deleted files", done + bytes, None, Unit::Bytes);
            let read = Reading { folder, pack: &known.pack, files, desk }.read(self, &mut told);
            if let Err(failure) = read {
                if let Some((half, _)) = self.now.take() {
                    let _gone = fs::remove_file(half);
                }
                if failure.code != "set_damaged" {
                    return Err(failure);
                }
                self.damage.get_or_insert(failure);
            }
            done += known.pack.file.bytes;
        }
        Ok(())
    }

    /// Names that belong to one content become names of one file again, as far as they are made anew.
    fn link(&mut self, entry: &Entry) -> Result<(), Failure> {
        let path = &*entry.path;
        if let Kind::Symlink { to } = &entry.is {
            let made =
                self.parent(path).and_then(|folder| symlinkat(OsStr::from_bytes(to), folder, name(path)));
            if self.unless_in_the_way(path, made)?.is_some() {
                let path = self.root.at(path);
                self.dresser.link(&path, entry).map_err(|error| writing(&path, &error))?;
            }
            return Ok(());
        }
        let content = self.index.content(path).and_then(|(first, _)| self.places.get(&*first.path));
        let Some(&place) = content.filter(|place| **place != path) else { return Ok(()) };
        let made = self
            .parent(place)
            .and_then(|from| linkat(from, name(place), self.parent(path)?, name(path), AtFlags::empty()));
        self.unless_in_the_way(path, made).map(drop)
    }
}

impl Take for Filler<'_> {
    fn begin(&mut self, entry: &Entry, stored: &Stored) -> Result<(), Failure> {
        if !self.places.contains_key(&*entry.path) {
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
        let place = self.places.get(&*entry.path).copied().unwrap_or(&entry.path);
        // A second name never takes the place of what is there, on any file system.
        let made =
            self.parent(place).and_then(|folder| linkat(CWD, &path, folder, name(place), AtFlags::empty()));
        self.unless_in_the_way(place, made)?;
        fs::remove_file(&path).map_err(|error| writing(&path, &error))
    }
}

fn name(path: &[u8]) -> &Path {
    let after = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    Path::new(OsStr::from_bytes(&path[after..]))
}
