//! What an earlier pass has, and how its packs come over.
#![expect(clippy::disallowed_methods, reason = "the clients read and write files")]

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use super::{
    desk::Desk,
    entry::{Entry, Stored},
    index::{INDEX, Index, KnownPack},
    walk::About,
    writer::partial,
};
use crate::{
    clients::{files::writing, hashed::Hashed},
    event::{Failure, Teller, Unit},
    ports::trees::PackTree,
};

const PIECE: usize = 1 << 20;
const STRIDE: u64 = 64 << 20;

pub(super) struct Earlier {
    pub(super) index: Index,
    pub(super) folder: PathBuf,
    /// It is the same set's own.
    pub(super) own: bool,
    /// Its packs need not be read.
    trusted: bool,
}

impl Earlier {
    /// The set's own pass wins. Another set that cannot be read is no reason to have no new one.
    pub(super) fn find(request: &PackTree, desk: &Desk, tell: &Teller) -> Result<Option<Self>, Failure> {
        let folders = [Some(&request.into), request.previous.as_ref()];
        for folder in folders.into_iter().flatten() {
            let path = folder.join(INDEX);
            if !path.is_file() {
                continue;
            }
            let own = *folder == request.into;
            match Index::read(&path, None, desk) {
                Ok(index) => {
                    return Ok(Some(Self {
                        index,
                        folder: folder.clone(),
                        own,
                        trusted: request.trust_previous,
                    }));
                }
                Err(failure) if own => return Err(failure),
                Err(failure) => {
                    desk.go_on()?;
                    tell.warn(format!("{}: all uploaded files are read again", failure.message));
                }
            }
        }
        Ok(None)
    }

    /// The line of a file that has not changed since.
    pub(super) fn unchanged(&self, path: &[u8], about: &About) -> Option<(&Entry, &Stored)> {
        let (entry, stored) = self.index.content(path)?;
        let same = stored.seen.still
            && stored.seen.inode == about.inode
            && stored.bytes == about.size
            && stored.seen.ctime == about.ctime
            && entry.mtime == about.mtime;
        same.then_some((entry, stored))
    }

    /// Has the pack in `into`, as it was written. False if it is there no more, or damaged: what is in it has to be
    /// read again, or every later set would have the damage too.
    pub(super) fn bring(
        &self,
        known: &KnownPack,
        into: &Path,
        desk: &Desk,
        tell: &Teller,
    ) -> Result<bool, Failure> {
        let name = &known.pack.file.file;
        let (from, to) = (self.folder.join(name), into.join(name));
        let has_its_length =
            |path: &Path| fs::metadata(path).is_ok_and(|about| about.len() == known.pack.file.bytes);
        let whole = if self.own || self.trusted && desk.link(&from, &to).is_ok() {
            has_its_length(&to)
        } else {
            link(known, &from, &to, desk, tell)?
        };
        if !whole {
            tell.warn(format!(
                "`{}` of an earlier copy is damaged: the uploaded files in it are read again; do not rely on that backup",
                from.display()
            ));
        }
        Ok(whole)
    }
}

fn link(known: &KnownPack, from: &Path, to: &Path, desk: &Desk, tell: &Teller) -> Result<bool, Failure> {
    let work = || {
        let linked = match desk.link(from, to) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // Another file system, one without links, or a file that is not ours to link.
            Err(_) => false,
        };
        let place = if linked { to.to_owned() } else { partial(to) };
        let mut out = if linked { None } else { Some(desk.make(&place)?) };
        let sum = sum(if linked { to } else { from }, out.as_mut(), known, desk, tell)?;
        if sum != Some((known.pack.file.bytes, known.pack.file.blake3.clone())) {
            desk.discard(&place);
            return Ok(false);
        }
        if let Some(out) = out {
            out.sync_all()?;
            desk.rename(&place, to)?;
        }
        Ok(true)
    };
    let done = work();
    desk.go_on()?;
    done.map_err(|error: io::Error| writing(to, &error))
}

/// Length and hash of a file that is read once, into `out` where it is wanted; `None` if it cannot be read.
fn sum(
    from: &Path,
    mut out: Option<&mut File>,
    known: &KnownPack,
    desk: &Desk,
    tell: &Teller,
) -> io::Result<Option<(u64, String)>> {
    let Ok(open) = File::open(from) else { return Ok(None) };
    let mut open = Hashed::new(open);
    let (mut piece, mut said) = (vec![0; PIECE], 0);
    loop {
        if desk.go_on().is_err() {
            return Err(io::Error::other("stopped"));
        }
        let read = match open.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(None),
        };
        if let Some(out) = &mut out {
            out.write_all(&piece[..read])?;
        }
        if open.bytes >= said + STRIDE {
            said = open.bytes;
            let what = format!("earlier copy `{}`", known.pack.file.file);
            tell.progress(what, said, Some(known.pack.file.bytes), Unit::Bytes);
        }
    }
    Ok(Some(open.sum()))
}
