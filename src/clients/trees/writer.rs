//! Packs in the making: a tar stream through zstd into `.partial` files.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    desk::Desk,
    entry::{Attribute, Entry},
    index::{KnownPack, pack_name},
    tar::{Head, padding},
    walk::About,
};
use crate::{
    clients::{
        files::{not_made, writing},
        hashed::{Hashed, workers},
    },
    event::Failure,
    ports::trees::{Pack, StoredFile},
};

/// Uncompressed bytes after which the next file goes into the next pack: what is not needed any more can only be
/// left out by whole packs.
const LARGEST: u64 = 4 << 30;

/// Two blocks end a tar archive.
const EMPTY: [u8; 1024] = [0; 1024];

pub(super) struct Writer<'a> {
    desk: &'a Desk,
    folder: PathBuf,
    /// Of the next pack.
    number: u32,
    open: Option<Open>,
    /// Headers of what has no content. They make no pack of their own: the index has them.
    waiting: Vec<u8>,
    whole: Vec<KnownPack>,
}

struct Open {
    place: PathBuf,
    number: u32,
    stream: zstd::Encoder<'static, Hashed<File>>,
    at: u64,
    stored: u64,
    /// Of the file that is being written.
    began: u64,
}

impl Open {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.at += bytes.len() as u64;
        self.stream.write_all(bytes).map_err(|error| writing(&self.place, &error))
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(desk: &'a Desk, folder: &Path, number: u32) -> Self {
        let (waiting, whole) = (Vec::new(), Vec::new());
        Self { desk, folder: folder.to_owned(), number, open: None, waiting, whole }
    }

    /// A folder or a link.
    pub(super) fn bare(&mut self, entry: &Entry) -> Result<(), Failure> {
        let Entry { path, mode, uid, gid, mtime, xattrs, is } = entry;
        let head = Head { path, mode: *mode, uid: *uid, gid: *gid, mtime: mtime.0, xattrs }.bare(is);
        if let Some(open) = &mut self.open {
            return open.put(&head);
        }
        self.waiting.extend_from_slice(&head);
        Ok(())
    }

    /// The number of the pack and the place in its stream where the file's content begins.
    pub(super) fn begin(
        &mut self,
        path: &[u8],
        about: &About,
        xattrs: &[Attribute],
        pieces: Option<&[(u64, u64)]>,
    ) -> Result<(u32, u64), Failure> {
        if self.open.as_ref().is_some_and(|open| open.at >= LARGEST) {
            self.close()?;
        }
        if self.open.is_none() {
            self.open = Some(self.start()?);
        }
        let head = Head::new(path, about, xattrs);
        let head = match pieces {
            Some(pieces) => head.sparse(about.size, pieces),
            None => head.file(about.size),
        };
        let open = self.current()?;
        open.began = open.at;
        open.put(&head)?;
        Ok((open.number, open.at))
    }

    pub(super) fn go_on(&self) -> Result<(), Failure> {
        self.desk.go_on()
    }

    pub(super) fn data(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.desk.go_on()?;
        self.current()?.put(bytes)
    }

    /// Ends a file.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        let open = self.current()?;
        let padding = padding(open.at);
        open.put(&EMPTY[..padding])?;
        open.stored += open.at - open.began;
        Ok(())
    }

    fn current(&mut self) -> Result<&mut Open, Failure> {
        self.open
            .as_mut()
            .ok_or_else(|| Failure::inside("internal", "a file is written before an archive is open for it"))
    }

    fn start(&mut self) -> Result<Open, Failure> {
        let number = self.number;
        self.number += 1;
        let place = self.folder.join(pack_name(number));
        let file = self.desk.make(&partial(&place)).map_err(|error| not_made(&place, &error))?;
        let begin = || {
            let mut stream = zstd::Encoder::new(Hashed::new(file), 1)?;
            stream.include_checksum(true)?;
            stream.multithread(workers())?;
            Ok(stream)
        };
        let stream = begin().map_err(|error: io::Error| writing(&place, &error))?;
        let mut open = Open { place, number, stream, at: 0, stored: 0, began: 0 };
        open.put(&std::mem::take(&mut self.waiting))?;
        Ok(open)
    }

    /// Ends the pack: when this returns the disk has it, still under its `.partial` name.
    fn close(&mut self) -> Result<(), Failure> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.put(&EMPTY)?;
        let Open { place, number, stream, at, stored, .. } = open;
        let done = stream.finish().and_then(|to| {
            to.inner.sync_all()?;
            Ok(to.sum())
        });
        let (bytes, blake3) = done.map_err(|error| writing(&place, &error))?;
        let file = StoredFile { file: pack_name(number), bytes, blake3 };
        let pack = Pack { file, uncompressed_bytes: at, files: 0, linked: false };
        self.whole.push(KnownPack { pack, number, stored });
        Ok(())
    }

    /// Ends the last pack, and gives all of them their names.
    pub(super) fn finish(mut self) -> Result<Vec<KnownPack>, Failure> {
        self.close()?;
        for known in &self.whole {
            let place = self.folder.join(&known.pack.file.file);
            self.desk.rename(&partial(&place), &place).map_err(|error| writing(&place, &error))?;
        }
        Ok(self.whole)
    }
}

/// The name of what is not whole yet.
pub(super) fn partial(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}
