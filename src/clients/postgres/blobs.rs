//! The list of uploaded files that a database knows, written from the session that stands at the dump's moment.

use std::io::{self, Read};

use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::{
    count,
    cut::Pinned,
    session::Session,
    stream::{self, Partial},
};
use crate::{
    clients::files::{is_full, no_room, not_made},
    event::{Failure, Teller, Unit},
    ports::postgres::{Blob, BlobList, Dump},
};

const FILE: &str = BlobList::FILE;
/// Bytes of lines that are handed on at a time, and how many such pieces may wait.
const PIECE: usize = 64 << 10;
const AHEAD: usize = 8;

/// The table's name with its schema, and whether its rows say which service keeps the file.
const TABLE: &str = "SELECT format('%I.%I', n.nspname, c.relname), EXISTS (SELECT FROM pg_catalog.pg_attribute a \
     WHERE a.attrelid = c.oid AND a.attname = 'service_name' AND NOT a.attisdropped) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relname = 'active_storage_blobs' AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' \
     ORDER BY n.nspname <> 'public', n.nspname LIMIT 1";
/// Files of these lie in an object store, and not in the tree.
const ELSEWHERE: &str =
    " WHERE service_name IS NULL OR service_name NOT IN ('amazon', 'google', 'microsoft')";

/// How many rows [`list`] would write.
pub(super) async fn count(session: &Session) -> Result<u64, Failure> {
    match rows(session).await? {
        Some(rows) => count::number(session, &format!("SELECT count(*) {rows}")).await,
        None => Ok(0),
    }
}

/// The rest of a query for the rows whose files lie in the tree; `None` if the database has no such table.
async fn rows(session: &Session) -> Result<Option<String>, Failure> {
    let Some(table) = session.rows(TABLE, &[]).await?.into_iter().next() else { return Ok(None) };
    let (name, services): (String, bool) = (session.column(&table, 0)?, session.column(&table, 1)?);
    let filter = if services { ELSEWHERE } else { "" };
    Ok(Some(format!("FROM {name}{filter}")))
}

/// Writes one line per row; `None` if the database has no such table.
pub(super) async fn list(
    pinned: &Pinned,
    request: &Dump,
    tell: &Teller,
) -> Result<Option<BlobList>, Failure> {
    let session = &pinned.session;
    let Some(rows) = rows(session).await? else { return Ok(None) };
    let query = format!("SELECT key::text, byte_size::bigint, checksum::text {rows}");
    let place = request.folder.join(FILE);
    let (partial, open) = Partial::make(place.clone()).await.map_err(|error| not_made(&place, &error))?;
    let failed = |error: io::Error| {
        if is_full(&error) {
            return no_room(&place);
        }
        Failure::new("dump_failed", format!("the list of uploaded files cannot be written: {error}"))
            .hint("look at the disk with `dmesg`, and type the command again")
    };
    let (lines, from) = mpsc::channel(AHEAD);
    let rows = async {
        let mut count = 0_u64;
        let mut rows = session.stream(&query).await?;
        let mut piece = Vec::with_capacity(PIECE);
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| session.asking(&error))?;
            serde_json::to_writer(&mut piece, &blob(session, &row)?).map_err(|error| failed(error.into()))?;
            piece.push(b'\n');
            count += 1;
            if piece.len() >= PIECE && lines.send(std::mem::take(&mut piece)).await.is_err() {
                // The side that writes has failed, and says why.
                break;
            }
        }
        let _failed = lines.send(piece).await;
        drop(lines);
        Ok(count)
    };
    let tell = tell.clone();
    let told = move |bytes| tell.progress("list of uploaded files", bytes, None, Unit::Bytes);
    let packing = async {
        let from = Lines { from, piece: Vec::new(), used: 0 };
        stream::pack(from, open, told).await.map_err(failed)
    };
    let (count, written) = tokio::try_join!(rows, packing)?;
    partial.whole().await.map_err(failed)?;
    let packed = written.packed;
    Ok(Some(BlobList { file: FILE.to_owned(), count, bytes: packed.bytes, blake3: packed.blake3 }))
}

fn blob(session: &Session, row: &tokio_postgres::Row) -> Result<Blob, Failure> {
    let size: i64 = session.column(row, 1)?;
    Ok(Blob {
        key: session.column(row, 0)?,
        byte_size: u64::try_from(size).unwrap_or(0),
        checksum: session.column(row, 2)?,
    })
}

/// Lines that come from the server, for a thread that reads.
struct Lines {
    from: mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.used == self.piece.len() {
            match self.from.blocking_recv() {
                Some(piece) => (self.piece, self.used) = (piece, 0),
                None => return Ok(0),
            }
        }
        let read = (&self.piece[self.used..]).read(into)?;
        self.used += read;
        Ok(read)
    }
}
