//! Editing one assignment of an env file and keeping every other byte: comments, order, spacing, quotes, line ends.
//!
//! The rules are compose's (its dotenv): `export` may stand in front, spaces around `=` are allowed, single quotes
//! keep everything, double quotes know escapes, a value may go over several lines inside quotes, the last assignment
//! of a name wins, ` #` begins a comment after an unquoted value.

use std::{collections::BTreeMap, ops::Range};

/// Where the value of the last assignment of `name` stands, quotes included, comment excluded.
pub(crate) fn value_range(text: &str, name: &str) -> Option<Range<usize>> {
    assignments(text).into_iter().rfind(|(key, _)| *key == name).map(|(_, range)| range)
}

/// All values by name, as a container gets them where nothing else has to be filled in.
pub(crate) fn values(text: &str) -> BTreeMap<String, String> {
    let all = assignments(text).into_iter();
    all.map(|(key, range)| (key.to_owned(), unquoted(&text[range]))).collect()
}

/// Every assignment with the place of its value, in the order of the text.
fn assignments(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        let line = &text[at..line_end];
        let mut next = line_end + 1;
        if let Some((key, offset)) = assignment(line) {
            let start = at + offset;
            let end = value_end(text, start);
            found.push((key, start..end));
            if end > line_end {
                // A quoted value that goes on over further lines.
                next = text[end..].find('\n').map_or(text.len(), |more| end + more + 1);
            }
        }
        at = next;
    }
    found
}

/// A value without its quotes.
fn unquoted(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(inside) = inside('\'') {
        return inside.to_owned();
    }
    let Some(inside) = inside('"') else { return value.to_owned() };
    let mut plain = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            (letter, false) => plain.push(letter),
        }
    }
    plain
}

/// `text` with `name` set to `value`; appended on a line of its own if it is not there.
pub(crate) fn set(text: &str, name: &str, value: &str) -> String {
    if let Some(range) = value_range(text, name) {
        return format!(
            "{}{}{}",
            &text[..range.start],
            quoted_like(&text[range.clone()], value),
            &text[range.end..]
        );
    }
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { line_end };
    format!("{text}{gap}{name}={}{line_end}", quoted_like("", value))
}

/// `text` without the last assignment of `name`, with the lines that it stands on.
pub(crate) fn without(text: &str, name: &str) -> String {
    let Some(range) = value_range(text, name) else { return text.to_owned() };
    let start = text[..range.start].rfind('\n').map_or(0, |end| end + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |end| range.end + end + 1);
    format!("{}{}", &text[..start], &text[end..])
}

/// The name of a line's assignment, and where its value begins in the line.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let trimmed = line.trim_start();
    if trimmed.starts_with('#') {
        return None;
    }
    let equals = line.find('=')?;
    let key = line[..equals].trim();
    let key =
        key.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(key, str::trim_start);
    let is_name = !key.is_empty()
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
        && !key.starts_with(|letter: char| letter.is_ascii_digit());
    let blanks = line[equals + 1..].len() - line[equals + 1..].trim_start_matches([' ', '\t']).len();
    is_name.then_some((key, equals + 1 + blanks))
}

fn value_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let mut escaped = false;
        for (at, letter) in rest.char_indices().skip(1) {
            if letter == quote && !escaped {
                return start + at + 1;
            }
            escaped = letter == '\\' && !escaped && quote == '"';
        }
        // Never closed: compose refuses the file, so nobody gets here with a running site.
        line_end(text, start)
    } else {
        let end = line_end(text, start);
        let line = &text[start..end];
        let comment = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
        start + line[..comment].trim_end().len()
    }
}

fn line_end(text: &str, start: usize) -> usize {
    let end = text[start..].find('\n').map_or(text.len(), |end| start + end);
    if text[..end].ends_with('\r') { end - 1 } else { end }
}

/// The new value in the quotes that the old one had, or in single quotes if it needs some.
fn quoted_like(old: &str, value: &str) -> String {
    let plain = value.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-:/@+,=".contains(letter));
    match old.chars().next() {
        Some('"') if plain => format!("\"{value}\""),
        Some('\'') => format!("'{value}'"),
        _ if plain => value.to_owned(),
        _ => format!("'{value}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UGLY: &str = "# a site's .env\r\nPLAIN=abc\r\nSPACE=a b c\r\nCOMMENT=abc # trailing\r\nSINGLE='lit $PLAIN # x'\r\n\
        export EXP=1\r\nEMPTY=\r\nMULTI=\"one\r\nPLAIN=not this\r\nthree\"\r\nQUOTE=a\"b\r\n  LATE = z  # end\r\n#PLAIN=no\r\nTWICE=1\r\nTWICE=2";

    #[test]
    fn only_the_value_changes() {
        for (name, old, new) in [
            ("PLAIN", "PLAIN=abc\r", "PLAIN=1.1.0\r"),
            ("SPACE", "SPACE=a b c", "SPACE=1.1.0"),
            ("COMMENT", "COMMENT=abc # trailing", "COMMENT=1.1.0 # trailing"),
            ("SINGLE", "SINGLE='lit $PLAIN # x'", "SINGLE='1.1.0'"),
            ("EXP", "export EXP=1", "export EXP=1.1.0"),
            ("EMPTY", "EMPTY=\r", "EMPTY=1.1.0\r"),
            ("MULTI", "MULTI=\"one\r\nPLAIN=not this\r\nthree\"", "MULTI=\"1.1.0\""),
            ("QUOTE", "QUOTE=a\"b", "QUOTE=1.1.0"),
            ("LATE", "  LATE = z  # end", "  LATE = 1.1.0  # end"),
            ("TWICE", "TWICE=2", "TWICE=1.1.0"),
        ] {
            assert_eq!(set(UGLY, name, "1.1.0"), UGLY.replacen(old, new, 1), "{name}");
        }
    }

    #[test]
    fn values_come_without_their_quotes_and_comments() {
        let values = values(UGLY);
        for (name, value) in [
            ("PLAIN", "abc"),
            ("COMMENT", "abc"),
            ("SINGLE", "lit $PLAIN # x"),
            ("EXP", "1"),
            ("EMPTY", ""),
            ("MULTI", "one\r\nPLAIN=not this\r\nthree"),
            ("QUOTE", "a\"b"),
            ("LATE", "z"),
            ("TWICE", "2"),
        ] {
            assert_eq!(values.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(super::values(r#"A="x\"y\\z""#)["A"], r#"x"y\z"#);
    }

    #[test]
    fn what_is_not_there_is_appended_in_the_files_own_line_ends() {
        assert_eq!(set("A=1", "B", "2"), "A=1\nB=2\n");
        assert_eq!(set("A=1\r\n", "B", "a b"), "A=1\r\nB='a b'\r\n");
        assert_eq!(set("", "B", "2"), "B=2\n");
    }

    #[test]
    fn what_was_appended_is_taken_out_again() {
        for text in ["A=1\n", "A=1\r\n", "", "A=1\nC=3\n"] {
            assert_eq!(without(&set(text, "B", "2"), "B"), text);
        }
        assert_eq!(
            without(UGLY, "MULTI"),
            UGLY.replacen("MULTI=\"one\r\nPLAIN=not this\r\nthree\"\r\n", "", 1)
        );
        assert_eq!(without(UGLY, "ABSENT"), UGLY);
    }

    #[test]
    fn setting_what_is_set_changes_nothing() {
        assert_eq!(set(UGLY, "PLAIN", "abc"), UGLY);
        let once = set(UGLY, "NEW", "x");
        assert_eq!(set(&once, "NEW", "x"), once);
    }
}
