//! The one hand that writes. Every method is one transaction, committed and synced when it returns.

mod calls;
mod undos;

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{
    Folder, JournalError, Lock, NewRun, RunState, bytes_hash, fold, processes, reserve, schema,
    scrub::Scrub,
    state::{Move, State},
};
use crate::{
    event::{Ending, Failure},
    site::Scrubber,
};

/// How a write may use the room that is set aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Something new begins: it needs the reserve to be whole, for its own last words.
    Fresh,
    /// Something that has begun is brought to its end: it may use the reserve up.
    Reserve,
}

type Done<T> = Result<T, JournalError>;

/// Writes the journal of one site under one taking of its [`Lock`]. It may be shared between threads; each write
/// is whole.
pub struct Writer {
    connection: Mutex<Connection>,
    folder: Folder,
    epoch: i64,
    scrub: Scrub,
    boot: String,
}

impl Writer {
    pub fn open(folder: &Folder, lock: &Lock, scrubber: Scrubber) -> Done<Self> {
        let connection = schema::open_writer(folder)?;
        schema::check_writable(&connection, folder)?;
        Ok(Self {
            connection: Mutex::new(connection),
            folder: folder.clone(),
            epoch: lock.epoch(),
            scrub: Scrub(scrubber),
            boot: processes::boot_id(),
        })
    }

    /// The taking of the lock that it writes under.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The run, its scripts and entry 0, in one commit. Fails with `run_unfinished` while another is.
    pub fn begin(&self, run: NewRun) -> Done<()> {
        let NewRun { id, runbook, command, by, at, params, on_failure, bundle, before, uplift } = run;
        let params = self.scrub.exact("the parameters", &params)?;
        let before = self.scrub.exact("what was recorded of the site", &before)?;
        let (command, by) = (self.scrub.text(&command), self.scrub.text(&by));
        self.commit(Room::Fresh, "record the run", |tx| {
            refuse_unfinished(tx, &id)?;
            let kept = |(name, text): &(String, String)| Ok((name.clone(), keep(tx, text.as_bytes())?));
            let bundle = bundle.iter().map(kept).collect::<rusqlite::Result<Vec<_>>>()?;
            let before = keep(tx, before.as_bytes())?;
            tx.execute(
                "INSERT INTO run (id, epoch, runbook, command, started_by, started_at, params, on_failure,
                    bundle, before, uplift, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')",
                params![
                    id,
                    self.epoch,
                    runbook,
                    command,
                    by,
                    at.to_string(),
                    params,
                    on_failure,
                    json(&bundle),
                    before,
                    uplift
                ],
            )?;
            Ok(())
        })
    }

    /// Takes up a run that stands still or was interrupted, to go on or to go back. An effect that was at work when it
    /// stopped is `unknown` from now on; a look that was is made once more. The reserve is not needed for this: going back
    /// must be possible on a full disk.
    pub fn adopt(&self, run: &str) -> Done<()> {
        let lost = Failure::new("interrupted", "uplift was stopped before the answer came").unknown();
        self.commit(Room::Reserve, "take up the run", |tx| {
            let state = run_state(tx, run)?;
            if !state.unfinished() {
                return Err(JournalError::RunOver { run: run.to_owned(), state: state.to_string() }.into());
            }
            refuse_unfinished(tx, run)?;
            tx.execute(
                "UPDATE run SET epoch = ?, state = ?, resumed = resumed + 1, ended_at = NULL, ending = NULL
                    WHERE id = ?",
                params![self.epoch, RunState::Running.to_string(), run],
            )?;
            for (kind, becomes) in [("read", State::Waiting), ("effect", State::Unknown)] {
                tx.execute(
                    "UPDATE attempt SET state = ?, failure = ? WHERE run = ? AND state = ?
                        AND seq IN (SELECT seq FROM entry WHERE entry.run = attempt.run AND kind = ?)",
                    params![becomes.to_string(), json(&lost), run, State::Started.to_string(), kind],
                )?;
            }
            Ok(())
        })
    }

    /// The last word, or why the run stands still. A good word is refused (`not_settled`) while a call is in doubt
    /// or, for a way back, not taken back.
    pub fn ended(&self, run: &str, state: RunState, ending: &Ending, at: Timestamp) -> Done<()> {
        let ending = json(&self.scrub.ending(ending));
        self.write(run, "record the end", |tx| {
            let back = matches!(state, RunState::TakenBack | RunState::RolledBack);
            let open = if state.unfinished() || state == RunState::Closed {
                Vec::new()
            } else {
                fold::unsettled(tx, run, back)?
            };
            if !open.is_empty() {
                let (run, state) = (run.to_owned(), state.to_string());
                return Err(JournalError::NotSettled { run, state, open }.into());
            }
            tx.execute(
                "UPDATE run SET state = ?, ending = ?, ended_at = ? WHERE id = ?",
                params![state.to_string(), ending, at.to_string(), run],
            )?;
            Ok(())
        })
    }

    /// One transaction in a run that this taking of the lock has begun or adopted.
    fn write<T>(&self, run: &str, what: &'static str, work: impl Fn(&Tx<'_>) -> Inner<T>) -> Done<T> {
        self.in_run(Room::Reserve, run, what, work)
    }

    fn in_run<T>(
        &self,
        room: Room,
        run: &str,
        what: &'static str,
        work: impl Fn(&Tx<'_>) -> Inner<T>,
    ) -> Done<T> {
        self.commit(room, what, |tx| {
            let state = run_state(tx, run)?;
            let ours = "SELECT count(*) FROM run WHERE id = ? AND epoch = ?";
            let ours: i64 = tx.query_row(ours, params![run, self.epoch], |row| row.get(0))?;
            if state != RunState::Running || ours == 0 {
                return Err(JournalError::RunOver { run: run.to_owned(), state: state.to_string() }.into());
            }
            work(tx)
        })
    }

    /// The only way into the database: the epoch is checked inside the same transaction as the write, so that a
    /// writer whose lock was taken over changes nothing. If the disk is full, what ends something is tried again
    /// in the room that was set aside.
    fn commit<T>(&self, room: Room, what: &'static str, work: impl Fn(&Tx<'_>) -> Inner<T>) -> Done<T> {
        if room == Room::Fresh {
            reserve::ensure(&self.folder)?;
        }
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tried = self.transact(&mut connection, &work);
        if matches!(&tried, Err(Failed::Sql(error)) if schema::no_room(error))
            && room == Room::Reserve
            && reserve::release(&self.folder)
        {
            tried = self.transact(&mut connection, &work);
        }
        tried.map_err(|failed| match failed {
            Failed::Journal(error) => *error,
            Failed::Sql(error) => schema::sort(&self.folder, what, error),
        })
    }

    fn transact<T>(&self, connection: &mut Connection, work: &impl Fn(&Tx<'_>) -> Inner<T>) -> Inner<T> {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let fenced = "UPDATE meta SET commits = commits + 1 WHERE epoch = ?";
        if tx.execute(fenced, [self.epoch])? == 0 {
            return Err(JournalError::LockLost.into());
        }
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}

impl Drop for Writer {
    /// Brings the log into the file, so that a copy of the file alone is complete. Nothing is lost if it fails. The
    /// log keeps its room on the disk.
    fn drop(&mut self) {
        let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = connection.busy_timeout(std::time::Duration::ZERO);
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

type Tx<'a> = Transaction<'a>;
type Inner<T> = Result<T, Failed>;

/// Inside a transaction `SQLite`'s own errors stay what they are, so that a full disk can be told from the rest.
enum Failed {
    Sql(rusqlite::Error),
    Journal(Box<JournalError>),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<JournalError> for Failed {
    fn from(error: JournalError) -> Self {
        Self::Journal(Box::new(error))
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::json!(value).to_string()
}

fn keep(tx: &Tx<'_>, bytes: &[u8]) -> rusqlite::Result<String> {
    let hash = bytes_hash(bytes);
    tx.execute("INSERT OR IGNORE INTO blob (hash, bytes) VALUES (?, ?)", params![hash, bytes])?;
    Ok(hash)
}

fn run_state(tx: &Tx<'_>, run: &str) -> Inner<RunState> {
    let found = tx.query_row("SELECT state FROM run WHERE id = ?", [run], |row| row.get(0)).optional()?;
    let text: String = found.ok_or_else(|| JournalError::NoSuchRun { id: run.to_owned() })?;
    Ok(fold::named(&text)?)
}

fn refuse_unfinished(tx: &Tx<'_>, run: &str) -> Inner<()> {
    let of = format!("SELECT id FROM run WHERE id <> ? AND state IN {}", schema::UNFINISHED);
    match tx.query_row(&of, [run], |row| row.get(0)).optional()? {
        Some(run) => Err(JournalError::RunUnfinished { run }.into()),
        None => Ok(()),
    }
}
