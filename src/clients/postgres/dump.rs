//! Dumps of several databases from one cut.

use std::{fs::File, io, path::Path, time::Duration};

use super::{
    PostgresClient,
    admin::Admin,
    blobs, connect,
    count::{self, Table},
    cut::{Cut, Pinned, REWRITTEN},
    facts,
    passfile::PassFile,
    stream::{self, Partial, Written},
};
use crate::{
    clients::{
        files::{is_full, no_room, not_made},
        process::Program,
    },
    event::{Failure, Teller, Unit},
    ports::postgres::{Dump, DumpReport, DumpedDatabase},
};

/// How long the rest of a program's output may take once it has ended: a pipe holds little, a disk may be slow.
const LEFT_OVER: Duration = Duration::from_mins(2);

/// How often another moment is tried when a table was written anew since the last one.
const TRIES: u32 = 3;

pub(super) async fn all(
    client: &PostgresClient,
    request: &Dump,
    tell: &Teller,
) -> Result<DumpReport, Failure> {
    for _ in 1..TRIES {
        match at_one_moment(client, request, tell).await {
            Err(failure) if failure.code == REWRITTEN => {
                tell.warn(format!("{}; all dumps are made again", failure.message));
            }
            done => return done,
        }
    }
    at_one_moment(client, request, tell).await
}

/// One after the other, because the server's own work is the limit, from sessions that stand at the same moment.
async fn at_one_moment(
    client: &PostgresClient,
    request: &Dump,
    tell: &Teller,
) -> Result<DumpReport, Failure> {
    let password = client.password().map(|password| PassFile::new(&password)).transpose()?;
    let who = client.own(&request.endpoint)?;
    let cut = Cut::make(client, &request.endpoint, &request.databases).await?;
    let mut databases = Vec::new();
    for (name, pinned) in request.databases.iter().zip(&cut.sessions) {
        let one = One { client, who: &who, request, name, pinned, password: password.as_ref() };
        databases.push(one.dump(tell).await?);
    }
    let of = request
        .databases
        .iter()
        .zip(&cut.sessions)
        .find(|(name, _)| Some(*name) == request.blobs_of.as_ref());
    let blobs = match of {
        Some((_, pinned)) => blobs::list(pinned, request, tell).await?,
        None => None,
    };
    let (snapshot, tries, wal_lsn) = (cut.snapshot.clone(), cut.tries, cut.wal_lsn.clone());
    cut.close().await;
    Ok(DumpReport { snapshot, tries, wal_lsn, databases, blobs })
}

/// `pg_dump` takes a pattern: in quotes a name stands for itself alone.
fn exclusion(table: &Table) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("--exclude-table-data={}.{}", quoted(&table.schema), quoted(&table.name))
}

/// One database of a dump.
struct One<'a> {
    client: &'a PostgresClient,
    who: &'a Admin,
    request: &'a Dump,
    name: &'a str,
    pinned: &'a Pinned,
    password: Option<&'a PassFile>,
}

impl One<'_> {
    async fn dump(&self, tell: &Teller) -> Result<DumpedDatabase, Failure> {
        let size = facts::database(&self.pinned.session).await?.size;
        let file = format!("{}.dump.zst", self.name);
        let place = self.request.folder.join(&file);
        let made = Partial::make(place.clone()).await;
        let (partial, open) = made.map_err(|error| not_made(&place, &error))?;
        let left_out = self.left_out().await?;
        let counted = count::all(&self.pinned.session, &left_out);
        let (written, (tables, large_objects)) =
            tokio::try_join!(self.stream(open, &place, size, &left_out, tell), counted)?;
        self.pinned.is_whole(self.name).await?;
        partial.whole().await.map_err(|error| self.cannot_write(&place, &error))?;
        Ok(DumpedDatabase {
            name: self.name.to_owned(),
            file,
            bytes: written.packed.bytes,
            blake3: written.packed.blake3,
            uncompressed_bytes: written.plain.bytes,
            uncompressed_blake3: written.plain.blake3,
            tables,
            large_objects,
            sequences: count::sequences(&self.pinned.session).await?,
        })
    }

    /// The tables whose rows are not dumped.
    async fn left_out(&self) -> Result<Vec<Table>, Failure> {
        if !self.request.without_rows.contains(self.name) {
            return Ok(Vec::new());
        }
        let mut tables = count::tables(&self.pinned.session).await?;
        tables.retain(|table| !Dump::ALWAYS.contains(&table.name.as_str()));
        Ok(tables)
    }

    /// Runs `pg_dump` into the open file. The program is judged before the file: one that was killed ends its
    /// output just as one that is done.
    async fn stream(
        &self,
        to: File,
        place: &Path,
        size: u64,
        left_out: &[Table],
        tell: &Teller,
    ) -> Result<Written, Failure> {
        let start = self.program(left_out).and_then(Program::start);
        let (mut running, out) = start.map_err(|error| self.failed(&error.to_string(), Vec::new()))?;
        let out = out.into_owned_fd().map(File::from);
        let out = out.map_err(|error| self.failed(&error.to_string(), Vec::new()))?;
        let (tell, what) = (tell.clone(), format!("dump of `{}`", self.name));
        let told = move |bytes| tell.progress(what.clone(), bytes, Some(size.max(bytes)), Unit::Bytes);
        let packing = stream::pack(out, to, told);
        tokio::pin!(packing);
        let ended = running.end();
        tokio::pin!(ended);
        let (packed, ended) = tokio::select! {
            packed = &mut packing => (packed, ended.await),
            // What it left in the pipe is soon read, unless somebody else has the pipe too.
            ended = &mut ended => match tokio::time::timeout(LEFT_OVER, &mut packing).await {
                Ok(packed) => (packed, ended),
                Err(_) => (Err(io::Error::other("its output has no end")), ended),
            },
        };
        match packed {
            // A disk that is full is why the program could not go on.
            Err(error) if is_full(&error) => Err(no_room(place)),
            Err(error) => self.judge(ended).and(Err(self.cannot_write(place, &error))),
            Ok(written) => self.judge(ended).map(|()| written),
        }
    }

    fn judge(&self, ended: io::Result<(std::process::ExitStatus, Vec<String>)>) -> Result<(), Failure> {
        connect::judge("dump_failed", &format!("`pg_dump` of `{}`", self.name), ended)
    }

    fn program(&self, left_out: &[Table]) -> io::Result<Program> {
        let processes = &self.client.processes;
        let program = processes
            .program(&self.request.client.path)
            .args(["--format=custom", "--compress=0", "--no-password", "--lock-wait-timeout=60s"])
            .args([format!("--snapshot={}", self.pinned.exported)])
            .args(left_out.iter().map(exclusion));
        connect::to(program, self.who, self.name, self.password)
    }

    fn failed(&self, why: &str, lines: Vec<String>) -> Failure {
        let text = format!("`pg_dump` of `{}` failed: {why}", self.name);
        Failure::new("dump_failed", text).hint(connect::MEND).evidence(lines)
    }

    fn cannot_write(&self, place: &Path, error: &io::Error) -> Failure {
        if is_full(error) {
            return no_room(place);
        }
        let text = format!("the dump of `{}` cannot be written: {error}", self.name);
        Failure::new("dump_failed", text).hint("look at the disk with `dmesg`, and type the command again")
    }
}
