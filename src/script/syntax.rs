//! `step`, `on` and `together`: syntax of our own, because a closure would capture by reference, lose positions, and
//! let `return` end the run.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalContext, Expression, LexError, ParseError, ParseErrorType, Position};

use super::session::{Res, Run, Session, throw};
use crate::event::Failure;

/// The keywords; no script may use them as names.
pub(super) const KEYWORDS: [&str; 3] = ["step", "on", "together"];

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    step(engine, Arc::clone(session));
    on(engine, Arc::clone(session));
    together(engine, Arc::clone(session));
}

fn step(engine: &mut Engine, session: Arc<Session>) {
    let parse = |symbols: &[rhai::ImmutableString], look_ahead: &str, _: &mut Dynamic| {
        Ok(match (symbols.len(), symbols.last().map_or("", |symbol| symbol.as_str()), look_ahead) {
            (1, ..) => Some("$string$".into()),
            (2, _, "with") => Some("with".into()),
            (3, "with", _) => Some("$expr$".into()),
            (2 | 4, _, "{") => Some("$block$".into()),
            (_, "$block$", _) => None,
            _ => {
                let text = "expected `{` or `with #{ ... }` after the step's name";
                let error = LexError::ImproperSymbol(look_ahead.to_owned(), text.to_owned());
                return Err(ParseError(Box::new(ParseErrorType::BadInput(error)), Position::NONE));
            }
        })
    };
    let run = move |context: &mut EvalContext<'_, '_, '_, '_, '_, '_>,
                    inputs: &[Expression<'_>],
                    _: &Dynamic| {
        let position = inputs[0].position();
        let place = session.place(context.source(), position);
        let name = inputs[0].get_string_value().unwrap_or_default().to_owned();
        let (with, body) = match inputs {
            [_, with, body] => (Some(context.eval_expression_tree(with)?), body),
            [_, body] => (None, body),
            _ => return Ok(Dynamic::UNIT),
        };
        session.step(&name, with.as_ref(), &place, position, &mut |run| match run {
            Run::Body => context.eval_expression_tree(body),
            Run::Hook(function) => session.hooks.call(context.engine(), function, position, &session.watch),
        })
    };
    engine.register_custom_syntax_with_state_raw("step", parse, false, run);
}

fn on(engine: &mut Engine, session: Arc<Session>) {
    let run = move |context: &mut EvalContext<'_, '_, '_, '_, '_, '_>,
                    inputs: &[Expression<'_>]|
          -> Res<Dynamic> {
        let position = inputs[0].position();
        let place = session.place(context.source(), position);
        let host = context.eval_expression_tree(&inputs[0])?;
        let host = host.into_immutable_string().map_err(|kind| {
            let text = format!("`on` takes the name of a host, not a value of type `{kind}`");
            throw(&Failure::new("bad_host", text).hint("e.g. `on site::hosts[0] { ... }`"), &place, position)
        })?;
        session.on(&host, &place, position, || context.eval_expression_tree(&inputs[1]))
    };
    let registered = engine.register_custom_syntax(["on", "$expr$", "$block$"], false, run);
    debug_assert!(registered.is_ok(), "`on` is no reserved word");
}

fn together(engine: &mut Engine, session: Arc<Session>) {
    let run =
        move |context: &mut EvalContext<'_, '_, '_, '_, '_, '_>, inputs: &[Expression<'_>]| -> Res<Dynamic> {
            let position = inputs[0].position();
            let place = session.place(context.source(), position);
            session.together(&place, position, || context.eval_expression_tree(&inputs[0]))
        };
    let registered = engine.register_custom_syntax(["together", "$block$"], false, run);
    debug_assert!(registered.is_ok(), "`together` is no reserved word");
}
