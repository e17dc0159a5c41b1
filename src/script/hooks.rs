//! What a site changes in single steps of a runbook: `before_NAME`, `replace_NAME` and `after_NAME`, functions in a file of
//! its own. The runbook stays as it was shipped, and an upgrade of it arrives.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Position, Scope, Stmt};
use serde::Serialize;

use super::{checker, error::ScriptError, limits::Watch, names, outcome::place, session::Res};
use crate::primitives::contract::suggest;

/// Where in a step a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Before anything of the step. Where it fails the step does.
    Before,
    /// In the place of the step's own lines.
    Replace,
    /// Once the step has come to its end, which a failure is not.
    After,
}

impl Part {
    const ALL: [Self; 3] = [Self::Before, Self::Replace, Self::After];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Replace => "replace",
            Self::After => "after",
        }
    }
}

/// One change of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    pub part: Part,
    /// The step's name as the runbook has it.
    pub step: String,
    pub function: String,
    /// Counted from 1.
    pub line: usize,
}

/// All changes of a runbook's steps, in the order of their file.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks {
    /// The name of their file.
    pub(super) file: String,
    pub(super) all: Vec<Hook>,
}

impl Hooks {
    /// Those of a file that was checked.
    pub(super) fn of(file: &str, ast: &AST, steps: &[String]) -> Self {
        let mut all: Vec<_> = own(ast)
            .into_iter()
            .filter_map(|(function, position)| {
                let (part, ident) = parts(&function)?;
                let step = steps.iter().find(|step| identifier(step) == ident)?.clone();
                Some(Hook { part, step, function: function.clone(), line: position.line().unwrap_or(1) })
            })
            .collect();
        all.sort_by_key(|hook| hook.line);
        Self { file: file.to_owned(), all }
    }

    /// The function for this part of a step.
    pub(super) fn function(&self, step: &str, part: Part) -> Option<&str> {
        let found = self.all.iter().find(|hook| hook.part == part && hook.step == step);
        found.map(|hook| hook.function.as_str())
    }

    /// Calls one of them. Its file's imports are brought anew: they are few, and each call stands for itself.
    pub(super) fn call(&self, engine: &Engine, function: &str, at: Position, watch: &Watch) -> Res<Dynamic> {
        let missing = || {
            let text = format!("`{}` is not there", self.file);
            Box::new(EvalAltResult::ErrorRuntime(text.into(), at))
        };
        let ast = engine.module_resolver().resolve_ast(engine, None, &self.file, at);
        let ast = ast.ok_or_else(missing)??;
        let options = CallFnOptions::new().eval_ast(true);
        let called = engine.call_fn_with_options(options, &mut Scope::new(), &ast, function, ());
        let defined =
            || own(&ast).into_iter().find(|(name, _)| name == function).map(|(_, position)| position);
        // The step stands in another file than what went wrong. Of what used up too much the engine tells no line of a function.
        let called = called.map_err(|mut error| {
            if error.position().is_none() {
                error.set_position(defined().unwrap_or(Position::NONE));
            }
            error
        });
        called.map_err(|error| match *error {
            error @ EvalAltResult::ErrorTerminated(..) if watch.over().is_none() => Box::new(error),
            error => Box::new(EvalAltResult::ErrorInFunctionCall(
                function.to_owned(),
                self.file.clone(),
                Box::new(error),
                at,
            )),
        })
    }
}

/// A step's name as part of a function's: `switch web` is `switch_web`.
pub(super) fn identifier(step: &str) -> String {
    step.chars()
        .map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '_' })
        .collect()
}

/// `before_switch_web`: what it is about and which step it means.
fn parts(function: &str) -> Option<(Part, &str)> {
    Part::ALL.iter().find_map(|part| {
        let ident = function.strip_prefix(part.as_str())?.strip_prefix('_')?;
        Some((*part, ident))
    })
}

/// The functions of a file with their places, in the order of the text.
fn own(ast: &AST) -> Vec<(String, Position)> {
    let mut found: Vec<_> = names::own(ast)
        .into_iter()
        .map(|(name, arguments)| {
            let definition = ast.shared_lib().get_script_fn(name.as_str(), arguments);
            let position = definition.map_or(Position::NONE, |function| function.body.start_position());
            (name, position)
        })
        .collect();
    found.sort_by_key(|(_, position)| (position.line(), position.position()));
    found
}

/// What is wrong with a file of hooks, for a runbook with these steps.
pub(super) fn check(
    file: &str,
    ast: &AST,
    steps: &[String],
    renamed: &BTreeMap<String, String>,
) -> Vec<ScriptError> {
    let called = checker::called(ast);
    let mut problems = Vec::new();
    let mut problem = |error: ScriptError, position: Position| {
        problems.push(match place(file, position) {
            Some(place) => error.at(place),
            None => error,
        });
    };
    if let Some((_, position)) = checker::header(ast) {
        let error =
            ScriptError::new("hooks_top_level", "a file of hooks has no header: it belongs to the runbook's");
        problem(
            error.hint("take `RUNBOOK` out; a runbook of your own is a file `uplift/NAME.rhai`"),
            position,
        );
    }
    for statement in ast.statements() {
        let harmless = matches!(statement, Stmt::Import(..) | Stmt::Noop(_))
            || matches!(statement, Stmt::Var(_, options, _) if options.intersects(rhai::ASTFlags::CONSTANT));
        if !harmless {
            let text = "outside of its functions a file of hooks has imports and constants only";
            let error = ScriptError::new("hooks_top_level", text);
            problem(
                error.hint("move this into `before_NAME`, `replace_NAME` or `after_NAME`"),
                statement.position(),
            );
        }
    }
    for (function, position) in own(ast) {
        if let Some(error) = of_function(&function, steps, renamed, &called) {
            problem(error, position);
        }
    }
    for (function, arguments) in names::own(ast) {
        if arguments > 0 && parts(&function).is_some() && !called.contains(&function) {
            let position = ast.shared_lib().get_script_fn(function.as_str(), arguments);
            let position = position.map_or(Position::NONE, |definition| definition.body.start_position());
            let text = format!("`{function}` is called with nothing, and takes {arguments}");
            problem(
                ScriptError::new("hook_arguments", text).hint("`params::` and `site::` are there in it"),
                position,
            );
        }
    }
    problems
}

fn of_function(
    function: &str,
    steps: &[String],
    renamed: &BTreeMap<String, String>,
    called: &BTreeSet<String>,
) -> Option<ScriptError> {
    let Some((part, ident)) = parts(function) else {
        if called.contains(function) {
            return None;
        }
        let known = all_names(steps);
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let text = format!("nothing calls `{function}`");
        return Some(
            ScriptError::new("hook_unused", text).hint(match suggest(function, &known) {
                hint if hint.starts_with("did you mean") => hint,
                _ => "a hook is called `before_NAME`, `replace_NAME` or `after_NAME`, by the name of a step"
                    .to_owned(),
            }),
        );
    };
    let meant: Vec<_> = steps.iter().filter(|step| identifier(step) == ident).collect();
    match meant.as_slice() {
        [_] => None,
        [] => Some(no_such_step(part, ident, steps, renamed)),
        [first, second, ..] => {
            let text = format!("`{function}` could mean step `{first}` or `{second}`");
            let hint = "copy the runbook instead: `uplift runbook show NAME > FILE.rhai`";
            Some(ScriptError::new("hook_ambiguous", text).hint(hint))
        }
    }
}

fn no_such_step(
    part: Part,
    ident: &str,
    steps: &[String],
    renamed: &BTreeMap<String, String>,
) -> ScriptError {
    let text = format!("this runbook has no step `{ident}` that a hook could stand at");
    let error = ScriptError::new("no_such_step", text);
    let renamed = renamed.iter().find(|(old, _)| identifier(old) == ident);
    if let Some((old, new)) = renamed {
        let name = identifier(new);
        return error.hint(format!(
            "step `{old}` is called `{new}` now: see that it still does what you mean, and call the function `{}_{name}`",
            part.as_str()
        ));
    }
    let known: Vec<_> = steps.iter().map(|step| identifier(step)).collect();
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    error.hint(suggest(ident, &known))
}

fn all_names(steps: &[String]) -> Vec<String> {
    let of = |step: &String| Part::ALL.map(|part| format!("{}_{}", part.as_str(), identifier(step)));
    steps.iter().flat_map(of).collect()
}
