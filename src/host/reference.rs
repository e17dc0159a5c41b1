//! What a runbook can call, as a page and as data: all of it is read from the primitives themselves.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{door::HostBuilder, error::HostError};
use crate::{
    event::{Failure, suggest},
    primitives::contract::{
        Kind, Verb,
        schema::{call_text, resolved, value_text, words},
    },
};

/// One primitive, as somebody who writes runbooks sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    pub name: &'static str,
    pub kind: Kind,
    /// The first paragraph says what it does.
    pub what: Vec<String>,
    pub options: Vec<Field>,
    /// What the script gets.
    pub gives: Vec<Field>,
    /// One call.
    pub example: String,
    /// What becomes of it when a run is taken back; reads have nothing to take back.
    pub undo: Option<String>,
    /// Codes of the refusals and failures that are its own.
    pub fails: Vec<&'static str>,
    /// Schema of the options.
    pub options_schema: Value,
    /// Schema of what the script gets.
    pub gives_schema: Value,
}

/// An option, or a part of what the script gets.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    pub name: String,
    /// In words: `duration`, `list of text`, `` `auto` or `never` ``.
    pub kind: String,
    pub needed: bool,
    /// Its value if none is given, as it is written in a runbook.
    pub initial: Option<String>,
    pub what: String,
}

impl HostBuilder {
    /// What a runbook can call: what only looks first, each kind in the order of the catalogue. With `name` that one.
    pub fn reference(&self, name: Option<&str>) -> Result<Vec<Described>, HostError> {
        let mut all: Vec<_> = self.offered().iter().map(described).collect();
        all.sort_by_key(|one| one.kind == Kind::Effect);
        let Some(name) = name else { return Ok(all) };
        let known: Vec<_> = all.iter().map(|one| one.name).collect();
        if let Some(found) = all.iter().find(|one| one.name == name) {
            return Ok(vec![found.clone()]);
        }
        let text = format!("runbooks have no `{name}`");
        Err(HostError::Invalid(Failure::new("no_such_primitive", text).hint(suggest(name, &known))))
    }

    /// The whole reference in Markdown.
    #[must_use]
    pub fn reference_page(&self) -> String {
        let all = self.reference(None).unwrap_or_default();
        let mut page = PREFACE.to_owned();
        for (kind, heading) in
            [(Kind::Read, "## What only looks"), (Kind::Effect, "## What changes something")]
        {
            page.extend(["\n", heading, "\n\n"]);
            for one in all.iter().filter(|one| one.kind == kind) {
                let first = one.what.first().map_or("", String::as_str);
                let _ = writeln!(page, "- [`{}`](#{}): {}", one.name, one.name, lowered(first));
            }
            for one in all.iter().filter(|one| one.kind == kind) {
                page.push_str(&one.section());
            }
        }
        page
    }
}

const PREFACE: &str = "# What a runbook can call

Generated from the code: `uplift runbook docs` prints this for your version of uplift, `uplift runbook docs NAME` one of them.
[`runbooks.md`](runbooks.md) says how a runbook is written.

Each takes one map of options, `#{ name: value }`, or nothing: `check_host()`. An option that is not needed may be left out.
A *duration* is a text such as `\"10s\"`, `\"5m\"` or `\"1h 30m\"`; a *size* is one such as `\"512MiB\"` or `\"5GiB\"`. Sizes that a
call gives are texts too, and what is called bytes is a number of bytes.

What only looks may be called anywhere but inside `together`. What changes something stands inside a `step`, is written down
before it begins, and can be taken back: *undo* says how. Whatever fails can be caught; `e.code` is one of
[`reasons.md`](reasons.md). *Fails with* lists the codes that are a call's own; what it asks (the engine, the server, the disk)
may give others.
";

impl Described {
    fn section(&self) -> String {
        let mut text = format!("\n### `{}`\n\n{}\n", self.name, self.what.join("\n\n"));
        let _ = writeln!(text, "\n```rhai\n{}\n```", self.example);
        if self.options.is_empty() {
            text.push_str("\nIt takes no options.\n");
        } else {
            text.push_str("\n| option | type | if left out | what |\n|---|---|---|---|\n");
            for option in &self.options {
                let initial = option.initial.as_ref().map(|initial| format!("`{initial}`"));
                let initial = initial
                    .unwrap_or_else(|| if option.needed { "needed".to_owned() } else { String::new() });
                let Field { name, kind, what, .. } = option;
                let _ = writeln!(text, "| `{name}` | {kind} | {initial} | {what} |");
            }
        }
        text.push_str("\n| it gives | type | what |\n|---|---|---|\n");
        for Field { name, kind, what, .. } in &self.gives {
            let _ = writeln!(text, "| `{name}` | {kind} | {what} |");
        }
        if let Some(undo) = &self.undo {
            let _ = writeln!(text, "\n*Undo:* {undo}");
        }
        if !self.fails.is_empty() {
            let codes: Vec<_> = self.fails.iter().map(|code| format!("`{code}`")).collect();
            let _ = writeln!(text, "\n*Fails with:* {}.", codes.join(", "));
        }
        text
    }
}

fn described(verb: &Verb) -> Described {
    let options = verb.options.as_value();
    let text = options.get("description").and_then(Value::as_str).unwrap_or_default();
    let paragraphs: Vec<_> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    let undo = paragraphs.iter().find_map(|paragraph| paragraph.strip_prefix("Undo: ")).map(str::to_owned);
    let open = options.get("additionalProperties").filter(|more| more.is_object());
    let (mut fields, given) = (fields(options), fields(verb.outcome.as_value()));
    fields.extend(open.map(|each| Field {
        name: ANY_NAME.to_owned(),
        kind: words(options, each),
        needed: false,
        initial: None,
        what: "any number of them, by names of your own".to_owned(),
    }));
    // What must be given comes first.
    fields.sort_by_key(|field| !field.needed);
    Described {
        name: verb.name,
        kind: verb.kind,
        what: paragraphs.into_iter().filter(|paragraph| !paragraph.starts_with("Undo: ")).collect(),
        example: example(verb, &fields),
        options: fields,
        // What an older uplift did not write has a value of its own there, which is nobody's business here.
        gives: given.into_iter().map(|field| gives(field, verb.estimated)).collect(),
        undo,
        fails: failures(verb.name),
        options_schema: options.clone(),
        gives_schema: verb.outcome.as_value().clone(),
    }
}

fn gives(field: Field, estimated: &[&str]) -> Field {
    let later = if estimated.contains(&field.name.as_str()) { " A plan does not know it." } else { "" };
    Field { initial: None, what: format!("{}{later}", field.what), ..field }
}

/// Made from the code of the stock primitives; a test holds it to that.
const FAILURES: &str = include_str!("failures.txt");

fn failures(name: &str) -> Vec<&'static str> {
    let line = FAILURES.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.map(|codes| codes.split(", ").collect()).unwrap_or_default()
}

/// One call, with what must be given first; what would be so anyway is left out.
fn example(verb: &Verb, options: &[Field]) -> String {
    let given = |name: &str| verb.example.get(name).filter(|value| !value.is_null());
    let said = options.iter().filter_map(|field| Some((field, value_text(given(&field.name)?))));
    let said = said.filter(|(field, value)| field.initial.as_ref() != Some(value));
    let said: Vec<_> = said.map(|(field, value)| format!("{}: {value}", field.name)).collect();
    match (said.is_empty(), options.iter().any(|field| field.name == ANY_NAME)) {
        (_, true) => format!("{};", call_text(verb.name, &verb.example)),
        (true, _) => format!("{}();", verb.name),
        _ => format!("{}(#{{ {} }});", verb.name, said.join(", ")),
    }
}

/// What stands in the place of names that are the caller's own.
const ANY_NAME: &str = "NAME";

fn fields(root: &Value) -> Vec<Field> {
    let required: Vec<_> =
        root["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = root["properties"].as_object().into_iter().flatten();
    let field = |(name, schema): (&String, &Value)| {
        let own = schema.get("description").or_else(|| resolved(root, schema).get("description"));
        let what = own.and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        let initial = schema.get("default").filter(|initial| !initial.is_null());
        // The column beside it says that already.
        let what = match what.find(" Initially `").filter(|_| initial.is_some()) {
            Some(at) => what[..at].to_owned(),
            None => what,
        };
        let parts = parts(root, schema);
        let what = if parts.is_empty() { what } else { format!("{} {parts}", what.trim()) };
        Field {
            name: name.clone(),
            kind: words(root, schema),
            needed: required.contains(&name.as_str()),
            initial: initial.map(value_text),
            what: what.trim().to_owned(),
        }
    };
    properties.map(field).collect()
}

/// What stands in a map, or in each map of a list.
fn parts(root: &Value, schema: &Value) -> String {
    let schema = resolved(root, schema);
    let (each, said) = match schema.get("items") {
        Some(items) => (resolved(root, items), "Each has"),
        None => (schema, "It has"),
    };
    let names = each["properties"].as_object().into_iter().flatten();
    let names: Vec<_> = names.map(|(name, part)| format!("`{name}` ({})", words(root, part))).collect();
    if names.is_empty() { String::new() } else { format!("{said} {}.", names.join(", ")) }
}

fn lowered(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}
