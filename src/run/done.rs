//! Effects that can be taken back: those that a record holds, and those that a plan has come to.

use std::sync::Arc;

use serde_json::Value;

use super::context::Context;
use crate::{
    event::Failure,
    journal::{Choosing, Entry, Kind},
    primitives::contract::{Back, Decision, FORWARD, Later, Undone},
};

/// An effect with its intent, whatever became of it.
#[derive(Clone)]
pub(super) struct Done {
    /// Its number in the record; 0 in a plan.
    pub(super) seq: i64,
    pub(super) address: String,
    pub(super) verb: String,
    pub(super) version: u32,
    pub(super) summary: String,
    pub(super) intent: Value,
    /// `None` if it has none: it failed, or nobody knows.
    pub(super) outcome: Option<Value>,
    pub(super) adds_only: bool,
    /// What a person has chosen for its way back.
    pub(super) decision: Option<Decision>,
    /// Nothing of it is on the site any more, or ever was.
    pub(super) over: bool,
}

/// Which of a person's choices for the way back count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Words {
    All,
    /// Those of this taking of the lock and of later ones, as long as nothing is taken back: what was chosen earlier, and
    /// never acted on, was chosen by figures of then.
    Since(i64),
}

impl Words {
    /// None at all while nothing is taken back.
    pub(super) const NEW: Self = Self::Since(i64::MAX);

    /// The taking after which they count.
    fn before(self, entries: &[Entry]) -> Option<i64> {
        match self {
            Self::Since(epoch) if entries.iter().all(|entry| entry.undos.is_empty()) => Some(epoch - 1),
            _ => None,
        }
    }
}

/// What a run has begun, in the order of its record.
pub(super) fn of_record(context: &Context, entries: &[Entry], words: Words) -> Vec<Arc<Done>> {
    let latest = latest_attempt(entries).max(words.before(entries));
    let effects = entries.iter().filter(|entry| entry.kind == Kind::Effect);
    let begun = effects.filter_map(|entry| {
        let intent = entry.intent.clone()?;
        Some(Arc::new(Done {
            seq: entry.seq,
            address: entry.address.clone(),
            verb: entry.verb.clone(),
            version: entry.version,
            summary: entry.summary.clone(),
            adds_only: context.verb(&entry.verb).is_ok_and(|verb| verb.only_adds(entry.version, &intent)),
            intent,
            outcome: entry.attempts.last().and_then(|attempt| attempt.value.clone()),
            decision: decision(entry, latest),
            over: !entry.state.to_take_back(),
        }))
    });
    begun.collect()
}

/// The taking of the lock under which something was last attempted.
fn latest_attempt(entries: &[Entry]) -> Option<i64> {
    entries.iter().flat_map(|entry| &entry.attempts).map(|attempt| attempt.epoch).max()
}

/// What a person chose for the way back of this call. An answer about the way forward is none, and one that was given
/// before the run went on again (its attempts are of a later taking of the lock) does not count any more.
fn decision(entry: &Entry, latest: Option<i64>) -> Option<Decision> {
    let decided = entry.decisions.last().filter(|decided| Some(decided.epoch) > latest)?;
    (!FORWARD.contains(&decided.decision.choice.as_str())).then(|| as_decision(&decided.decision))
}

pub(super) fn as_decision(choosing: &Choosing) -> Decision {
    let Choosing { choice, reason, by } = choosing.clone();
    Decision { choice, reason, by }
}

/// Effects that are taken back one after the other, with what each has to know of those that came after it.
pub(super) struct Unwinding {
    pub(super) done: Vec<Arc<Done>>,
    later: Vec<Later>,
}

impl Unwinding {
    pub(super) fn of(done: Vec<Arc<Done>>) -> Self {
        let later = done.iter().map(|one| Later {
            verb: one.verb.clone(),
            address: one.address.clone(),
            adds_only: one.adds_only,
            outcome: one.outcome.clone(),
            choice: one.decision.as_ref().map(|decision| decision.choice.clone()),
        });
        Self { later: later.collect(), done }
    }

    /// A person is taken to choose this for the effect at `at`.
    pub(super) fn choose(&mut self, at: usize, decision: Decision) {
        self.later[at].choice = Some(decision.choice.clone());
        self.done[at] = Arc::new(Done { decision: Some(decision), ..Done::clone(&self.done[at]) });
    }

    /// Those of which something may be on the site, last first.
    pub(super) fn to_take_back(&self) -> Vec<usize> {
        (0..self.done.len()).rev().filter(|at| !self.done[*at].over).collect()
    }

    /// Takes the effect at `at` back, on whatever `context` reaches.
    pub(super) async fn undo(&self, context: &Context, at: usize) -> Result<Undone, Failure> {
        let one = &self.done[at];
        let back = Back { decision: one.decision.clone(), later: &self.later[at + 1..] };
        let tell = context.tell.at(&one.address);
        context.kept(&one.verb)?.undo(one.version, one.intent.clone(), &back, context.operate(&tell)).await
    }
}
