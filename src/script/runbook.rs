use std::sync::Arc;

use rhai::{AST, Dynamic, Engine};
use serde_json::{Value, json};

use super::{
    checker,
    conduct::{Answer, Asked, Conduct, Place, Stop},
    engine::engine,
    error::ScriptError,
    header::Header,
    hooks::{Hook, Hooks},
    limits,
    resolver::{self, Compiled},
    session::Session,
    source::Bundle,
    value::to_json,
};
use crate::primitives::contract::{Catalogue, suggest};

/// A runbook that passed the checks.
#[derive(Debug, Clone)]
pub struct Runbook {
    bundle: Bundle,
    header: Header,
    steps: Vec<String>,
    hooks: Arc<Hooks>,
}

impl Runbook {
    /// Parses and checks a bundle without running any of it. `site` are the names that `site::` has.
    pub fn load(bundle: Bundle, catalogue: &Catalogue, site: &[&str]) -> Result<Self, Vec<ScriptError>> {
        limits::proved().map_err(|error| vec![error])?;
        let too_large: Vec<_> = bundle
            .sources()
            .filter(|source| source.text.len() > limits::FILE)
            .map(|source| {
                ScriptError::new("too_large", format!("`{}` is larger than 1 MiB", source.name))
                    .hint("move functions into files of their own, and `import` them")
            })
            .collect();
        if !too_large.is_empty() {
            return Err(too_large);
        }
        let members: serde_json::Map<_, _> =
            site.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        let mute = Arc::new(Session::new(
            Arc::new(Nobody),
            Arc::new(catalogue.clone()),
            &bundle.main.name,
            &Value::Null,
            Arc::default(),
        ));
        let engine = engine(&mute, &json!({}), &Value::Object(members));
        let compiled = resolver::compile(&engine, &bundle)?;
        let main = &compiled[&bundle.main.name];
        let header = header(&engine, main, &bundle.main.name).map_err(|error| vec![error])?;
        let problems = checker::check(&engine, &bundle, &compiled, catalogue, &header, site);
        if !problems.is_empty() {
            return Err(problems);
        }
        let steps = checker::steps(main);
        let hooks =
            bundle.hooks.as_ref().and_then(|source| Some((&source.name, compiled.get(&source.name)?)));
        let hooks = hooks
            .map(|(file, ast)| Hooks::of(file, ast, &checker::all_steps(&bundle, &compiled)))
            .unwrap_or_default();
        Ok(Self { bundle, header, steps, hooks: Arc::new(hooks) })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.bundle.main.name
    }

    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Names of the steps that stand in the main file, in the order of the text.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// What the site changes in its steps, and the file in which that stands.
    #[must_use]
    pub fn hooks(&self) -> (&str, &[Hook]) {
        (&self.hooks.file, &self.hooks.all)
    }

    pub(super) fn hung(&self) -> &Arc<Hooks> {
        &self.hooks
    }
}

/// Compiles a bundle that was checked before, on the engine that will perform it.
pub(super) fn compiled(engine: &Engine, bundle: &Bundle) -> Result<Compiled, ScriptError> {
    resolver::compile(engine, bundle).map_err(|errors| {
        errors.into_iter().next().unwrap_or_else(|| ScriptError::internal("nothing was compiled"))
    })
}

/// The literal constant `RUNBOOK`, which is read and never run.
fn header(engine: &Engine, ast: &AST, file: &str) -> Result<Header, ScriptError> {
    let _ = engine;
    let at = |error: ScriptError| {
        error.at(Place { file: file.to_owned(), line: checker::header_line(ast), column: 1 })
    };
    let found = ast.iter_literal_variables(true, false).find(|(name, ..)| *name == "RUNBOOK");
    let Some((_, _, value)) = found else {
        let error = ScriptError::new("no_header", "this file has no header, so it is no runbook");
        return Err(
            error.hint("write `const RUNBOOK = #{ api: 1, summary: \"...\" };` with nothing computed in it")
        );
    };
    let value = flat(&value);
    let json = to_json(&value).map_err(|why| {
        let error = ScriptError::new("bad_header", format!("`RUNBOOK`: {why}"));
        at(error.hint("use texts, numbers, `true`, `false`, lists and maps only"))
    })?;
    let header: Header = serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        let text = format!("`RUNBOOK`: `{path}`: {}", error.inner());
        let hint = error.inner().to_string();
        let wrong = hint.split('`').nth(1).unwrap_or("").to_owned();
        let known = ["api", "summary", "on_failure", "params", "renamed", "type", "help", "of", "initial"];
        let made = ScriptError::new("bad_header", text);
        at(made.hint(if hint.starts_with("unknown field") {
            suggest(&wrong, &known)
        } else {
            "`uplift runbook show compose/upgrade` shows a header".to_owned()
        }))
    })?;
    header.check().map_err(at)?;
    Ok(header)
}

fn flat(value: &Dynamic) -> Dynamic {
    value.flatten_clone()
}

/// The conductor of a script that is only checked.
struct Nobody;

impl Conduct for Nobody {
    fn call(&self, _: Asked) -> Result<Answer, Stop> {
        Err(Stop::Ends)
    }

    fn together(&self, _: Vec<Asked>) -> Result<Vec<Answer>, Stop> {
        Err(Stop::Ends)
    }

    fn step_started(&self, _: &str) {}

    fn step_ended(&self, _: &str, _: bool) {}

    fn print(&self, _: &str, _: Place) {}

    fn cancelled(&self) -> bool {
        true
    }
}
