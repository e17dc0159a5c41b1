use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    bench::{Bench, OfTest},
    engine::{Trial, register},
    examine::Tests,
};
use crate::{
    primitives::contract::Catalogue,
    script::{
        engine::engine,
        error::ScriptError,
        limits::timed,
        perform::{evaluated, on_its_thread},
        session::Session,
    },
};

/// What became of one test.
#[derive(Debug)]
pub struct Tested {
    /// Why it failed; `None` if it passed.
    pub problem: Option<ScriptError>,
    /// How many simulated sites it has made.
    pub sites: usize,
    /// On the real clock.
    pub took: Duration,
}

/// Runs one test of a file to its end on a thread of its own. Nothing of another test is left for it to see.
///
/// Blocks the caller; must not be called from an asynchronous worker. What the bench cancelled comes back with the code
/// `ended`.
#[must_use]
pub fn perform_test(tests: &Tests, name: &str, catalogue: &Arc<Catalogue>, bench: Arc<dyn Bench>) -> Tested {
    let (tests, name, catalogue) = (tests.clone(), name.to_owned(), Arc::clone(catalogue));
    let (done, took) = timed(|| on_its_thread("test", move || Ok(run(&tests, name, catalogue, &bench))));
    match done {
        Ok((result, sites)) => Tested { problem: result.err(), sites, took },
        Err(error) => Tested { problem: Some(error), sites: 0, took },
    }
}

type Ran = (Result<Value, ScriptError>, usize);

fn run(tests: &Tests, name: String, catalogue: Arc<Catalogue>, bench: &Arc<dyn Bench>) -> Ran {
    let (conduct, file) = (Arc::new(OfTest(Arc::clone(bench))), tests.name());
    let session = Arc::new(Session::new(conduct, catalogue, file, &Value::Null, Arc::default()));
    let trial = Arc::new(Trial::new(Arc::clone(&session), Arc::clone(bench), name));
    let mut engine = engine(&session, &json!({}), &json!({}));
    register(&mut engine, Some(&trial));
    let result = evaluated(&mut engine, &session, tests.bundle());
    let sites = trial.sites.load(Ordering::Relaxed);
    let missed = match result {
        Ok(_) if trial.expected.load(Ordering::Relaxed) == 0 => nothing_expected(),
        Ok(value) => match bench.unmet() {
            None => return (Ok(value), sites),
            Some(failure) => ScriptError::from_failure(failure),
        },
        Err(error) => return (Err(error), sites),
    };
    let placed = match tests.place(&trial.wanted) {
        Some(place) => missed.at(place),
        None => missed,
    };
    (Err(placed), sites)
}

fn nothing_expected() -> ScriptError {
    let text = "this test came to its end and has expected nothing: it cannot fail";
    ScriptError::new("nothing_expected", text).hint("say what must be so: `expect(run.ending, \"done\")`")
}
