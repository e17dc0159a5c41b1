/// A statement without the values in it, which may be anybody's: each is a `?`. The server cuts long statements, so a
/// value that never ends goes to the end.
pub(super) fn masked(query: &str) -> String {
    let letters: Vec<char> = query.chars().collect();
    let (mut out, mut at) = (String::with_capacity(query.len()), 0);
    while at < letters.len() {
        let letter = letters[at];
        let in_word = out.chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == '_');
        if letter == '\'' {
            let escapes = out.ends_with(['e', 'E']) && !inside_word(&out);
            at = after_quoted(&letters, at + 1, escapes);
            out.push('?');
        } else if letter == '"' {
            let end = after_quoted_name(&letters, at + 1);
            out.extend(&letters[at..end]);
            at = end;
        } else if letter == '$' && !in_word && tag(&letters, at).is_some() {
            at = after_dollars(&letters, at);
            out.push('?');
        } else if letter.is_ascii_digit() && !in_word && !out.ends_with('$') {
            while letters.get(at).is_some_and(|next| next.is_ascii_alphanumeric() || *next == '.') {
                at += 1;
            }
            out.push('?');
        } else {
            out.push(if letter.is_control() { ' ' } else { letter });
            at += 1;
        }
    }
    out
}

/// The `e` that ends the text is part of a longer word.
fn inside_word(text: &str) -> bool {
    text.chars().rev().nth(1).is_some_and(|before| before.is_alphanumeric() || before == '_')
}

fn after_quoted(letters: &[char], mut at: usize, escapes: bool) -> usize {
    while let Some(letter) = letters.get(at) {
        let doubled = letters.get(at + 1) == Some(&'\'');
        match letter {
            '\\' if escapes => at += 2,
            '\'' if doubled => at += 2,
            '\'' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

fn after_quoted_name(letters: &[char], at: usize) -> usize {
    letters[at..].iter().position(|letter| *letter == '"').map_or(letters.len(), |end| at + end + 1)
}

/// `$$` or `$word$`, which begins a text that goes to the same again; `$1` is a parameter.
fn tag(letters: &[char], at: usize) -> Option<&[char]> {
    let length = letters[at + 1..].iter().position(|letter| *letter == '$')?;
    let word = &letters[at + 1..at + 1 + length];
    let fits = word.iter().all(|letter| letter.is_alphanumeric() || *letter == '_');
    (fits && !word.first().is_some_and(char::is_ascii_digit)).then(|| &letters[at..at + length + 2])
}

fn after_dollars(letters: &[char], at: usize) -> usize {
    let Some(tag) = tag(letters, at) else { return at + 1 };
    let from = at + tag.len();
    let end = letters[from..].windows(tag.len()).position(|window| window == tag);
    end.map_or(letters.len(), |end| from + end + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_and_the_rest_stays() {
        for (query, expected) in [
            (
                "SELECT * FROM users WHERE email = 'a@b' AND id = 42",
                "SELECT * FROM users WHERE email = ? AND id = ?",
            ),
            ("SELECT 'it''s', t1.c2, $1, 1.5e3", "SELECT ?, t1.c2, $1, ?"),
            (r"SELECT E'a\'b', 'c\'", "SELECT E?, ?"),
            ("SELECT $$sec'ret$$, $x$more$x$, 1", "SELECT ?, ?, ?"),
            ("SELECT \"col 1\" FROM \"t'\" WHERE a='x'", "SELECT \"col 1\" FROM \"t'\" WHERE a=?"),
            ("UPDATE t SET a = 'cut off he", "UPDATE t SET a = ?"),
            ("SELECT $$cut", "SELECT ?"),
        ] {
            assert_eq!(masked(query), expected);
        }
    }
}
