//! Calls on the way back, under the same discipline: begun is committed before the work, the end after it.

use jiff::Timestamp;
use rusqlite::params;
use serde_json::Value;

use super::{Done, Inner, Move, State, Tx, Writer, calls::check, json};
use crate::event::{Failure, Question};

/// What an undo's row learns.
#[derive(Default)]
struct Learned {
    value: Option<String>,
    failure: Option<String>,
    question: Option<String>,
}

impl Writer {
    /// An effect begins to be taken back, by the latest decision about it if there is one. May use the reserve: a
    /// full disk is a reason to go back.
    pub fn undo_started(&self, run: &str, seq: i64, at: Timestamp) -> Done<()> {
        self.write(run, "record that a call is taken back", |tx| {
            check(tx, run, seq, Move::UndoStart)?;
            tx.execute(
                "INSERT INTO undo (run, seq, n, state, epoch, started_at, decision) VALUES (?, ?,
                    (SELECT coalesce(max(n), 0) + 1 FROM undo WHERE run = ? AND seq = ?), ?, ?, ?,
                    (SELECT max(id) FROM decision WHERE run = ? AND seq = ?))",
                params![
                    run,
                    seq,
                    run,
                    seq,
                    State::UndoStarted.to_string(),
                    self.epoch,
                    at.to_string(),
                    run,
                    seq
                ],
            )?;
            Ok(())
        })
    }

    /// Taken back, or there was nothing to take back: `value` says which.
    pub fn undone(&self, run: &str, seq: i64, value: Value, at: Timestamp) -> Done<()> {
        let (value, _) = self.scrub.masked(value);

        let learned = Learned { value: Some(value), ..Learned::default() };
        self.write(run, "record that a call was taken back", |tx| {
            close(tx, run, seq, (Move::UndoDone, State::Undone), at, &learned)
        })
    }

    /// Could not be taken back.
    pub fn undo_failed(&self, run: &str, seq: i64, failure: &Failure, at: Timestamp) -> Done<()> {
        let learned = Learned { failure: Some(json(&self.scrub.failure(failure))), ..Learned::default() };
        self.write(run, "record what could not be taken back", |tx| {
            close(tx, run, seq, (Move::UndoFail, State::UndoFailed), at, &learned)
        })
    }

    /// Nothing was done: a person must choose how it is taken back.
    pub fn needs_decision(&self, run: &str, seq: i64, question: &Question, at: Timestamp) -> Done<()> {
        let learned = Learned { question: Some(json(&self.scrub.question(question))), ..Learned::default() };
        self.write(run, "record the question", |tx| {
            close(tx, run, seq, (Move::UndoAsk, State::NeedsDecision), at, &learned)
        })
    }
}

fn close(
    tx: &Tx<'_>,
    run: &str,
    seq: i64,
    (step, state): (Move, State),
    at: Timestamp,
    learned: &Learned,
) -> Inner<()> {
    check(tx, run, seq, step)?;
    tx.execute(
        "UPDATE undo SET state = ?, ended_at = ?, value = ?, failure = ?, question = ?
            WHERE run = ? AND seq = ? AND n = (SELECT max(n) FROM undo WHERE run = ? AND seq = ?)",
        params![
            state.to_string(),
            at.to_string(),
            learned.value,
            learned.failure,
            learned.question,
            run,
            seq,
            run,
            seq
        ],
    )?;
    Ok(())
}
