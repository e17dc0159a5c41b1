//! The engine with its doors closed: what a script can reach is registered here and nowhere else.

use std::sync::Arc;

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FLOAT, INT, ImmutableString, Map, Module, NativeCallContext,
    Position,
    packages::{
        ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
        BasicMathPackage, BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
    },
};
use serde_json::Value;

use super::{
    limits, order,
    session::{Res, Session, throw},
    syntax,
    unknown::Unknown,
    value::from_json,
};
use crate::event::Failure;

/// An engine for one performance, or for checking with a session that nobody calls.
pub(super) fn engine(session: &Arc<Session>, params: &Value, site: &Value) -> Engine {
    // Without `new`: that one brings a clock, the file system for imports, and prints to the terminal.
    let mut engine = Engine::new_raw();
    packages(&mut engine);
    limits::set(&mut engine);
    for symbol in ["eval", "debug"] {
        engine.disable_symbol(symbol);
    }
    closed(&mut engine);
    order::register(&mut engine);
    primitives(&mut engine, session);
    own(&mut engine, session);
    unknown(&mut engine, session);
    syntax::register(&mut engine, session);
    for (name, values) in [("params", params), ("site", site)] {
        let mut module = Module::new();
        for (key, value) in values.as_object().into_iter().flatten() {
            module.set_var(key.as_str(), from_json(value));
        }
        engine.register_static_module(name, module.into());
    }
    let watching = Arc::clone(session);
    engine.on_progress(move |operations| {
        // Interpolation swallows the error of what it prints, so a look into the unknown is also asked for here.
        let ends = watching.watch.must_end(operations) || watching.unknown().is_some();
        ends.then(|| Dynamic::from("ends"))
    });
    engine
}

fn packages(engine: &mut Engine) {
    LanguageCorePackage::new().register_into_engine(engine);
    ArithmeticPackage::new().register_into_engine(engine);
    LogicPackage::new().register_into_engine(engine);
    BasicStringPackage::new().register_into_engine(engine);
    MoreStringPackage::new().register_into_engine(engine);
    BasicIteratorPackage::new().register_into_engine(engine);
    BasicFnPackage::new().register_into_engine(engine);
    BasicMathPackage::new().register_into_engine(engine);
    BasicArrayPackage::new().register_into_engine(engine);
    BasicMapPackage::new().register_into_engine(engine);
}

/// What the packages bring and a runbook must not have, with what to write instead. The package's `pad` never comes back
/// from an empty filler, and no limit reaches into it.
pub(super) const CLOSED: [(&str, &str); 4] = [
    ("exit", "use `return`, or `fail(code, message)`"),
    ("sleep", "waiting is what `wait_healthy` and its like are for"),
    ("timestamp", "take times from what calls give: a run that is resumed would see another one"),
    ("pad", "write the text as it should be"),
];

/// Closes them. Every overload: one that is left is a way out.
fn closed(engine: &mut Engine) {
    let [(_, exit), (_, sleep), (_, clock), (_, pad)] = CLOSED;
    let refuse = |name: &str, instead: &str, position: Position| {
        let text = format!("`{name}` is not there in runbooks: {instead}");
        Box::new(EvalAltResult::ErrorRuntime(text.into(), position))
    };
    let pos = |context: &NativeCallContext<'_>| context.call_position();
    engine.register_fn("exit", move |c: NativeCallContext<'_>| -> Res<()> {
        Err(refuse("exit", exit, pos(&c)))
    });
    engine.register_fn("exit", move |c: NativeCallContext<'_>, _: Dynamic| -> Res<()> {
        Err(refuse("exit", exit, pos(&c)))
    });
    engine.register_fn("sleep", move |c: NativeCallContext<'_>, _: INT| -> Res<()> {
        Err(refuse("sleep", sleep, pos(&c)))
    });
    engine.register_fn("sleep", move |c: NativeCallContext<'_>, _: FLOAT| -> Res<()> {
        Err(refuse("sleep", sleep, pos(&c)))
    });
    engine.register_fn("timestamp", move |c: NativeCallContext<'_>| -> Res<()> {
        Err(refuse("timestamp", clock, pos(&c)))
    });
    engine.register_fn(
        "pad",
        move |c: NativeCallContext<'_>, _: &mut ImmutableString, _: INT, _: &str| -> Res<()> {
            Err(refuse("pad", pad, pos(&c)))
        },
    );
    engine.register_fn(
        "pad",
        move |c: NativeCallContext<'_>, _: &mut ImmutableString, _: INT, _: char| -> Res<()> {
            Err(refuse("pad", pad, pos(&c)))
        },
    );
    engine.register_fn(
        "pad",
        move |c: NativeCallContext<'_>, _: &mut Array, _: INT, _: Dynamic| -> Res<()> {
            Err(refuse("pad", pad, pos(&c)))
        },
    );
}

fn primitives(engine: &mut Engine, session: &Arc<Session>) {
    for verb in session.catalogue.iter() {
        let name = verb.name;
        let calling = Arc::clone(session);
        engine.register_fn(name, move |context: NativeCallContext<'_>, options: Map| {
            calling.call(&context, name, options)
        });
        let calling = Arc::clone(session);
        engine.register_fn(name, move |context: NativeCallContext<'_>| {
            calling.call(&context, name, Map::new())
        });
    }
}

/// Names of the host's own functions; like primitives, no script may take them.
pub(super) const OWN: [&str; 2] = ["fail", OUTCOME];

/// The one that gives what an earlier call has given.
pub(super) const OUTCOME: &str = "outcome";

fn own(engine: &mut Engine, session: &Arc<Session>) {
    let failing = Arc::clone(session);
    engine.register_fn("fail", move |context: NativeCallContext<'_>, code: &str, message: &str| -> Res<()> {
        let position = context.call_position();
        Err(throw(&Failure::new(code, message), &failing.place(context.call_source(), position), position))
    });
    let earlier = Arc::clone(session);
    engine.register_fn(OUTCOME, move |context: NativeCallContext<'_>, address: &str| {
        earlier.earlier(&context, address)
    });
    let printing = Arc::clone(session);
    engine.on_print(move |text| {
        let place = printing.place(None, Position::NONE);
        printing.conduct.print(text, place);
    });
}

/// Every way to look into a value that a plan cannot know ends the plan's certain part.
fn unknown(engine: &mut Engine, session: &Arc<Session>) {
    engine.register_type_with_name::<Unknown>("unknown");
    let looking = Arc::clone(session);
    engine.register_indexer_get(
        move |context: NativeCallContext<'_>, value: &mut Unknown, _: &str| -> Res<Dynamic> {
            Err(looking.look_into(value, context.call_position()))
        },
    );
    for operator in ["==", "!="] {
        let looking = Arc::clone(session);
        engine.register_fn(
            operator,
            move |context: NativeCallContext<'_>, value: Unknown, _: Dynamic| -> Res<bool> {
                Err(looking.look_into(&value, context.call_position()))
            },
        );
    }
    for name in ["to_string", "to_debug"] {
        let looking = Arc::clone(session);
        engine.register_fn(name, move |context: NativeCallContext<'_>, value: &mut Unknown| -> Res<String> {
            Err(looking.look_into(value, context.call_position()))
        });
    }
}
