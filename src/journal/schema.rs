//! The file itself: tables, format, how it is opened.

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, config::DbConfig, params,
};

use super::{Folder, JournalError, mark, reserve};

/// The format that this uplift writes, and the newest that it can read.
pub const FORMAT: i64 = 1;

/// The oldest reader that understands what is written: a later format that only adds may keep this.
const READS: i64 = 1;

/// Marks the file as ours (`uplf`), for `file` and for the check below.
const APPLICATION: i64 = 0x7570_6c66;

const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

/// Everything that a run needs has its column from the first format on. Text in JSON columns has its secrets masked.
/// The states of a run that waits for somebody, or is at work.
pub(super) const UNFINISHED: &str = "('running', 'needs_person', 'stuck', 'unfinished')";

const TABLES: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,        -- what a writer must know
    reads INTEGER NOT NULL,         -- what a reader must know
    epoch INTEGER NOT NULL,         -- counts the takings of the lock
    commits INTEGER NOT NULL,       -- counts the commits of runs
    made_by TEXT NOT NULL
) STRICT;
CREATE TABLE blob (
    hash TEXT PRIMARY KEY,          -- BLAKE3 of bytes, hex
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,         -- the taking under which it last ran
    runbook TEXT NOT NULL,
    command TEXT NOT NULL,
    started_by TEXT NOT NULL,
    started_at TEXT NOT NULL,       -- RFC 3339, UTC, as all times here
    ended_at TEXT,
    params TEXT NOT NULL,           -- JSON
    on_failure TEXT NOT NULL,
    bundle TEXT NOT NULL,           -- JSON: [[name, blob hash], ...]
    before TEXT NOT NULL REFERENCES blob (hash),    -- entry 0
    uplift TEXT NOT NULL,
    state TEXT NOT NULL,
    ending TEXT,                    -- JSON
    resumed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX one_unfinished_run ON run ((1))
    WHERE state IN ('running', 'needs_person', 'stuck', 'unfinished');
CREATE TABLE entry (
    run TEXT NOT NULL REFERENCES run (id),
    seq INTEGER NOT NULL CHECK (seq > 0),
    address TEXT NOT NULL,
    path TEXT NOT NULL,
    verb TEXT NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('read', 'effect')),
    input TEXT NOT NULL,            -- JSON
    input_hash TEXT NOT NULL,
    place TEXT NOT NULL,            -- file:line:column
    summary TEXT NOT NULL,
    when_unknown TEXT,
    intent TEXT,                    -- JSON
    together INTEGER,               -- equal for the calls of one block
    PRIMARY KEY (run, seq),
    UNIQUE (run, address)
) STRICT;
CREATE TABLE attempt (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    state TEXT NOT NULL CHECK
        (state IN ('started', 'waiting', 'succeeded', 'failed', 'refused', 'unknown', 'not_applied')),
    epoch INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    next_at TEXT,
    intent TEXT,                    -- JSON: replaces the entry's, which was proved not applied
    value TEXT,                     -- JSON
    failure TEXT,                   -- JSON
    masked INTEGER NOT NULL DEFAULT 0,
    question TEXT,                  -- JSON
    PRIMARY KEY (run, seq, n),
    FOREIGN KEY (run, seq) REFERENCES entry (run, seq)
) STRICT;
CREATE TABLE decision (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES run (id),
    seq INTEGER NOT NULL,           -- 0: the run as a whole
    choice TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at TEXT NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
CREATE TABLE undo (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    state TEXT NOT NULL CHECK (state IN ('undo_started', 'undone', 'undo_failed', 'needs_decision')),
    epoch INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    decision INTEGER REFERENCES decision (id),
    value TEXT,                     -- JSON
    failure TEXT,                   -- JSON
    question TEXT,                  -- JSON
    PRIMARY KEY (run, seq, n),
    FOREIGN KEY (run, seq) REFERENCES entry (run, seq)
) STRICT;
";

/// The connection of the one writer.
pub(super) fn open_writer(folder: &Folder) -> Result<Connection, JournalError> {
    // Made by us first: with the right owner and mode, which SQLite then copies to the files beside it.
    folder.make_file("journal.db")?;
    let failed = |error| sort(folder, "be opened", error);
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(folder.journal(), flags)?;
        connection.busy_timeout(BUSY)?;
        // Keeps the log and its index in place at the end: a reader who may write nothing needs both.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    };
    let connection = open().map_err(failed)?;
    // Before anything is set: the journal mode is written into the file.
    if format(&connection).map_err(failed)?.is_none() {
        refuse_foreign(&connection, folder)?;
    }
    set_up(&connection).map_err(failed)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With less a committed intent can vanish in a power cut, and a started effect would look never begun.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Counts one more taking of the lock, in a new file if there is none, and gives its number with that of the commits. May
/// use the room that was set aside: going back must be possible on a full disk.
pub(super) fn next_epoch(folder: &Folder) -> Result<(i64, i64), JournalError> {
    match count_taking(folder) {
        Err(JournalError::DiskFull { .. }) if reserve::release(folder) => count_taking(folder),
        other => other,
    }
}

fn count_taking(folder: &Folder) -> Result<(i64, i64), JournalError> {
    let mut connection = open_writer(folder)?;
    let failed = |error| sort(folder, "count this run", error);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    if format(&tx).map_err(failed)?.is_none() {
        refuse_foreign(&tx, folder)?;
        mark::check_gone(folder)?;
        tx.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        tx.execute_batch(TABLES).map_err(failed)?;
        tx.execute(
            "INSERT INTO meta (one, format, reads, epoch, commits, made_by) VALUES (1, ?, ?, 0, 0, ?)",
            params![FORMAT, READS, concat!("uplift ", env!("CARGO_PKG_VERSION"))],
        )
        .map_err(failed)?;
        mark::forget(folder);
    }
    check_writable(&tx, folder)?;
    // Before it counts this taking: trying again must not make an older copy newer.
    mark::check(folder, || counts(&tx).map_err(failed))?;
    let two = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let counts = tx
        .query_row("UPDATE meta SET epoch = epoch + 1 RETURNING epoch, commits", [], two)
        .map_err(failed)?;
    tx.commit().map_err(failed)?;
    Ok(counts)
}

/// Refuses to write into a format that this uplift does not know.
pub(super) fn check_writable(connection: &Connection, folder: &Folder) -> Result<(), JournalError> {
    match format(connection).map_err(|error| sort(folder, "be read", error))? {
        Some((found, _)) if found > FORMAT => {
            Err(JournalError::Newer { path: folder.journal(), found, known: FORMAT })
        }
        Some(_) => Ok(()),
        None => Err(damaged(folder, "its tables are missing")),
    }
}

/// Refuses to read a format that this uplift would misread; false if there is nothing to read yet.
pub(super) fn check_readable(connection: &Connection, folder: &Folder) -> Result<bool, JournalError> {
    // One look at one moment: the first run of a site may be making the tables right now.
    let moment = connection.unchecked_transaction().map_err(|error| sort(folder, "be read", error))?;
    match format(&moment).map_err(|error| sort(folder, "be read", error))? {
        Some((found, reads)) if reads > FORMAT => {
            Err(JournalError::Newer { path: folder.journal(), found, known: FORMAT })
        }
        Some(_) => Ok(true),
        None => refuse_foreign(&moment, folder).map(|()| false),
    }
}

/// The written format and what a reader must know; `None` while the file has no tables of ours.
fn format(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let ours: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if ours != APPLICATION {
        return Ok(None);
    }
    let two = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection.query_row("SELECT format, reads FROM meta", [], two).optional()
}

/// How often the lock was taken, and how many commits runs have made.
pub(super) fn counts(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row("SELECT epoch, commits FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Somebody else's database is not filled with our tables.
fn refuse_foreign(connection: &Connection, folder: &Folder) -> Result<(), JournalError> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| sort(folder, "be read", error))?;
    if tables == 0 { Ok(()) } else { Err(damaged(folder, "it holds other tables")) }
}

/// No room for the data, or for the index of the log. A failed sync is not among them: after one nobody can say
/// what is on the disk, and a second try would only look like success.
pub(super) fn no_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || code == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// What a failure of `SQLite` means to an operator.
pub(super) fn sort(folder: &Folder, what: &'static str, error: rusqlite::Error) -> JournalError {
    // Ours, not `SQLite`'s: a row that says what no uplift has written.
    if let rusqlite::Error::FromSqlConversionFailure(_, _, why) = &error {
        return damaged(folder, &why.to_string());
    }
    match error.sqlite_error_code() {
        _ if no_room(&error) => JournalError::DiskFull { path: folder.path().to_owned() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(folder, &error.to_string()),
        _ => JournalError::Store { what, source: error },
    }
}

fn damaged(folder: &Folder, why: &str) -> JournalError {
    JournalError::Damaged { path: folder.journal(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;

    #[test]
    fn the_states_that_wait_are_the_same_everywhere() {
        use crate::journal::RunState;
        let waiting = RunState::ALL.into_iter().filter(|state| state.unfinished());
        let mut waiting: Vec<_> = waiting.map(|state| format!("'{state}'")).collect();
        let mut named: Vec<_> = UNFINISHED.trim_matches(['(', ')']).split(", ").map(str::to_owned).collect();
        waiting.sort();
        named.sort();
        assert_eq!(waiting, named);
        assert!(TABLES.contains(&format!("state IN {UNFINISHED}")));
    }

    /// None of these is kept in the file: they must be set on every connection that writes.
    #[test]
    fn every_commit_of_a_writer_is_synced() {
        let site = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(&site.path().join(".uplift")).unwrap();
        let connection = open_writer(&folder).unwrap();
        let set = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, Value>(0)).unwrap();
        assert_eq!(set("journal_mode"), Value::from("wal".to_owned()));
        assert_eq!((set("synchronous"), set("foreign_keys")), (Value::from(2), Value::from(1)), "2 is full");
        assert!(connection.db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE).unwrap());
    }
}
