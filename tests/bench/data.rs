//! A database and an uploads folder as large as a site has them after some years.

use std::{fs, path::Path};

use base64::Engine;
use md5::{Digest, Md5};

use crate::lab::{Result, Stack};

/// `percent` of 2 GB of rows and of 2 GB of files.
pub(crate) fn fill(stack: &Stack, percent: u64) -> Result<()> {
    println!("filling the site: {percent} % of 2 GB of rows and 2 GB of files");
    rows(stack, percent)?;
    uploads(stack, percent)?;
    let size = "SELECT pg_size_pretty(pg_database_size('strata_production'))";
    println!("the primary database has {}", stack.psql("postgres", size)?);
    Ok(())
}

/// Events of words and JSON, documents that are stored out of line, images that nothing packs; indexes on each.
fn rows(stack: &Stack, percent: u64) -> Result<()> {
    // Words of a vocabulary, the same on every machine.
    let some = |count: &str| {
        format!(
            "(SELECT string_agg(md5((hashint4(g * 61 + n) & 4095)::text), ' ') FROM generate_series(1, {count}) n)"
        )
    };
    let (events, documents, images) = (15_000 * percent, 250 * percent, 4_000 * percent);
    let script = format!(
        "SET ROLE strata; SET synchronous_commit = off;
         CREATE TABLE events (id bigserial PRIMARY KEY, kind text, payload jsonb, body text, at timestamptz);
         INSERT INTO events (kind, payload, body, at) SELECT 'kind ' || g % 40,
             jsonb_build_object('user', hashint4(g), 'path', md5(g::text), 'took', g % 977, 'ok', g % 3 = 0),
             {body}, now() - g * interval '7 s' FROM generate_series(1, {events}) g;
         CREATE INDEX ON events (kind); CREATE INDEX ON events (at);
         CREATE TABLE documents (id bigserial PRIMARY KEY, text text);
         INSERT INTO documents (text) SELECT {text} FROM generate_series(1, {documents}) g;
         CREATE TABLE images (id bigserial PRIMARY KEY, bytes bytea);
         INSERT INTO images (bytes) SELECT (SELECT string_agg(decode(md5((g * 97 + n)::text), 'hex'), '')
             FROM generate_series(1, 64) n) FROM generate_series(1, {images}) g;
         ANALYZE",
        body = some("30"),
        text = some("500"),
    );
    stack.psql("strata_production", &script).map(|_| ())
}

/// Many small files in two levels of folders, some large ones, half of all incompressible; each with its row.
fn uploads(stack: &Stack, percent: u64) -> Result<()> {
    let folder = stack.storage()?;
    let noise = fs::File::open("/dev/urandom").and_then(|mut file| {
        let mut bytes = vec![0; 100 << 20];
        std::io::Read::read_exact(&mut file, &mut bytes).map(|()| bytes)
    });
    let noise = noise.map_err(|error| format!("`/dev/urandom`: {error}"))?;
    let text = "a line of text that is packed well, number \n".repeat(2 << 20).into_bytes();
    let mut values = Vec::new();
    for number in 0..usize::try_from(200 * percent).map_err(|error| error.to_string())? {
        let size = if number % 2000 == 0 { 100 << 20 } else { 2_000 << (number % 7) } + number % 1_000;
        let from = if number % 2 == 0 { &noise } else { &text };
        let at = if size < (1 << 20) { number * 911 % (50 << 20) } else { 0 };
        values.push(upload(&folder, number, &from[at..(at + size).min(from.len())])?);
    }
    for rows in values.chunks(500) {
        let insert = "INSERT INTO active_storage_blobs (key, filename, byte_size, checksum) VALUES";
        stack.psql("strata_production", &format!("{insert} {}", rows.join(", ")))?;
    }
    Ok(())
}

/// More of them, after a copy was made.
pub(crate) fn more(stack: &Stack, round: u64) -> Result<()> {
    let folder = stack.storage()?;
    for number in 0..100 {
        let file = folder.join(format!("more-{round}-{number}"));
        fs::write(&file, vec![u8::try_from(number).unwrap_or_default(); 60_000])
            .map_err(|error| format!("`{}`: {error}", file.display()))?;
    }
    Ok(())
}

/// Writes one file; its row's values.
fn upload(storage: &Path, number: usize, bytes: &[u8]) -> Result<String> {
    let key = blake3::hash(&number.to_le_bytes()).to_hex()[..28].to_owned();
    let folder = storage.join(&key[..2]).join(&key[2..4]);
    let io = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(io)?;
    fs::write(folder.join(&key), bytes).map_err(io)?;
    let checksum = base64::engine::general_purpose::STANDARD.encode(Md5::digest(bytes));
    Ok(format!("('{key}', 'upload {number}', {}, '{checksum}')", bytes.len()))
}
