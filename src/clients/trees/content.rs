//! Reads one file of the tree into a pack, again until it stood still meanwhile.
#![expect(clippy::disallowed_methods, reason = "the time of the clock that files are dated by")]

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::FileExt as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use super::{
    attributes,
    entry::{Attribute, Entry, Kind, Seen, Stored, shown},
    failed::unreadable,
    walk::{About, Found, Root},
    writer::Writer,
};
use crate::event::Failure;

const TRIES: u32 = 3;
/// Files up to this size are read as a whole before anything of them is written.
const SMALL: u64 = 1 << 20;
const PIECE: usize = 1 << 20;
/// How coarse the times of a file system may be: a change so shortly before a file is read may be followed by one
/// with the same time.
const COARSE: Duration = Duration::from_secs(2);

static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// A file that was read.
pub(super) struct Outcome {
    pub(super) entry: Entry,
    pub(super) about: About,
    pub(super) tries: u32,
}

/// Reads files of one tree.
pub(super) struct Reader<'a, 'b> {
    pub(super) root: &'a Root,
    pub(super) writer: Writer<'b>,
    /// Hears of every byte read.
    pub(super) told: &'a mut dyn FnMut(u64),
    pub(super) buffer: Vec<u8>,
}

/// A file's content as it was read once.
struct Once {
    blake3: blake3::Hash,
    place: (u32, u64),
    data: Option<Vec<(u64, u64)>>,
}

impl Reader<'_, '_> {
    /// `None` if it is there no more.
    pub(super) fn store(&mut self, path: &[u8]) -> Result<Option<Outcome>, Failure> {
        for tries in 1..=TRIES {
            let Some((file, about)) = self.root.file(path)? else { return Ok(None) };
            let failed = |error: io::Error| unreadable(&self.root.at(path), &error);
            let still = is_still(&about);
            let xattrs = attributes::of_open(&file).map_err(failed)?;
            let Some(once) = self.once(path, &file, &about, &xattrs)? else { continue };
            let seen = Seen { inode: about.inode, ctime: about.ctime, still };
            let Once { blake3, place: (pack, at), data } = once;
            let stored = Stored { bytes: about.size, blake3, pack, at, data, seen };
            let found = Found { path: path.to_vec(), about, xattrs, to: Vec::new() };
            return Ok(Some(Outcome { entry: found.entry(Kind::File(stored)), about, tries }));
        }
        let text = format!("`{}` was written to each of the {TRIES} times it was read", shown(path));
        Err(Failure::new("file_keeps_changing", text)
            .hint("try again at a quieter hour, or stop web and the worker first, not the database")
            .retryable())
    }

    /// `None` if it changed meanwhile. What was written of it then stays in the pack, and nothing points to it.
    fn once(
        &mut self,
        path: &[u8],
        file: &File,
        about: &About,
        xattrs: &[Attribute],
    ) -> Result<Option<Once>, Failure> {
        let path_here = self.root.at(path);
        let failed = |error: io::Error| unreadable(&path_here, &error);
        let unchanged = || About::of_open(file).map(|now| now.same(about)).map_err(failed);
        let data = pieces(file, about).map_err(failed)?;
        if data.is_none() && about.size <= SMALL {
            self.buffer.clear();
            self.buffer.reserve(usize::try_from(about.size).unwrap_or(0) + 1);
            let mut limited = file.take(about.size + 1);
            limited.read_to_end(&mut self.buffer).map_err(failed)?;
            if self.buffer.len() as u64 != about.size || !unchanged()? {
                return Ok(None);
            }
            let place = self.writer.begin(path, about, xattrs, None)?;
            self.writer.data(&self.buffer)?;
            self.writer.end()?;
            (self.told)(about.size);
            return Ok(Some(Once { blake3: blake3::hash(&self.buffer), place, data }));
        }
        let place = self.writer.begin(path, about, xattrs, data.as_deref())?;
        let mut hasher = blake3::Hasher::new();
        let (mut end, mut whole) = (0, true);
        let all = [(0, about.size)];
        for (offset, length) in data.as_deref().unwrap_or(&all) {
            self.hole(&mut hasher, offset - end)?;
            whole &= self.piece(&mut hasher, file, *offset, *length).map_err(|error| error.named(failed))?;
            end = offset + length;
        }
        self.hole(&mut hasher, about.size - end)?;
        self.writer.end()?;
        let blake3 = hasher.finalize();
        Ok((whole && unchanged()?).then_some(Once { blake3, place, data }))
    }

    /// False if the file ended before the piece did: the archive gets zeros in its place, and stays an archive.
    fn piece(
        &mut self,
        hasher: &mut blake3::Hasher,
        file: &File,
        offset: u64,
        length: u64,
    ) -> Result<bool, Trouble> {
        self.buffer.resize(PIECE, 0);
        let (mut done, mut whole) = (0, true);
        while done < length {
            let want = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
            let read = match file.read_at(&mut self.buffer[..want], offset + done) {
                Ok(0) => {
                    whole = false;
                    self.buffer[..want].fill(0);
                    want
                }
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Trouble::Reading(error)),
            };
            hasher.update(&self.buffer[..read]);
            self.writer.data(&self.buffer[..read]).map_err(Trouble::Writing)?;
            done += read as u64;
            (self.told)(read as u64);
        }
        Ok(whole)
    }

    /// A hole is hashed as what it reads as.
    fn hole(&mut self, hasher: &mut blake3::Hasher, mut length: u64) -> Result<(), Failure> {
        while length > 0 {
            let part = usize::try_from(length).unwrap_or(ZEROS.len()).min(ZEROS.len());
            hasher.update(&ZEROS[..part]);
            length -= part as u64;
            (self.told)(part as u64);
            self.writer.go_on()?;
        }
        Ok(())
    }
}

/// Which side of a copy failed.
enum Trouble {
    Reading(io::Error),
    Writing(Failure),
}

impl Trouble {
    fn named(self, reading: impl Fn(io::Error) -> Failure) -> Failure {
        match self {
            Self::Reading(error) => reading(error),
            Self::Writing(failure) => failure,
        }
    }
}

/// The pieces of a file between its holes; `None` if there is no hole, or nobody can say.
fn pieces(file: &File, about: &About) -> io::Result<Option<Vec<(u64, u64)>>> {
    if about.taken >= about.size {
        return Ok(None);
    }
    let (mut found, mut at) = (Vec::new(), 0);
    while at < about.size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => return rewound(file, None),
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(about.size);
        if end <= start {
            break;
        }
        found.push((start, end - start));
        at = end;
    }
    let whole = found.as_slice() == [(0, about.size)];
    rewound(file, (!whole).then_some(found))
}

fn rewound<T>(file: &File, result: T) -> io::Result<T> {
    seek(file, SeekFrom::Start(0))?;
    Ok(result)
}

fn is_still(about: &About) -> bool {
    let changed = u64::try_from(about.ctime.0).unwrap_or(0);
    let changed = UNIX_EPOCH + Duration::new(changed, about.ctime.1);
    SystemTime::now().duration_since(changed).is_ok_and(|age| age > COARSE)
}

/// Hashes a hole that nobody writes.
pub(super) fn zeros(hasher: &mut blake3::Hasher, length: u64) {
    zeros_to(length, |part| {
        hasher.update(part);
    });
}

/// Zeros in pieces.
pub(super) fn zeros_to(mut length: u64, mut each: impl FnMut(&[u8])) {
    while length > 0 {
        let part = usize::try_from(length).unwrap_or(ZEROS.len()).min(ZEROS.len());
        each(&ZEROS[..part]);
        length -= part as u64;
    }
}
