use std::sync::Arc;

use rhai::Engine;
use serde_json::{Value, json};

use super::{
    checker::{self, Known},
    conduct::{Answer, Asked, Conduct, Place, Stop},
    engine::engine,
    error::ScriptError,
    finding::Finding,
    hidden::hidden,
    hooks::Hooks,
    limits, read_header,
    resolver::{self, Compiled},
    runbook::Runbook,
    session::Session,
    source::Bundle,
    testing,
};
use crate::primitives::contract::Catalogue;

/// All that can be said of a bundle before it runs.
#[derive(Debug)]
pub struct Examined {
    /// `None` if there is an error among the findings.
    pub runbook: Option<Runbook>,
    /// File by file, in the order of the text.
    pub findings: Vec<Finding>,
    /// Steps that are written in the main file.
    pub steps: usize,
    /// Calls of primitives that are written in the main file and what it imports.
    pub calls: usize,
}

impl Examined {
    fn refused(errors: Vec<ScriptError>) -> Self {
        let findings = errors.into_iter().map(Finding::error).collect();
        Self { runbook: None, findings, steps: 0, calls: 0 }
    }

    /// What keeps it from being run.
    #[must_use]
    pub fn errors(self) -> Vec<ScriptError> {
        self.findings.into_iter().filter(Finding::is_error).map(|finding| finding.what).collect()
    }
}

/// Parses and checks a bundle without running any of it. `site` are the names that `site::` has.
#[must_use]
pub fn examine(bundle: Bundle, catalogue: &Catalogue, site: &[&str]) -> Examined {
    let members: serde_json::Map<_, _> = site.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let Opened { engine, compiled, unread } = match opened(&bundle, catalogue, &Value::Object(members), false)
    {
        Ok(opened) => opened,
        Err(errors) => return Examined::refused(errors),
    };
    let names: Vec<_> =
        unread.iter().flat_map(|error| &error.places).map(|place| place.file.clone()).collect();
    let Some(main) = compiled.get(&bundle.main.name) else { return Examined::refused(unread) };
    let reading = read_header::read(main, &bundle.main.name);
    let known = Known {
        engine: &engine,
        bundle: &bundle,
        compiled: &compiled,
        unread: &names,
        catalogue,
        params: reading.params.as_ref(),
        header_fits: reading.header.is_some(),
        renamed: &reading.renamed,
        site,
        tests: false,
    };
    let checked = checker::check(&known);
    let steps = checker::steps(main);
    let mut findings: Vec<_> = unread.into_iter().chain(reading.errors).map(Finding::error).collect();
    findings.extend(checked.findings);
    // What is wrong with the header stands where the header does.
    let place = |finding: &Finding| finding.what.places.first().map(|place| (place.line, place.column));
    let (mut of_main, others): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.what.places.first().is_none_or(|place| place.file == bundle.main.name));
    of_main.sort_by_key(place);
    let findings: Vec<_> = of_main.into_iter().chain(others).collect();
    let fit = !findings.iter().any(Finding::is_error);
    let (count, calls) = (steps.len(), checked.calls);
    let hooks = bundle.hooks.as_ref().and_then(|source| Some((&source.name, compiled.get(&source.name)?)));
    let hooks = hooks.map(|(file, ast)| Hooks::of(file, ast, &checker::all_steps(&bundle, &compiled)));
    let hooks = hooks.unwrap_or_default();
    let runbook = reading.header.filter(|_| fit).map(|header| Runbook::new(bundle, header, steps, hooks));
    Examined { runbook, findings, steps: count, calls }
}

/// The files of a bundle as they are looked through, by the engine that would run them.
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) compiled: Compiled,
    /// Of each file that cannot be read, the first error.
    pub(super) unread: Vec<ScriptError>,
}

/// Reads all files of a bundle; an error where that cannot even be tried. `tests`: it is a file of tests.
pub(super) fn opened(
    bundle: &Bundle,
    catalogue: &Catalogue,
    site: &Value,
    tests: bool,
) -> Result<Opened, Vec<ScriptError>> {
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
    let hidden: Vec<_> = bundle.sources().filter_map(hidden).collect();
    if !hidden.is_empty() {
        return Err(hidden);
    }
    let mute = Arc::new(Session::new(
        Arc::new(Nobody),
        Arc::new(catalogue.clone()),
        &bundle.main.name,
        &Value::Null,
        Arc::default(),
    ));
    let mut engine = engine(&mute, &json!({}), site);
    if tests {
        testing::register(&mut engine, None);
    }
    let (compiled, unread) = resolver::compile(&engine, bundle);
    Ok(Opened { engine, compiled, unread })
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
