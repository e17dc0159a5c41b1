//! A runbook's header: what it is for and which parameters it takes, read without running anything.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ScriptError;
use crate::primitives::contract::{Size, Span, suggest};

/// The API level that this host speaks.
pub const API: u32 = 1;

/// The constant `RUNBOOK` of a runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The API level that it was written for.
    pub api: u32,
    /// What it does, in a few words.
    pub summary: String,
    /// What happens when something fails after the site was changed.
    #[serde(default)]
    pub on_failure: OnFailure,
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// Steps that had another name in an earlier release of it, by that name: what a site has hung on one finds it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renamed: BTreeMap<String, String>,
}

/// What happens when something fails after the site was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Everything is taken back, last first.
    #[default]
    Undo,
    /// The run stands still until a person has decided.
    Pause,
}

impl OnFailure {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undo => "undo",
            Self::Pause => "pause",
        }
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    #[serde(rename = "type")]
    pub kind: ParamType,
    #[serde(default)]
    pub help: String,
    /// The words that a `choice` allows.
    #[serde(default)]
    pub of: Vec<String>,
    /// Its value if none is given; without one it must be given.
    #[serde(default)]
    pub initial: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    /// An image tag.
    Tag,
    /// One of the words of `of`.
    Choice,
    /// `"10s"`, `"5m"`.
    Duration,
    /// `"5GiB"`.
    Size,
    Text,
    Bool,
    Number,
}

impl Header {
    /// The parameters of one run from what was given on the command line. Every value is checked against its type;
    /// what is not given takes its initial value.
    pub fn validate(&self, given: &BTreeMap<String, String>) -> Result<Value, ScriptError> {
        let known: Vec<_> = self.params.keys().map(String::as_str).collect();
        if let Some(name) = given.keys().find(|name| !self.params.contains_key(*name)) {
            let text = format!("this runbook has no parameter `{name}`");
            return Err(ScriptError::new("unknown_parameter", text).hint(suggest(name, &known)));
        }
        let mut values = serde_json::Map::new();
        for (name, param) in &self.params {
            let value = match (given.get(name), &param.initial) {
                (Some(text), _) => param.read(name, text)?,
                (None, Some(initial)) => initial.clone(),
                (None, None) => {
                    let text = format!("parameter `{name}` is missing: {}", param.help);
                    return Err(ScriptError::new("missing_parameter", text)
                        .hint(format!("add `--{} VALUE`", name.replace('_', "-"))));
                }
            };
            values.insert(name.clone(), value);
        }
        Ok(Value::Object(values))
    }
}

impl Param {
    /// The value that a text stands for, where it can be one.
    pub(crate) fn read(&self, name: &str, text: &str) -> Result<Value, ScriptError> {
        let wrong = |why: String| ScriptError::new("bad_parameter", format!("parameter `{name}`: {why}"));
        match self.kind {
            ParamType::Tag if is_tag(text) => Ok(text.into()),
            ParamType::Tag => Err(wrong(format!("`{text}` is no image tag")).hint("e.g. `1.1.0`")),
            ParamType::Choice if self.of.iter().any(|word| word == text) => Ok(text.into()),
            ParamType::Choice => {
                let words: Vec<_> = self.of.iter().map(String::as_str).collect();
                Err(wrong(format!("`{text}` is none of its words")).hint(suggest(text, &words)))
            }
            ParamType::Duration => Span::from_str(text).map(|_| text.into()).map_err(wrong),
            ParamType::Size => Size::from_str(text).map(|_| text.into()).map_err(wrong),
            ParamType::Text => Ok(text.into()),
            ParamType::Bool => text
                .parse::<bool>()
                .map(Value::Bool)
                .map_err(|_| wrong(format!("`{text}` is neither of its words")).hint("`true` or `false`")),
            ParamType::Number => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| wrong(format!("`{text}` is no whole number")).hint("e.g. `3`")),
        }
    }
}

/// The grammar of the registry API: at most 128 of these, not starting with `.` or `-`.
fn is_tag(text: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    (1..=128).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with(['.', '-'])
}
