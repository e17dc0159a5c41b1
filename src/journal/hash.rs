use serde_json::Value;

/// BLAKE3 of a call's options as 64 hex digits: equal for equal options, however their keys were ordered.
#[must_use]
pub fn input_hash(input: &Value) -> String {
    let mut text = String::new();
    canonical(input, &mut text);
    bytes_hash(text.as_bytes())
}

/// BLAKE3 as 64 hex digits.
#[must_use]
pub fn bytes_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            text.push('{');
            for key in keys {
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                canonical(&map[key.as_str()], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        leaf => text.push_str(&leaf.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_count_and_everything_else_does() {
        let hash = input_hash(&json!({"b": [1, {"x": null, "a": "t"}], "a": true}));
        assert_eq!(hash, input_hash(&json!({"a": true, "b": [1, {"a": "t", "x": null}]})));
        for other in [
            json!({"a": true}),
            json!({"a": true, "b": [{"a": "t", "x": null}, 1]}),
            json!({"a": "true", "b": [1, {"a": "t", "x": null}]}),
        ] {
            assert_ne!(hash, input_hash(&other), "{other}");
        }
    }

    /// Resume compares against hashes in journals of years ago: the text that is hashed may never change.
    #[test]
    fn the_hash_is_for_ever() {
        assert_eq!(
            input_hash(&json!({"tag": "1.2.3", "retries": 3, "services": ["web"]})),
            "c45997ec5a7f8b46ed93a696fc3c84cdbcb7854e30692c98a911770822db2570"
        );
    }
}
