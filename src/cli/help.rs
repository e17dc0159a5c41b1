//! Help screens: what clap makes of the arguments, with what [`super::lessons`] adds, as wide as the terminal.

use std::{ffi::OsString, fmt::Write as _};

use clap::Command;

use super::{
    exits::Exits,
    lessons::{self, Lesson},
};
use crate::report;

const NARROWEST: usize = 60;
/// Longer lines are hard to read.
const WIDEST: usize = 100;
/// What stands under a heading.
const INDENT: usize = 2;
/// A command longer than this has its words below it.
const LONG: usize = 40;
/// The words of an example have at least this much room beside it, or stand below it.
const ROOM: usize = 30;
/// Where they begin then.
const BELOW: usize = 6;

/// The command line whose help says of every command what it touches and what one types, in lines of `width`.
pub(super) fn taught(command: Command, width: usize) -> Command {
    let width = width.clamp(NARROWEST, WIDEST);
    teach(command.term_width(width), &[], width)
}

fn teach(command: Command, verb: &[&str], width: usize) -> Command {
    let command = match lessons::of(verb) {
        Some(lesson) => {
            let template = template(&command, lesson, width);
            command.help_template(template)
        }
        None => command,
    };
    command.mut_subcommands(|below| {
        let name = below.get_name().to_owned();
        teach(below, &[verb, &[name.as_str()]].concat(), width)
    })
}

/// Clap breaks what follows the flags anywhere, also a command that somebody wants to copy; what stands in the template it
/// leaves as it is.
fn template(command: &Command, lesson: &Lesson, width: usize) -> String {
    let style = command.get_styles().get_header();
    let heading = |name: &str| format!("\n\n{style}{name}:{style:#}");
    let mut text = "{about-with-newline}\n".to_owned();
    text.push_str(&report::wrapped(lesson.touches, width).join("\n"));
    text.push_str("\n\n{usage-heading} {usage}\n\n{all-args}");
    text.push_str(&heading("Examples"));
    text.push_str(&examples(lesson.examples, width));
    // Of the others the manual page tells them.
    if matches!(lesson.verb, [] | ["status"]) {
        text.push_str(&heading("Exit codes"));
        text.push_str(&exits(lesson.exits, width));
    }
    text
}

fn examples(examples: &[(&str, &str)], width: usize) -> String {
    let short = examples.iter().map(|(typed, _)| typed.len()).filter(|length| *length <= LONG).max();
    let beside = short.map(|length| INDENT + length + 2).filter(|start| start + ROOM <= width);
    let start = beside.unwrap_or(BELOW);
    let mut text = String::new();
    for (typed, what) in examples {
        let mut head = format!("{:INDENT$}{typed}", "");
        for line in report::wrapped(what, width - start) {
            // Two blanks between a command and its words, or the command stands alone.
            if head.len() + 2 > start && !head.is_empty() {
                let _ = write!(text, "\n{head}");
                head.clear();
            }
            let _ = write!(text, "\n{head:<start$}{line}");
            head.clear();
        }
    }
    text
}

fn exits(exits: Exits, width: usize) -> String {
    const START: usize = INDENT + 5;
    let mut text = String::new();
    for (code, what) in exits {
        let mut head = format!("{:INDENT$}{code:>3}", "");
        for line in report::wrapped(what, width - START) {
            let _ = write!(text, "\n{head:<START$}{line}");
            head.clear();
        }
    }
    text
}

/// `uplift help upgrade` is `uplift upgrade --help`.
pub(super) fn asked_for(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, error::ErrorKind};

    use super::*;
    use crate::cli::{arguments::Cli, flags, stage::Stage};

    /// As a shell splits it, up to where it does something else with it.
    fn words(typed: &str) -> Vec<OsString> {
        let typed = typed.split(['>', '|']).next().unwrap_or_default();
        let mut words = Vec::new();
        for (at, part) in typed.split('\'').enumerate() {
            match at % 2 {
                0 => words.extend(part.split_whitespace().map(OsString::from)),
                _ => words.push(part.into()),
            }
        }
        words
    }

    fn verbs(command: &Command, verb: &[String], all: &mut Vec<Vec<String>>) {
        all.push(verb.to_vec());
        for below in command.get_subcommands() {
            verbs(below, &[verb, &[below.get_name().to_owned()]].concat(), all);
        }
    }

    #[test]
    fn every_command_has_a_lesson_and_every_lesson_a_command() {
        let mut all = Vec::new();
        verbs(&Cli::command(), &[], &mut all);
        for verb in &all {
            let verb: Vec<_> = verb.iter().map(String::as_str).collect();
            let lesson = lessons::of(&verb).unwrap_or_else(|| panic!("`{}`", verb.join(" ")));
            assert!(!lesson.examples.is_empty() && !lesson.touches.is_empty(), "`{}`", verb.join(" "));
            // The template has marks of its own.
            assert!(!lesson.touches.contains('{'), "`{}`", verb.join(" "));
        }
        assert_eq!(all.len(), lessons::all().count());
    }

    /// Whoever copies an example is not told that it is wrong.
    #[tokio::test]
    async fn every_example_is_understood() {
        let stage = Stage::real();
        // Only this one knows the words of a choice, and only the other one the flags of a file.
        let whole = flags::whole(&stage).await.unwrap();
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/compose/upgrade.rhai");
        for (typed, _) in lessons::all().flat_map(|lesson| lesson.examples) {
            let words = words(&typed.replace("./upgrade.rhai", own));
            let mut commands = vec![flags::command(&words, &stage).await.unwrap()];
            if !typed.starts_with("uplift run ") {
                commands.push(whole.clone());
            }
            for command in commands {
                match command.try_get_matches_from(&words) {
                    Ok(matches) => assert!(Cli::from_arg_matches(&matches).is_ok(), "`{typed}`"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::DisplayHelp, "`{typed}`: {error}"),
                }
            }
        }
    }
}
