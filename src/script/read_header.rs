//! The constant `RUNBOOK`, read as it is written: nothing of it is run, and all that is wrong with it is told at once.

use std::collections::BTreeMap;

use rhai::{AST, Expr, Position};
use serde_json::Value;

use super::{
    checker::{self, literal},
    conduct::Place,
    error::ScriptError,
    header::{API, Header, Param},
    outcome::place,
};
use crate::primitives::contract::suggest;

/// Words that rhai keeps for itself: a parameter of that name could not be written in a script.
const RESERVED: [&str; 26] = [
    "default", "new", "use", "with", "match", "case", "private", "static", "public", "shared", "sync", "go",
    "is", "void", "if", "else", "switch", "let", "const", "fn", "for", "in", "while", "loop", "return",
    "step",
];

const KEYS: [&str; 5] = ["api", "summary", "on_failure", "params", "renamed"];
const PARAM_KEYS: [&str; 4] = ["type", "help", "of", "initial"];
const TYPES: [&str; 7] = ["tag", "choice", "duration", "size", "text", "bool", "number"];
const POLICIES: [&str; 2] = ["undo", "pause"];
const SHOWN: &str = "`uplift runbook show compose/upgrade` shows a header";

/// What could be read of a header.
pub(super) struct Reading {
    /// `None` if anything is wrong with it.
    pub header: Option<Header>,
    /// The parameters by their names, with where each is defined; `None` if not even their names can be told.
    pub params: Option<BTreeMap<String, Place>>,
    /// Steps that had another name before, by that name.
    pub renamed: BTreeMap<String, String>,
    pub errors: Vec<ScriptError>,
}

/// The entries of a map that is written out.
type Entries<'a> = &'a [(rhai::Ident, Expr)];

struct Reader<'a> {
    file: &'a str,
    errors: Vec<ScriptError>,
}

pub(super) fn read(ast: &AST, file: &str) -> Reading {
    let mut reader = Reader { file, errors: Vec::new() };
    let Some((value, position)) = checker::header(ast) else {
        let error = ScriptError::new("no_header", "this file has no header, so it is no runbook");
        reader.error(
            error.hint("write `const RUNBOOK = #{ api: 1, summary: \"...\" };` with nothing computed in it"),
            Position::new(1, 1),
        );
        return Reading { header: None, params: None, renamed: BTreeMap::new(), errors: reader.errors };
    };
    let Expr::Map(map, _) = value else {
        reader.wrong(
            "`RUNBOOK` must be a map",
            "write `const RUNBOOK = #{ api: 1, summary: \"...\" };`",
            position,
        );
        return Reading { header: None, params: None, renamed: BTreeMap::new(), errors: reader.errors };
    };
    let params = reader.whole(&map.0, position);
    let header = match reader.errors[..] {
        [] => reader.made(value, position),
        _ => None,
    };
    let renamed = header.as_ref().map(|header| header.renamed.clone()).unwrap_or_default();
    Reading { header, params, renamed, errors: reader.errors }
}

impl Reader<'_> {
    fn error(&mut self, error: ScriptError, position: Position) {
        let at = place(self.file, position);
        let at = at.unwrap_or(Place { file: self.file.to_owned(), line: 1, column: 1 });
        self.errors.push(error.at(at));
    }

    fn wrong(&mut self, text: &str, hint: &str, position: Position) {
        self.error(ScriptError::new("bad_header", text).hint(hint), position);
    }

    /// All keys but those inside parameters; gives the parameters' names.
    fn whole(&mut self, entries: Entries<'_>, position: Position) -> Option<BTreeMap<String, Place>> {
        let mut params = Some(BTreeMap::new());
        for (key, value) in entries {
            match key.name.as_str() {
                "api" => self.api(value),
                "summary" => self.text(value, "summary"),
                "on_failure" => self.word(value, "on_failure", &POLICIES),
                "params" => match value {
                    Expr::Map(map, _) => params = Some(self.params(&map.0)),
                    other => {
                        let hint = "e.g. `params: #{ to: #{ type: \"tag\", help: \"image tag to run\" } }`";
                        self.wrong("`params` must be a map", hint, other.start_position());
                        params = None;
                    }
                },
                "renamed" => self.renamed(value),
                name => {
                    let text = format!("the header has no `{name}`");
                    self.wrong(&text, &suggest(name, &KEYS), key.pos);
                }
            }
        }
        for (name, hint) in
            [("api", "add `api: 1`"), ("summary", "add `summary: \"...\"`: what it does, in a few words")]
        {
            if !entries.iter().any(|(key, _)| key.name == name) {
                self.wrong(&format!("the header lacks `{name}`"), hint, position);
            }
        }
        params
    }

    fn api(&mut self, value: &Expr) {
        let Expr::IntegerConstant(level, position) = value else {
            return self.wrong(
                "`api` must be a number that is written out",
                "write `api: 1`",
                value.start_position(),
            );
        };
        if *level == i64::from(API) {
            return;
        }
        let uplift = env!("CARGO_PKG_VERSION");
        let text = format!("this runbook is written for API level {level}; uplift {uplift} speaks {API}");
        let hint = if *level > i64::from(API) {
            format!(
                "run it with an uplift that speaks level {level}: the one that it came with, or a later one"
            )
        } else {
            format!("write `api: {API}`, and look at what `uplift runbook docs` says of the calls in it")
        };
        self.error(ScriptError::new("api_level", text).hint(hint), *position);
    }

    fn text(&mut self, value: &Expr, key: &str) {
        if !matches!(value, Expr::StringConstant(..)) {
            let text = format!("`{key}` must be a text that is written out");
            self.wrong(&text, "write it in `\"`, with nothing computed in it", value.start_position());
        }
    }

    fn word(&mut self, value: &Expr, key: &str, words: &[&str]) {
        match value {
            Expr::StringConstant(word, _) if words.contains(&word.as_str()) => {}
            Expr::StringConstant(word, position) => {
                self.wrong(&format!("`{key}` cannot be `{word}`"), &suggest(word, words), *position);
            }
            other => {
                let hint = format!("one of {}", listed(words));
                self.wrong(
                    &format!("`{key}` must be a word that is written out"),
                    &hint,
                    other.start_position(),
                );
            }
        }
    }

    fn renamed(&mut self, value: &Expr) {
        const EXAMPLE: &str = "e.g. `renamed: #{ \"switch\": \"switch web\" }`: the old name first";
        let Expr::Map(map, _) = value else {
            return self.wrong("`renamed` must be a map", EXAMPLE, value.start_position());
        };
        for (_, new) in &map.0 {
            if !matches!(new, Expr::StringConstant(..)) {
                self.wrong("`renamed` holds names of steps, which are texts", EXAMPLE, new.start_position());
            }
        }
    }

    fn params(&mut self, entries: Entries<'_>) -> BTreeMap<String, Place> {
        let mut found = BTreeMap::new();
        for (key, value) in entries {
            let name = key.name.as_str();
            let at =
                place(self.file, key.pos).unwrap_or(Place { file: self.file.to_owned(), line: 1, column: 1 });
            found.insert(name.to_owned(), at);
            if !is_name(name) {
                let hint = "use lower-case letters, digits and `_`, and none of the language's own words";
                self.wrong(&format!("`{name}` cannot be the name of a parameter"), hint, key.pos);
            }
            match value {
                Expr::Map(map, _) => self.param(name, &map.0, key.pos),
                other => {
                    let hint = format!("e.g. `{name}: #{{ type: \"text\", help: \"...\" }}`");
                    self.wrong(&format!("parameter `{name}` must be a map"), &hint, other.start_position());
                }
            }
        }
        found
    }

    fn param(&mut self, name: &str, entries: Entries<'_>, position: Position) {
        let before = self.errors.len();
        let mut kind = None;
        for (key, value) in entries {
            match key.name.as_str() {
                "type" => {
                    self.word(value, "type", &TYPES);
                    kind = Some(value);
                }
                "help" => self.text(value, "help"),
                "of" | "initial" => {
                    if let Err(computed) = literal(value) {
                        let text = format!(
                            "parameter `{name}`: `{}` must be written out, with nothing computed in it",
                            key.name
                        );
                        self.wrong(&text, SHOWN, computed);
                    }
                }
                other => {
                    self.wrong(
                        &format!("parameter `{name}` has no `{other}`"),
                        &suggest(other, &PARAM_KEYS),
                        key.pos,
                    );
                }
            }
        }
        if kind.is_none() {
            let hint = format!("add `type: \"text\"`, or another of {}", listed(&TYPES));
            self.wrong(&format!("parameter `{name}` lacks its `type`"), &hint, position);
        }
        if self.errors.len() == before {
            self.values(name, entries, position);
        }
    }

    /// What is written out, against each other: the words of a choice, the initial value.
    fn values(&mut self, name: &str, entries: Entries<'_>, position: Position) {
        let map = entries.iter().map(|(key, value)| Some((key.name.to_string(), literal(value).ok()?)));
        let Some(map) = map.collect::<Option<serde_json::Map<_, _>>>() else { return };
        let param: Param = match serde_json::from_value(Value::Object(map)) {
            Ok(param) => param,
            Err(error) => return self.wrong(&format!("parameter `{name}`: {error}"), SHOWN, position),
        };
        if param.kind == super::header::ParamType::Choice && param.of.is_empty() {
            let text = format!("parameter `{name}` is a choice of nothing");
            return self.wrong(&text, "list its words: `of: [\"a\", \"b\"]`", position);
        }
        let Some(initial) = &param.initial else { return };
        let text = initial.as_str().map_or_else(|| initial.to_string(), str::to_owned);
        let at = entries.iter().find(|(key, _)| key.name == "initial");
        let at = at.map_or(position, |(_, value)| value.start_position());
        if let Err(error) = param.read(name, &text) {
            let hint = error.hint.clone().unwrap_or_else(|| "give it a value of its type".to_owned());
            self.wrong(&error.message, &hint, at);
        }
    }

    /// What passed every check is read as a whole; what that finds, no check of ours has thought of.
    fn made(&mut self, value: &Expr, position: Position) -> Option<Header> {
        let made = literal(value).ok().map(serde_path_to_error::deserialize::<_, Header>);
        match made {
            Some(Ok(header)) => Some(header),
            Some(Err(error)) => {
                let text = format!("`RUNBOOK`: `{}`: {}", error.path(), error.inner());
                self.wrong(&text, SHOWN, position);
                None
            }
            None => None,
        }
    }
}

/// Words as a list to choose from.
fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    !RESERVED.contains(&name)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(plain)
}
