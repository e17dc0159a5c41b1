//! The real thing: every call goes through the journal, and what the journal already answers is not done again.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    away::has_changed,
    context::Context,
    done::as_decision,
    execute::Record,
    held_to::within,
    past::no_more,
    position::{Halt, Recorded, new_entry},
    shared_lock::SharedLock,
};
use crate::{
    event::{Event, Failure, Refusal},
    journal::{Entry, Kind as Recordable, NewEntry, Writer},
    primitives::contract::{Kind, Verb, WhenUnknown},
    script::{Answer, Asked, Budget, Conduct, Place, Stop},
};

/// The conductor of a run and of its resumption.
pub(super) struct Live {
    pub(super) context: Context,
    pub(super) journal: Arc<Writer>,
    lock: Arc<SharedLock>,
    pub(super) held_to: Option<Vec<String>>,
    state: Mutex<State>,
}

struct State {
    recorded: Recorded,
    halt: Option<Halt>,
    /// Something that is not a mere addition has begun.
    changed: bool,
    steps: Vec<Timestamp>,
    /// Blocks of effects that the script has come to, replayed ones included.
    blocks: u64,
}

/// An effect whose intent stands in the journal.
pub(super) struct Begun<'a> {
    pub(super) seq: i64,
    pub(super) address: String,
    pub(super) verb: &'a Verb,
    pub(super) version: u32,
    pub(super) intent: Value,
    pub(super) when_unknown: WhenUnknown,
    pub(super) budget: Budget,
    pub(super) input: Value,
}

impl Live {
    pub(super) fn new(
        context: Context,
        record: &Record,
        recorded: Vec<Entry>,
        held_to: Option<Vec<String>>,
    ) -> Self {
        let changed = has_changed(&context.catalogue, &recorded);
        let state =
            State { recorded: Recorded::new(recorded), halt: None, changed, steps: Vec::new(), blocks: 0 };
        let (journal, lock) = (Arc::clone(&record.writer), Arc::clone(&record.lock));
        Self { context, journal, lock, held_to, state: Mutex::new(state) }
    }

    /// Why the run ended against the script's will.
    pub(super) fn halted(&self) -> Option<Halt> {
        self.state().halt.clone()
    }

    /// Whether containers, configuration or databases may have been changed.
    pub(super) fn changed(&self) -> bool {
        self.state().changed
    }

    /// Ends the run. The first reason stays: what comes later are its consequences.
    pub(super) fn halt(&self, halt: Halt) -> Stop {
        self.state().halt.get_or_insert(halt);
        Stop::Ends
    }

    /// A journal that cannot be written ends the run: what happens next could not be taken back.
    pub(super) fn written<T>(&self, result: Result<T, crate::journal::JournalError>) -> Result<T, Stop> {
        result.map_err(|error| self.halt(Halt::Journal(error.into())))
    }

    /// To be asked before every attempt at an effect: a lock that is lost, or needed and not to be had, ends the run.
    pub(super) async fn locked(&self, leaves_data: bool) -> Result<(), Stop> {
        self.lock.stands(leaves_data).await.map_err(|failure| self.halt(Halt::Journal(failure)))
    }

    /// What only looks is left at once where a signal comes: an engine or a server may take minutes not to answer.
    pub(super) async fn unless_stopped<T>(&self, look: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => Err(self.halt(Halt::Cancelled)),
            found = look => Ok(found),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn answer(&self, asked: Asked) -> Result<Answer, Stop> {
        let verb = self.context.verb(asked.verb).map_err(Stop::Failed)?;
        let recorded = self.state().recorded.take(&asked, verb.version);
        if let Some(entry) = recorded.map_err(|halt| self.halt(halt))? {
            return self.replayed(entry, verb, &asked).await.map(Answer::Known);
        }
        if verb.kind == Kind::Read {
            return self.look(&asked, verb).await.map(Answer::Known);
        }
        let begun = self.begin(std::slice::from_ref(&asked)).await?;
        self.finish_all(begun).await?.pop().unwrap_or(Err(Stop::Ends)).map(Answer::Known)
    }

    /// Looks, and commits question and answer together: a path of the script that depends on an answer must not
    /// change when the run is resumed.
    async fn look(&self, asked: &Asked, verb: &Verb) -> Result<Value, Stop> {
        let tell = self.context.tell.at(&asked.address);
        let call = verb.parse(asked.input.clone()).map_err(Stop::Failed)?;
        let observe = self.context.observe(&tell);
        let (_, summary) = call.intend(observe).await.map_err(|refusal| Stop::Failed(refusal.0))?;
        let started = self.told_start(&asked.address, &summary);
        let answer = self.unless_stopped(call.look(observe)).await?;
        let entry = new_entry(asked, verb, summary, None, None);
        let stored = answer.clone().map(|(value, _)| value);
        self.written(self.journal.observe(&self.context.run, entry, stored, self.context.now()))?;
        self.told_look(&asked.address, started, answer)
    }

    /// Decides every effect of `asked` by reading, then commits all intents in one transaction. One refusal, and
    /// none of them starts.
    async fn begin<'a>(&'a self, asked: &[Asked]) -> Result<Vec<Begun<'a>>, Stop> {
        let leaves = |one: &Asked| self.context.verb(one.verb).is_ok_and(|verb| verb.leaves_data);
        let all_leave = asked.iter().all(leaves);
        // What needs the lock is not even looked at without it.
        self.locked(all_leave).await?;
        let mut entries = Vec::new();
        let mut begun = Vec::new();
        for one in asked {
            if self.context.cancel.is_cancelled() {
                return Err(self.halt(Halt::Cancelled));
            }
            let verb = self.context.verb(one.verb).map_err(Stop::Failed)?;
            let tell = self.context.tell.at(&one.address);
            let call = verb.parse(one.input.clone()).map_err(Stop::Failed)?;
            let decided = if let Err(failure) = within(self.held_to.as_deref(), &one.address, verb.kind) {
                Err(Refusal(failure))
            } else {
                self.unless_stopped(call.intend(self.context.observe(&tell))).await?
            };
            let when_unknown = call.when_unknown().unwrap_or(WhenUnknown::Ask);
            let (intent, summary) = match decided {
                Ok(decided) => decided,
                Err(refusal) => {
                    let group = (asked.len() > 1).then(|| self.group());
                    return Err(self.refused(one, verb, refusal.0, group));
                }
            };
            let intent = intent.unwrap_or(Value::Null);
            entries.push(new_entry(one, verb, summary, Some(when_unknown), Some(intent.clone())));
            begun.push(Begun {
                seq: 0,
                address: one.address.clone(),
                verb,
                version: verb.version,
                intent,
                when_unknown,
                budget: one.budget.clone(),
                input: one.input.clone(),
            });
        }
        if entries.len() > 1 {
            let group = self.group();
            for entry in &mut entries {
                entry.group = Some(group);
            }
        }
        self.locked(all_leave).await?;
        let summaries: Vec<_> = entries.iter().map(|entry| entry.summary.clone()).collect();
        let seqs = self.written(self.journal.intend(&self.context.run, entries, self.context.now()))?;
        for ((one, seq), summary) in begun.iter_mut().zip(seqs).zip(summaries) {
            one.seq = seq;
            self.begins(one);
            self.told_start(&one.address, &summary);
        }
        Ok(begun)
    }

    /// From here on something may have been changed.
    pub(super) fn begins(&self, one: &Begun<'_>) {
        self.state().changed |= !one.verb.only_adds(one.version, &one.intent);
    }

    /// A number that the calls of one block share: how many blocks came before.
    fn group(&self) -> u64 {
        self.state().blocks
    }

    fn refused(&self, asked: &Asked, verb: &Verb, failure: Failure, group: Option<u64>) -> Stop {
        let summary = format!("`{}`", verb.name);
        let started = self.told_start(&asked.address, &summary);
        let entry = NewEntry { group, ..new_entry(asked, verb, summary, None, None) };
        let now = self.context.now();
        if let Err(stop) = self.written(self.journal.refused(&self.context.run, entry, failure.clone(), now))
        {
            return stop;
        }
        self.told_failure(&asked.address, started, &failure);
        Stop::Failed(failure)
    }

    /// Runs all to their end, side by side, whatever becomes of the others.
    async fn finish_all(&self, begun: Vec<Begun<'_>>) -> Result<Vec<Result<Value, Stop>>, Stop> {
        let results = join_all(begun.into_iter().map(|one| self.perform(one))).await;
        if results.contains(&Err(Stop::Ends)) {
            return Err(Stop::Ends);
        }
        Ok(results)
    }

    /// The answer from the journal; an effect that began and has no outcome is settled first.
    async fn replayed(&self, entry: Entry, verb: &Verb, asked: &Asked) -> Result<Value, Stop> {
        // Later calls exist only because the runbook was told how this one failed.
        let was_told = entry.state.open() && self.state().recorded.has_later_than(&entry);
        if let (true, Some(failure)) = (was_told, entry.attempts.last().and_then(|last| last.failure.clone()))
        {
            return Err(Stop::Failed(Failure { unknown: false, ..failure }));
        }
        if entry.state.open() {
            return match verb.kind {
                Kind::Read => self.look_again(&entry, verb, asked).await,
                Kind::Effect => self.settle(entry, verb, asked).await,
            };
        }
        if entry.attempts.last().is_some_and(|last| last.masked) {
            let text = format!("the answer of `{}` held a secret and was not kept whole", entry.address);
            let failure = Failure::new("answer_masked", text).hint("`uplift rollback` ends the run");
            return Err(self.halt(Halt::Journal(failure)));
        }
        let Some(answer) = entry.answer() else {
            let text = format!("`{}` is being taken back: the run cannot go on", entry.address);
            let failure = Failure::new("being_taken_back", text).hint("`uplift rollback` ends it");
            return Err(self.halt(Halt::Journal(failure)));
        };
        if entry.kind == Recordable::Effect && answer.is_ok() {
            self.context.tell.tell(Event::CallEnded {
                address: entry.address.clone(),
                took_ms: 0,
                result: entry.summary.clone(),
                replayed: true,
            });
        }
        let answer = answer.cloned().map_err(|failure| Stop::Failed(failure.clone()))?;
        if verb.admits && !self.changed() {
            self.holds_yet(&entry, verb, asked).await?;
        }
        Ok(answer)
    }

    /// What let the run begin may not be so any more, and as long as nothing was changed nobody has to go on.
    async fn holds_yet(&self, entry: &Entry, verb: &Verb, asked: &Asked) -> Result<(), Stop> {
        let tell = self.context.tell.at(&asked.address);
        let call = verb.parse(asked.input.clone()).map_err(Stop::Failed)?;
        let started = self.told_start(&asked.address, &entry.summary);
        let answer = self.unless_stopped(call.look(self.context.observe(&tell))).await?;
        let answer = answer.map_err(|failure| no_more(&entry.summary, failure));
        self.told_look(&asked.address, started, answer).map(drop)
    }

    /// A look that failed before and was opened again, because a person wants to go on.
    async fn look_again(&self, entry: &Entry, verb: &Verb, asked: &Asked) -> Result<Value, Stop> {
        self.written(self.journal.attempt(&self.context.run, entry.seq, self.context.now()))?;
        let tell = self.context.tell.at(&asked.address);
        let call = verb.parse(asked.input.clone()).map_err(Stop::Failed)?;
        let started = self.told_start(&asked.address, &entry.summary);
        let chosen = entry.chosen().and_then(|choosing| call.decided(&as_decision(choosing)));
        let answer = if let Some(answer) = chosen {
            answer
        } else {
            self.unless_stopped(call.look(self.context.observe(&tell))).await?
        };
        let stored = answer.clone().map(|(value, _)| value);
        self.written(self.journal.outcome(&self.context.run, entry.seq, stored, self.context.now()))?;
        self.told_look(&asked.address, started, answer)
    }

    async fn side_by_side(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, Stop> {
        self.state().blocks += 1;
        if let Some(refusal) = self.state().recorded.refusal(&asked) {
            return Err(Stop::Failed(refusal));
        }
        let mut recorded = Vec::new();
        for one in &asked {
            let version = self.context.verb(one.verb).map_err(Stop::Failed)?.version;
            let entry = self.state().recorded.take(one, version);
            recorded.push(entry.map_err(|halt| self.halt(halt))?);
        }
        let results = if recorded.iter().any(Option::is_some) {
            let mut settling = Vec::new();
            for (one, entry) in asked.iter().zip(recorded) {
                let Some(entry) = entry else {
                    let text = "of a `together` block only a part is in the journal, so nothing was done";
                    let hint = "go back with `uplift rollback`, or resume with the uplift that began the run";
                    return Err(self.halt(Halt::Diverged(Failure::new("diverged", text).hint(hint))));
                };
                let verb = self.context.verb(one.verb).map_err(Stop::Failed)?;
                settling.push(self.replayed(entry, verb, one));
            }
            join_all(settling).await
        } else {
            let begun = self.begin(&asked).await?;
            self.finish_all(begun).await?
        };
        if results.contains(&Err(Stop::Ends)) {
            return Err(Stop::Ends);
        }
        results.into_iter().map(|result| result.map(Answer::Known)).collect()
    }
}

impl Conduct for Live {
    fn call(&self, asked: Asked) -> Result<Answer, Stop> {
        self.context.runtime.block_on(self.answer(asked))
    }

    fn together(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, Stop> {
        self.context.runtime.block_on(self.side_by_side(asked))
    }

    fn step_started(&self, path: &str) {
        let now = self.context.now();
        self.state().steps.push(now);
        self.context.tell.tell(Event::StepStarted { path: path.to_owned() });
    }

    fn step_ended(&self, path: &str, well: bool) {
        let started = self.state().steps.pop();
        if let (true, Some(started)) = (well, started) {
            let took_ms = self.context.millis_since(started);
            self.context.tell.tell(Event::StepEnded { path: path.to_owned(), took_ms });
        }
    }

    fn print(&self, text: &str, _place: Place) {
        self.context.tell.note(text);
    }

    /// A script that is ended between two calls has not failed.
    fn cancelled(&self) -> bool {
        self.context.cancel.is_cancelled() && self.halt(Halt::Cancelled) == Stop::Ends
    }
}
