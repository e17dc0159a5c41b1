//! Whether a value is what a test expects, and how that is said where it is not.

use serde_json::Value;

use crate::{event::Failure, primitives::contract::schema::value_text};

/// Longer values stand below the place, a line each.
const SHORT: usize = 60;
/// Of a value that somebody has to read.
const MOST: usize = 2_000;

pub(super) fn same(value: &Value, wanted: &Value) -> Result<(), Failure> {
    if equal(value, wanted) {
        return Ok(());
    }
    let (is, was) = (shown(value), shown(wanted));
    if is.len() <= SHORT && was.len() <= SHORT {
        return Err(Failure::new("not_as_expected", format!("this is {is}, and {was} was expected")));
    }
    let evidence = [format!("is       {is}"), format!("expected {was}")];
    let failure = Failure::new("not_as_expected", "this is not what was expected").evidence(evidence);
    Err(match (value, wanted) {
        (Value::Array(items), Value::Array(others)) => failure.hint(first_other(items, others)),
        _ => failure,
    })
}

pub(super) fn holds(value: &Value, _: &Value) -> Result<(), Failure> {
    match value {
        Value::Bool(true) => Ok(()),
        Value::Bool(false) => Err(Failure::new("not_as_expected", "this does not hold")
            .hint("`expect(value, wanted)` and `expect_in(part, whole)` would show what it is instead")),
        other => {
            let text = format!("this is {}, neither true nor false", shown(other));
            Err(Failure::new("not_as_expected", text)
                .hint("write what it should be: `expect(value, wanted)`"))
        }
    }
}

pub(super) fn part(part: &Value, whole: &Value) -> Result<(), Failure> {
    let found = match (part, whole) {
        (Value::String(part), Value::String(whole)) => whole.contains(part.as_str()),
        (Value::String(key), Value::Object(map)) => map.contains_key(key),
        (part, Value::Array(items)) => items.iter().any(|item| equal(item, part)),
        (_, whole) => {
            let text = format!("nothing can be in {}", shown(whole));
            return Err(Failure::new("not_as_expected", text)
                .hint("first what is looked for, then where: `expect_in(\"1.1.0\", site.file(\".env\"))`"));
        }
    };
    if found {
        return Ok(());
    }
    let (part, within) = (shown(part), shown(whole));
    let text = format!("{part} is not in this");
    let failure = Failure::new("not_as_expected", text);
    Err(match whole {
        Value::Array(items) if !items.is_empty() => failure.evidence(items.iter().map(shown)),
        Value::String(text) if text.contains('\n') => failure.evidence(cut(text).lines().map(str::to_owned)),
        _ => failure.evidence([within]),
    })
}

/// Whole numbers and others are compared as numbers.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(ones), Value::Array(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| equal(one, other))
        }
        (Value::Object(ones), Value::Object(others)) => {
            ones.len() == others.len()
                && ones.iter().all(|(key, one)| others.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => one == other,
    }
}

fn first_other(items: &[Value], wanted: &[Value]) -> String {
    let mut pairs = items.iter().zip(wanted).enumerate();
    if let Some((at, (is, was))) = pairs.find(|(_, (one, other))| !equal(one, other)) {
        return format!("they differ first at [{at}]: {} where {} was expected", shown(is), shown(was));
    }
    let (at, lacks) = (items.len().min(wanted.len()), items.len() < wanted.len());
    let other = if lacks { wanted.get(at) } else { items.get(at) };
    let what = if lacks { "is missing" } else { "is too many" };
    format!("all before are the same, and [{at}] {what}: {}", other.map(shown).unwrap_or_default())
}

fn shown(value: &Value) -> String {
    cut(&value_text(value))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_whole_and_numbers_as_numbers() {
        for (one, other, same) in [
            (json!(6), json!(6.0), true),
            (json!([1, { "a": 2 }]), json!([1.0, { "a": 2 }]), true),
            (json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), false),
            (json!("6"), json!(6), false),
            (json!(null), json!(false), false),
        ] {
            assert_eq!(super::same(&one, &other).is_ok(), same, "{one} {other}");
        }
    }

    #[test]
    fn both_values_are_told() {
        let failure = same(&json!("done"), &json!("taken_back")).unwrap_err();
        assert_eq!(failure.message, "this is \"done\", and \"taken_back\" was expected");
        let long = "x".repeat(90);
        let failure = same(&json!([long, 1]), &json!([long, 2])).unwrap_err();
        assert_eq!(failure.hint.unwrap(), "they differ first at [1]: 1 where 2 was expected");
        assert!(failure.evidence[0].starts_with("is       [\"xxx"), "{:?}", failure.evidence);
        let failure = same(&json!([long]), &json!([long, 2])).unwrap_err();
        assert_eq!(failure.hint.unwrap(), "all before are the same, and [1] is missing: 2");
        assert!(holds(&json!(1), &Value::Null).is_err() && holds(&json!(true), &Value::Null).is_ok());
    }

    #[test]
    fn a_part_is_looked_for_in_texts_lists_and_maps() {
        for (one, whole, found) in [
            (json!("b"), json!("abc"), true),
            (json!("d"), json!("abc"), false),
            (json!({ "a": 1 }), json!([{ "a": 1.0 }]), true),
            (json!("a"), json!({ "a": 1 }), true),
            (json!("1"), json!({ "a": 1 }), false),
            (json!(1), json!(1), false),
        ] {
            assert_eq!(part(&one, &whole).is_ok(), found, "{one} {whole}");
        }
    }
}
