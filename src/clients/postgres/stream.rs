//! What `pg_dump` writes, on its way to the disk: hashed, compressed, hashed again. All of it blocks, so it runs on a
//! thread of its own.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::clients::files::blocking;
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
            let file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial.at);
            Ok((partial, file?))
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

fn pack_here(mut from: impl Read, to: File, mut told: impl FnMut(u64)) -> io::Result<Written> {
    let mut plain = (blake3::Hasher::new(), 0_u64);
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
        plain.0.update(&piece[..read]);
        plain.1 += read as u64;
        encoder.write_all(&piece[..read])?;
        if plain.1 >= said + STRIDE {
            said = plain.1;
            told(said);
        }
    }
    told(plain.1);
    let packed = encoder.finish()?;
    packed.to.sync_all()?;
    let sum = |(hasher, bytes): (blake3::Hasher, u64)| Sum {
        bytes,
        blake3: hasher.finalize().to_hex().to_string(),
    };
    Ok(Written { plain: sum(plain), packed: sum((packed.hasher, packed.bytes)) })
}

/// One thread more than the one that reads, where there is a core for it.
fn workers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores.min(4)).unwrap_or(1)
}

/// Hashes what goes through it.
struct Hashed {
    to: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Hashed {
    fn new(to: File) -> Self {
        Self { to, hasher: blake3::Hasher::new(), bytes: 0 }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
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
