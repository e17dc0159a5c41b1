//! Looks at the record beside whoever writes it.

use std::{fs, path::Path, sync::Mutex, time::SystemTime};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::{Entry, Folder, JournalError, RunRow, lock, mark, schema};

mod rows;

use rows::Which;

type Done<T> = Result<T, JournalError>;

/// Reads the journal of one site, also while a run writes it. Takes no lock and makes no file.
pub struct Reader {
    folder: Folder,
    open: Mutex<Open>,
}

struct Open {
    connection: Connection,
    /// What the file looked like, if it is read without its log.
    still: Option<Look>,
}

/// The length of the file and when it was last written.
type Look = (u64, Option<SystemTime>);

impl Reader {
    /// `None` if no run was ever recorded here.
    pub fn open(folder: &Folder) -> Done<Option<Self>> {
        match fs::metadata(folder.journal()) {
            Ok(about) if about.len() == 0 && !log(&folder.journal()) => return none(folder),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return none(folder),
            Err(error) => return Err(folder.unreadable(error)),
        }
        let open = connect(folder)?;
        if !schema::check_readable(&open.connection, folder)? {
            return Ok(None);
        }
        let reader = Self { folder: folder.clone(), open: Mutex::new(open) };
        mark::check(folder, || reader.counts())?;
        Ok(Some(reader))
    }

    /// How often the lock was taken, and how many commits runs have made.
    pub(super) fn counts(&self) -> Done<(i64, i64)> {
        self.read(schema::counts)
    }

    /// All runs, newest first.
    pub fn runs(&self) -> Done<Vec<RunRow>> {
        self.which(Which::All)
    }

    /// So many of the newest runs, newest first.
    pub fn newest(&self, count: u32) -> Done<Vec<RunRow>> {
        self.which(Which::Newest(count))
    }

    /// How many runs are recorded.
    pub fn count(&self) -> Done<usize> {
        self.read(rows::count)
    }

    /// The run with exactly this id, if it is recorded.
    fn exactly(&self, id: &str) -> Done<Option<RunRow>> {
        Ok(self.which(Which::One(id))?.pop())
    }

    /// The run with this id, or the only one whose id begins or ends with it.
    pub fn run(&self, id: &str) -> Done<RunRow> {
        if let Some(exact) = self.exactly(id)? {
            return Ok(exact);
        }
        let mut ids = self.read(rows::ids)?;
        ids.retain(|run| !id.is_empty() && (run.starts_with(id) || run.ends_with(id)));
        match ids.as_slice() {
            [] => Err(JournalError::NoSuchRun { id: id.to_owned() }),
            [one] => self.exactly(one)?.ok_or_else(|| JournalError::NoSuchRun { id: id.to_owned() }),
            _ => Err(JournalError::AmbiguousRun { id: id.to_owned(), of: ids }),
        }
    }

    /// The run that waits for `resume` or `rollback`, or is at work; there is never more than one.
    pub fn unfinished(&self) -> Done<Option<RunRow>> {
        Ok(self.which(Which::Unfinished)?.pop())
    }

    /// Whether a run has called this verb, without a look at all its calls.
    pub fn called(&self, run: &str, verb: &str) -> Done<bool> {
        self.read(|connection| rows::called(connection, run, verb))
    }

    fn which(&self, which: Which<'_>) -> Done<Vec<RunRow>> {
        let alive = self.alive();
        self.read(|connection| rows::runs(connection, alive, which))
    }

    /// The calls of a run in the order in which they were made.
    pub fn entries(&self, run: &str) -> Done<Vec<Entry>> {
        self.read(|connection| rows::entries(connection, run))
    }

    /// The scripts of a run: names and texts, as they were when it began.
    pub fn bundle(&self, run: &str) -> Done<Vec<(String, String)>> {
        self.read(|connection| rows::bundle(connection, run)).map_err(|error| named(error, run))
    }

    /// Entry 0: the site before the run.
    pub fn before(&self, run: &str) -> Done<Value> {
        self.read(|connection| rows::before(connection, run)).map_err(|error| named(error, run))
    }

    /// Who works on the site now, as far as the kernel shows it.
    #[must_use]
    pub fn holder(&self) -> Option<lock::Holder> {
        lock::holder(&self.folder)
    }

    /// The taking of the lock that is alive; none if nobody holds it.
    fn alive(&self) -> bool {
        lock::held(&self.folder)
    }

    /// One look at one moment. A file read without its log is read again if somebody wrote it meanwhile.
    fn read<T>(&self, look: impl Fn(&Connection) -> rusqlite::Result<T>) -> Done<T> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            let seen = open.connection.unchecked_transaction().and_then(|tx| look(&tx));
            let moved = open.still.is_some_and(|before| Some(before) != quiet(&self.folder.journal()));
            if !moved {
                return seen.map_err(|error| match error {
                    rusqlite::Error::QueryReturnedNoRows => JournalError::NoSuchRun { id: String::new() },
                    error => schema::sort(&self.folder, "be read", error),
                });
            }
            *open = connect(&self.folder)?;
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn none(folder: &Folder) -> Done<Option<Reader>> {
    mark::check_gone(folder).map(|()| None)
}

/// Says which run was asked for, where there is none.
fn named(error: JournalError, run: &str) -> JournalError {
    match error {
        JournalError::NoSuchRun { .. } => JournalError::NoSuchRun { id: run.to_owned() },
        error => error,
    }
}

/// With a log beside it the file is read together with it. Without one nobody is writing, the file is complete by
/// itself, and `SQLite` is told so: otherwise it would make a log and an index of its own.
fn connect(folder: &Folder) -> Done<Open> {
    let path = folder.journal();
    let failed = |error| schema::sort(folder, "be read", error);
    let still = quiet(&path);
    let mode = if still.is_some() { "immutable=1" } else { "mode=ro" };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(uri(&path, mode), flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    Ok(Open { connection, still })
}

/// The look of a file that has no log beside it.
fn quiet(path: &Path) -> Option<Look> {
    if log(path) {
        return None;
    }
    let about = fs::metadata(path).ok()?;
    Some((about.len(), about.modified().ok()))
}

fn log(path: &Path) -> bool {
    fs::metadata(path.with_extension("db-wal")).is_ok()
}

fn uri(path: &Path, mode: &str) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let path = percent_encoding::percent_encode(path.as_os_str().as_bytes(), PATH);
    format!("file:{path}?{mode}")
}

/// What must be encoded in the path of a `file:` URI.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');
