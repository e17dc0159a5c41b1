//! Everything that can be known of a script before it runs, in every file of its bundle.
//!
//! A misspelt name inside `try` would otherwise be swallowed at three in the morning, and one behind an `if` found
//! when the site is half changed.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Engine, Expr, Stmt};

use super::{
    conduct::Place,
    error::ScriptError,
    header::Header,
    hooks,
    names::{self, Functions},
    outcome::place,
    resolver::Compiled,
    source::Bundle,
};
use crate::primitives::contract::{Catalogue, Kind, suggest};

struct Check<'a> {
    file: &'a str,
    catalogue: &'a Catalogue,
    compiled: &'a Compiled,
    callable: Functions,
    /// File by the name that it is imported under.
    imports: BTreeMap<String, String>,
    params: Vec<&'a str>,
    site: &'a [&'a str],
    is_hooks: bool,
    problems: Vec<ScriptError>,
    steps: BTreeSet<String>,
}

/// All problems, file by file, in the order of the text.
pub(super) fn check(
    engine: &Engine,
    bundle: &Bundle,
    compiled: &Compiled,
    catalogue: &Catalogue,
    header: &Header,
    site: &[&str],
) -> Vec<ScriptError> {
    let mut problems = Vec::new();
    for file in used(bundle, compiled) {
        let Some(ast) = compiled.get(&file) else { continue };
        let mut check = Check {
            file: &file,
            catalogue,
            compiled,
            callable: names::callable(engine, ast),
            imports: imports(ast),
            params: header.params.keys().map(String::as_str).collect(),
            site,
            is_hooks: bundle.hooks.as_ref().is_some_and(|hooks| hooks.name == file),
            problems: Vec::new(),
            steps: BTreeSet::new(),
        };
        check.shadows(ast);
        if check.is_hooks {
            check.problems.extend(hooks::check(&file, ast, &all_steps(bundle, compiled), header));
        }
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            check.node(path);
            true
        });
        check.problems.sort_by_key(|problem| problem.places.first().map(|place| (place.line, place.column)));
        problems.append(&mut check.problems);
    }
    problems
}

/// Names of literal steps, in the order of the text.
pub(super) fn steps(ast: &AST) -> Vec<String> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some((name, _)) = path.last().and_then(step) {
            found.push(name);
        }
        true
    });
    found
}

/// Names of all literal steps that a runbook may come to, those of its library included; a site's hooks have none.
pub(super) fn all_steps(bundle: &Bundle, compiled: &Compiled) -> Vec<String> {
    let is_hooks = |file: &String| bundle.hooks.as_ref().is_some_and(|hooks| hooks.name == *file);
    let files = used(bundle, compiled).into_iter().filter(|file| !is_hooks(file));
    let mut found: Vec<String> = Vec::new();
    for step in files.filter_map(|file| compiled.get(&file)).flat_map(steps) {
        if !found.contains(&step) {
            found.push(step);
        }
    }
    found
}

/// The line of the header; 1 if it cannot be told.
pub(super) fn header_line(ast: &AST) -> usize {
    let found = ast.statements().iter().find_map(|statement| match statement {
        Stmt::Var(variable, _, position) if variable.0.name == "RUNBOOK" => position.line(),
        _ => None,
    });
    found.unwrap_or(1)
}

/// The main file, the hooks and what they import, directly or not: files that nobody imports are not judged.
fn used(bundle: &Bundle, compiled: &Compiled) -> Vec<String> {
    let mut found = vec![bundle.main.name.clone()];
    found.extend(bundle.hooks.iter().map(|hooks| hooks.name.clone()));
    let mut at = 0;
    while let Some(file) = found.get(at).cloned() {
        at += 1;
        let Some(ast) = compiled.get(&file) else { continue };
        for import in imports(ast).into_values() {
            if !found.contains(&import) {
                found.push(import);
            }
        }
    }
    found
}

fn imports(ast: &AST) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, _))) = path.last()
            && let Expr::StringConstant(file, _) = &import.0
        {
            let alias = if import.1.name.is_empty() { file.as_str() } else { import.1.name.as_str() };
            found.insert(alias.to_owned(), file.to_string());
        }
        true
    });
    found
}

/// Name and position of a step statement.
fn step(node: &ASTNode<'_>) -> Option<(String, rhai::Position)> {
    let ASTNode::Expr(Expr::Custom(custom, _)) = node else { return None };
    if custom.tokens.first().is_none_or(|token| token.as_str() != "step") {
        return None;
    }
    match custom.inputs.first()? {
        Expr::StringConstant(name, position) => Some((name.to_string(), *position)),
        _ => None,
    }
}

impl Check<'_> {
    fn problem(&mut self, error: ScriptError, position: rhai::Position) {
        let error = match place(self.file, position) {
            Some(place) => error.at(place),
            None => error.at(Place { file: self.file.to_owned(), line: 1, column: 1 }),
        };
        if !self.problems.contains(&error) {
            self.problems.push(error);
        }
    }

    fn shadows(&mut self, ast: &AST) {
        for function in ast.iter_functions() {
            if names::taken(self.catalogue, function.name) {
                let text = format!(
                    "`{}` is uplift's own: no file may define a function of that name",
                    function.name
                );
                let arguments = function.params.len();
                let definition = ast.shared_lib().get_script_fn(function.name, arguments);
                let position =
                    definition.map_or(rhai::Position::NONE, |definition| definition.body.start_position());
                self.problem(ScriptError::new("name_taken", text).hint("use another name"), position);
            }
        }
    }

    fn node(&mut self, path: &[ASTNode<'_>]) {
        match path.last() {
            Some(
                ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position)),
            ) => self.function(call, *position, path),
            Some(ASTNode::Expr(Expr::Variable(variable, _, position))) if !variable.2.path.is_empty() => {
                let module = variable.2.path[0].name.to_string();
                self.member(&module, &variable.1, *position);
            }
            Some(ASTNode::Stmt(Stmt::Import(import, position))) => self.import(&import.0, *position),
            Some(ASTNode::Stmt(Stmt::Switch(switch, _))) => self.switch(&switch.1),
            Some(node) => {
                if let Some((name, position)) = step(node) {
                    self.step(&name, position, path);
                }
            }
            None => {}
        }
    }

    fn function(&mut self, call: &rhai::FnCallExpr, position: rhai::Position, path: &[ASTNode<'_>]) {
        if call.op_token.is_some() {
            return;
        }
        if let Some(module) = call.namespace.path.first() {
            let module = module.name.to_string();
            self.module_function(&module, &call.name, call.args.len(), position);
            return;
        }
        if let Some(verb) = self.catalogue.get(&call.name) {
            let (kind, known) =
                (verb.kind, verb.option_names().into_iter().map(str::to_owned).collect::<Vec<_>>());
            let open = verb.options.as_value().get("additionalProperties").is_some_and(|more| more != false);
            self.primitive(call, position, kind, (!open).then_some(known), path);
            return;
        }
        let Some(arguments) = self.callable.get(call.name.as_str()) else {
            let known: Vec<_> = self.callable.keys().map(String::as_str).collect();
            let own: Vec<_> = self.catalogue.iter().map(|verb| verb.name).collect();
            let text = format!("there is no function `{}`", call.name);
            // A misspelt primitive is the likelier mistake.
            let hint = match suggest(&call.name, &own) {
                hint if hint.starts_with("did you mean") => hint,
                _ => match suggest(&call.name, &known) {
                    hint if hint.starts_with("did you mean") => hint,
                    _ => "`uplift runbook show compose/upgrade` shows a runbook at work".to_owned(),
                },
            };
            self.problem(ScriptError::new("no_such_function", text).hint(hint), position);
            return;
        };
        if !arguments.contains(&call.args.len()) && !call.name.starts_with("anon$") {
            let takes: Vec<_> = arguments.iter().map(ToString::to_string).collect();
            let text =
                format!("`{}` takes {} arguments, not {}", call.name, takes.join(" or "), call.args.len());
            self.problem(ScriptError::new("wrong_arguments", text), position);
        }
    }

    fn primitive(
        &mut self,
        call: &rhai::FnCallExpr,
        position: rhai::Position,
        kind: Kind,
        known: Option<Vec<String>>,
        path: &[ASTNode<'_>],
    ) {
        if call.args.len() > 1 {
            let text = format!("`{}` takes one map of options, not {} arguments", call.name, call.args.len());
            let error = ScriptError::new("wrong_arguments", text).hint("e.g. `#{ services: [site::web] }`");
            self.problem(error, position);
        }
        if let (Some(Expr::Map(map, _)), Some(known)) = (call.args.first(), known) {
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            for (key, _) in &map.0 {
                if !known.contains(&key.name.as_str()) {
                    let text = format!("`{}` has no option `{}`", call.name, key.name);
                    let error = ScriptError::new("bad_option", text).hint(suggest(&key.name, &known));
                    self.problem(error, key.pos);
                }
            }
        }
        // Inside a function nobody knows yet whether a step calls it; the first call without one ends the run.
        let in_step = path.iter().any(|node| step(node).is_some());
        let at_top = path.first().is_some_and(|node| self.is_top(node));
        if kind == Kind::Effect && at_top && !in_step {
            let text = format!("`{}` changes the site, so it must stand inside a step", call.name);
            let error =
                ScriptError::new("outside_step", text).hint("write `step \"name\" { ... }` around it");
            self.problem(error, position);
        }
    }

    fn is_top(&self, node: &ASTNode<'_>) -> bool {
        let ASTNode::Stmt(first) = node else { return false };
        let statements = self.compiled.get(self.file).map(AST::statements).unwrap_or_default();
        statements.iter().any(|statement| std::ptr::eq(statement, *first))
    }

    fn module_function(&mut self, module: &str, name: &str, arguments: usize, position: rhai::Position) {
        let Some(file) = self.imports.get(module).cloned() else {
            let known: Vec<_> = self.imports.keys().map(String::as_str).collect();
            let error =
                ScriptError::new("no_such_module", format!("there is no module `{module}` in this file"));
            self.problem(error.hint(suggest(module, &known)), position);
            return;
        };
        let Some(public) = names::public(self.compiled, &file) else { return };
        let Some(takes) = public.get(name) else {
            let known: Vec<_> = public.keys().map(String::as_str).collect();
            let error = ScriptError::new("no_such_function", format!("`{file}` has no function `{name}`"));
            self.problem(error.hint(suggest(name, &known)), position);
            return;
        };
        if !takes.contains(&arguments) {
            let takes: Vec<_> = takes.iter().map(ToString::to_string).collect();
            let text = format!("`{module}::{name}` takes {} arguments, not {arguments}", takes.join(" or "));
            self.problem(ScriptError::new("wrong_arguments", text), position);
        }
    }

    fn member(&mut self, module: &str, name: &str, position: rhai::Position) {
        let known: &[&str] = match module {
            "params" => &self.params,
            "site" => self.site,
            _ => return,
        };
        if !known.contains(&name) {
            let hint = suggest(name, known);
            let text = format!("there is no `{module}::{name}`");
            self.problem(ScriptError::new("no_such_value", text).hint(hint), position);
        }
    }

    fn import(&mut self, file: &Expr, position: rhai::Position) {
        let Expr::StringConstant(name, at) = file else {
            let error = ScriptError::new("computed_import", "the name of an import must be written out");
            self.problem(error.hint("e.g. `import \"lib/checks\" as checks;`"), position);
            return;
        };
        if !self.compiled.contains_key(name.as_str()) {
            let known: Vec<_> = self.compiled.keys().map(String::as_str).collect();
            let text = format!("there is no file `{name}` to import");
            self.problem(ScriptError::new("no_such_module", text).hint(suggest(name, &known)), *at);
        }
    }

    /// rhai reads the wrong variable, or panics, after a bare `let` as the arm of a `switch`.
    fn switch(&mut self, cases: &rhai::SwitchCasesCollection) {
        for case in &cases.expressions {
            if let Expr::Stmt(block) = &case.rhs
                && let [Stmt::Var(_, _, position)] = block.statements()
            {
                let error =
                    ScriptError::new("let_in_switch", "a `let` cannot be an arm of `switch` by itself");
                self.problem(error.hint("write it in braces, or before the `switch`"), *position);
            }
        }
    }

    fn step(&mut self, name: &str, position: rhai::Position, path: &[ASTNode<'_>]) {
        if self.is_hooks {
            let text = format!("step `{name}` cannot stand inside a hook");
            let hint = "leave `step` out: what a hook does stands in the step that it belongs to";
            self.problem(ScriptError::new("step_in_hook", text).hint(hint), position);
        }
        let outer = &path[..path.len().saturating_sub(1)];
        let mut full: Vec<_> = outer.iter().filter_map(step).map(|(name, _)| name).collect();
        full.push(name.to_owned());
        if name.trim().is_empty() || name.contains(['/', '#']) {
            let text = format!("`{name}` cannot be the name of a step");
            let error = ScriptError::new("bad_step_name", text).hint("use words, without `/` and `#`");
            self.problem(error, position);
        }
        // Under `on`, in functions and in branches the same name may come again on another path.
        let plain =
            outer.iter().all(|node| matches!(node, ASTNode::Stmt(Stmt::Expr(_))) || step(node).is_some());
        if plain && !self.steps.insert(full.join("/")) {
            let text = format!("there are two steps `{}`", full.join("/"));
            self.problem(
                ScriptError::new("step_twice", text).hint("give each step a name of its own"),
                position,
            );
        }
    }
}
