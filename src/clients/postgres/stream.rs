//! What `pg_dump` writes, on its way to the disk: hashed, compressed, hashed again. All of it blocks, so it runs on a
//! thread of its own.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::clients::{
    files::{blocking, fresh},
    hashed::{Hashed, workers},
};
use crate::event::Failure;

/// Bytes moved at a time.
const PIECE: usize = 256 << 10;
/// Bytes between two words about progress.
const STRIDE: u64 = 4 << 20;

/// A file that is not whole yet, under a name that says so. Removed unless it gets its own.
pub(super) struct Partial {
    at: PathBuf,
    place: PathBuf,
}

/// What was written, before and after compression.
pub(super) struct Written {
    pub(super) plain: Sum,
    pub(super) packed: Sum,
}

/// Length and BLAKE3, 64 hex digits.
pub(super) struct Sum {
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _renamed = fs::remove_file(&self.at);
    }
}

impl Partial {
    /// Makes it, empty; what an earlier try left there goes.
    pub(super) async fn make(place: PathBuf) -> io::Result<(Self, File)> {
        let made = tokio::task::spawn_blocking(move || {
            let mut name = place.as_os_str().to_owned();
            name.push(".partial");
            let at = PathBuf::from(name);
            let partial = Self { at, place };
            let file = fresh(&partial.at)?;
            Ok((partial, file))
        });
        made.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Gives it its own name, for good: the disk knows it when this returns.
    pub(super) async fn whole(self) -> io::Result<()> {
        let renamed = tokio::task::spawn_blocking(move || {
            fs::rename(&self.at, &self.place)?;
            let folder = self.place.parent().unwrap_or(Path::new("/"));
            File::open(folder)?.sync_all()
        });
        renamed.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Moves everything from `from` into `to`, and waits until the disk has it. `told` hears how many bytes came.
pub(super) async fn pack(
    from: impl Read + Send + 'static,
    to: File,
    told: impl FnMut(u64) + Send + 'static,
) -> io::Result<Written> {
    let mut result = Err(io::Error::other("the thread that writes the dump ended"));
    let done = blocking(move || Ok::<_, Failure>(pack_here(from, to, told))).await;
    if let Ok(done) = done {
        result = done;
    }
    result
}

fn pack_here(from: impl Read, to: File, mut told: impl FnMut(u64)) -> io::Result<Written> {
    let mut from = Hashed::new(from);
    let mut encoder = zstd::Encoder::new(Hashed::new(to), 1)?;
    encoder.include_checksum(true)?;
    encoder.multithread(workers())?;
    let mut piece = vec![0; PIECE];
    let mut said = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        encoder.write_all(&piece[..read])?;
        if from.bytes >= said + STRIDE {
            said = from.bytes;
            told(said);
        }
    }
    told(from.bytes);
    let packed = encoder.finish()?;
    packed.inner.sync_all()?;
    let sum = |(bytes, blake3)| Sum { bytes, blake3 };
    Ok(Written { plain: sum(from.sum()), packed: sum(packed.sum()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_packed_can_be_unpacked_and_hashes_as_reported() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.dump.zst");
        let (partial, file) = Partial::make(place.clone()).await.unwrap();
        let plain: Vec<u8> = (0..9_000_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let written = pack(io::Cursor::new(plain.clone()), file, |_| {}).await.unwrap();
        assert!(!place.exists());
        partial.whole().await.unwrap();
        let packed = fs::read(&place).unwrap();
        assert_eq!(written.packed.bytes, packed.len() as u64);
        assert_eq!(written.packed.blake3, blake3::hash(&packed).to_hex().to_string());
        assert_eq!(written.plain.blake3, blake3::hash(&plain).to_hex().to_string());
        assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), plain);
        // The frame carries a checksum of the content: one flipped bit is seen.
        let mut damaged = packed;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        assert!(zstd::decode_all(damaged.as_slice()).is_err());
    }

    #[tokio::test]
    async fn what_is_not_whole_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (partial, _file) = Partial::make(folder.path().join("a.dump.zst")).await.unwrap();
        assert!(folder.path().join("a.dump.zst.partial").exists());
        drop(partial);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
