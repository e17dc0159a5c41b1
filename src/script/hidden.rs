//! Characters with which a text is shown otherwise than it is read.

use super::{conduct::Place, error::ScriptError, source::Source};
use crate::event::is_turning;

/// The language ends a line at a carriage return alone, and a terminal does not; the others let a terminal turn the order of
/// what follows around, or move.
fn hides(letter: char, next: Option<char>) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\r' => next != Some('\n'),
        other => other.is_control() || is_turning(other),
    }
}

/// The first of them in a file: whoever reads it on a screen must see what runs.
pub(super) fn hidden(source: &Source) -> Option<ScriptError> {
    for (line, text) in source.text.split('\n').enumerate() {
        let mut letters = text.chars().chain(['\n']).peekable();
        let mut column = 0;
        while let Some(letter) = letters.next() {
            column += 1;
            if hides(letter, letters.peek().copied()) {
                let code = u32::from(letter);
                let text = format!("U+{code:04X} stands here, a character that hides text on a screen");
                let place = Place { file: source.name.clone(), line: line + 1, column };
                let hint = "take it out; in a text write `\\u{...}` or `\\r`";
                return Some(ScriptError::new("hidden_character", text).hint(hint).at(place));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_text_is_found_and_line_ends_of_windows_are_not() {
        let found = |text: &str| {
            let source = Source { name: "a".to_owned(), text: text.to_owned() };
            hidden(&source).map(|error| (error.places[0].line, error.places[0].column))
        };
        assert_eq!(found("let a = 1;\r\nlet b = \"ä→\";\r\n\tlet c = 2;"), None);
        assert_eq!(found("// c1\rprint(1);"), Some((1, 6)));
        assert_eq!(found("\nlet a = \"\u{202e}x\";"), Some((2, 10)));
        assert_eq!(found("print(\"\u{1b}[2J\");"), Some((1, 8)));
    }
}
