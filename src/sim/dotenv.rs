//! `.env` files, as far as a simulation needs them. On a real site compose itself is asked.

use std::collections::BTreeMap;

/// Variables of an env file: `KEY=value`, quotes taken off, comments and `export` understood.
pub(super) fn parse(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes);
    let known = text.lines().filter_map(assigned).filter(|(key, _)| is_key(key));
    known.map(|(key, value)| (key.to_owned(), unquoted(value).to_owned())).collect()
}

/// What [`parse`] has for one variable.
pub(super) fn value(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let last = text.lines().rev().filter_map(assigned).find(|(key, _)| *key == name);
    last.map(|(_, value)| unquoted(value).to_owned())
}

/// A line's key and the rest of it, without blanks around them.
fn assigned(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Whether a word can be a variable's name.
pub(super) fn is_key(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside;
        }
    }
    // Without quotes a comment begins at a `#` that follows a blank.
    value.split_once(" #").map_or(value, |(before, _)| before).trim_end()
}

/// `text` with every `${NAME}` and `${NAME:-default}` filled in.
pub(super) fn fill(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let Some((inside, tail)) = after.split_once('}') else {
            filled.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        let value = variables.get(name).filter(|value| !value.is_empty());
        filled.push_str(value.map_or(default, String::as_str));
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_defaults_are_understood() {
        let variables = parse(b"# note\nA=1 # one\nexport B='x # y'\nC=\"z\"\nnothing\nD=\n");
        let shown: Vec<_> = variables.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(shown, ["A=1", "B=x # y", "C=z", "D="]);
        assert_eq!(value(b"A=1\nA='2'\nB=3", "A").as_deref(), Some("2"));
        assert_eq!(fill("r:${A:-9}-${D:-d}-${E:-e}", &variables), "r:1-d-e");
    }
}
