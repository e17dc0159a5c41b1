use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, types::Type};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::{
    Attempt, Choosing, Decided, Entry, Kind, RunRow, RunState, State, UndoRow,
    fold::{fold, named, read_json},
    schema::UNFINISHED,
};

type Found<T> = rusqlite::Result<T>;

/// Which runs are read.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    All,
    Newest(u32),
    One(&'a str),
    Unfinished,
}

/// Newest first. `alive`: somebody holds the lock, so that the run of the latest taking is at work.
pub(super) fn runs(connection: &Connection, alive: bool, which: Which<'_>) -> Found<Vec<RunRow>> {
    let unfinished = format!("AND state IN {UNFINISHED}");
    let (only, most, id) = match which {
        Which::All => ("", -1, None),
        Which::Newest(count) => ("", i64::from(count), None),
        Which::One(id) => ("AND id = ?2", 1, Some(id)),
        Which::Unfinished => (unfinished.as_str(), 1, None),
    };
    let mut query = connection.prepare_cached(&format!(
        "SELECT id, runbook, command, started_by, started_at, ended_at, state, ending, params, on_failure, uplift,
            resumed, epoch = (SELECT epoch FROM meta) AS latest,
            EXISTS (SELECT 1 FROM undo WHERE undo.run = run.id) AS going_back FROM run
            WHERE ?2 IS ?2 {only} ORDER BY number DESC LIMIT ?1",
    ))?;
    let mut runs = query.query_map((most, id), |row| run(row, alive))?.collect::<Found<Vec<_>>>()?;
    let mut decided = of_runs(connection)?;
    for run in &mut runs {
        run.decisions = decided.remove(&run.id).unwrap_or_default();
    }
    Ok(runs)
}

pub(super) fn count(connection: &Connection) -> Found<usize> {
    let count: i64 = connection.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The names of all runs, newest first.
pub(super) fn ids(connection: &Connection) -> Found<Vec<String>> {
    let mut query = connection.prepare("SELECT id FROM run ORDER BY number DESC")?;
    query.query_map([], |row| row.get(0))?.collect()
}

/// Whether a run has called this verb.
pub(super) fn called(connection: &Connection, run: &str, verb: &str) -> Found<bool> {
    let mut query =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM entry WHERE run = ? AND verb = ?)")?;
    query.query_row((run, verb), |row| row.get(0))
}

/// What was decided about runs as a whole. Persons decide, so there is little of it, and all of it is read at once.
fn of_runs(connection: &Connection) -> Found<HashMap<String, Vec<Decided>>> {
    let mut query = connection.prepare_cached(
        "SELECT choice, reason, made_by, made_at, epoch, run FROM decision WHERE seq = 0 ORDER BY id",
    )?;
    let mut found: HashMap<String, Vec<Decided>> = HashMap::new();
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get("run")?).or_default().push(decided(row, 0)?);
    }
    Ok(found)
}

fn decided(row: &Row<'_>, seq: i64) -> Found<Decided> {
    let decision = Choosing { choice: row.get(0)?, reason: row.get(1)?, by: row.get(2)? };
    Ok(Decided { seq, decision, at: time(row, "made_at")?, epoch: row.get("epoch")? })
}

fn run(row: &Row<'_>, alive: bool) -> Found<RunRow> {
    let state: RunState = named(row.get_ref("state")?.as_str()?)?;
    Ok(RunRow {
        id: row.get("id")?,
        runbook: row.get("runbook")?,
        command: row.get("command")?,
        by: row.get("started_by")?,
        started: time(row, "started_at")?,
        ended: maybe_time(row, "ended_at")?,
        state,
        interrupted: state == RunState::Running && !(alive && row.get("latest")?),
        going_back: row.get("going_back")?,
        ending: json(row, "ending")?,
        params: read_json(row.get_ref("params")?.as_str()?)?,
        on_failure: row.get("on_failure")?,
        uplift: row.get("uplift")?,
        resumed: row.get("resumed")?,
        decisions: Vec::new(),
    })
}

pub(super) fn entries(connection: &Connection, run: &str) -> Found<Vec<Entry>> {
    let mut query = connection.prepare(
        "SELECT seq, address, path, verb, version, kind, input, input_hash, place, summary, when_unknown, together,
            coalesce((SELECT intent FROM attempt WHERE attempt.run = entry.run AND attempt.seq = entry.seq
                AND attempt.intent NOT NULL ORDER BY n DESC LIMIT 1), intent) AS intent
            FROM entry WHERE run = ? ORDER BY seq",
    )?;
    let mut entries = query.query_map([run], entry)?.collect::<Found<Vec<_>>>()?;
    for entry in &mut entries {
        entry.attempts = attempts(connection, run, entry.seq)?;
        entry.undos = undos(connection, run, entry.seq)?;
        entry.decisions = decisions(connection, run, entry.seq)?;
        let forth: Vec<State> = entry.attempts.iter().map(|attempt| attempt.state).collect();
        let back: Vec<State> = entry.undos.iter().map(|undo| undo.state).collect();
        let standing = fold(&forth, &back).map_err(unreadable)?;
        (entry.state, entry.may_have_applied) = (standing.state, standing.may_have_applied);
    }
    Ok(entries)
}

fn entry(row: &Row<'_>) -> Found<Entry> {
    Ok(Entry {
        seq: row.get("seq")?,
        address: row.get("address")?,
        path: row.get("path")?,
        verb: row.get("verb")?,
        version: row.get("version")?,
        kind: if row.get_ref("kind")?.as_str()? == "effect" { Kind::Effect } else { Kind::Read },
        input: read_json(row.get_ref("input")?.as_str()?)?,
        input_hash: row.get("input_hash")?,
        place: row.get("place")?,
        summary: row.get("summary")?,
        when_unknown: row.get("when_unknown")?,
        intent: json(row, "intent")?,
        group: row.get::<_, Option<i64>>("together")?.map(i64::cast_unsigned),
        state: State::Absent,
        may_have_applied: false,
        attempts: Vec::new(),
        undos: Vec::new(),
        decisions: Vec::new(),
    })
}

fn attempts(connection: &Connection, run: &str, seq: i64) -> Found<Vec<Attempt>> {
    let mut query = connection.prepare_cached(
        "SELECT n, state, epoch, boot_id, pid, started_at, ended_at, next_at, value, failure, masked, question
            FROM attempt WHERE run = ? AND seq = ? ORDER BY n",
    )?;
    let attempt = |row: &Row<'_>| {
        Ok(Attempt {
            n: row.get("n")?,
            state: named(row.get_ref("state")?.as_str()?)?,
            epoch: row.get("epoch")?,
            boot: row.get("boot_id")?,
            pid: row.get("pid")?,
            started: time(row, "started_at")?,
            ended: maybe_time(row, "ended_at")?,
            next_at: maybe_time(row, "next_at")?,
            value: json(row, "value")?,
            failure: json(row, "failure")?,
            masked: row.get("masked")?,
            question: json(row, "question")?,
        })
    };
    query.query_map((run, seq), attempt)?.collect()
}

fn undos(connection: &Connection, run: &str, seq: i64) -> Found<Vec<UndoRow>> {
    let mut query = connection.prepare_cached(
        "SELECT n, state, started_at, ended_at, value, failure, question, choice, reason, made_by
            FROM undo LEFT JOIN decision ON decision.id = undo.decision
            WHERE undo.run = ? AND undo.seq = ? ORDER BY n",
    )?;
    let undo = |row: &Row<'_>| {
        let choice: Option<String> = row.get("choice")?;
        let decision = choice
            .map(|choice| {
                Ok::<_, rusqlite::Error>(Choosing {
                    choice,
                    reason: row.get("reason")?,
                    by: row.get("made_by")?,
                })
            })
            .transpose()?;
        Ok(UndoRow {
            n: row.get("n")?,
            state: named(row.get_ref("state")?.as_str()?)?,
            started: time(row, "started_at")?,
            ended: maybe_time(row, "ended_at")?,
            decision,
            value: json(row, "value")?,
            failure: json(row, "failure")?,
            question: json(row, "question")?,
        })
    };
    query.query_map((run, seq), undo)?.collect()
}

fn decisions(connection: &Connection, run: &str, seq: i64) -> Found<Vec<Decided>> {
    let mut query = connection.prepare_cached(
        "SELECT choice, reason, made_by, made_at, epoch FROM decision WHERE run = ? AND seq = ? ORDER BY id",
    )?;
    query.query_map((run, seq), |row| decided(row, seq))?.collect()
}

pub(super) fn bundle(connection: &Connection, run: &str) -> Found<Vec<(String, String)>> {
    let list: String =
        connection.query_row("SELECT bundle FROM run WHERE id = ?", [run], |row| row.get(0))?;
    let list = read_json::<Vec<(String, String)>>(&list)?;
    list.into_iter().map(|(name, hash)| Ok((name, blob(connection, &hash)?))).collect()
}

pub(super) fn before(connection: &Connection, run: &str) -> Found<Value> {
    let hash: String =
        connection.query_row("SELECT before FROM run WHERE id = ?", [run], |row| row.get(0))?;
    read_json(&blob(connection, &hash)?)
}

/// A stored text, proved to be what it was when it was stored.
fn blob(connection: &Connection, hash: &str) -> Found<String> {
    let bytes: Option<Vec<u8>> =
        connection.query_row("SELECT bytes FROM blob WHERE hash = ?", [hash], |row| row.get(0)).optional()?;
    let bytes = bytes.filter(|bytes| super::super::bytes_hash(bytes) == hash);
    let bytes = bytes.ok_or_else(|| unreadable(Changed { hash: hash.to_owned() }))?;
    String::from_utf8(bytes).map_err(unreadable)
}

#[derive(Debug, thiserror::Error)]
#[error("the stored text `{hash}` is gone or is not what was stored")]
struct Changed {
    hash: String,
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Found<Option<T>> {
    row.get_ref(column)?.as_str_or_null()?.map(read_json).transpose()
}

fn maybe_time(row: &Row<'_>, column: &str) -> Found<Option<Timestamp>> {
    row.get_ref(column)?.as_str_or_null()?.map(|text| text.parse().map_err(unreadable)).transpose()
}

fn time(row: &Row<'_>, column: &str) -> Found<Timestamp> {
    row.get_ref(column)?.as_str()?.parse().map_err(unreadable)
}
