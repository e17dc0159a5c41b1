//! Calls on the way forward.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use super::{
    super::{Choosing, Illegal, JournalError, NewEntry, fold, input_hash},
    Done, Failed, Inner, Move, Room, State, Tx, Writer, json,
};
use crate::event::{Failure, Question};

type Answer = (Move, State, Learned);

/// What an attempt's row learns.
#[derive(Default)]
struct Learned {
    value: Option<String>,
    failure: Option<String>,
    masked: bool,
    next: Option<Timestamp>,
}

impl Writer {
    /// The intents of effects about to be made, all in one commit, each with its first attempt begun. Gives their
    /// numbers in the same order. If it fails, none of them may start.
    pub fn intend(&self, run: &str, entries: Vec<NewEntry>, at: Timestamp) -> Done<Vec<i64>> {
        let prepared = entries.into_iter().map(|entry| self.prepare(entry)).collect::<Done<Vec<_>>>()?;
        self.in_run(Room::Fresh, run, "record what is about to be done", |tx| {
            let add = |prepared| {
                let seq = insert(tx, run, prepared)?;
                self.begin_attempt(tx, run, seq, State::Started, at, None)?;
                Ok(seq)
            };
            prepared.iter().map(add).collect()
        })
    }

    /// A read with its answer, in one commit: nothing needs to be known of it before.
    pub fn observe(
        &self,
        run: &str,
        entry: NewEntry,
        answer: Result<Value, Failure>,
        at: Timestamp,
    ) -> Done<i64> {
        let prepared = self.prepare(entry)?;
        let answer = self.learn(answer);
        self.in_run(Room::Fresh, run, "record what was seen", |tx| {
            let seq = insert(tx, run, &prepared)?;
            self.begin_attempt(tx, run, seq, State::Started, at, None)?;
            end(tx, run, seq, &answer, at)?;
            Ok(seq)
        })
    }

    /// An effect that its preconditions refused: nothing of it was begun.
    pub fn refused(&self, run: &str, entry: NewEntry, failure: Failure, at: Timestamp) -> Done<i64> {
        let prepared = self.prepare(entry)?;
        let (_, _, refusal) = self.learn(Err(failure));
        self.write(run, "record what was refused", |tx| {
            let seq = insert(tx, run, &prepared)?;
            self.refuse(tx, run, seq, &refusal, at)?;
            Ok(seq)
        })
    }

    /// As [`Self::refused`], for an effect that was proved not applied and whose preconditions now refuse it.
    pub fn refused_again(&self, run: &str, seq: i64, failure: &Failure, at: Timestamp) -> Done<()> {
        let refusal = self.refusal(failure);
        self.write(run, "record what was refused", |tx| {
            check(tx, run, seq, Move::Refuse)?;
            self.refuse(tx, run, seq, &refusal, at)
        })
    }

    /// One more attempt begins. Gives its number: attempts count over the entry's whole life, whatever restarts lie
    /// between.
    pub fn attempt(&self, run: &str, seq: i64, at: Timestamp) -> Done<u32> {
        self.in_run(Room::Fresh, run, "record the attempt", |tx| {
            check(tx, run, seq, Move::Attempt)?;
            self.begin_attempt(tx, run, seq, State::Started, at, None)
        })
    }

    /// One more attempt with an intent decided anew: only for an effect proved not applied, because the earlier
    /// intent is what would take it back.
    pub fn attempt_anew(&self, run: &str, seq: i64, intent: &Value, at: Timestamp) -> Done<u32> {
        let intent = self.scrub.exact("what is about to be done", intent)?;
        self.in_run(Room::Fresh, run, "record the attempt", |tx| {
            only(tx, run, seq, State::NotApplied, Move::Attempt)?;
            self.begin_attempt(tx, run, seq, State::Started, at, Some(&intent))
        })
    }

    /// The attempt failed in a way that may pass; the next one is due at `next`, also after a restart.
    pub fn retry_at(
        &self,
        run: &str,
        seq: i64,
        failure: &Failure,
        next: Timestamp,
        at: Timestamp,
    ) -> Done<()> {
        let learned = Learned { next: Some(next), ..self.refusal(failure) };
        let answer = (Move::RetryLater, State::Waiting, learned);
        self.write(run, "record when to try again", |tx| end(tx, run, seq, &answer, at))
    }

    /// How the call ended. With an earlier attempt in doubt a failure leaves the entry `unknown`.
    pub fn outcome(&self, run: &str, seq: i64, answer: Result<Value, Failure>, at: Timestamp) -> Done<()> {
        let answer = self.learn(answer);
        self.write(run, "record the outcome", |tx| end(tx, run, seq, &answer, at))
    }

    /// Work had begun and its answer was lost.
    pub fn unknown(&self, run: &str, seq: i64, why: &Failure, at: Timestamp) -> Done<()> {
        let answer = (Move::Lose, State::Unknown, self.refusal(why));
        self.write(run, "record what is unknown", |tx| end(tx, run, seq, &answer, at))
    }

    /// A look at the site or a person has proved that nothing of it is there.
    pub fn not_applied(&self, run: &str, seq: i64, why: &str, at: Timestamp) -> Done<()> {
        self.failed_without_a_trace(run, seq, &Failure::new("not_applied", why), at)
    }

    /// The same, for a failure that the runbook is told of.
    pub fn failed_without_a_trace(&self, run: &str, seq: i64, failure: &Failure, at: Timestamp) -> Done<()> {
        let learned = self.refusal(failure);
        let answer = (Move::ProveAbsent, State::NotApplied, learned);
        self.write(run, "record what was found", |tx| end(tx, run, seq, &answer, at))
    }

    /// The question that a person must answer about an effect whose end is unknown.
    pub fn ask(&self, run: &str, seq: i64, question: &Question) -> Done<()> {
        let question = json(&self.scrub.question(question));
        self.write(run, "record the question", |tx| {
            only(tx, run, seq, State::Unknown, Move::ProveAbsent)?;
            tx.execute(
                "UPDATE attempt SET question = ? WHERE run = ? AND seq = ? AND n =
                    (SELECT max(n) FROM attempt WHERE run = ? AND seq = ?)",
                params![question, run, seq, run, seq],
            )?;
            Ok(())
        })
    }

    /// What a person decided about one entry, or (0) about the run as a whole. It moves nothing by itself.
    pub fn decide(&self, run: &str, seq: i64, decision: Choosing, at: Timestamp) -> Done<()> {
        let Choosing { choice, reason, by } = decision;
        let (choice, reason, by) = (self.scrub.text(&choice), self.scrub.text(&reason), self.scrub.text(&by));
        self.write(run, "record the decision", |tx| {
            tx.execute(
                "INSERT INTO decision (run, seq, choice, reason, made_by, made_at, epoch)
                    VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![run, seq, choice, reason, by, at.to_string(), self.epoch],
            )?;
            Ok(())
        })
    }

    /// A person wants a call that failed or was refused to be tried once more: its answer is no longer an answer.
    /// Only for the last call of the run, because later ones have come about through that answer.
    pub fn reopen(&self, run: &str, seq: i64, at: Timestamp) -> Done<()> {
        self.write(run, "open the call again", |tx| {
            let was = check(tx, run, seq, Move::Reopen)?;
            let later = "SELECT address FROM entry WHERE run = ? AND seq > ? AND
                (together IS NULL OR together IS NOT (SELECT together FROM entry WHERE run = ? AND seq = ?))";
            let later = tx.query_row(later, params![run, seq, run, seq], |row| row.get::<_, String>(0));
            if let Some(address) = later.optional()? {
                return Err(JournalError::Repeated { run: run.to_owned(), address }.into());
            }
            let of_block = "SELECT together IS NOT NULL FROM entry WHERE run = ? AND seq = ?";
            if was == State::Refused && tx.query_row(of_block, params![run, seq], |row| row.get(0))? {
                // Of a block that was refused this one call stands here, and nothing was begun: it is decided anew as a
                // whole.
                for table in ["attempt", "entry"] {
                    tx.execute(&format!("DELETE FROM {table} WHERE run = ? AND seq = ?"), params![run, seq])?;
                }
                return Ok(());
            }
            let state = if was == State::Refused { State::NotApplied } else { State::Waiting };
            tx.execute(
                "UPDATE attempt SET state = ?, next_at = ? WHERE run = ? AND seq = ? AND n =
                    (SELECT max(n) FROM attempt WHERE run = ? AND seq = ?)",
                params![state.to_string(), at.to_string(), run, seq, run, seq],
            )?;
            Ok(())
        })
    }

    /// What an answer leaves in the journal.
    fn learn(&self, answer: Result<Value, Failure>) -> Answer {
        match answer {
            Ok(value) => {
                let (value, masked) = self.scrub.masked(value);
                (
                    Move::Succeed,
                    State::Succeeded,
                    Learned { value: Some(value), masked, ..Learned::default() },
                )
            }
            Err(failure) => (Move::Fail, State::Failed, self.refusal(&failure)),
        }
    }

    fn refusal(&self, failure: &Failure) -> Learned {
        Learned { failure: Some(json(&self.scrub.failure(failure))), ..Learned::default() }
    }

    fn refuse(&self, tx: &Tx<'_>, run: &str, seq: i64, refusal: &Learned, at: Timestamp) -> Inner<()> {
        self.begin_attempt(tx, run, seq, State::Refused, at, None)?;
        close(tx, run, seq, State::Refused, at, refusal)
    }

    fn begin_attempt(
        &self,
        tx: &Tx<'_>,
        run: &str,
        seq: i64,
        state: State,
        at: Timestamp,
        intent: Option<&str>,
    ) -> Inner<u32> {
        let n = "SELECT coalesce(max(n), 0) + 1 FROM attempt WHERE run = ? AND seq = ?";
        let n: u32 = tx.query_row(n, params![run, seq], |row| row.get(0))?;
        tx.execute(
            "INSERT INTO attempt (run, seq, n, state, epoch, boot_id, pid, started_at, intent)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                run,
                seq,
                n,
                state.to_string(),
                self.epoch,
                self.boot,
                std::process::id(),
                at.to_string(),
                intent
            ],
        )?;
        Ok(n)
    }

    /// Everything that can be refused is refused before the transaction begins.
    fn prepare(&self, mut entry: NewEntry) -> Done<Prepared> {
        let input = self.scrub.exact(&format!("the call `{}`", entry.address), &entry.input)?;
        let doing = format!("what `{}` is about to do", entry.address);
        let intent = entry.intent.as_ref().map(|intent| self.scrub.exact(&doing, intent)).transpose()?;
        entry.place = self.scrub.text(&entry.place);
        entry.summary = self.scrub.text(&entry.summary);
        Ok(Prepared { input_hash: input_hash(&entry.input), entry, input, intent })
    }
}

/// An entry whose text is fit to be stored.
struct Prepared {
    entry: NewEntry,
    input: String,
    input_hash: String,
    intent: Option<String>,
}

fn insert(tx: &Tx<'_>, run: &str, prepared: &Prepared) -> Inner<i64> {
    let Prepared { entry, input, input_hash, intent } = prepared;
    let same = "SELECT 1 FROM entry WHERE run = ? AND address = ?";
    if tx.query_row(same, params![run, entry.address], |_| Ok(())).optional()?.is_some() {
        let (run, address) = (run.to_owned(), entry.address.clone());
        return Err(JournalError::Repeated { run, address }.into());
    }
    let seq = "SELECT coalesce(max(seq), 0) + 1 FROM entry WHERE run = ?";
    let seq: i64 = tx.query_row(seq, [run], |row| row.get(0))?;
    tx.execute(
        "INSERT INTO entry (run, seq, address, path, verb, version, kind, input, input_hash, place, summary,
            when_unknown, intent, together) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            run,
            seq,
            entry.address,
            entry.path,
            entry.verb,
            entry.version,
            if entry.effect { "effect" } else { "read" },
            input,
            input_hash,
            entry.place,
            entry.summary,
            entry.when_unknown,
            intent,
            entry.group.map(u64::cast_signed),
        ],
    )?;
    Ok(seq)
}

/// Ends the latest attempt.
fn end(tx: &Tx<'_>, run: &str, seq: i64, (step, state, learned): &Answer, at: Timestamp) -> Inner<()> {
    check(tx, run, seq, *step)?;
    close(tx, run, seq, *state, at, learned)
}

/// Asks the rules whether `step` may happen now, and gives the state before it.
pub(super) fn check(tx: &Tx<'_>, run: &str, seq: i64, step: Move) -> Inner<State> {
    let attempts = fold::states(tx, fold::Table::Attempts, run, seq)?;
    let undos = fold::states(tx, fold::Table::Undos, run, seq)?;
    match fold::fold(&attempts, &undos).and_then(|now| now.next(step).map(|_| now.state)) {
        Ok(state) => Ok(state),
        Err(illegal) => Err(refuse_move(tx, run, seq, illegal)),
    }
}

/// As [`check`], for what may happen in one state alone.
fn only(tx: &Tx<'_>, run: &str, seq: i64, state: State, step: Move) -> Inner<()> {
    match check(tx, run, seq, step)? {
        from if from == state => Ok(()),
        from => Err(refuse_move(tx, run, seq, Illegal { from, step })),
    }
}

fn refuse_move(tx: &Tx<'_>, run: &str, seq: i64, illegal: Illegal) -> Failed {
    let address = "SELECT address FROM entry WHERE run = ? AND seq = ?";
    let address = tx.query_row(address, params![run, seq], |row| row.get(0));
    let address = address.unwrap_or_else(|_| format!("#{seq}"));
    JournalError::Illegal { run: run.to_owned(), address, illegal }.into()
}

/// Writes what the latest attempt has learned.
fn close(tx: &Tx<'_>, run: &str, seq: i64, state: State, at: Timestamp, learned: &Learned) -> Inner<()> {
    tx.execute(
        "UPDATE attempt SET state = ?, ended_at = ?, next_at = ?, value = ?, failure = ?, masked = ?
            WHERE run = ? AND seq = ? AND n = (SELECT max(n) FROM attempt WHERE run = ? AND seq = ?)",
        params![
            state.to_string(),
            at.to_string(),
            learned.next.map(|next| next.to_string()),
            learned.value,
            learned.failure,
            learned.masked,
            run,
            seq,
            run,
            seq
        ],
    )?;
    Ok(())
}
