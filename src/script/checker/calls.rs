//! Calls: of primitives, of functions here and in other files, of what the language brings; and values by their names.

use std::collections::BTreeSet;

use rhai::{Expr, FnCallExpr, Position, Stmt};

use super::{
    Check, Known, all_steps,
    options::of_literal,
    tree::{Around, Node},
};
use crate::{
    primitives::contract::{Kind, Verb, schema::call_text, suggest},
    script::{
        earlier::Address,
        engine::{CLOSED, OUTCOME},
        error::ScriptError,
        names,
        testing::TAKEN,
    },
};

const SHOWN: &str = "`uplift runbook docs` lists what a runbook can call";
const SHOWN_TESTS: &str = "`docs/testing.md` lists what a test can say";

impl<'a> Check<'a> {
    pub(super) fn call(&mut self, node: Node<'a>, around: &Around<'a>) {
        match node {
            Node::Expr(Expr::FnCall(call, position)) | Node::Stmt(Stmt::FnCall(call, position)) => {
                self.function(call, *position, around);
            }
            Node::Expr(Expr::MethodCall(call, position)) => self.method(call, *position, around),
            Node::Expr(Expr::Variable(variable, _, position)) if !variable.2.path.is_empty() => {
                let module = variable.2.path[0].name.to_string();
                self.member(&module, &variable.1, *position);
            }
            _ => {}
        }
    }

    fn function(&mut self, call: &'a FnCallExpr, position: Position, around: &Around<'a>) {
        if call.op_token.is_some() {
            return;
        }
        if let Some(module) = call.namespace.path.first() {
            return self.module_function(module.name.as_ref(), call, position, around);
        }
        if let Some(verb) = self.known.catalogue.get(&call.name) {
            if self.is_tests() {
                return self.call_in_test(verb.name, position);
            }
            return self.primitive(verb, call, position, around);
        }
        if call.name == "Fn" {
            return self.named_function(call.args.first());
        }
        if self.is_closed(&call.name, position) {
            return;
        }
        let Some(arguments) = self.callable.get(call.name.as_str()) else {
            return self.no_function(&call.name, position);
        };
        if !arguments.contains(&call.args.len()) && !call.name.starts_with("anon$") {
            let written = signatures(self.known, &self.file.name, &call.name);
            let error = wrong_arguments(&call.name, arguments, call.args.len(), &written);
            self.error(error, position);
        }
        if call.name == OUTCOME {
            self.address(call.args.first());
        }
        let site = self.site(position, around);
        self.graph.calls(site, &self.file.name, &call.name);
    }

    /// `outcome("PATH/VERB#N")`, as far as the text tells whether there will be such a call.
    fn address(&mut self, text: Option<&'a Expr>) {
        let Some(Expr::StringConstant(text, position)) = text else { return };
        let address = match Address::read(text, self.known.catalogue) {
            Ok(address) => address,
            Err((text, hint)) => {
                return self.error(ScriptError::new("no_such_call", text).hint(hint), *position);
            }
        };
        // A library does not know the steps of whoever imports it.
        if !(self.is_hooks() || self.is_main()) {
            return;
        }
        let steps = all_steps(self.known.bundle, self.known.compiled);
        let mut known: Vec<_> = steps.iter().map(String::as_str).collect();
        for place in address.places() {
            if !known.contains(&place) {
                let hint = match self.known.renamed.get(place) {
                    Some(now) => format!("it is called `{now}` now"),
                    None => suggest(place, &known),
                };
                let error = ScriptError::new("no_such_call", format!("there is no step `{place}`"));
                return self.error(error.hint(hint), *position);
            }
            // What follows a step may also be a hook of it.
            known.extend(["before", "after"]);
        }
    }

    /// What the engine has and a runbook must not: told with what to write instead.
    fn is_closed(&mut self, name: &str, position: Position) -> bool {
        let own = self.file.functions.iter().any(|function| function.name == name);
        let Some((_, instead)) = CLOSED.iter().find(|(closed, _)| *closed == name).filter(|_| !own) else {
            return false;
        };
        let text = format!("`{name}` is not there in runbooks");
        self.error(ScriptError::new("not_in_runbooks", text).hint(*instead), position);
        true
    }

    pub(super) fn no_function(&mut self, name: &str, position: Position) {
        let known: Vec<_> = self.callable.keys().map(String::as_str).collect();
        let own: Vec<_> = if self.is_tests() {
            TAKEN.to_vec()
        } else {
            self.known.catalogue.iter().map(|verb| verb.name).collect()
        };
        let text = format!("there is no function `{name}`");
        let likely =
            |known: &[&str]| Some(suggest(name, known)).filter(|hint| hint.starts_with("did you mean"));
        // A misspelt primitive is the likelier mistake.
        let hint = likely(&own).or_else(|| likely(&known)).unwrap_or_else(|| self.shown().to_owned());
        self.error(ScriptError::new("no_such_function", text).hint(hint), position);
    }

    fn shown(&self) -> &'static str {
        if self.is_tests() { SHOWN_TESTS } else { SHOWN }
    }

    /// `Fn("name")`: somebody will call it, nobody knows where.
    fn named_function(&mut self, name: Option<&'a Expr>) {
        let Some(Expr::StringConstant(name, position)) = name else { return };
        self.graph.mentions(&self.file.name, name);
        let known = self.callable.contains_key(name.as_str()) || self.known.catalogue.get(name).is_some();
        let is_name = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        if !known && is_name && !self.is_closed(name, *position) {
            self.no_function(name.as_ref(), *position);
        }
    }

    fn method(&mut self, call: &'a FnCallExpr, position: Position, around: &Around<'a>) {
        if self.is_tests() {
            return self.test_method(call, position, around);
        }
        if let Some(verb) = self.known.catalogue.get(&call.name) {
            return self.stands_well(verb, position, around);
        }
        if self.is_closed(&call.name, position) {
            return;
        }
        let site = self.site(position, around);
        self.graph.calls(site, &self.file.name, &call.name);
        // A map may hold a function under this key, which is called the same way.
        let known = self.callable.contains_key(call.name.as_str()) || self.keys.contains(call.name.as_str());
        if !known {
            let methods: Vec<_> = self.callable.keys().map(String::as_str).collect();
            let text = format!("no value has a method `{}`", call.name);
            let error =
                ScriptError::new("no_such_function", text).hint(match suggest(&call.name, &methods) {
                    hint if hint.starts_with("did you mean") => hint,
                    _ => {
                        "maps, lists and texts have the methods that the language's own book lists".to_owned()
                    }
                });
            self.warning(error, position);
        }
    }

    fn primitive(&mut self, verb: &Verb, call: &'a FnCallExpr, position: Position, around: &Around<'a>) {
        self.calls += 1;
        let wrong = match (call.args.len(), call.args.first()) {
            (0, _) | (1, Some(Expr::Map(..))) => None,
            (1, Some(first)) => of_literal(first).map(|kind| format!("not {kind}")),
            (count, _) => Some(format!("not {count} arguments")),
        };
        if let Some(wrong) = wrong {
            let text = format!("`{}` takes one map of options, {wrong}", verb.name);
            let hint = format!("e.g. `{}`", call_text(verb.name, &verb.example));
            self.error(ScriptError::new("wrong_arguments", text).hint(hint), position);
        } else {
            self.options(verb, call.args.first(), position);
        }
        self.stands_well(verb, position, around);
    }

    /// Whether a call may stand where it stands.
    fn stands_well(&mut self, verb: &Verb, position: Position, around: &Around<'a>) {
        if verb.kind == Kind::Read {
            if around.in_together() {
                let text =
                    format!("`{}` only looks, and `together` takes only what changes something", verb.name);
                let error = ScriptError::new("read_in_together", text);
                self.error(error.hint("call it before or after the block"), position);
            }
            return;
        }
        if around.in_step() {
            return;
        }
        if around.function.is_some() {
            let site = self.site(position, around);
            self.graph.changes(site, verb.name);
            return;
        }
        let text = format!("`{}` changes the site, so it must stand inside a step", verb.name);
        let error = ScriptError::new("outside_step", text).hint("write `step \"name\" { ... }` around it");
        self.error(error, position);
    }

    fn module_function(
        &mut self,
        module: &str,
        call: &'a FnCallExpr,
        position: Position,
        around: &Around<'a>,
    ) {
        let Some(file) = self.imports.get(module).cloned() else {
            let known: Vec<_> = self.imports.keys().map(String::as_str).collect();
            let (text, hint) = match module {
                "site" | "params" => (
                    format!("`{module}::` has values, and no function `{}`", call.name),
                    format!("write it without brackets: `{module}::{}`", call.name),
                ),
                _ => (format!("there is no module `{module}` in this file"), suggest(module, &known)),
            };
            return self.error(ScriptError::new("no_such_module", text).hint(hint), position);
        };
        let Some(public) = names::public(self.known.compiled, &file) else { return };
        let Some(takes) = public.get(call.name.as_str()) else {
            let known: Vec<_> = public.keys().map(String::as_str).collect();
            let error =
                ScriptError::new("no_such_function", format!("`{file}` has no function `{}`", call.name));
            return self.error(error.hint(suggest(&call.name, &known)), position);
        };
        if !takes.contains(&call.args.len()) {
            let written: Vec<_> = signatures(self.known, &file, &call.name);
            let written: Vec<_> = written.iter().map(|written| format!("{module}::{written}")).collect();
            let error =
                wrong_arguments(&format!("{module}::{}", call.name), takes, call.args.len(), &written);
            self.error(error, position);
        }
        let site = self.site(position, around);
        self.graph.calls(site, &file, &call.name);
    }

    fn member(&mut self, module: &str, name: &str, position: Position) {
        let known: Vec<&str> = match module {
            "params" => match self.known.params {
                Some(params) => params.keys().map(String::as_str).collect(),
                None => return,
            },
            "site" => self.known.site.to_vec(),
            _ => return,
        };
        if module == "params" {
            self.graph.reads_param(name);
        }
        if !known.contains(&name) {
            let hint = match (module, known.is_empty()) {
                _ if self.is_tests() => {
                    "a test asks the site that it has made: `site.version`, `site.services.web`".to_owned()
                }
                ("params", true) => {
                    "this runbook has no parameters: list them in `RUNBOOK` under `params`".to_owned()
                }
                _ => suggest(name, &known),
            };
            let text = format!("there is no `{module}::{name}`");
            self.error(ScriptError::new("no_such_value", text).hint(hint), position);
        }
    }
}

pub(super) fn wrong_arguments(
    name: &str,
    takes: &BTreeSet<usize>,
    given: usize,
    written: &[String],
) -> ScriptError {
    let counts: Vec<_> = takes.iter().map(ToString::to_string).collect();
    let noun = if takes.iter().eq([&1]) { "argument" } else { "arguments" };
    let text = format!("`{name}` takes {} {noun}, not {given}", counts.join(" or "));
    let written: Vec<_> = written.iter().map(|written| format!("`{written}`")).collect();
    let error = ScriptError::new("wrong_arguments", text);
    if written.is_empty() {
        return error.hint("the language's own book lists what its functions take");
    }
    error.hint(format!("write {}", written.join(" or ")))
}

/// How the functions of one name are called.
fn signatures(known: &Known<'_>, file: &str, name: &str) -> Vec<String> {
    let functions = known.compiled.get(file).into_iter().flat_map(rhai::AST::iter_functions);
    let named = functions.filter(|function| function.name == name);
    let mut written: Vec<_> =
        named.map(|function| format!("{name}({})", function.params.join(", "))).collect();
    written.sort();
    written
}
