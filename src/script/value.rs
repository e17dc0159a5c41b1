//! Values cross between scripts and JSON here and nowhere else.
//!
//! Rhai's own serde bridge turns functions, ranges and custom types into text without a word, and what a journal
//! holds must read back as what was written. So only what JSON can hold may pass.

use rhai::{Array, Dynamic, FLOAT, INT, Map};
use serde_json::{Number, Value};

/// A script's value as JSON; the error names the place inside it and says what cannot pass.
pub(super) fn to_json(value: &Dynamic) -> Result<Value, String> {
    convert(value, &mut Vec::new()).map_err(|(place, what)| {
        if place.is_empty() { what } else { format!("`{}`: {what}", place.join(".")) }
    })
}

fn convert(value: &Dynamic, place: &mut Vec<String>) -> Result<Value, (Vec<String>, String)> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Value::Number(number.into()));
    }
    if let Ok(number) = value.as_float() {
        let number = Number::from_f64(number).ok_or((place.clone(), format!("{number} is no number")))?;
        return Ok(Value::Number(number));
    }
    if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
        return Ok(Value::String(text.to_string()));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Value::String(letter.to_string()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        let mut array = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            place.push(at.to_string());
            array.push(convert(item, place)?);
            place.pop();
        }
        return Ok(Value::Array(array));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let mut object = serde_json::Map::new();
        for (key, item) in map.iter() {
            place.push(key.to_string());
            object.insert(key.to_string(), convert(item, place)?);
            place.pop();
        }
        return Ok(Value::Object(object));
    }
    Err((place.clone(), format!("{} cannot be passed on", kind(value))))
}

/// JSON as a script's value. Whole numbers beyond 64 bits become floats, as JSON itself allows.
pub(super) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Dynamic::from_int(whole as INT),
            None => Dynamic::from_float(number.as_f64().unwrap_or_default() as FLOAT),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(from_json).collect()),
        Value::Object(map) => {
            Dynamic::from_map(map.iter().map(|(key, item)| (key.as_str().into(), from_json(item))).collect())
        }
    }
}

/// What a value is, in the words of someone who writes scripts.
pub(super) fn kind(value: &Dynamic) -> &'static str {
    if value.is_fnptr() {
        return "a function";
    }
    match value.type_name() {
        "()" => "nothing, `()`,",
        "bool" => "true or false",
        "i64" => "a whole number",
        "f64" => "a number",
        "char" => "a character",
        "string" => "text",
        "array" => "a list",
        "map" => "a map",
        "blob" => "a block of bytes",
        name if name.starts_with("range") || name.contains("Range") => "a range",
        _ => "a value of this kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_holds_comes_back_as_it_was() {
        let text = r#"{"a":[1,2.5,null,true,"x"],"b":{"c":-9007199254740993}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(to_json(&from_json(&value)).unwrap().to_string(), text);
    }

    #[test]
    fn what_json_cannot_hold_is_refused_with_its_place() {
        let engine = rhai::Engine::new();
        for (script, said) in [
            ("#{ a: [1, 0.0/0.0] }", "`a.1`: NaN is no number"),
            ("#{ f: || 1 }", "`f`: a function cannot be passed on"),
            ("1..3", "a range cannot be passed on"),
        ] {
            let value: Dynamic = engine.eval(script).unwrap();
            assert_eq!(to_json(&value).unwrap_err(), said, "{script}");
        }
    }
}
