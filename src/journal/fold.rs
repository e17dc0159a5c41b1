//! From rows to where an entry stands: the same fold for writing and for reading.

use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;

use super::state::{Illegal, Move, Standing, State};

/// A state read back by its name.
pub(super) fn named<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    read_json(&format!("\"{text}\""))
}

pub(super) fn read_json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// Where an entry stands after these attempts and undos, oldest first.
pub(super) fn fold(attempts: &[State], undos: &[State]) -> Result<Standing, Illegal> {
    let forth = attempts.iter().flat_map(|state| attempt_moves(*state).iter().copied());
    let back = undos.iter().flat_map(|state| undo_moves(*state).iter().copied());
    Standing::fold(forth.chain(back))
}

/// What must have happened for an attempt's row to say this.
fn attempt_moves(state: State) -> &'static [Move] {
    match state {
        State::Succeeded => &[Move::Attempt, Move::Succeed],
        State::Failed => &[Move::Attempt, Move::Fail],
        State::Waiting => &[Move::Attempt, Move::RetryLater],
        State::Unknown => &[Move::Attempt, Move::Lose],
        State::NotApplied => &[Move::Attempt, Move::Lose, Move::ProveAbsent],
        State::Refused => &[Move::Refuse],
        _ => &[Move::Attempt],
    }
}

fn undo_moves(state: State) -> &'static [Move] {
    match state {
        State::Undone => &[Move::UndoStart, Move::UndoDone],
        State::UndoFailed => &[Move::UndoStart, Move::UndoFail],
        State::NeedsDecision => &[Move::UndoStart, Move::UndoAsk],
        _ => &[Move::UndoStart],
    }
}

/// The stored states of one entry's attempts or undos, oldest first.
pub(super) fn states(
    connection: &Connection,
    table: Table,
    run: &str,
    seq: i64,
) -> rusqlite::Result<Vec<State>> {
    let query = match table {
        Table::Attempts => "SELECT state FROM attempt WHERE run = ? AND seq = ? ORDER BY n",
        Table::Undos => "SELECT state FROM undo WHERE run = ? AND seq = ? ORDER BY n",
    };
    let mut query = connection.prepare_cached(query)?;
    let rows = query.query_map(params![run, seq], |row| named(row.get_ref(0)?.as_str()?))?;
    rows.collect()
}

#[derive(Clone, Copy)]
pub(super) enum Table {
    Attempts,
    Undos,
}

/// Addresses of effects whose end is in doubt; with `back`, also of those that were not taken back. A look that was
/// interrupted leaves nothing on the site.
pub(super) fn unsettled(connection: &Connection, run: &str, back: bool) -> rusqlite::Result<Vec<String>> {
    let of = "SELECT seq, address FROM entry WHERE run = ? AND kind = 'effect' ORDER BY seq";
    let mut query = connection.prepare(of)?;
    let mut rows = query.query([run])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, address): (i64, String) = (row.get(0)?, row.get(1)?);
        let (attempts, undos) =
            (states(connection, Table::Attempts, run, seq)?, states(connection, Table::Undos, run, seq)?);
        // A call that waits for its next attempt is settled by its state alone, and an earlier attempt may not be.
        let fine = fold(&attempts, &undos)
            .is_ok_and(|at| at.state.settled() && !at.may_have_applied && !(back && at.state.to_take_back()));
        if !fine {
            open.push(address);
        }
    }
    Ok(open)
}
