//! Who calls whom, across files: what can only be told once all of them are known.

use std::collections::{BTreeMap, BTreeSet};

use rhai::Position;

use super::Known;
use crate::script::{error::ScriptError, finding::Finding, names::taken, outcome::place};

/// Where something stands.
pub(super) struct Site {
    pub file: String,
    /// `None` is what runs by itself.
    pub function: Option<String>,
    pub position: Position,
    pub in_step: bool,
}

/// A function by its file and name. Those of one name with other numbers of parameters are taken together.
type Key = (String, String);

struct Defined {
    position: Position,
    /// Only this file can call it.
    own: bool,
}

#[derive(Default)]
pub(super) struct Graph {
    defined: BTreeMap<Key, Defined>,
    calls: Vec<(Site, Key)>,
    /// Functions that are named as values: nobody knows who calls them.
    mentioned: BTreeSet<Key>,
    /// What changes the site, outside of any step in its own function.
    changes: Vec<(Site, String)>,
    /// Functions with a step in them, and where.
    steps: BTreeMap<Key, Position>,
    params: BTreeSet<String>,
}

impl Graph {
    pub(super) fn defines(&mut self, file: &str, name: &str, position: Position, own: bool) {
        self.defined.insert((file.to_owned(), name.to_owned()), Defined { position, own });
    }

    pub(super) fn calls(&mut self, site: Site, file: &str, name: &str) {
        self.calls.push((site, (file.to_owned(), name.to_owned())));
    }

    pub(super) fn mentions(&mut self, file: &str, name: &str) {
        self.mentioned.insert((file.to_owned(), name.to_owned()));
    }

    pub(super) fn changes(&mut self, site: Site, verb: &str) {
        self.changes.push((site, verb.to_owned()));
    }

    pub(super) fn has_step(&mut self, file: &str, function: &str, position: Position) {
        self.steps.entry((file.to_owned(), function.to_owned())).or_insert(position);
    }

    pub(super) fn reads_param(&mut self, name: &str) {
        self.params.insert(name.to_owned());
    }

    pub(super) fn findings(&self, known: &Known<'_>) -> Vec<Finding> {
        let mut found = self.outside_steps();
        found.extend(self.unused(known));
        found.extend(self.steps_again());
        let params = known.params.filter(|_| known.header_fits);
        for (name, place) in params.into_iter().flatten().filter(|(name, _)| !self.params.contains(*name)) {
            let error = ScriptError::new("unused", format!("nobody reads the parameter `{name}`"));
            let error = error.hint(format!("read it as `params::{name}`, or take it out of the header"));
            found.push(Finding::warning(error.at(place.clone())));
        }
        found
    }

    /// Functions that a step may call, as far as anybody can tell: all but those whose every call stands outside.
    fn inside(&self) -> BTreeSet<&Key> {
        let called: BTreeSet<_> = self.calls.iter().map(|(_, key)| key).collect();
        let mut inside: BTreeSet<&Key> = self
            .defined
            .keys()
            .filter(|key| !called.contains(key) || self.mentioned.contains(*key))
            .collect();
        loop {
            let before = inside.len();
            for (site, key) in &self.calls {
                let from = site.function.as_ref().map(|name| (site.file.clone(), name.clone()));
                // Nobody knows when a closure is called.
                let closure = site.function.as_ref().is_some_and(|name| name.starts_with("anon$"));
                if site.in_step || closure || from.is_some_and(|from| inside.contains(&from)) {
                    inside.insert(key);
                }
            }
            if inside.len() == before {
                return inside;
            }
        }
    }

    fn outside_steps(&self) -> Vec<Finding> {
        let inside = self.inside();
        let mut found = Vec::new();
        for (site, verb) in &self.changes {
            let Some(function) = &site.function else { continue };
            let key = (site.file.clone(), function.clone());
            if function.starts_with("anon$") || inside.contains(&key) {
                continue;
            }
            let caller = self.calls.iter().find(|(_, called)| *called == key);
            let from = caller.and_then(|(caller, _)| place(&caller.file, caller.position));
            let Some(from) = from else { continue };
            let text = format!("`{verb}` changes the site, and `{function}` is called outside every step");
            let hint = format!("write `step \"name\" {{ ... }}` around the call in line {}", from.line);
            let error = ScriptError::new("outside_step", text).hint(hint);
            found.extend(
                place(&site.file, site.position).map(|place| Finding::error(error.at(place).at(from))),
            );
        }
        found
    }

    fn unused(&self, known: &Known<'_>) -> Vec<Finding> {
        let main = &known.bundle.main.name;
        let mut found = Vec::new();
        for (key, defined) in &self.defined {
            let hook = ["before_", "after_", "replace_"].iter().any(|prefix| key.1.starts_with(prefix));
            // In a file of hooks these are called by their steps.
            let called = hook && known.bundle.hooks.as_ref().is_some_and(|hooks| hooks.name == key.0);
            let own = (defined.own || key.0 == *main) && !called && !taken(known.catalogue, &key.1);
            if own && !self.mentioned.contains(key) && !self.calls.iter().any(|(_, called)| called == key) {
                let text = format!("nobody calls the function `{}`", key.1);
                let error = ScriptError::new("unused", text).hint(if hook && key.0 == *main {
                    "in a runbook it is no hook: those stand in a file of their own, `uplift/hooks/RUNBOOK.rhai`"
                } else {
                    "call it, or take it out"
                });
                found.extend(place(&key.0, defined.position).map(|place| Finding::warning(error.at(place))));
            }
        }
        found
    }

    /// A function with a step in it that comes back to itself: the step would be there twice, or inside itself.
    fn steps_again(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (key, position) in &self.steps {
            let mut reached: BTreeSet<Key> = BTreeSet::new();
            let mut next = vec![key.clone()];
            while let Some(from) = next.pop() {
                for (site, to) in &self.calls {
                    let is_from = site.function.as_ref() == Some(&from.1) && site.file == from.0;
                    if is_from && reached.insert(to.clone()) {
                        next.push(to.clone());
                    }
                }
            }
            if reached.contains(key) {
                let text =
                    format!("`{}` calls itself with a step in it: the step comes again inside itself", key.1);
                let error = ScriptError::new("step_again", text)
                    .hint("let the step stand outside the function, around the first call");
                found.extend(place(&key.0, *position).map(|place| Finding::warning(error.at(place))));
            }
        }
        found
    }
}
