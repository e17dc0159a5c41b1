//! What a schema says, in the words of somebody who writes runbooks.

use serde_json::{Value, json};

/// How deep a schema is looked into; ours are far flatter, an embedder's may contain itself.
const DEEPEST: usize = 8;

/// The schema that a reference leads to, or the schema itself. `root` holds the definitions.
#[must_use]
pub fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let Some(name) = schema.get("$ref").and_then(Value::as_str) else { break };
        let name = name.rsplit('/').next().unwrap_or_default();
        match root.get("$defs").and_then(|definitions| definitions.get(name)) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

/// What a value of this schema is: `text`, `list of text`, `duration`, `` `auto` or `never` ``.
#[must_use]
pub fn words(root: &Value, schema: &Value) -> String {
    described(root, schema, DEEPEST)
}

fn described(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = resolved(root, schema);
    let choices = choices(root, schema);
    if !choices.is_empty() {
        let choices: Vec<_> = choices.iter().map(|word| format!("`{word}`")).collect();
        return match choices.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
    }
    let some: Vec<_> = something(schema).filter(|_| depth > 0).collect();
    if !some.is_empty() {
        let words: Vec<_> = some.into_iter().map(|one| described(root, one, depth - 1)).collect();
        return words.join(" or ");
    }
    let below = |key: &str| schema.get(key).filter(|_| depth > 0);
    match (kind(schema), schema.get("format").and_then(Value::as_str)) {
        ("string", Some("duration")) => "duration".to_owned(),
        ("string", Some("size")) => "size".to_owned(),
        ("string", _) => "text".to_owned(),
        ("boolean", _) => "`true` or `false`".to_owned(),
        ("integer", _) if schema.get("minimum").is_some() => "whole number, 0 or more".to_owned(),
        ("integer", _) => "whole number".to_owned(),
        ("number", _) => "number".to_owned(),
        ("array", _) => match below("items") {
            Some(items) => format!("list of {}", plural(&described(root, items, depth - 1))),
            None => "list".to_owned(),
        },
        ("object", _) => match below("additionalProperties").filter(|more| more.is_object()) {
            Some(each) => format!("map of {}", plural(&described(root, each, depth - 1))),
            None => "map".to_owned(),
        },
        ("null", _) => "nothing".to_owned(),
        _ => "anything".to_owned(),
    }
}

fn plural(words: &str) -> String {
    match words {
        "map" | "list" | "duration" | "size" => format!("{words}s"),
        _ if words.starts_with("list of") => words.replacen("list", "lists", 1),
        _ if words.starts_with("map of") => words.replacen("map", "maps", 1),
        _ => words.to_owned(),
    }
}

/// The words that a choice allows; none if it is no choice.
#[must_use]
pub fn choices(root: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(root, schema);
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return vec![word.to_owned()];
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let words: Vec<Vec<String>> = something(schema).map(|branch| choices(root, branch)).collect();
    if words.iter().any(Vec::is_empty) { Vec::new() } else { words.concat() }
}

/// A value that this schema allows, to stand where the real one is not known yet.
#[must_use]
pub fn sample(root: &Value, schema: &Value) -> Value {
    sampled(root, schema, DEEPEST)
}

fn sampled(root: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(root, schema);
    if let Some(word) = choices(root, schema).first() {
        return json!(word);
    }
    if let Some(some) = something(schema).next().filter(|_| depth > 0) {
        return sampled(root, some, depth - 1);
    }
    if let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)) {
        return example.clone();
    }
    match kind(schema) {
        "string" => json!("x"),
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(0)),
        "array" => json!([]),
        "object" => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let names = required.filter_map(Value::as_str).filter(|_| depth > 0);
            names
                .map(|name| (name.to_owned(), sampled(root, &schema["properties"][name], depth - 1)))
                .collect()
        }
        _ => Value::Null,
    }
}

/// A call as it is written in a runbook.
#[must_use]
pub fn call_text(name: &str, options: &Value) -> String {
    match options.as_object() {
        Some(map) if !map.is_empty() => format!("{name}({})", value_text(options)),
        _ => format!("{name}()"),
    }
}

/// A value as it is written in a runbook.
#[must_use]
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "()".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "#{}".to_owned(),
        Value::Object(map) => {
            let is_name =
                |key: &str| key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            let items = map.iter().map(|(key, value)| {
                let key = if is_name(key) { key.clone() } else { format!("{key:?}") };
                format!("{key}: {}", value_text(value))
            });
            format!("#{{ {} }}", items.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// What a value may be, where that is a choice; nothing is none of it.
fn something(schema: &Value) -> impl Iterator<Item = &Value> {
    let branches = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    branches.into_iter().flatten().filter(|branch| kind(branch) != "null")
}

/// The type of a schema; of one that also allows nothing, the other.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a primitive takes, its words and a value in its place can be told.
    #[test]
    fn every_option_has_words_and_a_sample() {
        for verb in crate::primitives::contract::Catalogue::stock().iter() {
            let root = verb.options.as_value();
            let mut all = serde_json::Map::new();
            for (name, schema) in root["properties"].as_object().into_iter().flatten() {
                // The body of a request may be anything at all.
                let open = schema.get("type").is_none() && choices(root, schema).is_empty();
                assert!(words(root, schema) != "anything" || open, "{} {name}", verb.name);
                all.insert(name.clone(), sample(root, schema));
            }
            assert!(verb.parse(Value::Object(all.clone())).is_ok(), "{} {all:?}", verb.name);
        }
    }
}
