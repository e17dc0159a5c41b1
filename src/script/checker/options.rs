//! Options that are written out: understood as the primitive itself would understand them.

use rhai::{Expr, Position};
use serde_json::{Map, Value, json};

use super::Check;
use crate::{
    event::Failure,
    primitives::contract::{
        Size, Span, Verb,
        schema::{choices, resolved, sample, words},
        suggest,
    },
    script::error::ScriptError,
};

/// The names that a map of this schema may have, where they are given; also where it may be left out.
fn keys_of<'a>(root: &'a Value, schema: &'a Value) -> Option<Vec<&'a str>> {
    let either = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let map = [schema].into_iter().chain(either).map(|one| resolved(root, one));
    let map = map.into_iter().find(|one| one.get("properties").is_some())?;
    let open = map.get("additionalProperties").is_none_or(|more| *more != json!(false));
    let names = map.get("properties").and_then(Value::as_object)?;
    (!open).then(|| names.keys().map(String::as_str).collect())
}

/// The value of what is written out in full; otherwise where it stops being so.
pub(in crate::script) fn literal(expr: &Expr) -> Result<Value, Position> {
    Ok(match expr {
        Expr::BoolConstant(flag, _) => json!(flag),
        Expr::IntegerConstant(number, _) => json!(number),
        Expr::FloatConstant(number, _) => json!(**number),
        Expr::StringConstant(text, _) => json!(text.as_str()),
        Expr::CharConstant(letter, _) => json!(letter.to_string()),
        Expr::Unit(_) => Value::Null,
        Expr::Array(items, _) => Value::Array(items.iter().map(literal).collect::<Result<_, _>>()?),
        Expr::Map(map, _) => {
            let items = map.0.iter().map(|(key, value)| Ok((key.name.to_string(), literal(value)?)));
            Value::Object(items.collect::<Result<_, Position>>()?)
        }
        other => return Err(other.start_position()),
    })
}

/// What something that is written out is, in the words of somebody who writes scripts; `None` of what is computed.
pub(super) fn of_literal(expr: &Expr) -> Option<&'static str> {
    Some(match expr {
        Expr::BoolConstant(..) => "`true` or `false`",
        Expr::IntegerConstant(..) | Expr::FloatConstant(..) => "a number",
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => "text",
        Expr::CharConstant(..) => "a character: texts stand in `\"`",
        Expr::Unit(_) => "nothing, `()`",
        Expr::Array(..) => "a list",
        Expr::Map(..) => "a map",
        _ => return None,
    })
}

impl Check<'_> {
    /// Names, what is missing, and each value that is written out. What is computed is not judged.
    pub(super) fn options(&mut self, verb: &Verb, given: Option<&Expr>, position: Position) {
        let root = verb.options.as_value();
        let written = match given {
            None => &[][..],
            Some(Expr::Map(map, _)) => &map.0[..],
            Some(_) => return,
        };
        let properties = root.get("properties").and_then(Value::as_object);
        let known = verb.option_names();
        let open = root.get("additionalProperties").filter(|more| **more != json!(false));
        for (key, value) in written {
            let name = key.name.as_str();
            let schema = properties.and_then(|all| all.get(name)).or(open);
            if let Some(schema) = schema {
                self.option(verb, name, schema, value);
                continue;
            }
            let text = format!("`{}` has no option `{name}`", verb.name);
            let error = ScriptError::new("bad_option", text).hint(suggest(name, &known));
            self.error(error, key.pos);
        }
        let required = root.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !written.iter().any(|(key, _)| key.name == name) && !accepted(verb, name, None) {
                let schema = &root["properties"][name];
                if !accepted(verb, name, Some(&sample(root, schema))) {
                    continue;
                }
                let text = format!("`{}` needs the option `{name}`", verb.name);
                let error = ScriptError::new("missing_option", text);
                self.error(error.hint(format!("add `{name}: ...`: {}", wanted(root, schema))), position);
            }
        }
    }

    fn option(&mut self, verb: &Verb, name: &str, schema: &Value, value: &Expr) {
        let root = verb.options.as_value();
        if let (Expr::Array(items, _), true) = (value, sample(root, schema).is_array()) {
            return items.iter().for_each(|item| self.item(verb, name, schema, item));
        }
        let Ok(given) = literal(value) else { return self.computed(verb, name, schema, value) };
        if accepted(verb, name, Some(&given)) || !accepted(verb, name, Some(&sample(root, schema))) {
            return;
        }
        let kind = |value: &Value| std::mem::discriminant(value);
        // Of numbers it says what Rust calls them.
        let plain =
            choices(root, schema).is_empty() && format_of(root, schema).is_none() && !given.is_number();
        // Of the right kind: what is wrong with it the primitive knows best.
        let own = refusal(verb, name, Some(&given));
        let own = own.filter(|_| plain && kind(&given) == kind(&sample(root, schema)));
        let (text, hint) = own.map_or_else(
            || {
                let (text, hint) = wrong(root, schema, &given, value);
                (format!("`{}`: option `{name}` {text}", verb.name), hint)
            },
            |failure| (failure.message, wanted(root, schema)),
        );
        let error = ScriptError::new("bad_option", text).hint(hint);
        self.error(error, value.start_position());
    }

    /// One of a list: the others may be computed.
    fn item(&mut self, verb: &Verb, name: &str, schema: &Value, item: &Expr) {
        let root = verb.options.as_value();
        let Ok(given) = literal(item) else { return };
        if accepted(verb, name, Some(&json!([given]))) || !accepted(verb, name, Some(&sample(root, schema))) {
            return;
        }
        let text =
            format!("`{}`: the list `{name}` cannot hold {}", verb.name, of_literal(item).unwrap_or("this"));
        self.error(ScriptError::new("bad_option", text).hint(wanted(root, schema)), item.start_position());
    }

    /// Of what is computed the kind may be certain: of a text with values in it, of a list.
    fn computed(&mut self, verb: &Verb, name: &str, schema: &Value, value: &Expr) {
        let root = verb.options.as_value();
        if let Expr::Map(map, _) = value {
            self.keys(verb, (name, schema), map.0.iter().map(|(key, _)| (key.name.as_str(), key.pos)));
        }
        let stands_for = match value {
            Expr::Array(..) => json!([]),
            Expr::Map(..) => json!({}),
            Expr::InterpolatedString(..) if is_plain_text(root, schema) => return,
            Expr::InterpolatedString(..) => json!("x"),
            _ => return,
        };
        let kind = |value: &Value| std::mem::discriminant(value);
        let fits =
            kind(&sample(root, schema)) == kind(&stands_for) || accepted(verb, name, Some(&stands_for));
        if !fits && accepted(verb, name, Some(&sample(root, schema))) {
            let what = of_literal(value).unwrap_or("this");
            let text = format!("`{}`: option `{name}` cannot be {what}", verb.name);
            let error = ScriptError::new("bad_option", text).hint(wanted(root, schema));
            self.error(error, value.start_position());
        }
    }

    /// Of a map that is computed in part its keys are certain.
    fn keys<'k>(
        &mut self,
        verb: &Verb,
        (name, schema): (&str, &Value),
        keys: impl Iterator<Item = (&'k str, Position)>,
    ) {
        let Some(known) = keys_of(verb.options.as_value(), schema) else { return };
        for (key, position) in keys.filter(|(key, _)| !known.contains(key)) {
            let text = format!("`{}`: option `{name}` has no `{key}`", verb.name);
            self.error(ScriptError::new("bad_option", text).hint(suggest(key, &known)), position);
        }
    }

    /// The map behind `with`.
    pub(super) fn with(&mut self, with: &Expr) {
        const EXAMPLE: &str = "e.g. `with #{ timeout: \"5m\", retries: 2 }`";
        let Expr::Map(map, _) = with else {
            if let Some(kind) = of_literal(with) {
                let error = ScriptError::new("bad_option", format!("`with` takes a map, not {kind}"));
                self.error(error.hint(EXAMPLE), with.start_position());
            }
            return;
        };
        for (key, value) in &map.0 {
            let given = literal(value);
            let wrong = match (key.name.as_str(), given) {
                ("timeout", Ok(Value::String(text))) => text.parse::<Span>().err(),
                ("timeout", Ok(_)) => Some("`timeout` takes a duration in `\"`".to_owned()),
                ("retries", Ok(Value::Number(number)))
                    if number.as_u64().is_some_and(|n| n <= u32::MAX.into()) =>
                {
                    None
                }
                ("retries", Ok(_)) => Some("`retries` takes a whole number, 0 or more".to_owned()),
                ("timeout" | "retries", Err(_)) => None,
                (name, _) => {
                    let error = ScriptError::new("bad_option", format!("`with` has no option `{name}`"));
                    self.error(error.hint(suggest(name, &["timeout", "retries"])), key.pos);
                    continue;
                }
            };
            if let Some(wrong) = wrong {
                self.error(
                    ScriptError::new("bad_option", format!("`with`: {wrong}")).hint(EXAMPLE),
                    value.start_position(),
                );
            }
        }
    }
}

/// Whether the primitive understands this value of one option, all others being as they should be; `None` leaves it out.
fn accepted(verb: &Verb, name: &str, value: Option<&Value>) -> bool {
    refusal(verb, name, value).is_none()
}

/// Why it does not.
fn refusal(verb: &Verb, name: &str, value: Option<&Value>) -> Option<Failure> {
    let root = verb.options.as_value();
    let required = root.get("required").and_then(Value::as_array).into_iter().flatten();
    let others = required.filter_map(Value::as_str).filter(|other| *other != name);
    let mut options: Map<_, _> =
        others.map(|other| (other.to_owned(), sample(root, &root["properties"][other]))).collect();
    if let Some(value) = value {
        options.insert(name.to_owned(), value.clone());
    }
    verb.parse(Value::Object(options)).err()
}

fn is_plain_text(root: &Value, schema: &Value) -> bool {
    matches!(words(root, schema).as_str(), "text" | "duration" | "size") || !choices(root, schema).is_empty()
}

/// What is wrong with a value, and what to write instead.
fn wrong(root: &Value, schema: &Value, given: &Value, written: &Expr) -> (String, String) {
    let words_allowed = choices(root, schema);
    let want = wanted(root, schema);
    match given {
        Value::String(text) if !words_allowed.is_empty() => {
            let known: Vec<_> = words_allowed.iter().map(String::as_str).collect();
            (format!("cannot be `{text}`"), suggest(text, &known))
        }
        Value::String(text) => match format_of(root, schema) {
            Some("duration") => (format!("cannot be `{text}`: that is no duration"), want),
            Some("size") if text.parse::<Size>().is_err() => {
                (format!("cannot be `{text}`: that is no size"), want)
            }
            _ => ("cannot be text".to_owned(), want),
        },
        Value::Number(number) => (format!("cannot be `{number}`"), want),
        _ => (format!("cannot be {}", of_literal(written).unwrap_or("this")), want),
    }
}

fn format_of<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a str> {
    match words(root, schema).as_str() {
        "duration" => Some("duration"),
        "size" => Some("size"),
        _ => None,
    }
}

/// What an option takes, as a hint.
fn wanted(root: &Value, schema: &Value) -> String {
    let words = words(root, schema);
    let own = schema.get("description").or_else(|| resolved(root, schema).get("description"));
    let first = own.and_then(Value::as_str).unwrap_or_default();
    let first = sentence(first);
    let example = match words.as_str() {
        _ if first.contains("e.g.") => "",
        "duration" => ", e.g. `\"10s\"`, `\"5m\"`, `\"1h 30m\"`",
        "size" => ", e.g. `\"512MiB\"`, `\"5GiB\"`",
        "text" => " in `\"`",
        "list of text" => ", e.g. `[site::web]`",
        _ => "",
    };
    let what = if first.is_empty() { String::new() } else { format!(": {}", lower(&first)) };
    format!("it takes {}{example}{what}", article(&words))
}

/// The first sentence of a description, without its full stop.
fn sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let end = text.match_indices(". ").find(|(at, _)| !text[..*at].ends_with("e.g")).map(|(at, _)| at);
    text[..end.unwrap_or(text.len())].trim_end_matches('.').to_owned()
}

fn article(words: &str) -> String {
    match words.split(' ').next().unwrap_or_default() {
        "text" | "nothing" | "anything" => words.to_owned(),
        first if first.starts_with('`') => words.to_owned(),
        _ => format!("a {words}"),
    }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}
