use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::Value;

use super::{conduct::Place, source::Bundle};
use crate::event::Failure;

/// What is wrong with a script, or what went wrong in it, with every place on the way there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// Stable, in `snake_case`.
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    /// Innermost first.
    pub places: Vec<Place>,
    pub(super) failure: Option<Box<Failure>>,
}

impl ScriptError {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: None, places: Vec::new(), failure: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        if !self.places.contains(&place) {
            self.places.push(place);
        }
        self
    }

    pub(super) fn from_failure(failure: Failure) -> Self {
        let mut error = ScriptError::new(&failure.code, &failure.message);
        error.hint.clone_from(&failure.hint);
        error.failure = Some(Box::new(failure));
        error
    }

    /// The host itself went wrong; the journal is intact.
    #[must_use]
    pub fn internal(what: &str) -> Self {
        ScriptError::new("internal", what)
            .hint("the journal is intact: `uplift status` says where the site stands")
    }

    /// The script has looked into what a plan cannot know.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.code == "unknown_outcome"
    }

    /// The failure of a call that nobody caught, if that is what ended the script.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// It came up in a file that does not ship with uplift.
    #[must_use]
    pub fn is_of_the_site(&self) -> bool {
        let own =
            |place: &Place| place.file.starts_with("uplift/") || Path::new(&place.file).extension().is_some();
        self.places.first().is_some_and(own)
    }

    /// The error as a failure, without its places.
    #[must_use]
    pub fn as_failure(&self) -> Failure {
        match &self.failure {
            Some(failure) => Failure::clone(failure),
            None => Failure { hint: self.hint.clone(), ..Failure::new(&self.code, &self.message) },
        }
    }

    /// The error as a failure, the places as source lines.
    #[must_use]
    pub fn into_failure(self, bundle: &Bundle) -> Failure {
        let mut failure = self.as_failure();
        failure.excerpt = failure.excerpt.or_else(|| self.excerpt(bundle));
        failure
    }

    /// Message, source lines with a mark under each place, and hint, as a terminal without colour shows them.
    #[must_use]
    pub fn render(&self, bundle: &Bundle) -> String {
        self.rendered(bundle, Level::ERROR)
    }

    /// The same of what is only likely wrong.
    pub(super) fn render_warning(&self, bundle: &Bundle) -> String {
        self.rendered(bundle, Level::WARNING)
    }

    fn rendered(&self, bundle: &Bundle, level: Level<'static>) -> String {
        let mut groups = vec![group(bundle, self.places.first(), level.clone().primary_title(&self.message))];
        for place in self.places.iter().skip(1) {
            groups.push(group(bundle, Some(place), Level::NOTE.secondary_title("called from here")));
        }
        if let (Some(hint), Some(first)) = (&self.hint, groups.first_mut()) {
            let taken = std::mem::replace(first, Group::with_title(level.primary_title("")));
            *first = taken.element(Level::HELP.message(hint.as_str()));
        }
        Renderer::plain().render(&groups)
    }

    fn excerpt(&self, bundle: &Bundle) -> Option<String> {
        let groups: Vec<_> = self
            .places
            .iter()
            .enumerate()
            .map(|(at, place)| {
                let title = if at == 0 { "in the runbook, here" } else { "called from here" };
                group(bundle, Some(place), Level::NOTE.primary_title(title))
            })
            .collect();
        (!groups.is_empty()).then(|| Renderer::plain().render(&groups))
    }
}

/// A title with the source line of `place` under it, where the bundle has it.
fn group<'a>(bundle: &'a Bundle, place: Option<&'a Place>, title: annotate_snippets::Title<'a>) -> Group<'a> {
    let found = place
        .and_then(|place| bundle.text(&place.file).and_then(|text| Some((place, text, span(text, place)?))));
    let Some((place, text, span)) = found else { return Group::with_title(title) };
    let snippet = Snippet::source(text).path(place.file.as_str());
    title.element(snippet.annotation(AnnotationKind::Primary.span(span)))
}

/// The bytes of the word at a place: rhai knows where something starts, not where it ends.
fn span(text: &str, place: &Place) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    for _ in 1..place.line {
        start += text[start..].find('\n')? + 1;
    }
    let line = text[start..].lines().next().unwrap_or("");
    let column = line.char_indices().nth(place.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let rest = &line[column..];
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let word: usize = rest.chars().take_while(|letter| is_word(*letter)).map(char::len_utf8).sum();
    let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    Some(start + column..start + column + length)
}

/// The failure inside a thrown map: what [`thrown`] made of it comes back as it was.
pub(super) fn failure_of(value: &Value) -> Option<Failure> {
    let map = value.as_object()?;
    map.get("code")?.as_str()?;
    map.get("message")?.as_str()?;
    let mut known = serde_json::Map::new();
    for (key, item) in map {
        if !item.is_null() && key != "at" {
            known.insert(key.clone(), item.clone());
        }
    }
    serde_json::from_value(Value::Object(known)).ok()
}

/// A failure as a script catches it: `e.code`, `e.message`, `e.hint`, `e.retryable`, `e.evidence`, `e.at`.
pub(super) fn thrown(failure: &Failure, place: &Place) -> Value {
    serde_json::json!({
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
        "evidence": failure.evidence,
        "retryable": failure.retryable,
        "at": { "file": place.file, "line": place.line, "column": place.column },
    })
}
