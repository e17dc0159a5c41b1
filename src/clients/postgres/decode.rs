//! Reading a dump from its first byte to its last.
#![expect(clippy::disallowed_methods, reason = "the clients read files")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::ExitStatus,
};

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{PostgresClient, connect::judge, program};
use crate::{
    clients::{
        files::{blocking, unread},
        hashed::Hashed,
    },
    event::{Failure, Teller, Unit},
    ports::{
        files::not_unpacked,
        postgres::{Contents, Decoded, TableRows},
    },
};

const DISTRUST: &str = "do not rely on this backup; make a new one";
const AWAY: &str =
    "this says nothing of the backup: see what ended it with `dmesg`, and type the command again";

/// Bytes moved at a time.
const PIECE: usize = 256 << 10;
const STRIDE: u64 = 16 << 20;

pub(super) async fn decode(
    client: &PostgresClient,
    major: u32,
    file: &Path,
    tell: &Teller,
) -> Result<Decoded, Failure> {
    let restore = match program::find(&client.processes, major).await {
        Ok(found) => Some(program::restore(&found)),
        Err(failure) if failure.code == "dump_client_missing" => None,
        Err(failure) => return Err(failure),
    };
    let Some(restore) = restore else {
        let (sums, _) = unpack(file, None, tell).await?;
        return Ok(sums.decoded(None));
    };
    let what = format!("reading `{}` with `pg_restore`", file.display());
    let start = client.processes.program(restore).args(["-f", "-"]).start_fed();
    let failed =
        |error: io::Error| Failure::new("dump_unreadable", format!("{what} failed: {error}")).hint(AWAY);
    let (mut running, input, out) = start.map_err(failed)?;
    let input = input.into_owned_fd().map(File::from).map_err(failed)?;
    let (unpacked, counted, ended) =
        tokio::join!(unpack(file, Some(input), tell), count(BufReader::new(out)), running.end());
    let (sums, all_taken) = unpacked?;
    read_all(&what, ended)?;
    if !all_taken {
        let text = format!("{what} ended before the dump did");
        return Err(Failure::new("set_damaged", text).hint(DISTRUST));
    }
    Ok(sums.decoded(Some(counted.map_err(failed)?)))
}

/// A `pg_restore` that was ended from outside, or that found no memory, says nothing of what it read.
fn read_all(what: &str, ended: io::Result<(ExitStatus, Vec<String>)>) -> Result<(), Failure> {
    let not_its_own = match &ended {
        Err(_) => true,
        Ok((status, lines)) => {
            status.signal().is_some() || lines.iter().any(|line| line.contains("out of memory"))
        }
    };
    if !not_its_own {
        return judge("set_damaged", what, ended).map_err(|failure| failure.hint(DISTRUST));
    }
    judge("dump_unreadable", what, ended).map_err(|failure| failure.hint(AWAY))
}

/// Lengths and hashes of both sides of the compression.
struct Sums {
    packed: (u64, String),
    plain: (u64, String),
}

impl Sums {
    fn decoded(self, contents: Option<Contents>) -> Decoded {
        Decoded {
            bytes: self.packed.0,
            blake3: self.packed.1,
            uncompressed_bytes: self.plain.0,
            uncompressed_blake3: self.plain.1,
            contents,
        }
    }
}

/// Decompresses a whole file, into `to` where somebody wants it. False if that one stopped listening.
async fn unpack(file: &Path, to: Option<File>, tell: &Teller) -> Result<(Sums, bool), Failure> {
    let (path, tell) = (file.to_owned(), tell.clone());
    blocking(move || {
        let damaged = |error: io::Error| {
            unread(&path, &error).unwrap_or_else(|| {
                let why = not_unpacked(&error);
                let text = format!("`{}` cannot be read to its end: {why}", path.display());
                Failure::new("set_damaged", text).hint(DISTRUST)
            })
        };
        let open = File::open(&path).map_err(damaged)?;
        let total = open.metadata().map_err(damaged)?.len();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let told = move |bytes| tell.progress(format!("reading `{name}`"), bytes, Some(total), Unit::Bytes);
        unpack_here(open, to, told).map_err(damaged)
    })
    .await
}

fn unpack_here(from: File, mut to: Option<File>, told: impl Fn(u64)) -> io::Result<(Sums, bool)> {
    let from = Hashed::new(from);
    let mut decoder = zstd::Decoder::new(from)?;
    let (mut hasher, mut bytes, mut said) = (blake3::Hasher::new(), 0_u64, 0);
    let (mut piece, mut all_taken) = (vec![0; PIECE], true);
    loop {
        let read = match decoder.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&piece[..read]);
        bytes += read as u64;
        if let Some(pipe) = &mut to
            && pipe.write_all(&piece[..read]).is_err()
        {
            // Why it ended is its own to say; the rest is read all the same, for its hash.
            (to, all_taken) = (None, false);
        }
        let packed = decoder.get_ref().get_ref().bytes;
        if packed >= said + STRIDE {
            said = packed;
            told(said);
        }
    }
    drop(to);
    let mut rest = decoder.finish();
    // What stands behind the last frame belongs to the file as well.
    io::copy(&mut rest, &mut io::sink())?;
    let plain = (bytes, hasher.finalize().to_hex().to_string());
    Ok((Sums { packed: rest.into_inner().sum(), plain }, all_taken))
}

/// Rows per table and large objects in the statements that `pg_restore` writes.
async fn count(mut out: impl tokio::io::AsyncBufRead + Unpin) -> io::Result<Contents> {
    let mut rows: BTreeMap<(String, String), u64> = BTreeMap::new();
    let (mut line, mut table, mut large_objects) = (Vec::new(), None, 0);
    while {
        line.clear();
        out.read_until(b'\n', &mut line).await? > 0
    } {
        if let Some(name) = &table {
            if line.as_slice() == b"\\.\n" {
                table = None;
            } else if let Some(count) = rows.get_mut(name) {
                *count += 1;
            }
        } else if line.starts_with(b"COPY ") && line.ends_with(b"FROM stdin;\n") {
            let text = String::from_utf8_lossy(&line["COPY ".len()..]).into_owned();
            if let Some(name) = qualified(&text) {
                rows.entry(name.clone()).or_insert(0);
                table = Some(name);
            }
        } else if line.starts_with(b"SELECT pg_catalog.lo_create(") {
            large_objects += 1;
        }
    }
    let tables = rows.into_iter().map(|((schema, name), rows)| TableRows { schema, name, rows });
    Ok(Contents { tables: tables.collect(), large_objects })
}

/// `public.orders (id, ...` or `"My Schema"."a.b" (...`: schema and name.
fn qualified(text: &str) -> Option<(String, String)> {
    let (schema, rest) = identifier(text)?;
    let (name, _) = identifier(rest.strip_prefix('.')?)?;
    Some((schema, name))
}

fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ' '])?;
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '"' {
            name.push(letter);
        } else if letters.peek().is_some_and(|(_, next)| *next == '"') {
            letters.next();
            name.push('"');
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that cannot be read just now is no damage of a backup; a file that ends too early is.
    #[tokio::test]
    async fn only_what_stands_in_a_file_makes_it_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let code =
            async |path: &Path| unpack(path, None, &Teller::silent()).await.err().map(|failure| failure.code);
        // Reading where it begins ends with an error of input and output, for everybody.
        assert_eq!(code(Path::new("/proc/self/mem")).await.as_deref(), Some("file_failed"));
        let around = folder.path().join("around");
        std::os::unix::fs::symlink(&around, &around).unwrap();
        assert_eq!(code(&around).await.as_deref(), Some("file_failed"));
        assert_eq!(code(&folder.path().join("none")).await.as_deref(), Some("set_damaged"));
        let cut = folder.path().join("cut");
        let whole = zstd::encode_all(&[7; 9_000][..], 1).unwrap();
        std::fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(code(&cut).await.as_deref(), Some("set_damaged"));
        let text = async |path: &Path| {
            unpack(path, None, &Teller::silent()).await.err().map(|failure| failure.message).unwrap()
        };
        assert!(text(&cut).await.ends_with("it is damaged, it ends too early"), "{}", text(&cut).await);
        let mut altered = whole.clone();
        altered[1] ^= 1;
        std::fs::write(&cut, &altered).unwrap();
        assert!(text(&cut).await.ends_with("it is damaged and cannot be unpacked"), "{}", text(&cut).await);
        std::fs::write(&cut, whole).unwrap();
        assert_eq!(code(&cut).await, None);
    }

    #[test]
    fn a_pg_restore_that_was_killed_says_nothing_of_the_dump() {
        let code = |status, line: &str| {
            let ended = Ok((ExitStatus::from_raw(status), vec![line.to_owned()]));
            read_all("reading", ended).err().map(|failure| failure.code)
        };
        assert_eq!(code(9, "").as_deref(), Some("dump_unreadable"));
        assert_eq!(code(1 << 8, "pg_restore: error: out of memory").as_deref(), Some("dump_unreadable"));
        assert_eq!(code(1 << 8, "pg_restore: error: unexpected end of file").as_deref(), Some("set_damaged"));
        assert_eq!(code(0, ""), None);
    }

    #[tokio::test]
    async fn rows_and_large_objects_are_counted() {
        let text =
            b"SET x = 0;\nCOPY public.orders (id, key) FROM stdin;\n1\ta\n2\tCOPY b FROM stdin;\n\\.\n\n\
            COPY \"My \"\"S\".\"a.b\" (id) FROM stdin;\n\\.\nSELECT pg_catalog.lo_create('16401');\n";
        let contents = count(text.as_slice()).await.unwrap();
        let tables: Vec<_> =
            contents.tables.iter().map(|one| (one.schema.as_str(), one.name.as_str(), one.rows)).collect();
        assert_eq!(tables, [("My \"S", "a.b", 0), ("public", "orders", 2)]);
        assert_eq!(contents.large_objects, 1);
    }
}
