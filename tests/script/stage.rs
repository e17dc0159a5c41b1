//! A stage for scripts: three small primitives and a conductor that writes down what it is asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uplift::{
    event::{Failure, Refusal},
    ports::{Observe, Operate},
    primitives::contract::{Back, Catalogue, Effect, Found, Read, Undone, WhenUnknown},
    script::{Answer, Asked, Bundle, Conduct, Place, Runbook, ScriptError, Source, Stop, perform},
};

/// Switches something.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    /// What to switch.
    pub services: Vec<String>,
}

impl Effect for Switch {
    const NAME: &'static str = "switch_on";
    type Intent = Value;
    type Outcome = Value;

    fn example() -> Self {
        Self { services: vec![] }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Ask
    }

    async fn intend(&self, _: Observe<'_>) -> Result<Value, Refusal> {
        Ok(Value::Null)
    }

    fn result(_: &Value) -> String {
        String::new()
    }

    fn summary(_: &Value) -> String {
        String::new()
    }

    fn undo_summary(_: &Value) -> String {
        String::new()
    }

    async fn probe(_: &Value, _: Observe<'_>) -> Result<Found<Value>, Failure> {
        Ok(Found::NotApplied)
    }

    async fn execute(_: &Value, _: Operate<'_>) -> Result<Value, Failure> {
        Ok(Value::Null)
    }

    async fn undo(_: &Value, _: &Back<'_>, _: Operate<'_>) -> Result<Undone, Failure> {
        Ok(Undone::nothing("nothing was done"))
    }
}

/// Looks at something.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Look {
    /// What to look at.
    #[serde(default)]
    pub at: Option<String>,
}

impl Read for Look {
    const NAME: &'static str = "look";
    type Outcome = Value;

    fn example() -> Self {
        Self { at: None }
    }

    fn summary(&self) -> String {
        String::new()
    }

    fn result(_: &Value) -> String {
        String::new()
    }

    async fn look(&self, _: Observe<'_>) -> Result<Value, Failure> {
        Ok(Value::Null)
    }
}

pub(super) fn catalogue() -> Catalogue {
    Catalogue::default().effect::<Switch>().read::<Look>()
}

/// Answers every call with its options; calls named in `fails` fail, those in `unknown` cannot be known.
#[derive(Default)]
pub(super) struct Recorder {
    pub asked: Mutex<Vec<Asked>>,
    pub blocks: Mutex<Vec<usize>>,
    pub steps: Mutex<Vec<String>>,
    pub said: Mutex<Vec<String>>,
    pub fails: Vec<String>,
    pub unknown: Vec<String>,
    pub ends: Option<String>,
    pub cancel_at: Option<Instant>,
}

impl Recorder {
    fn answer(&self, asked: Asked) -> Result<Answer, Stop> {
        let address = asked.address.clone();
        let input = asked.input.clone();
        self.asked.lock().unwrap().push(asked);
        if self.ends.as_ref() == Some(&address) {
            return Err(Stop::Ends);
        }
        if self.fails.contains(&address) {
            let failure = Failure::new("went_wrong", format!("`{address}` went wrong")).hint("try another");
            return Err(Stop::Failed(failure.retryable()));
        }
        if self.unknown.contains(&address) {
            return Ok(Answer::Unknown { why: format!("nobody knows what `{address}` says") });
        }
        Ok(Answer::Known(input))
    }
}

impl Conduct for Recorder {
    fn call(&self, asked: Asked) -> Result<Answer, Stop> {
        self.answer(asked)
    }

    fn together(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, Stop> {
        self.blocks.lock().unwrap().push(asked.len());
        asked.into_iter().map(|one| self.answer(one)).collect()
    }

    fn step_started(&self, path: &str) {
        self.steps.lock().unwrap().push(format!("+{path}"));
    }

    fn step_ended(&self, path: &str, well: bool) {
        self.steps.lock().unwrap().push(format!("{}{path}", if well { '-' } else { '!' }));
    }

    fn print(&self, text: &str, _: Place) {
        self.said.lock().unwrap().push(text.to_owned());
    }

    fn cancelled(&self) -> bool {
        self.cancel_at.is_some_and(|at| Instant::now() > at)
    }
}

pub(super) const HEADER: &str = "const RUNBOOK = #{ api: 1, summary: \"a test\" };\n";

pub(super) fn bundle(main: &str, libs: &[(&str, &str)]) -> Bundle {
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    Bundle {
        main: source("site/test", &format!("{HEADER}{main}")),
        libs: libs.iter().map(|(name, text)| source(name, text)).collect(),
        hooks: None,
    }
}

pub(super) fn load(bundle: &Bundle) -> Result<Runbook, Vec<ScriptError>> {
    let loaded = Runbook::load(bundle.clone(), &catalogue(), &["name", "web", "hosts"]);
    loaded.as_ref().err().into_iter().flatten().for_each(on_the_page);
    loaded
}

/// What calls and runbooks fail with is theirs; all else must be explained.
fn on_the_page(error: &ScriptError) {
    if error.failure().is_none() {
        crate::reasons::stands_on_the_page(&error.code);
    }
}

/// What a script did.
pub(super) struct Played {
    pub result: Result<Value, ScriptError>,
    pub recorder: Arc<Recorder>,
    pub took: Duration,
    pub bundle: Bundle,
}

impl Played {
    pub(super) fn addresses(&self) -> Vec<String> {
        self.recorder.asked.lock().unwrap().iter().map(|asked| asked.address.clone()).collect()
    }

    pub(super) fn error(&self) -> &ScriptError {
        self.result.as_ref().expect_err("the script should fail")
    }
}

pub(super) fn play(main: &str) -> Played {
    play_with(main, &[], Recorder::default())
}

pub(super) fn play_with(main: &str, libs: &[(&str, &str)], recorder: Recorder) -> Played {
    play_bundle(bundle(main, libs), recorder)
}

/// What a site changes in steps, by functions.
pub(super) fn hung(main: &str, hooks: &str) -> Bundle {
    let text = hooks.to_owned();
    Bundle {
        hooks: Some(Source { name: "uplift/hooks/test".to_owned(), text }),
        ..bundle(main, &[("lib/own", OWN)])
    }
}

const OWN: &str = "fn twice() { switch_on(#{ services: [\"lib\"] }); switch_on(#{ services: [\"lib\"] }); }";

pub(super) fn play_bundle(bundle: Bundle, recorder: Recorder) -> Played {
    let runbook = match load(&bundle) {
        Ok(runbook) => runbook,
        Err(problems) => {
            let shown: Vec<_> = problems.iter().map(|problem| problem.render(&bundle)).collect();
            panic!("the script should pass the checks:\n{}", shown.join("\n"));
        }
    };
    let recorder = Arc::new(recorder);
    let params =
        Value::Object(runbook.header().validate(&BTreeMap::new()).unwrap().as_object().cloned().unwrap());
    let site = json!({ "name": "shop", "web": "web", "hosts": ["a", "b"] });
    let started = Instant::now();
    let result = perform(&runbook, Arc::new(catalogue()), params, site, recorder.clone());
    let took = started.elapsed();
    result.as_ref().err().into_iter().for_each(on_the_page);
    Played { result, recorder, took, bundle }
}
