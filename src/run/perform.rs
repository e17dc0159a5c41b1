//! One effect from its committed intent to its committed outcome, attempt by attempt.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    held_to::within,
    live::{Begun, Live},
    position::Halt,
};
use crate::{
    event::{Choice, Event, Failure, Question, Teller},
    journal::{Entry, State},
    primitives::contract::{FORWARD, Found, Verb, WhenUnknown, from_value},
    script::{Asked, Budget, Stop},
};

/// Between two attempts: doubles from here, up to a minute.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What became of one attempt.
enum Attempt {
    Ended(Result<Value, Failure>),
    Cancelled,
    Stalled(Duration),
}

impl Live {
    pub(super) async fn perform(&self, begun: Begun<'_>) -> Result<Value, Stop> {
        let started = self.context.now();
        let mut retries = begun.budget.retries.unwrap_or(0);
        let mut wait = FIRST_WAIT;
        loop {
            let failure = match self.attempt(&begun).await {
                Attempt::Ended(Ok(value)) => {
                    let now = self.context.now();
                    self.written(self.journal.outcome(&self.context.run, begun.seq, Ok(value.clone()), now))?;
                    let result = begun.result(&value);
                    return self.told_end(&begun.address, started, Ok((value, result)));
                }
                Attempt::Ended(Err(failure)) => failure,
                Attempt::Cancelled => return Err(self.left_unknown(&begun, Halt::Cancelled)),
                Attempt::Stalled(after) => {
                    let after = format!("{} s", after.as_secs());
                    let halt = Halt::Stalled { address: begun.address.clone(), after };
                    return Err(self.left_unknown(&begun, halt));
                }
            };
            if failure.unknown {
                return self.find_out(&begun, failure, started).await;
            }
            if !failure.retryable || retries == 0 {
                let now = self.context.now();
                let outcome = Err(failure.clone());
                self.written(self.journal.outcome(&self.context.run, begun.seq, outcome, now))?;
                return self.told_end(&begun.address, started, Err(failure));
            }
            retries -= 1;
            self.wait_for_retry(&begun, &failure, wait).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn wait_for_retry(&self, begun: &Begun<'_>, failure: &Failure, wait: Duration) -> Result<(), Stop> {
        let next = self.context.now() + jiff::SignedDuration::try_from(wait).unwrap_or_default();
        self.written(self.journal.retry_at(&self.context.run, begun.seq, failure, next, self.context.now()))?;
        let text = format!("{failure}; trying again in {} s", wait.as_secs());
        self.context.tell.at(&begun.address).warn(text);
        self.wait_until(begun, next).await?;
        self.locked(begun.verb.leaves_data).await?;
        self.written(self.journal.attempt(&self.context.run, begun.seq, self.context.now()))?;
        Ok(())
    }

    /// The pause before another attempt, or what an earlier process has left of it.
    async fn wait_until(&self, begun: &Begun<'_>, next: Timestamp) -> Result<(), Stop> {
        let rest = Duration::try_from(next.duration_since(self.context.now())).unwrap_or_default();
        if rest > LONGEST_WAIT {
            let text = "the clock was set back since: it does not wait for the moment that was noted";
            self.context.tell.at(&begun.address).warn(text);
            return Ok(());
        }
        tokio::select! {
            biased;
            // Nothing is at work: it waits for another attempt in the journal too.
            () = self.context.cancel.cancelled() => Err(self.halt(Halt::Cancelled)),
            () = self.context.ports.clock.sleep(rest) => Ok(()),
        }
    }

    /// Executes once. Dropping the work ends its children; whether it had happened by then is for a probe to say.
    async fn attempt(&self, begun: &Begun<'_>) -> Attempt {
        let Some(kept) = begun.verb.kept() else {
            let failure = Failure::inside("not_an_effect", format!("`{}` changes nothing", begun.verb.name));
            return Attempt::Ended(Err(failure));
        };
        let last = Arc::new(AtomicI64::new(self.context.now().as_millisecond()));
        let tell = self.watched(&begun.address, &last);
        let work = kept.execute(begun.version, begun.intent.clone(), self.context.operate(&tell));
        tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => Attempt::Cancelled,
            // What has come to its end has not stalled; on a simulated site a wait is over as soon as it is begun.
            result = work => Attempt::Ended(result),
            after = self.stalled(begun.budget.timeout_ms, &last) => Attempt::Stalled(after),
        }
    }

    /// A teller that also notes when progress was last told.
    fn watched(&self, address: &str, last: &Arc<AtomicI64>) -> Teller {
        let (tell, last) = (self.context.tell.clone(), Arc::clone(last));
        let clock = Arc::clone(&self.context.ports.clock);
        Teller::new(Arc::new(move |event| {
            if matches!(event, Event::CallProgress { .. }) {
                last.store(clock.now().as_millisecond(), Ordering::Relaxed);
            }
            tell.tell(event);
        }))
        .at(address)
    }

    /// Comes back once nothing has moved for `limit` milliseconds; never without a limit.
    async fn stalled(&self, limit: Option<u64>, last: &AtomicI64) -> Duration {
        let Some(limit) = limit else { return futures::future::pending().await };
        let limit = Duration::from_millis(limit);
        loop {
            let quiet = self.context.now().as_millisecond() - last.load(Ordering::Relaxed);
            let quiet = Duration::from_millis(u64::try_from(quiet).unwrap_or(0));
            let Some(rest) = limit.checked_sub(quiet).filter(|rest| !rest.is_zero()) else { return limit };
            self.context.ports.clock.sleep(rest.max(Duration::from_millis(10))).await;
        }
    }

    /// Notes that the outcome is unknown, and ends the run.
    fn left_unknown(&self, begun: &Begun<'_>, halt: Halt) -> Stop {
        let why = Failure::new("stopped", "stopped before its outcome was known")
            .hint("`uplift resume` looks whether it happened, and goes on")
            .unknown();
        if let Err(stop) =
            self.written(self.journal.unknown(&self.context.run, begun.seq, &why, self.context.now()))
        {
            return stop;
        }
        self.halt(halt)
    }

    /// An attempt of this very process lost its answer: looks at the world once, and repeats nothing.
    async fn find_out(&self, begun: &Begun<'_>, failure: Failure, started: Timestamp) -> Result<Value, Stop> {
        let now = self.context.now();
        self.written(self.journal.unknown(&self.context.run, begun.seq, &failure, now))?;
        let kept = self.context.kept(begun.verb.name).map_err(Stop::Failed)?;
        let tell = self.context.tell.at(&begun.address);
        let looking = kept.probe(begun.version, begun.intent.clone(), self.context.observe(&tell));
        let found = self.unless_stopped(looking).await?;
        let known = Failure { unknown: false, ..failure.clone() };
        match (begun.when_unknown, found) {
            (WhenUnknown::Probe | WhenUnknown::Repeat, Ok(Found::Applied(value))) => {
                tell.note(format!("{failure}; looking again shows that it was done"));
                return self.applied(begun, value, started);
            }
            (WhenUnknown::Probe | WhenUnknown::Repeat, Ok(Found::NotApplied)) => {
                let now = self.context.now();
                let absent = self.journal.failed_without_a_trace(&self.context.run, begun.seq, &known, now);
                self.written(absent)?;
            }
            // It stays in doubt in the journal, so that the way back goes through it; the runbook is told that it
            // failed, and a run cannot end well over it.
            (WhenUnknown::Repeat, _) | (WhenUnknown::Probe, Ok(Found::Partial(_))) => {}
            (_, found) => {
                self.told_failure(&begun.address, started, &failure);
                return Err(self.ask(begun, &failure, &found));
            }
        }
        self.told_failure(&begun.address, started, &known);
        Err(Stop::Failed(known))
    }

    /// An effect that an earlier process began: finds out what became of it, and completes it.
    pub(super) async fn settle(&self, entry: Entry, verb: &Verb, asked: &Asked) -> Result<Value, Stop> {
        let begun = Begun {
            seq: entry.seq,
            address: entry.address.clone(),
            verb,
            version: entry.version,
            intent: entry.intent.clone().unwrap_or(Value::Null),
            when_unknown: rule(entry.when_unknown.as_deref()),
            budget: rest_of(&asked.budget, &entry),
            input: asked.input.clone(),
        };
        let started = self.told_start(&begun.address, &entry.summary);
        if let Some(next) = entry.next_at() {
            let rest = next.duration_since(self.context.now()).as_secs();
            if rest > 0 {
                self.context.tell.at(&begun.address).note(format!("it is tried again in {rest} s"));
            }
            self.wait_until(&begun, next).await?;
        }
        // What was chosen for the way back says nothing of what became of it.
        if let Some(answer) = entry.answered().filter(|answer| FORWARD.contains(&answer.choice.as_str())) {
            return self.as_decided(begun, &answer.choice, started).await;
        }
        if entry.state == State::NotApplied {
            return self.begin_again(begun, entry.intent.is_none()).await;
        }
        // What waits for another attempt has failed for certain: there is nothing to ask a person about.
        let waits = entry.state == State::Waiting && begun.when_unknown == WhenUnknown::Ask;
        if waits || begun.when_unknown == WhenUnknown::Repeat {
            return self.once_more(begun).await;
        }
        let tell = self.context.tell.at(&begun.address);
        let kept = self.context.kept(verb.name).map_err(Stop::Failed)?;
        let looking = kept.probe(begun.version, begun.intent.clone(), self.context.observe(&tell));
        let found = self.unless_stopped(looking).await?;
        match (begun.when_unknown, found) {
            (WhenUnknown::Probe, Ok(Found::Applied(value))) => self.applied(&begun, value, started),
            (WhenUnknown::Probe, Ok(Found::NotApplied)) => {
                let now = self.context.now();
                let why = "looked at the site: nothing of it is there";
                self.written(self.journal.not_applied(&self.context.run, begun.seq, why, now))?;
                self.begin_again(begun, false).await
            }
            (WhenUnknown::Probe, Ok(Found::Partial(what))) => {
                tell.note(format!("{what}; going on with the rest"));
                self.once_more(begun).await
            }
            (_, found) => {
                let lost = Failure::new("outcome_unknown", "the run ended before its outcome was recorded");
                Err(self.ask(&begun, &lost, &found))
            }
        }
    }

    async fn as_decided(&self, begun: Begun<'_>, choice: &str, started: Timestamp) -> Result<Value, Stop> {
        match choice {
            "applied" => {
                let kept = begun.verb.kept();
                let value = kept.and_then(|kept| kept.unheard(begun.version, begun.intent.clone()));
                self.applied(&begun, value.unwrap_or(Value::Null), started)
            }
            "not-applied" => {
                let (now, why) = (self.context.now(), "a person said that it was not done");
                self.written(self.journal.not_applied(&self.context.run, begun.seq, why, now))?;
                self.begin_again(begun, false).await
            }
            _ => self.once_more(begun).await,
        }
    }

    fn applied(&self, begun: &Begun<'_>, value: Value, started: Timestamp) -> Result<Value, Stop> {
        let now = self.context.now();
        self.written(self.journal.outcome(&self.context.run, begun.seq, Ok(value.clone()), now))?;
        let result = format!("{} (found done)", begun.result(&value));
        self.told_end(&begun.address, started, Ok((value, result)))
    }

    /// Proven not applied: what was checked before the first attempt is checked again, because the site may have
    /// moved on since. The intent itself stays as journalled.
    async fn begin_again(&self, begun: Begun<'_>, undecided: bool) -> Result<Value, Stop> {
        let call = begun.verb.parse(begun.input.clone()).map_err(Stop::Failed)?;
        let tell = self.context.tell.at(&begun.address);
        let decided = match within(self.held_to.as_deref(), &begun.address, begun.verb.kind) {
            Ok(()) => {
                let decided = self.unless_stopped(call.intend(self.context.observe(&tell))).await?;
                decided.map_err(|refusal| refusal.0)
            }
            Err(failure) => Err(failure),
        };
        match decided {
            Err(failure) => {
                let now = self.context.now();
                self.written(self.journal.refused_again(&self.context.run, begun.seq, &failure, now))?;
                Err(Stop::Failed(failure))
            }
            // It was refused then, so that nothing was decided yet.
            Ok((intent, _)) if undecided => {
                let intent = intent.unwrap_or(Value::Null);
                self.locked(begun.verb.leaves_data).await?;
                let now = self.context.now();
                self.written(self.journal.attempt_anew(&self.context.run, begun.seq, &intent, now))?;
                let begun = Begun { intent, ..begun };
                self.begins(&begun);
                self.perform(begun).await
            }
            Ok(_) => self.once_more(begun).await,
        }
    }

    async fn once_more(&self, begun: Begun<'_>) -> Result<Value, Stop> {
        self.locked(begun.verb.leaves_data).await?;
        self.written(self.journal.attempt(&self.context.run, begun.seq, self.context.now()))?;
        self.perform(begun).await
    }

    /// The run stands still until a person has said what happened.
    fn ask(&self, begun: &Begun<'_>, why: &Failure, found: &Result<Found<Value>, Failure>) -> Stop {
        let found = match found {
            Ok(Found::CannotTell(why)) => why.clone(),
            Ok(Found::Partial(what)) => what.clone(),
            Ok(Found::Applied(_)) => "it looks done".to_owned(),
            Ok(Found::NotApplied) => "it looks not done".to_owned(),
            Err(failure) => format!("could not look: {failure}"),
        };
        let choice = |key: &str, does: &str| Choice {
            key: key.to_owned(),
            does: does.to_owned(),
            costs: String::new(),
            also: String::new(),
        };
        let question = Question {
            address: begun.address.clone(),
            text: format!("was this done or not: {}?", begun.summary()),
            found: std::iter::once(why.message.clone()).chain(why.evidence.clone()).chain([found]).collect(),
            choices: vec![
                choice("applied", "it was done: go on with the next"),
                choice("not-applied", "it was not done: check again and do it"),
                choice("retry", "do it again, whatever was done"),
            ],
            flag: None,
        };
        if let Err(stop) = self.written(self.journal.ask(&self.context.run, begun.seq, &question)) {
            return stop;
        }
        self.halt(Halt::Question(question))
    }
}

impl Begun<'_> {
    /// What was done, in a few words.
    fn result(&self, outcome: &Value) -> String {
        self.verb.kept().and_then(|kept| kept.result(outcome)).unwrap_or_else(|| self.summary())
    }

    /// What it is about, in a few words.
    fn summary(&self) -> String {
        let kept = self.verb.kept();
        kept.and_then(|kept| kept.summary(self.version, self.intent.clone()).ok())
            .unwrap_or_else(|| self.address.clone())
    }
}

/// The attempts that a call has left: it has them once, however often its run is taken up again.
fn rest_of(budget: &Budget, entry: &Entry) -> Budget {
    // Whatever became of one, it was made; a refusal was none.
    let used = entry.attempts.iter().filter(|attempt| attempt.state != State::Refused).count();
    let used = u32::try_from(used).unwrap_or(u32::MAX);
    Budget { retries: budget.retries.map(|all| all.saturating_sub(used)), ..budget.clone() }
}

/// As it was journalled; what this version does not know, a person must tell.
fn rule(name: Option<&str>) -> WhenUnknown {
    name.and_then(|name| from_value(name.into()).ok()).unwrap_or(WhenUnknown::Ask)
}
