//! The rules, written down a second time as a table, against the ones that are used.

use std::{collections::BTreeSet, path::Path};

use serde_json::json;
use uplift::{
    journal::{JournalError, Move, Standing, State, Writer},
    site::Scrubber,
};

use super::story::{RUN, at, effect, failure, ok, open, question, reader, run};

/// Where each move leads while nothing is in doubt; everything else is refused.
const TABLE: [(State, &[(Move, State)]); 12] = {
    use Move as M;
    use State as S;
    [
        (S::Absent, &[(M::Attempt, S::Started), (M::Refuse, S::Refused)]),
        (
            S::Started,
            &[
                (M::Succeed, S::Succeeded),
                (M::Fail, S::Failed),
                (M::RetryLater, S::Waiting),
                (M::Lose, S::Unknown),
            ],
        ),
        (
            S::Waiting,
            &[(M::Attempt, S::Started), (M::ProveAbsent, S::NotApplied), (M::UndoStart, S::UndoStarted)],
        ),
        (S::Succeeded, &[(M::UndoStart, S::UndoStarted)]),
        (S::Failed, &[(M::Reopen, S::Waiting), (M::UndoStart, S::UndoStarted)]),
        (S::Refused, &[(M::Reopen, S::NotApplied)]),
        (
            S::Unknown,
            &[
                (M::Attempt, S::Started),
                (M::Succeed, S::Succeeded),
                (M::Lose, S::Unknown),
                (M::ProveAbsent, S::NotApplied),
                (M::UndoStart, S::UndoStarted),
            ],
        ),
        (
            S::NotApplied,
            &[
                (M::Attempt, S::Started),
                (M::ProveAbsent, S::NotApplied),
                (M::Refuse, S::Refused),
                (M::UndoStart, S::UndoStarted),
            ],
        ),
        (
            S::UndoStarted,
            &[
                // Once more, after a crash.
                (M::UndoStart, S::UndoStarted),
                (M::UndoDone, S::Undone),
                (M::UndoFail, S::UndoFailed),
                (M::UndoAsk, S::NeedsDecision),
            ],
        ),
        (S::NeedsDecision, &[(M::UndoStart, S::UndoStarted)]),
        (S::UndoFailed, &[(M::UndoStart, S::UndoStarted)]),
        (S::Undone, &[]),
    ]
};

/// The model: a state, and whether any attempt so far may have done something without anybody knowing.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Model {
    state: State,
    doubt: bool,
}

impl Model {
    fn next(self, step: Move) -> Option<Self> {
        let row = TABLE.iter().find(|(from, _)| *from == self.state)?.1;
        let to = row.iter().find(|(known, _)| *known == step)?.1;
        Some(match step {
            // What one attempt learned for certain says nothing about another.
            Move::Fail if self.doubt => Self { state: State::Unknown, doubt: true },
            Move::Lose => Self { state: to, doubt: true },
            Move::Succeed | Move::ProveAbsent | Move::UndoDone => Self { state: to, doubt: false },
            _ => Self { state: to, doubt: self.doubt },
        })
    }

    fn is(self, standing: Standing) -> bool {
        (self.state, self.doubt) == (standing.state, standing.may_have_applied)
    }
}

/// Small and the same for ever: a failing case is named by its number alone.
struct Dice(u64);

impl Dice {
    fn of(case: u64) -> Self {
        Self((case + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// Any move, but mostly one that leads on.
    fn step(&mut self, from: State) -> Move {
        let row = TABLE.iter().find(|(state, _)| *state == from).unwrap().1;
        if row.is_empty() || self.below(4) == 0 {
            return Move::ALL[self.below(Move::ALL.len())];
        }
        row[self.below(row.len())].0
    }
}

#[test]
fn the_rules_are_the_table() {
    for state in State::ALL {
        for step in Move::ALL {
            for doubt in [false, true] {
                let model = Model { state, doubt };
                let rules = Standing { state, may_have_applied: doubt }.next(step);
                match (model.next(step), rules) {
                    (Some(to), Ok(standing)) if reachable(model) => {
                        assert!(to.is(standing), "{model:?} {step}: {to:?} or {standing:?}");
                    }
                    (Some(to), Ok(standing)) => assert_eq!(to.state, standing.state, "{model:?} {step}"),
                    (None, Err(illegal)) => assert_eq!((illegal.from, illegal.step), (state, step)),
                    (to, standing) => panic!("{model:?} {step}: {to:?} or {standing:?}"),
                }
            }
        }
    }
}

/// Whether any story leads there: a refused or proved absence cannot be in doubt.
fn reachable(model: Model) -> bool {
    let doubtless =
        [State::Absent, State::Refused, State::NotApplied, State::Succeeded, State::Failed, State::Undone];
    if model.state == State::Unknown {
        model.doubt
    } else {
        !(model.doubt && doubtless.contains(&model.state))
    }
}

#[test]
fn the_rules_agree_with_the_table_over_random_stories() {
    let mut seen = BTreeSet::new();
    for case in 0..512 {
        let mut dice = Dice::of(case);
        let (mut model, mut standing) = (Model { state: State::Absent, doubt: false }, Standing::ABSENT);
        let mut story = Vec::new();
        for _ in 0..32 {
            let step = dice.step(model.state);
            let (to, rules) = (model.next(step), standing.next(step));
            assert_eq!(to.is_some(), rules.is_ok(), "case {case}: {model:?} {step}");
            if let (Some(to), Ok(rules)) = (to, rules) {
                assert!(to.is(rules) && reachable(to), "case {case}: {model:?} {step}");
                (model, standing) = (to, rules);
                story.push(step);
                seen.insert(format!("{model:?}"));
            }
        }
        assert_eq!(Standing::fold(story), Ok(standing), "case {case}");
    }
    // Unknown is always in doubt; five other states may be, five never are.
    assert_eq!(seen.len(), 1 + 2 * 5 + 5, "{seen:#?}");
}

/// One writer's method for each move.
fn make(w: &Writer, seq: i64, step: Move) -> Result<(), JournalError> {
    match step {
        Move::Attempt => w.attempt(RUN, seq, at(1)).map(drop),
        Move::Succeed => w.outcome(RUN, seq, ok(), at(2)),
        Move::Fail => w.outcome(RUN, seq, Err(failure()), at(2)),
        Move::RetryLater => w.retry_at(RUN, seq, &failure(), at(9), at(2)),
        Move::Lose => w.unknown(RUN, seq, &failure(), at(2)),
        Move::ProveAbsent => w.not_applied(RUN, seq, "no trace", at(3)),
        Move::Refuse => w.refused_again(RUN, seq, &failure(), at(3)),
        Move::Reopen => w.reopen(RUN, seq, at(4)),
        Move::UndoStart => w.undo_started(RUN, seq, at(5)),
        Move::UndoDone => w.undone(RUN, seq, json!(null), at(6)),
        Move::UndoFail => w.undo_failed(RUN, seq, &failure(), at(6)),
        Move::UndoAsk => w.needs_decision(RUN, seq, &question(""), at(6)),
    }
}

/// What is read back is folded from rows that were overwritten on the way: it must be what the moves led to.
#[test]
fn what_is_stored_agrees_with_the_table_over_random_stories() {
    // Nothing here is about the disk: in memory where there is such a place.
    let memory = Path::new("/dev/shm");
    let site = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let (folder, _lock, writer) = open(&site.path().join(".uplift"), Scrubber::default());
    writer.begin(run(RUN)).unwrap();
    let mut models = Vec::new();
    for case in 0..512 {
        let mut dice = Dice::of(case);
        let address = format!("case {case}/compose_up#1");
        let (seq, mut model) = if dice.below(8) == 0 {
            let seq = writer.refused(RUN, effect(&address), failure(), at(1)).unwrap();
            (seq, Model { state: State::Refused, doubt: false })
        } else {
            let seq = writer.intend(RUN, vec![effect(&address)], at(1)).unwrap()[0];
            (seq, Model { state: State::Started, doubt: false })
        };
        for _ in 0..12 {
            let step = dice.step(model.state);
            match (model.next(step), make(&writer, seq, step)) {
                (Some(to), Ok(())) => model = to,
                (None, Err(JournalError::Illegal { illegal, .. })) => {
                    assert_eq!((illegal.from, illegal.step), (model.state, step), "case {case}");
                }
                (to, done) => panic!("case {case}: {model:?} {step}: {to:?} or {done:?}"),
            }
        }
        models.push(model);
    }
    for (case, (entry, model)) in reader(&folder).entries(RUN).unwrap().iter().zip(models).enumerate() {
        let standing = Standing { state: entry.state, may_have_applied: entry.may_have_applied };
        assert!(model.is(standing), "case {case}: {model:?} or {standing:?}");
    }
}
