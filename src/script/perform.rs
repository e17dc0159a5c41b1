use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rhai::{Dynamic, Engine, Scope};
use serde_json::Value;

use super::{
    conduct::Conduct,
    engine::engine,
    error::ScriptError,
    limits,
    outcome::{closures, script_error},
    resolver::Imports,
    runbook::{Runbook, compiled},
    session::Session,
    source::Bundle,
    value::to_json,
};
use crate::primitives::contract::Catalogue;

const OVER: &str = "look for a loop that never stops, or for a value that only grows";

/// Runs a runbook to its end on a thread of its own, and gives the value that it ends with.
///
/// Blocks the caller; must not be called from an asynchronous worker. What a conductor ended (a cancel, an unknown
/// outcome) comes back with the code `ended`.
pub fn perform(
    runbook: &Runbook,
    catalogue: Arc<Catalogue>,
    params: Value,
    site: Value,
    conduct: Arc<dyn Conduct>,
) -> Result<Value, ScriptError> {
    let runbook = runbook.clone();
    on_its_thread("runbook", move || run(&runbook, catalogue, &params, &site, conduct))
}

/// Does `work` on a thread of its own, which is large enough for scripts; a panic in there is an error like others.
pub(super) fn on_its_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, ScriptError> + Send + 'static,
) -> Result<T, ScriptError> {
    let guarded = || {
        let done = catch_unwind(AssertUnwindSafe(work));
        done.unwrap_or_else(|_| Err(ScriptError::internal("the script host panicked")))
    };
    // Debug builds need this much for the deepest nesting that the limits let through.
    match thread::Builder::new().name(name.to_owned()).stack_size(limits::STACK).spawn(guarded) {
        Ok(work) => work.join().unwrap_or_else(|_| Err(ScriptError::internal("the script host panicked"))),
        Err(error) => Err(ScriptError::internal(&format!("no thread for the script: {error}"))),
    }
}

fn run(
    runbook: &Runbook,
    catalogue: Arc<Catalogue>,
    params: &Value,
    site: &Value,
    conduct: Arc<dyn Conduct>,
) -> Result<Value, ScriptError> {
    let session =
        Arc::new(Session::new(conduct, catalogue, runbook.name(), site, Arc::clone(runbook.hung())));
    let mut engine = engine(&session, params, site);
    evaluated(&mut engine, &session, runbook.bundle())
}

/// Runs the main file of a bundle on an engine that is ready for it.
pub(super) fn evaluated(
    engine: &mut Engine,
    session: &Session,
    bundle: &Bundle,
) -> Result<Value, ScriptError> {
    let compiled = compiled(engine, bundle)?;
    let closures = closures(&compiled);
    let name = &bundle.main.name;
    let main = compiled[name].clone();
    engine.set_module_resolver(Imports::new(compiled));
    match engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &main) {
        // What a runbook ends with is for people; a value that cannot be recorded is no reason to fail.
        Ok(value) => Ok(to_json(&value).unwrap_or(Value::Null)),
        Err(error) => {
            if let Some(why) = session.unknown() {
                return Err(ScriptError::new("unknown_outcome", why));
            }
            let made = script_error(*error, name, &closures);
            match session.watch.over() {
                Some(over) if made.code == "ended" => {
                    let places = made.places;
                    Err(ScriptError { places, ..ScriptError::new("over_limit", over).hint(OVER) })
                }
                _ => Err(made),
            }
        }
    }
}
