//! From the engine's errors to ours: frames across files, and the failure that was thrown.

use std::collections::BTreeMap;

use rhai::{EvalAltResult, Position};

use super::{
    conduct::Place,
    error::{ScriptError, failure_of},
    resolver::Compiled,
    value::{kind, to_json},
};

/// Which file each closure stands in. A closure that another file's function calls is reported with that file's
/// name; its own generated name tells where it really is.
pub(super) type Closures = BTreeMap<String, String>;

pub(super) fn closures(compiled: &Compiled) -> Closures {
    let mut found = Closures::new();
    for (file, ast) in compiled {
        for function in ast.iter_functions().filter(|function| function.name.starts_with("anon$")) {
            found.insert(function.name.to_owned(), file.clone());
        }
    }
    found
}

/// The error that ended a script, with every place from the innermost outwards.
pub(super) fn script_error(error: EvalAltResult, main: &str, closures: &Closures) -> ScriptError {
    let mut outer = Vec::new();
    let mut file = main.to_owned();
    let mut error = error;
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, position) => {
                outer.extend(place(&file, position));
                if !source.is_empty() {
                    file = source;
                }
                if let Some(real) = closures.get(&name) {
                    file.clone_from(real);
                }
                error = *inner;
            }
            EvalAltResult::ErrorInModule(path, inner, position) => {
                outer.extend(place(&file, position));
                if !path.is_empty() {
                    file = path;
                }
                error = *inner;
            }
            root => {
                let made = root_error(&root);
                let made = match place(&file, root.position()) {
                    Some(place) if made.places.is_empty() => made.at(place),
                    _ => made,
                };
                return outer.into_iter().rev().fold(made, ScriptError::at);
            }
        }
    }
}

fn root_error(error: &EvalAltResult) -> ScriptError {
    match error {
        EvalAltResult::ErrorRuntime(value, position) => {
            let json = to_json(value);
            if let Some(failure) = json.as_ref().ok().and_then(failure_of) {
                let at =
                    json.ok().and_then(|json| serde_json::from_value::<Place>(json.get("at")?.clone()).ok());
                // Thrown again elsewhere: the first place is the one to look at. Otherwise the frames know the file
                // better than the call did.
                let here =
                    |at: &Place| Some(at.line) == position.line() && Some(at.column) == position.position();
                let made = ScriptError::from_failure(failure);
                return at.filter(|at| !here(at)).into_iter().fold(made, ScriptError::at);
            }
            match value.read_lock::<rhai::ImmutableString>() {
                Some(text) => ScriptError::new("thrown", text.to_string()).hint(THROWN),
                None => ScriptError::new("thrown", format!("the script threw {}", kind(value)))
                    .hint("throw a text, or `fail(\"a_code\", \"what is wrong\")`"),
            }
        }
        EvalAltResult::ErrorFunctionNotFound(name, _) => {
            let (name, rest) = name.split_once(' ').unwrap_or((name, ""));
            ScriptError::new("no_such_function", format!("there is no `{name}` that takes {rest}"))
                .hint("give it what it takes: the types in brackets are those that it was given")
        }
        EvalAltResult::ErrorTooManyOperations(_) => {
            ScriptError::new("too_many_operations", "the script does not come to an end")
                .hint("look for a loop that never stops")
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            ScriptError::new("too_deep", "functions call each other without end")
                .hint("give the function a condition to end at, or use a `for` over a list")
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            ScriptError::new("too_large", format!("too large: {}", lower(what))).hint(
                "look for a loop in which it only grows: a text may have 1 MiB, a list or map 10000 items",
            )
        }
        EvalAltResult::ErrorTerminated(..) => ScriptError::new("ended", "the script was ended")
            .hint("`uplift status` says where the site stands"),
        other => ScriptError::new("script_error", lower(&without_position(other))).hint(instead(other)),
    }
}

const THROWN: &str = "the runbook itself gave up at the marked line: mend what it says, or that line";

/// What to write instead.
fn instead(error: &EvalAltResult) -> &'static str {
    match error {
        EvalAltResult::ErrorParsing(..) => "that is one of the language's own words: use another name",
        EvalAltResult::ErrorArithmetic(..) => {
            "look at the numbers first with `if`: whole numbers have 64 bits, and nothing is divided by 0"
        }
        EvalAltResult::ErrorVariableNotFound(..) => "define it before with `let`, or look at its spelling",
        EvalAltResult::ErrorPropertyNotFound(..) | EvalAltResult::ErrorIndexNotFound(..) => {
            "ask first whether it is there: `if \"name\" in map { ... }`"
        }
        EvalAltResult::ErrorArrayBounds(..) | EvalAltResult::ErrorStringBounds(..) => {
            "ask first how many there are: `list.len()`"
        }
        EvalAltResult::ErrorAssignmentToConstant(..)
        | EvalAltResult::ErrorNonPureMethodCallOnConstant(..) => {
            "copy it first: `let own = NAME;`, and change the copy"
        }
        EvalAltResult::ErrorFor(..) => "`for` goes through a list, `map.keys()` or a range like `0..3`",
        EvalAltResult::ErrorMismatchDataType(..) | EvalAltResult::ErrorMismatchOutputType(..) => {
            "give it a value of that type: `type_of(value)` says which one it has"
        }
        EvalAltResult::ErrorIndexingType(..) | EvalAltResult::ErrorDotExpr(..) => {
            "only maps, lists and texts have parts: `type_of(value)` says what it is"
        }
        _ => "look at the marked line; `uplift runbook show compose/upgrade` shows how things are written",
    }
}

/// The engine's own words, without the position that stands beside them anyway.
fn without_position(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(at) if text.ends_with(')') => text[..at].to_owned(),
        _ => text,
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}

pub(super) fn place(file: &str, position: Position) -> Option<Place> {
    let line = position.line()?;
    Some(Place { file: file.to_owned(), line, column: position.position().unwrap_or(1) })
}
