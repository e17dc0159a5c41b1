//! What the engine's parser says, in our words and with what to write instead.

use rhai::{LexError, ParseError, ParseErrorType};

use super::{error::ScriptError, outcome::place, source::Source};
use crate::primitives::contract::suggest;

const SHOWN: &str = "look at the marked place and just before it; `uplift runbook show compose/upgrade` shows how it is written";
const OWN_WORD: &str =
    "that is one of the language's own words: use another name; as a key of a map write it in `\"`";

const UNITS: &str = "durations and sizes are texts: `\"5m\"`, `\"5GiB\"`";

/// The one error at which a file's parser has stopped.
pub(super) fn parse_error(error: &ParseError, source: &Source) -> ScriptError {
    let (text, hint) = match before(source, error.position()) {
        Some(number) => (format!("`{number}` is no number"), UNITS.to_owned()),
        None => said(error.err_type(), source, error.position().line()),
    };
    let made = ScriptError::new("cannot_be_read", text).hint(hint);
    match place(&source.name, error.position()) {
        Some(place) if place.line <= source.text.lines().count() => made.at(place),
        // What is missing is missing at the end.
        _ => match source.text.lines().enumerate().last() {
            Some((at, line)) => {
                let column = line.chars().count().max(1);
                made.at(super::Place { file: source.name.clone(), line: at + 1, column })
            }
            None => made,
        },
    }
}

/// What stands at a place, if it is a unit that follows a number at once: `5m`.
fn before(source: &Source, position: rhai::Position) -> Option<String> {
    let line: Vec<char> = source.text.lines().nth(position.line()? - 1)?.chars().collect();
    let column = position.position()?.checked_sub(1)?;
    let unit: String = line.get(column..)?.iter().take_while(|letter| letter.is_alphabetic()).collect();
    let digits = line[..column].iter().rev().take_while(|letter| letter.is_ascii_digit()).count();
    let number: String = line[column - digits..column].iter().collect();
    let begins = column == digits || !line[column - digits - 1].is_alphanumeric();
    (digits > 0 && begins && !unit.is_empty()).then(|| format!("{number}{unit}"))
}

fn said(error: &ParseErrorType, source: &Source, line: Option<usize>) -> (String, String) {
    let with = |text: String, hint: &str| (text, hint.to_owned());
    match error {
        ParseErrorType::VariableUndefined(name) => undefined(name, source, line),
        ParseErrorType::ModuleUndefined(name) => {
            let mut known = vec!["params".to_owned(), "site".to_owned()];
            known.extend(words_after(&source.text, &["as"]));
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            (format!("there is no module `{name}` in this file"), suggest(name, &known))
        }
        ParseErrorType::Reserved(word) => reserved(word),
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval" || word == "debug" => {
            reserved(word)
        }
        ParseErrorType::BadInput(LexError::UnterminatedString) => with(
            "a text has no end".to_owned(),
            "close it with `\"` in the same line; a text over several lines stands in backticks",
        ),
        ParseErrorType::BadInput(LexError::MalformedNumber(number) | LexError::UnexpectedInput(number)) => {
            with(format!("`{number}` cannot be read"), UNITS)
        }
        ParseErrorType::AssignmentToConstant(name) if name.is_empty() => with(
            "a constant cannot be changed".to_owned(),
            "copy it first: `let own = ...;`, and change the copy",
        ),
        ParseErrorType::AssignmentToConstant(name) => (
            format!("`{name}` is constant"),
            format!("copy it first: `let own = {name};`, and change the copy"),
        ),
        other => structure(other),
    }
}

/// What is wrong with how the parts of a file stand together.
fn structure(error: &ParseErrorType) -> (String, String) {
    let with = |text: String, hint: &str| (text, hint.to_owned());
    match error {
        ParseErrorType::WrongDocComment => with(
            "`///` belongs directly before a function".to_owned(),
            "write `//` here, and `//!` at the head of the file",
        ),
        ParseErrorType::WrongFnDefinition => with(
            "a function cannot be defined inside a block".to_owned(),
            "move it out of the step, to the end of the file",
        ),
        ParseErrorType::FnDuplicatedDefinition(name, count) => {
            let values = if *count == 1 { "1 parameter" } else { &format!("{count} parameters") };
            with(format!("there are two functions `{name}` with {values}"), "give one of them another name")
        }
        ParseErrorType::DuplicatedProperty(key) => {
            with(format!("`{key}` stands twice in this map"), "take one of them out")
        }
        ParseErrorType::LoopBreak => {
            with("`break` and `continue` belong into a loop".to_owned(), "to leave a step write `return`")
        }
        ParseErrorType::PropertyExpected => with("the name of a field is missing here".to_owned(), OWN_WORD),
        ParseErrorType::VariableExpected => with("a name is missing here".to_owned(), OWN_WORD),
        ParseErrorType::UnexpectedEOF => {
            with("the file ends in the middle".to_owned(), "look for a `{`, `(` or `[` that nothing closes")
        }
        ParseErrorType::MissingToken(token, _) => with(
            format!("expecting `{token}` before this"),
            match token.as_str() {
                ";" => "end the statement before it with `;`",
                "}" | ")" | "]" => "close what is open, or put a `,` between two values",
                _ => SHOWN,
            },
        ),
        ParseErrorType::ExprTooDeep => with(
            "this is nested too deeply".to_owned(),
            "give parts of it names with `let`, or move them into functions",
        ),
        other => with(lower(&other.to_string()), SHOWN),
    }
}

/// A name that is not visible: misspelt, or defined where it cannot be seen from here.
fn undefined(name: &str, source: &Source, line: Option<usize>) -> (String, String) {
    let text = format!("there is no `{name}` here");
    let before: String = source.text.lines().take(line.unwrap_or(usize::MAX)).collect::<Vec<_>>().join("\n");
    let mut known = words_after(&before, &["let", "const", "for"]);
    known.sort();
    known.dedup();
    if known.iter().any(|known| known == name) {
        return (
            text,
            format!(
                "a function sees its parameters only, and what is defined in a block ends with it: hand `{name}` over, or read a constant of the file as `global::{name}`"
            ),
        );
    }
    if ["web", "job", "services", "hosts"].contains(&name) {
        return (text, format!("what was found of the site is called `site::{name}`"));
    }
    let written = format!("params::{name}");
    let header = source.text.find("const RUNBOOK").map_or("", |at| &source.text[at..]);
    if header.contains(&format!("{name}: #{{ type:")) || source.text.contains(&written) {
        return (text, format!("the parameter is called `{written}`"));
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    let hint = match suggest(name, &known) {
        hint if hint.starts_with("did you mean") => hint,
        _ => format!("define it before with `let {name} = ...;`; texts stand in `\"`"),
    };
    (text, hint)
}

fn reserved(word: &str) -> (String, String) {
    let hint = match word {
        "eval" => "write the code itself: scripts run no texts",
        "debug" => "use `print`",
        "===" | "!==" => "use `==` and `!=`",
        "->" | "<-" | ":=" | "::<" | "(*" | "*)" | "#" | "++" | "--" => "the language has no such sign",
        _ => OWN_WORD,
    };
    let text = match word {
        "eval" | "debug" => format!("`{word}` is not there in runbooks"),
        _ => format!("`{word}` cannot stand here"),
    };
    (text, hint.to_owned())
}

/// The names that follow one of these words anywhere in a text.
fn words_after(text: &str, words: &[&str]) -> Vec<String> {
    let parts =
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.collect();
    parts.windows(2).filter(|pair| words.contains(&pair[0])).map(|pair| pair[1].to_owned()).collect()
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}
