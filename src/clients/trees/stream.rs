//! Reads packs from their first byte to their last: one thread decompresses and hashes what is stored, the other
//! hashes the files in it.
#![expect(clippy::disallowed_methods, reason = "the clients read files")]

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use super::{
    content::zeros,
    desk::Desk,
    entry::{Entry, Stored, shown},
    failed::{broken, damaged},
    tar::BLOCK,
};
use crate::{
    clients::hashed::Hashed,
    event::Failure,
    ports::{files::not_unpacked, trees::Pack},
};

const PIECE: usize = 512 << 10;
/// Pieces that wait to be hashed.
const AHEAD: usize = 8;

/// Gets the files of a pack, one after the other.
pub(super) trait Take {
    fn begin(&mut self, entry: &Entry, stored: &Stored) -> Result<(), Failure>;
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure>;
    fn hole(&mut self, length: u64) -> Result<(), Failure>;
    /// The file is what was packed.
    fn end(&mut self, entry: &Entry) -> Result<(), Failure>;
}

/// Length and BLAKE3 of a stored file, or why it cannot be read to its end.
type Sum = io::Result<(u64, String)>;

/// One pack that is read.
pub(super) struct Reading<'a> {
    pub(super) folder: &'a Path,
    pub(super) pack: &'a Pack,
    /// In the order of the stream.
    pub(super) files: Vec<(&'a Entry, &'a Stored)>,
    pub(super) desk: &'a Desk,
}

impl Reading<'_> {
    /// `told` hears how many bytes of the pack were read.
    pub(super) fn read(&self, take: &mut dyn Take, told: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let path = self.folder.join(&self.pack.file.file);
        let failed = |error: io::Error| broken(&path, "", &error);
        let open = File::open(&path).map_err(failed)?;
        let length = open.metadata().map_err(failed)?.len();
        if length != self.pack.file.bytes {
            let why = format!("it has {length} bytes instead of {}", self.pack.file.bytes);
            return Err(damaged(&path, &why));
        }
        let raw = AtomicU64::new(0);
        thread::scope(|scope| {
            let (to, pieces) = sync_channel(AHEAD);
            let raw = &raw;
            let sum = scope.spawn(move || produce(open, raw, &to));
            let mut source = Source { pieces, piece: Vec::new(), used: 0, at: 0, raw, told };
            let taken = self.take(&path, &mut source, take);
            let at = source.at;
            // Ends the other thread where this one stopped early.
            drop(source);
            let sum = sum.join().unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the thread that reads it ended"))
            });
            taken?;
            self.proved(&path, sum, at)
        })
    }

    fn take(&self, path: &Path, source: &mut Source<'_>, take: &mut dyn Take) -> Result<(), Failure> {
        for (entry, stored) in &self.files {
            let name = || format!("the file `{}` at byte {} of its content", shown(&entry.path), stored.at);
            let failed = |error: io::Error| broken(path, &format!("{} cannot be read", name()), &error);
            if stored.at < source.at {
                return Err(damaged(path, &format!("{} lies in another", name())));
            }
            source.skip(stored.at - source.at, self.desk)?.map_err(failed)?;
            take.begin(entry, stored)?;
            let (mut hasher, mut end) = (blake3::Hasher::new(), 0);
            for (offset, length) in stored.pieces() {
                zeros(&mut hasher, offset - end);
                take.hole(offset - end)?;
                let mut done = 0;
                while done < length {
                    self.desk.go_on()?;
                    let bytes = source.next(length - done).map_err(failed)?;
                    hasher.update(bytes);
                    take.data(offset + done, bytes)?;
                    done += bytes.len() as u64;
                }
                end = offset + length;
            }
            zeros(&mut hasher, stored.bytes - end);
            take.hole(stored.bytes - end)?;
            if hasher.finalize() != stored.blake3 {
                return Err(damaged(path, &format!("{} has another hash", name())));
            }
            take.end(entry)?;
        }
        source.skip(u64::MAX, self.desk)?.map_or_else(
            |error| {
                if error.kind() == io::ErrorKind::UnexpectedEof {
                    Ok(())
                } else {
                    Err(broken(path, "", &error))
                }
            },
            Ok,
        )
    }

    fn proved(&self, path: &Path, sum: Sum, at: u64) -> Result<(), Failure> {
        let (bytes, blake3) = sum.map_err(|error| broken(path, "", &error))?;
        if (bytes, &blake3) != (self.pack.file.bytes, &self.pack.file.blake3) {
            return Err(damaged(path, "all files in it are right, and its own hash is another"));
        }
        if at != self.pack.uncompressed_bytes || !at.is_multiple_of(BLOCK) {
            let why = format!("its content has {at} bytes instead of {}", self.pack.uncompressed_bytes);
            return Err(damaged(path, &why));
        }
        Ok(())
    }
}

/// What comes out of the decompression.
struct Source<'a> {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    used: usize,
    at: u64,
    raw: &'a AtomicU64,
    told: &'a mut dyn FnMut(u64),
}

impl Source<'_> {
    /// At least one byte, at most `most`.
    fn next(&mut self, most: u64) -> io::Result<&[u8]> {
        if self.used == self.piece.len() {
            (self.told)(self.raw.load(Ordering::Relaxed));
            self.piece = self.pieces.recv().unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()))?;
            self.used = 0;
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.piece.len() - self.used);
        let bytes = &self.piece[self.used..self.used + length];
        self.used += length;
        self.at += length as u64;
        Ok(bytes)
    }

    fn skip(&mut self, mut length: u64, desk: &Desk) -> Result<io::Result<()>, Failure> {
        while length > 0 {
            desk.go_on()?;
            match self.next(length) {
                Ok(bytes) => length -= bytes.len() as u64,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}

/// Decompresses a whole file. What it is as it is stored comes back; an error goes to the other side too.
fn produce(open: File, raw: &AtomicU64, to: &SyncSender<io::Result<Vec<u8>>>) -> Sum {
    let from = BufReader::with_capacity(PIECE, Hashed::new(open));
    let mut decoder = zstd::Decoder::with_buffer(from)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = decoder.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        raw.store(decoder.get_ref().get_ref().bytes, Ordering::Relaxed);
        let over = piece.is_empty();
        if !over && to.send(Ok(piece)).is_err() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads on"));
        }
        if let Err(error) = read {
            let place = decoder.get_ref().get_ref().bytes;
            let text = format!("before byte {place}: {}", not_unpacked(&error));
            // The system's own errors stay what they are: they say nothing of what stands in the file.
            let failed = || match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io::ErrorKind::InvalidData, text.clone()),
            };
            let _nobody = to.send(Err(failed()));
            return Err(failed());
        }
        if over {
            break;
        }
    }
    let mut from = decoder.finish();
    io::copy(&mut from, &mut io::sink())?;
    Ok(from.into_inner().sum())
}
