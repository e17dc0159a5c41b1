//! Programs as runbooks name them: what may be started, and in which words.

use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::granted;
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::quote,
        programs::{Ran, last_lines},
    },
    site::Reference,
};

/// A command by its path and arguments, or a text for a shell.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Line {
    Command(Vec<String>),
    Shell(String),
}

impl Default for Line {
    fn default() -> Self {
        Self::Command(Vec::new())
    }
}

impl Line {
    /// What is to be started; nothing where nothing is named.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Command(words) => words.clone(),
            Self::Shell(text) => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words().is_empty()
    }
}

/// Refuses a program that is not granted, or cannot be started.
pub(super) async fn may_start(program: &Path, site: Observe<'_>) -> Result<(), Failure> {
    granted::program(program, &site).map_err(|refusal| refusal.0)?;
    site.programs.ready(program).await
}

/// Refuses names that no variable can have or that come twice, and texts that no program can be given.
pub(super) fn named<'a>(
    plain: impl Iterator<Item = &'a String>,
    secrets: &BTreeMap<String, Reference>,
    mut texts: impl Iterator<Item = &'a String>,
) -> Result<(), Refusal> {
    let wrong = |text: &str, hint: &str| Err(Refusal(Failure::new("bad_option", text).hint(hint)));
    for name in plain {
        variable(name)?;
        if secrets.contains_key(name) {
            return wrong(&format!("`{name}` stands in `env` and in `secrets`"), "take one of them out");
        }
    }
    for name in secrets.keys() {
        variable(name)?;
    }
    if texts.any(|text| text.contains('\0')) {
        return wrong("a text holds a byte 0", "no program can be given that");
    }
    Ok(())
}

/// The command with the program's whole path.
pub(super) fn placed(words: &[String], dir: &Path) -> Result<Vec<String>, Refusal> {
    let program = &words[0];
    if !program.contains('/') {
        let failure = Failure::new("bad_option", format!("`exec`: `{program}` is no path of a program"));
        return Err(Refusal(
            failure.hint(format!("write its whole path: `command -v {}` tells it", quote(program))),
        ));
    }
    let program = dir.join(program).display().to_string();
    Ok(std::iter::once(program).chain(words.iter().skip(1).cloned()).collect())
}

fn variable(name: &str) -> Result<(), Refusal> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && name.chars().all(plain)
    {
        return Ok(());
    }
    let failure = Failure::new("bad_option", format!("`{name}` cannot be the name of a variable"));
    Err(Refusal(failure.hint("use letters, digits and `_`")))
}

pub(super) fn line(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// How many of its last lines show why it failed.
const SHOWN: usize = 12;

pub(super) fn failed(words: &[String], ran: &Ran, site: Operate<'_>) -> Failure {
    let lines = last_lines(ran, SHOWN).into_iter().map(|line| site.scrubber.scrub(&line));
    Failure::new("exec_failed", format!("`{}` ended with exit code {}", line(words), ran.code))
        .hint("mend what its last lines say; exit codes that are fine stand in `codes`")
        .evidence(lines)
}
