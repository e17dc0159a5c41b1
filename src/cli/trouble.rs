use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{flags, session::Session, stage::Stage};
use crate::{
    event::{ExitClass, Failure},
    host::HostError,
    report::{self, Lines, Paper},
};

/// Why a command ended before there was a run. Nothing was changed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    exit: ExitClass,
    /// The step and the call of a plan that it was found at.
    at: Option<String>,
}

impl Trouble {
    pub(super) fn new(failure: Failure, exit: ExitClass) -> Self {
        Self { failure, exit, at: None }
    }

    pub(super) fn at(self, at: Option<String>) -> Self {
        Self { at, ..self }
    }

    pub(super) fn interrupted() -> Self {
        Self::new(
            Failure::new("interrupted", "stopped by a signal, before anything was begun"),
            ExitClass::Interrupted,
        )
    }

    pub(super) fn tell(&self, session: &Session) -> ExitClass {
        if session.json() {
            session.lines().failure(&self.failure, self.exit);
        } else if let Some(question) = &self.failure.question {
            let mut paper = session.paper();
            match session.written() {
                [] => report::undecided(&mut paper, question, &session.command, None),
                written => report::undecided_but(&mut paper, question, &session.command, written),
            }
        } else {
            report::failure(
                &mut session.paper(),
                &self.failure,
                self.at.as_deref(),
                self.exit,
                session.written(),
            );
        }
        self.exit
    }

    /// Before the arguments were understood.
    pub(super) fn tell_early(&self, words: &[OsString], stage: &Stage) -> ExitClass {
        if flags::wants_json(words) {
            stage.lines().failure(&self.failure, self.exit);
        } else {
            report::failure(&mut stage.paper(), &self.failure, None, self.exit, &[]);
        }
        self.exit
    }
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        Self::new(error.failure(), error.exit())
    }
}

/// What clap has to say: help and version are data, the rest is a mistake in what was typed.
pub(super) fn usage(error: &clap::Error, words: &[OsString], stage: &Stage) -> ExitClass {
    let text = error.render();
    let text = if stage.colour { text.ansi().to_string() } else { text.to_string() };
    if !error.use_stderr() {
        Lines::new(Box::new(stage.out.clone())).text(&text);
        return ExitClass::Done;
    }
    if flags::wants_json(words) {
        let plain = error.render().to_string();
        let message = plain.lines().next().unwrap_or("").trim_start_matches("error: ");
        let hint = plain.lines().map(str::trim).find_map(|line| line.strip_prefix("tip: "));
        let own = tip(error, words);
        let hint = hint.or(own.as_deref());
        let mut failure = Failure::new("usage", message);
        let hint =
            hint.unwrap_or("`uplift --help` lists the commands, and each explains itself with `--help`");
        failure.hint = Some(hint.to_owned());
        stage.lines().failure(&failure, ExitClass::Invalid);
    } else {
        let mut paper = Paper::new(Box::new(stage.err.clone()), stage.width, false);
        let (further, said): (Vec<_>, Vec<_>) =
            text.trim_end().lines().partition(|line| line.contains(FURTHER));
        for line in said {
            paper.line(line);
        }
        if let Some(tip) = tip(error, words) {
            paper.line(&format!("  tip: {tip}"));
            paper.blank();
        }
        for line in further {
            paper.line(line);
        }
    }
    ExitClass::Invalid
}

/// How clap ends what it says of a mistake.
const FURTHER: &str = "For more information, try";

/// What leads on where clap only names the mistake.
fn tip(error: &clap::Error, words: &[OsString]) -> Option<String> {
    let lacks = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) if error.kind() == ErrorKind::MissingRequiredArgument => {
            names.as_slice()
        }
        _ => &[],
    };
    if lacks.iter().any(|name| name.starts_with("--reason")) {
        return Some(
            "the record keeps why it was decided so: add `--reason 'what you have seen'`".to_owned(),
        );
    }
    release(words)
}

/// What somebody has meant who names a release as other programs have it: `uplift upgrade 1.1.0`.
fn release(words: &[OsString]) -> Option<String> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let at = words.iter().position(|word| word == "upgrade")?;
    let is_release = |word: &&std::borrow::Cow<'_, str>| {
        word.contains('.') && word.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
    };
    let release = words.get(at + 1).filter(is_release)?;
    Some(format!("a release is named with `--to`: uplift upgrade --to {release}"))
}
