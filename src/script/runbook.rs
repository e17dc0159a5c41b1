use std::{collections::BTreeSet, sync::Arc};

use rhai::Engine;

use super::{
    error::ScriptError,
    examine::examine,
    header::Header,
    hooks::{Hook, Hooks},
    resolver::{self, Compiled},
    source::Bundle,
};
use crate::primitives::contract::Catalogue;

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
        let mut examined = examine(bundle, catalogue, site);
        match examined.runbook.take() {
            Some(runbook) => Ok(runbook),
            None => Err(examined.errors()),
        }
    }

    pub(super) fn new(bundle: Bundle, header: Header, steps: Vec<String>, hooks: Hooks) -> Self {
        Self { bundle, header, steps, hooks: Arc::new(hooks) }
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

    /// The hooks of steps that are none of these, by their paths: whoever relies on one has to know that it does not run.
    #[must_use]
    pub fn passed_over(&self, begun: &BTreeSet<String>) -> Vec<String> {
        let came = |step: &str| begun.iter().any(|path| path.rsplit('/').next() == Some(step));
        let passed = self.hooks.all.iter().filter(|hook| !came(&hook.step));
        let text = |hook: &Hook| {
            format!("`{}` is not called: this run does not come to `{}`", hook.function, hook.step)
        };
        passed.map(text).collect()
    }

    pub(super) fn hung(&self) -> &Arc<Hooks> {
        &self.hooks
    }
}

/// Compiles a bundle that was checked before, on the engine that will perform it.
pub(super) fn compiled(engine: &Engine, bundle: &Bundle) -> Result<Compiled, ScriptError> {
    let (compiled, mut errors) = resolver::compile(engine, bundle);
    if errors.is_empty() { Ok(compiled) } else { Err(errors.swap_remove(0)) }
}
