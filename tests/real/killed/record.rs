//! What the journal says, read without uplift, and what lies below uplift's folder.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags};

#[derive(Debug, Clone)]
pub(super) struct LastRun {
    pub(super) id: String,
    pub(super) state: String,
}

/// The journal's own word.
pub(super) fn last_run(dir: &Path) -> Option<LastRun> {
    let row = "SELECT id, state FROM run ORDER BY number DESC LIMIT 1";
    journal(dir)?.query_row(row, [], |row| Ok(LastRun { id: row.get(0)?, state: row.get(1)? })).ok()
}

/// The call that a run was at: the one that it was taking back, else the last one that it began.
pub(super) fn reached(dir: &Path, run: &str) -> String {
    let back = "SELECT 'back: ' || address FROM undo JOIN entry USING (run, seq) WHERE run = ?1 \
                ORDER BY undo.started_at DESC, seq LIMIT 1";
    let on = "SELECT address || CASE WHEN a.state = 'started' THEN '' ELSE ' (over)' END FROM entry JOIN attempt a \
              USING (run, seq) WHERE run = ?1 ORDER BY seq DESC, n DESC LIMIT 1";
    let Some(journal) = journal(dir) else { return "nothing".to_owned() };
    let ask = |query: &str| journal.query_row(query, [run], |row| row.get::<_, String>(0)).ok();
    ask(back).or_else(|| ask(on)).unwrap_or_else(|| "nothing".to_owned())
}

/// Whether a call of this kind was begun.
pub(super) fn began(dir: &Path, run: &str, verb: &str) -> bool {
    let query = "SELECT count(*) FROM entry WHERE run = ?1 AND verb = ?2 AND intent IS NOT NULL";
    journal(dir).is_some_and(|journal| {
        journal.query_row(query, [run, verb], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0)
    })
}

/// Effects that were begun again after they had succeeded.
pub(super) fn done_twice(dir: &Path) -> Vec<String> {
    let query = "SELECT address FROM entry JOIN attempt a USING (run, seq) WHERE kind = 'effect' AND a.state = \
                 'succeeded' AND EXISTS (SELECT 1 FROM attempt b WHERE b.run = a.run AND b.seq = a.seq AND b.n > a.n)";
    let journal = journal(dir).unwrap();
    let mut query = journal.prepare(query).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn journal(dir: &Path) -> Option<Connection> {
    Connection::open_with_flags(dir.join(".uplift/journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()
}

/// Files below uplift's folder that are only there while something is being made.
pub(in crate::real) fn left_over(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(".partial") || name.contains(".tmp") {
            found.push(path.display().to_string());
        }
        if path.is_dir() {
            found.extend(left_over(&path));
        }
    }
    found
}
