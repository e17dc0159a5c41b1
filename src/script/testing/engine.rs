//! What a test file has beside what a runbook has. The engine around it is the same.

#![expect(clippy::unnecessary_box_returns, reason = "the engine wants its errors boxed")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rhai::{Dynamic, Engine, EvalAltResult, EvalContext, Expression, NativeCallContext, Position};
use serde_json::Value;

use super::{
    bench::{Bench, TestCall},
    expect,
    words::{TestWord, WordKind, of_kind},
};
use crate::{
    event::Failure,
    script::{
        error::thrown,
        session::{Res, Session, throw},
        value::{from_json, kind, to_json},
    },
};

/// A simulated site, as a test has it in its hands.
#[derive(Debug, Clone, Copy)]
struct Site(usize);

/// One performance of a test.
pub(in crate::script) struct Trial {
    pub(super) session: Arc<Session>,
    pub(super) bench: Arc<dyn Bench>,
    /// The test that is run; the others of its file are passed over.
    pub(super) wanted: String,
    /// How often something was expected, and how many sites were made.
    pub(super) expected: AtomicUsize,
    pub(super) sites: AtomicUsize,
}

impl Trial {
    pub(super) fn new(session: Arc<Session>, bench: Arc<dyn Bench>, wanted: String) -> Self {
        Self { session, bench, wanted, expected: AtomicUsize::new(0), sites: AtomicUsize::new(0) }
    }

    fn ask(
        &self,
        context: &NativeCallContext<'_>,
        (site, name): (Option<Site>, &'static str),
        given: &[Dynamic],
    ) -> Res<Dynamic> {
        let position = context.call_position();
        let fail = |failure: &Failure| self.fails(context, failure, position);
        let given = given.iter().map(to_json).collect::<Result<Vec<_>, _>>().map_err(|why| {
            fail(
                &Failure::new("bad_option", format!("`{name}`: {why}"))
                    .hint("use texts, numbers, `true`, `false`, lists and maps only"),
            )
        })?;
        let call = TestCall { name, site: site.map(|site| site.0), given };
        let answer = self.session.watch.away(|| self.bench.ask(call)).map_err(|failure| fail(&failure))?;
        if name != "simulated" {
            return Ok(from_json(&answer));
        }
        self.sites.fetch_add(1, Ordering::Relaxed);
        let number = answer.as_u64().and_then(|number| usize::try_from(number).ok());
        Ok(Dynamic::from(Site(number.unwrap_or_default())))
    }

    fn expect(
        &self,
        context: &NativeCallContext<'_>,
        judge: impl FnOnce(&Value, &Value) -> Result<(), Failure>,
        (value, wanted): (&Dynamic, &Dynamic),
    ) -> Res<()> {
        self.expected.fetch_add(1, Ordering::Relaxed);
        let position = context.call_position();
        let judged = both(value, wanted).and_then(|(value, wanted)| judge(&value, &wanted));
        judged.map_err(|failure| self.fails(context, &failure, position))
    }

    /// What is asked without brackets has no place of its own: the engine knows it.
    fn fails(
        &self,
        context: &NativeCallContext<'_>,
        failure: &Failure,
        position: Position,
    ) -> Box<EvalAltResult> {
        let place = self.session.place(context.call_source(), position);
        if !position.is_none() {
            return throw(failure, &place, position);
        }
        let mut value = thrown(failure, &place);
        if let Some(map) = value.as_object_mut() {
            map.remove("at");
        }
        Box::new(EvalAltResult::ErrorRuntime(from_json(&value), position))
    }
}

fn both(value: &Dynamic, wanted: &Dynamic) -> Result<(Value, Value), Failure> {
    let plain = |value: &Dynamic| {
        to_json(value).map_err(|_| {
            let what = if value.is::<Site>() { "a site" } else { kind(value) };
            Failure::new("not_comparable", format!("{what} cannot be compared as a whole"))
                .hint("compare a part of it, e.g. `expect(site.version, \"1.1.0\")`")
        })
    };
    Ok((plain(value)?, plain(wanted)?))
}

/// Lets test files be read; with a trial also be run.
pub(in crate::script) fn register(engine: &mut Engine, trial: Option<&Arc<Trial>>) {
    engine.register_type_with_name::<Site>("site");
    syntax(engine, trial.cloned());
    for word in of_kind(WordKind::Call) {
        calls(engine, word, trial);
    }
    for word in of_kind(WordKind::Seen) {
        let (name, trial) = (word.name, trial.cloned());
        engine.register_get(name, move |context: NativeCallContext<'_>, site: &mut Site| {
            let trial = trial.as_ref().ok_or_else(nobody)?;
            trial.ask(&context, (Some(*site), name), &[])
        });
    }
    functions(engine, trial);
}

/// A file that is only looked through is not run.
fn nobody() -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated("ends".into(), Position::NONE))
}

fn calls(engine: &mut Engine, word: &'static TestWord, trial: Option<&Arc<Trial>>) {
    let name = word.name;
    for count in word.arities() {
        let trial = trial.cloned();
        let ask = move |context: &NativeCallContext<'_>, site: Site, given: &[Dynamic]| {
            let trial = trial.as_ref().ok_or_else(nobody)?;
            trial.ask(context, (Some(site), name), given)
        };
        match count {
            0 => {
                engine.register_fn(name, move |c: NativeCallContext<'_>, site: &mut Site| ask(&c, *site, &[]))
            }
            1 => engine.register_fn(name, move |c: NativeCallContext<'_>, site: &mut Site, one: Dynamic| {
                ask(&c, *site, &[one])
            }),
            _ => engine.register_fn(
                name,
                move |c: NativeCallContext<'_>, site: &mut Site, one: Dynamic, two: Dynamic| {
                    ask(&c, *site, &[one, two])
                },
            ),
        };
    }
}

/// Whether a value is what is wanted.
type Judge = fn(&Value, &Value) -> Result<(), Failure>;

fn functions(engine: &mut Engine, trial: Option<&Arc<Trial>>) {
    let make = |trial: Option<&Arc<Trial>>| {
        let trial = trial.cloned();
        move |context: &NativeCallContext<'_>, given: &[Dynamic]| {
            let trial = trial.as_ref().ok_or_else(nobody)?;
            trial.ask(context, (None, "simulated"), given)
        }
    };
    let (one, two) = (make(trial), make(trial));
    engine.register_fn("simulated", move |c: NativeCallContext<'_>, site: Dynamic| one(&c, &[site]));
    engine.register_fn("simulated", move |c: NativeCallContext<'_>, site: Dynamic, says: Dynamic| {
        two(&c, &[site, says])
    });
    for (name, judge) in [("expect", expect::same as Judge), ("expect_in", expect::part)] {
        let trial = trial.cloned();
        engine.register_fn(
            name,
            move |c: NativeCallContext<'_>, value: Dynamic, wanted: Dynamic| -> Res<()> {
                trial.as_ref().ok_or_else(nobody)?.expect(&c, judge, (&value, &wanted))
            },
        );
    }
    let trial = trial.cloned();
    engine.register_fn("expect", move |c: NativeCallContext<'_>, holds: Dynamic| -> Res<()> {
        trial.as_ref().ok_or_else(nobody)?.expect(&c, expect::holds, (&holds, &Dynamic::TRUE))
    });
}

/// `test "NAME" { ... }`: only the one that is wanted is run.
fn syntax(engine: &mut Engine, trial: Option<Arc<Trial>>) {
    let run =
        move |context: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>]| -> Res<Dynamic> {
            let name = inputs[0].get_string_value().unwrap_or_default();
            if trial.as_ref().is_none_or(|trial| trial.wanted != name) {
                return Ok(Dynamic::UNIT);
            }
            match context.eval_expression_tree(&inputs[1]).map_err(|error| *error) {
                // `return` leaves the test.
                Ok(_) | Err(EvalAltResult::Return(..)) => Ok(Dynamic::UNIT),
                Err(other) => Err(other.into()),
            }
        };
    let registered = engine.register_custom_syntax(["test", "$string$", "$block$"], false, run);
    debug_assert!(registered.is_ok(), "`test` is no reserved word");
}
