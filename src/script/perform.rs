use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rhai::{Dynamic, Scope};
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
    // Debug builds need this much for the deepest nesting that the limits let through.
    let work = thread::Builder::new().name("runbook".to_owned()).stack_size(limits::STACK).spawn(move || {
        let guarded = catch_unwind(AssertUnwindSafe(|| run(&runbook, catalogue, &params, &site, conduct)));
        guarded.unwrap_or_else(|_| Err(ScriptError::internal("the script host panicked")))
    });
    match work.map(thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ScriptError::internal("the script host panicked")),
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
    let compiled = compiled(&engine, runbook.bundle())?;
    let closures = closures(&compiled);
    let main = compiled[runbook.name()].clone();
    engine.set_module_resolver(Imports::new(compiled));
    match engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &main) {
        // What a runbook ends with is for people; a value that cannot be recorded is no reason to fail.
        Ok(value) => Ok(to_json(&value).unwrap_or(Value::Null)),
        Err(error) => {
            if let Some(why) = session.unknown() {
                return Err(ScriptError::new("unknown_outcome", why));
            }
            let made = script_error(*error, runbook.name(), &closures);
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
