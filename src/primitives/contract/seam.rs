//! Types end here: what the host holds is JSON and a box.

use std::{any::Any, future::Future, marker::PhantomData, panic::AssertUnwindSafe, pin::Pin};

use futures::FutureExt as _;
use serde_json::Value;

use super::{
    effect::{Back, Decision, Effect, Found, Read, Undone, WhenUnknown},
    record::{from_value, to_value},
};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, Operate},
};

/// A boxed future; the only place where primitives' futures are boxed.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One call of a primitive, its options already understood.
pub trait Call: Send + Sync {
    /// `None` for reads.
    fn when_unknown(&self) -> Option<WhenUnknown>;
    /// Effects: decides and gives the intent with its summary. Reads: `None` with a summary, without looking.
    fn intend<'a>(&'a self, site: Observe<'a>) -> Fut<'a, Result<(Option<Value>, String), Refusal>>;
    /// Reads: the answer with its summary. Effects: a failure (`not_a_read`).
    fn look<'a>(&'a self, site: Observe<'a>) -> Fut<'a, Result<(Value, String), Failure>>;
    /// Reads: the answer that a person's choice makes, with its summary.
    fn decided(&self, decision: &Decision) -> Option<Result<(Value, String), Failure>>;
}

/// An effect known by name and version alone: all that resume, probe and undo need.
pub trait UndoCall: Send + Sync {
    fn summary(&self, version: u32, intent: Value) -> Result<String, Failure>;
    fn undo_summary(&self, version: u32, intent: Value) -> Result<String, Failure>;
    /// See [`Effect::only_adds`]; false of an intent that cannot be read.
    fn only_adds(&self, version: u32, intent: Value) -> bool;
    /// See [`Effect::unheard`].
    fn unheard(&self, version: u32, intent: Value) -> Option<Value>;
    /// The outcome in a few words; `None` if it is not one that this version writes.
    fn result(&self, outcome: &Value) -> Option<String>;
    fn probe<'a>(
        &'a self,
        version: u32,
        intent: Value,
        site: Observe<'a>,
    ) -> Fut<'a, Result<Found<Value>, Failure>>;
    fn execute<'a>(
        &'a self,
        version: u32,
        intent: Value,
        site: Operate<'a>,
    ) -> Fut<'a, Result<Value, Failure>>;
    fn undo<'a>(
        &'a self,
        version: u32,
        intent: Value,
        back: &'a Back<'a>,
        site: Operate<'a>,
    ) -> Fut<'a, Result<Undone, Failure>>;
}

pub(super) struct ReadCall<P>(pub P);
pub(super) struct EffectCall<P>(pub P);
pub(super) struct Kept<P>(PhantomData<fn() -> P>);

impl<P> Kept<P> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<P: Read> Call for ReadCall<P> {
    fn when_unknown(&self) -> Option<WhenUnknown> {
        None
    }

    fn intend<'a>(&'a self, _site: Observe<'a>) -> Fut<'a, Result<(Option<Value>, String), Refusal>> {
        Box::pin(async { Ok((None, self.0.summary())) })
    }

    fn look<'a>(&'a self, site: Observe<'a>) -> Fut<'a, Result<(Value, String), Failure>> {
        Box::pin(async move {
            let outcome = self.0.look(site).await?;
            Ok((to_value(&outcome)?, P::result(&outcome)))
        })
    }

    fn decided(&self, decision: &Decision) -> Option<Result<(Value, String), Failure>> {
        let outcome = self.0.decided(decision)?;
        Some(to_value(&outcome).map(|value| (value, P::result(&outcome))))
    }
}

impl<P: Effect> Call for EffectCall<P> {
    fn when_unknown(&self) -> Option<WhenUnknown> {
        Some(self.0.when_unknown())
    }

    fn intend<'a>(&'a self, site: Observe<'a>) -> Fut<'a, Result<(Option<Value>, String), Refusal>> {
        Box::pin(async move {
            let intent = self.0.intend(site).await?;
            Ok((Some(to_value(&intent)?), P::summary(&intent)))
        })
    }

    fn look<'a>(&'a self, _site: Observe<'a>) -> Fut<'a, Result<(Value, String), Failure>> {
        Box::pin(async { Err(Failure::inside("not_a_read", format!("`{}` changes the site", P::NAME))) })
    }

    fn decided(&self, _: &Decision) -> Option<Result<(Value, String), Failure>> {
        None
    }
}

impl<P: Effect> UndoCall for Kept<P> {
    fn summary(&self, version: u32, intent: Value) -> Result<String, Failure> {
        Ok(P::summary(&P::read_intent(version, intent)?))
    }

    fn undo_summary(&self, version: u32, intent: Value) -> Result<String, Failure> {
        Ok(P::undo_summary(&P::read_intent(version, intent)?))
    }

    fn only_adds(&self, version: u32, intent: Value) -> bool {
        P::ADDS_ONLY || P::read_intent(version, intent).is_ok_and(|intent| P::only_adds(&intent))
    }

    fn unheard(&self, version: u32, intent: Value) -> Option<Value> {
        to_value(&P::unheard(&P::read_intent(version, intent).ok()?)?).ok()
    }

    fn result(&self, outcome: &Value) -> Option<String> {
        from_value(outcome.clone()).ok().map(|outcome| P::result(&outcome))
    }

    fn probe<'a>(
        &'a self,
        version: u32,
        intent: Value,
        site: Observe<'a>,
    ) -> Fut<'a, Result<Found<Value>, Failure>> {
        Box::pin(guarded::<P, _>(async move {
            let intent = P::read_intent(version, intent)?;
            Ok(match P::probe(&intent, site).await? {
                Found::Applied(outcome) => Found::Applied(to_value(&outcome)?),
                Found::NotApplied => Found::NotApplied,
                Found::Partial(what) => Found::Partial(what),
                Found::CannotTell(why) => Found::CannotTell(why),
            })
        }))
    }

    fn execute<'a>(
        &'a self,
        version: u32,
        intent: Value,
        site: Operate<'a>,
    ) -> Fut<'a, Result<Value, Failure>> {
        Box::pin(guarded::<P, _>(async move {
            to_value(&P::execute(&P::read_intent(version, intent)?, site).await?)
        }))
    }

    fn undo<'a>(
        &'a self,
        version: u32,
        intent: Value,
        back: &'a Back<'a>,
        site: Operate<'a>,
    ) -> Fut<'a, Result<Undone, Failure>> {
        Box::pin(guarded::<P, _>(async move { P::undo(&P::read_intent(version, intent)?, back, site).await }))
    }
}

/// A primitive that panics has failed like any other, half way: the run has its way back, and what had begun is on record.
async fn guarded<P: Effect, T>(work: impl Future<Output = Result<T, Failure>> + Send) -> Result<T, Failure> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.unwrap_or_else(|panic| {
        let text = format!("`{}` panicked: {}", P::NAME, said(&*panic));
        Err(Failure::inside("primitive_panicked", text))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it did not say why")
}
