//! One performance of a script: where it is, which calls it has made, and the bridge to the conductor.

#![expect(clippy::unnecessary_box_returns, reason = "the engine wants its errors boxed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rhai::{Dynamic, EvalAltResult, Map, NativeCallContext, Position};
use serde::Deserialize;
use serde_json::Value;

use super::{
    conduct::{Answer, Asked, Budget, Conduct, Place, Stop},
    earlier::Earlier,
    error::thrown,
    hooks::{Hooks, Part},
    limits::{CALLS, Watch},
    unknown::Unknown,
    value::{from_json, to_json},
};
use crate::{
    event::Failure,
    primitives::contract::{Catalogue, Kind, Span, suggest},
};

pub(super) type Res<T> = Result<T, Box<EvalAltResult>>;

/// Steps inside steps, at most: the engine's own guard does not see through custom syntax.
const DEEPEST: usize = 16;
const UNNEST: &str = "write them one after the other; does a function with a step in it call itself?";

pub(super) struct Session {
    pub(super) conduct: Arc<dyn Conduct>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) watch: Watch,
    main: String,
    /// Names that `on` may be given.
    hosts: Vec<String>,
    pub(super) hooks: Arc<Hooks>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    path: Vec<String>,
    steps: usize,
    seen: BTreeSet<String>,
    counts: BTreeMap<(String, String), u32>,
    collecting: Option<Vec<Asked>>,
    /// A hook is at work: a step in it could have hooks that call it again, without end.
    in_hook: bool,
    budgets: Vec<Budget>,
    earlier: Earlier,
    /// Why a script ended that tried to look into what a plan cannot know.
    unknown: Option<String>,
    /// How many calls it has made.
    calls: usize,
}

/// What a step is made of.
pub(super) enum Run<'a> {
    Body,
    /// The function of the site's that is called.
    Hook(&'a str),
}

/// The map behind `with`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    timeout: Option<Span>,
    retries: Option<u32>,
}

impl Session {
    /// `site` is what scripts read as `site::`.
    pub(super) fn new(
        conduct: Arc<dyn Conduct>,
        catalogue: Arc<Catalogue>,
        main: &str,
        site: &Value,
        hooks: Arc<Hooks>,
    ) -> Self {
        let watch = Watch::new(Arc::clone(&conduct));
        let hosts = site.get("hosts").and_then(Value::as_array).into_iter().flatten();
        let hosts = hosts.filter_map(|host| host.as_str().map(str::to_owned)).collect();
        Self { conduct, catalogue, watch, main: main.to_owned(), hosts, hooks, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unknown(&self) -> Option<String> {
        self.state().unknown.clone()
    }

    pub(super) fn place(&self, source: Option<&str>, position: Position) -> Place {
        Place {
            file: source.filter(|name| !name.is_empty()).unwrap_or(&self.main).to_owned(),
            line: position.line().unwrap_or(0),
            column: position.position().unwrap_or(0),
        }
    }

    /// One call of a primitive, from the script.
    pub(super) fn call(&self, context: &NativeCallContext<'_>, name: &str, options: Map) -> Res<Dynamic> {
        let position = context.call_position();
        let place = self.place(context.call_source(), position);
        let fail = |failure: Failure| throw(&failure, &place, position);
        let verb = self
            .catalogue
            .get(name)
            .ok_or_else(|| fail(Failure::inside("primitive_missing", format!("there is no `{name}`"))))?;
        let input = to_json(&Dynamic::from_map(options)).map_err(|why| {
            fail(
                Failure::new("bad_option", format!("`{name}`: {why}"))
                    .hint("use texts, numbers, `true`, `false`, lists and maps only"),
            )
        })?;
        if self.state().calls >= CALLS {
            let text = format!("the script has called something {CALLS} times, and calls `{name}` once more");
            return Err(fail(Failure::new("too_many_calls", text).hint("look for a loop that never stops")));
        }
        self.state().calls += 1;
        // Understood here, so that a wrong option stops the script where it stands.
        verb.parse(input.clone()).map_err(fail)?;
        let asked = self.asked(verb.name, input, verb.kind, place.clone()).map_err(fail)?;
        let Some(asked) = asked else { return Ok(Dynamic::UNIT) };
        let address = asked.address.clone();
        match self.watch.away(|| self.conduct.call(asked)) {
            Ok(answer) => {
                self.state().earlier.note(address, &answer);
                Ok(answer.into_script())
            }
            Err(stop) => Err(stopped(stop, &place, position)),
        }
    }

    /// What an earlier call of this run has given.
    pub(super) fn earlier(&self, context: &NativeCallContext<'_>, address: &str) -> Res<Dynamic> {
        let position = context.call_position();
        let found = self.state().earlier.get(address);
        found
            .map(Answer::into_script)
            .map_err(|failure| throw(&failure, &self.place(context.call_source(), position), position))
    }

    /// The call with its address; `None` if it waits for the end of a `together` block.
    fn asked(
        &self,
        verb: &'static str,
        input: Value,
        kind: Kind,
        place: Place,
    ) -> Result<Option<Asked>, Failure> {
        let mut state = self.state();
        if kind == Kind::Effect && state.steps == 0 {
            let text = format!("`{verb}` changes the site, so it must stand inside a step");
            return Err(Failure::new("outside_step", text).hint("write `step \"name\" { ... }` around it"));
        }
        if kind == Kind::Read && state.collecting.is_some() {
            let text = format!("`{verb}` only looks, and `together` takes only what changes something");
            return Err(Failure::new("read_in_together", text).hint("call it before or after the block"));
        }
        let path = state.path.join("/");
        let count = state.counts.entry((path.clone(), verb.to_owned())).or_default();
        *count += 1;
        let number = *count;
        let address =
            if path.is_empty() { format!("{verb}#{number}") } else { format!("{path}/{verb}#{number}") };
        let budget = if kind == Kind::Effect { state.budget() } else { Budget::default() };
        let asked = Asked { address, path, verb, input, budget, place };
        if let Some(collecting) = &mut state.collecting {
            collecting.push(asked);
            return Ok(None);
        }
        Ok(Some(asked))
    }

    /// A named block.
    pub(super) fn step(
        &self,
        name: &str,
        with: Option<&Dynamic>,
        place: &Place,
        position: Position,
        run: &mut dyn FnMut(Run<'_>) -> Res<Dynamic>,
    ) -> Res<Dynamic> {
        let wrong = |failure: Failure| Err(throw(&failure, place, position));
        if name.trim().is_empty() || name.contains(['/', '#']) {
            let text = format!("`{name}` cannot be the name of a step");
            return wrong(Failure::new("bad_step_name", text).hint("use words, without `/` and `#`"));
        }
        let budget = match with.map(read_with).transpose() {
            Ok(budget) => budget.unwrap_or_default(),
            Err(why) => {
                return wrong(
                    Failure::new("bad_option", format!("`with`: {why}"))
                        .hint("e.g. `with #{ timeout: \"5m\", retries: 2 }`"),
                );
            }
        };
        let path = match self.enter(name) {
            Ok(path) => path,
            Err(failure) => return wrong(failure),
        };
        {
            let mut state = self.state();
            state.budgets.push(budget);
            state.steps += 1;
        }
        self.conduct.step_started(&path);
        let result = self.parts(name, run);
        let well = result.as_ref().err().is_none_or(|error| error.is_pseudo_error());
        self.conduct.step_ended(&path, well);
        let mut state = self.state();
        state.path.pop();
        state.budgets.pop();
        state.steps -= 1;
        result
    }

    /// The step's own lines, with what the site has put before, after or in the place of them.
    fn parts(&self, name: &str, run: &mut dyn FnMut(Run<'_>) -> Res<Dynamic>) -> Res<Dynamic> {
        let hook = |part: Part| self.hooks.function(name, part);
        if let Some(function) = hook(Part::Before) {
            drop(self.hook(Some(Part::Before), || run(Run::Hook(function)))?);
        }
        let value = match hook(Part::Replace) {
            Some(function) => self.hook(None, || run(Run::Hook(function)))?,
            // `return` leaves the step, not the run: what follows the step must not be skipped in silence.
            None => match run(Run::Body).map_err(|error| *error) {
                Err(EvalAltResult::Return(value, _)) => value,
                other => other?,
            },
        };
        if let Some(function) = hook(Part::After) {
            drop(self.hook(Some(Part::After), || run(Run::Hook(function)))?);
        }
        Ok(value)
    }

    /// A hook has addresses of its own, and what the step allows its calls is not meant for it.
    fn hook(&self, part: Option<Part>, call: impl FnOnce() -> Res<Dynamic>) -> Res<Dynamic> {
        let budgets = {
            let mut state = self.state();
            state.path.extend(part.map(|part| part.as_str().to_owned()));
            state.in_hook = true;
            std::mem::take(&mut state.budgets)
        };
        let result = call();
        let mut state = self.state();
        if part.is_some() {
            state.path.pop();
        }
        state.in_hook = false;
        state.budgets = budgets;
        result
    }

    /// `on HOST { }`.
    pub(super) fn on(
        &self,
        host: &str,
        place: &Place,
        position: Position,
        body: impl FnOnce() -> Res<Dynamic>,
    ) -> Res<Dynamic> {
        {
            let mut state = self.state();
            if !self.hosts.iter().any(|known| known == host) {
                let known: Vec<_> = self.hosts.iter().map(String::as_str).collect();
                let failure = Failure::new("bad_host", format!("`{host}` is no host of this site"));
                return Err(throw(&failure.hint(suggest(host, &known)), place, position));
            }
            if state.path.len() >= DEEPEST {
                let text = format!("steps stand in steps more than {DEEPEST} deep");
                let failure = Failure::new("steps_too_deep", text).hint(UNNEST);
                return Err(throw(&failure, place, position));
            }
            state.path.push(format!("host:{host}"));
        }
        let result = body();
        self.state().path.pop();
        result
    }

    /// `together { }`: collects, then hands all over at once.
    pub(super) fn together(
        &self,
        place: &Place,
        position: Position,
        body: impl FnOnce() -> Res<Dynamic>,
    ) -> Res<Dynamic> {
        let nested = {
            let mut state = self.state();
            let nested = state.collecting.is_some();
            if !nested {
                state.collecting = Some(Vec::new());
            }
            nested
        };
        if nested {
            let failure = Failure::new("nested_together", "`together` cannot stand inside `together`")
                .hint("end the outer block first, or write all calls into one");
            return Err(throw(&failure, place, position));
        }
        let result = body();
        let asked = self.state().collecting.take().unwrap_or_default();
        result.map(drop)?;
        if asked.is_empty() {
            return Ok(Dynamic::from_array(Vec::new()));
        }
        let addresses: Vec<_> = asked.iter().map(|asked| asked.address.clone()).collect();
        match self.watch.away(|| self.conduct.together(asked)) {
            Ok(answers) => {
                for (address, answer) in addresses.into_iter().zip(&answers) {
                    self.state().earlier.note(address, answer);
                }
                Ok(Dynamic::from_array(answers.into_iter().map(Answer::into_script).collect()))
            }
            Err(stop) => Err(stopped(stop, place, position)),
        }
    }

    fn enter(&self, name: &str) -> Result<String, Failure> {
        let mut state = self.state();
        if state.in_hook {
            return Err(Failure::new("step_in_hook", format!("step `{name}` cannot stand inside a hook"))
                .hint("leave `step` out: what a hook does stands in the step that it belongs to"));
        }
        if state.collecting.is_some() {
            return Err(Failure::new("step_in_together", "a step cannot stand inside `together`")
                .hint("write `together { ... }` inside the step"));
        }
        if state.path.len() >= DEEPEST {
            return Err(Failure::new(
                "steps_too_deep",
                format!("steps stand in steps more than {DEEPEST} deep"),
            )
            .hint(UNNEST));
        }
        state.path.push(name.to_owned());
        let path = state.path.join("/");
        if !state.seen.insert(path.clone()) {
            state.path.pop();
            let text = format!("there are two steps `{path}`");
            return Err(Failure::new("step_twice", text).hint("give each step a name of its own"));
        }
        Ok(path)
    }

    /// Ends a plan that tried to look into what it cannot know.
    pub(super) fn look_into(&self, unknown: &Unknown, position: Position) -> Box<EvalAltResult> {
        self.state().unknown.get_or_insert_with(|| unknown.0.clone());
        ends(position)
    }
}

impl State {
    /// Inner words go before outer ones.
    fn budget(&self) -> Budget {
        let mut budget = Budget::default();
        for outer in &self.budgets {
            budget.timeout_ms = outer.timeout_ms.or(budget.timeout_ms);
            budget.retries = outer.retries.or(budget.retries);
        }
        budget
    }
}

fn read_with(value: &Dynamic) -> Result<Budget, String> {
    let with: With = serde_json::from_value(to_json(value)?).map_err(|error| error.to_string())?;
    let timeout_ms = with.timeout.map(|time| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX));
    Ok(Budget { timeout_ms, retries: with.retries })
}

fn stopped(stop: Stop, place: &Place, position: Position) -> Box<EvalAltResult> {
    match stop {
        Stop::Failed(failure) => throw(&failure, place, position),
        Stop::Ends => ends(position),
    }
}

/// What no `catch` can catch.
fn ends(position: Position) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated("ends".into(), position))
}

pub(super) fn throw(failure: &Failure, place: &Place, position: Position) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(from_json(&thrown(failure, place)), position))
}
