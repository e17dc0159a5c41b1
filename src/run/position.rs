//! Where a run stands between its record and the world.

use serde_json::Value;

use crate::{
    event::{Failure, Question},
    journal::{Entry, NewEntry, State},
    primitives::contract::{Kind, Verb, WhenUnknown},
    script::{Asked, Place},
};

/// Why a run ends where no script can prevent it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Halt {
    Cancelled,
    /// Nobody knows whether an effect happened; only a person can tell.
    Question(Question),
    /// A person must choose how it goes on.
    Person(Question),
    /// An effect made no progress for its whole time; it may go on by itself.
    Stalled {
        address: String,
        after: String,
    },
    /// The script asked for something else than what the record holds.
    Diverged(Failure),
    /// The journal could not be written, or the lock is lost.
    Journal(Failure),
}

/// The calls that the journal already holds, in their order.
pub(super) struct Recorded {
    entries: Vec<Entry>,
    next: usize,
}

impl Recorded {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self { entries, next: 0 }
    }

    /// Whether calls were recorded after this one, those of its own block aside.
    pub(super) fn has_later_than(&self, entry: &Entry) -> bool {
        let later = self.entries.iter().filter(|other| other.seq > entry.seq);
        later.into_iter().any(|other| entry.group.is_none() || other.group != entry.group)
    }

    /// A block that was refused as a whole left one entry: that of the call which refused.
    pub(super) fn refusal(&mut self, block: &[Asked]) -> Option<Failure> {
        let entry = self.entries.get(self.next).filter(|entry| entry.state == State::Refused)?;
        let (address, version) = (entry.address.clone(), entry.version);
        let one = block.iter().find(|one| one.address == address)?;
        let entry = self.take(one, version).ok().flatten()?;
        entry.answer().and_then(Result::err).cloned()
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.next >= self.entries.len()
    }

    /// The record of this very call, or `None` once the record is used up.
    pub(super) fn take(&mut self, asked: &Asked, version: u32) -> Result<Option<Entry>, Halt> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        let same = entry.address == asked.address
            && entry.verb == asked.verb
            && entry.version == version
            && entry.input == asked.input;
        if !same {
            return Err(Halt::Diverged(diverged(entry, asked, version)));
        }
        self.next += 1;
        Ok(Some(entry.clone()))
    }
}

/// Both lines side by side.
fn diverged(entry: &Entry, asked: &Asked, version: u32) -> Failure {
    let place = &asked.place;
    Failure::new("diverged", "the runbook no longer asks for what the journal holds, so nothing was done")
        .evidence([
            format!(
                "journal: {} {} (version {}) at {}",
                entry.address, entry.input, entry.version, entry.place
            ),
            format!(
                "now:     {} {} (version {version}) at {}:{}:{}",
                asked.address, asked.input, place.file, place.line, place.column
            ),
        ])
        .hint("go back with `uplift rollback`, or resume with the uplift that began the run")
}

/// What the journal is told of a call.
pub(super) fn new_entry(
    asked: &Asked,
    verb: &Verb,
    summary: String,
    when_unknown: Option<WhenUnknown>,
    intent: Option<Value>,
) -> NewEntry {
    let Place { file, line, column } = &asked.place;
    NewEntry {
        address: asked.address.clone(),
        path: asked.path.clone(),
        verb: verb.name.to_owned(),
        version: verb.version,
        effect: verb.kind == Kind::Effect,
        input: asked.input.clone(),
        place: format!("{file}:{line}:{column}"),
        summary,
        when_unknown: when_unknown.map(|rule| rule.as_str().to_owned()),
        intent,
        group: None,
    }
}

/// The call, or the calls of the last block, that ended a run by failing: who goes on wants them tried once more.
#[must_use]
pub fn failed_last(entries: &[Entry]) -> Vec<i64> {
    let Some(last) = entries.last() else { return Vec::new() };
    let of_block =
        |entry: &&Entry| entry.seq == last.seq || (last.group.is_some() && entry.group == last.group);
    let failed = |entry: &&Entry| matches!(entry.state, State::Failed | State::Refused);
    entries.iter().filter(of_block).filter(failed).map(|entry| entry.seq).collect()
}
