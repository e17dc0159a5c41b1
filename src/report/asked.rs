//! What a person is asked, and what each answer would do.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    failure::wrote_only,
    paper::{LABEL, Paper},
    words::time,
};
use crate::event::{Choice, Question};

/// A choice that must be made before anything is begun: `command` is what was typed.
///
/// `counted`: when what was found was counted, if that is not now.
pub fn undecided(paper: &mut Paper, question: &Question, command: &str, counted: Option<Timestamp>) {
    paper.heading("A PERSON MUST DECIDE: nothing was changed");
    flags(paper, question, command, counted);
}

/// The same where the command has written files to be able to ask.
pub fn undecided_but(paper: &mut Paper, question: &Question, command: &str, written: &[PathBuf]) {
    paper.heading("A PERSON MUST DECIDE: nothing is restored yet");
    paper.labelled("state", &wrote_only(written));
    flags(paper, question, command, None);
}

/// What is asked, and what to type for each answer.
fn flags(paper: &mut Paper, question: &Question, command: &str, counted: Option<Timestamp>) {
    paper.labelled("question", &question.text);
    list(paper, "found", &question.found);
    then(paper, counted);
    paper.labelled("choices", type_one(question));
    // Whoever has only planned it wants the real thing now.
    let command = command.replace(" --dry-run", "");
    let flag = question.flag.as_deref().unwrap_or("choose");
    for choice in &question.choices {
        let also = if choice.also.is_empty() { String::new() } else { format!(" {}", choice.also) };
        // What is decided in the middle of a run is kept with its reason.
        let also = if question.flag.is_none() { format!("{also} --reason TEXT") } else { also };
        option(paper, &format!("{command} --{flag} {}{also}", choice.key), &choice.does, &choice.costs);
    }
}

/// What stands above the choices of a question that is answered by a command.
pub(super) fn type_one(question: &Question) -> &'static str {
    if question.choices.len() == 1 { "type this:" } else { "type one of these:" }
}

/// A question that whoever sits at the terminal answers with one of its words.
pub fn question(paper: &mut Paper, question: &Question, counted: Option<Timestamp>) {
    paper.heading("A PERSON MUST DECIDE: nothing more is done until you choose");
    paper.labelled("question", &question.text);
    list(paper, "found", &question.found);
    then(paper, counted);
    paper.labelled("choices", "type one of these words:");
    for choice in &question.choices {
        option(paper, &choice.key, &choice.does, &choice.costs);
    }
}

/// Users may have gone on writing since.
pub(super) fn then(paper: &mut Paper, counted: Option<Timestamp>) {
    if let Some(at) = counted {
        let text = format!("so it was at {}; what was written since goes the same way", time(at));
        paper.labelled("counted", &text);
    }
}

/// What a decision would do that is only tried.
pub fn chosen(paper: &mut Paper, choice: &Choice, counted: Option<Timestamp>) {
    paper.labelled("decision", &format!("`{}`: {}", choice.key, choice.does));
    if !choice.costs.is_empty() {
        paper.labelled("", &format!("cost: {}", choice.costs));
        then(paper, counted);
    }
}

/// One thing to type, with what it does and what it costs.
pub(super) fn option(paper: &mut Paper, command: &str, does: &str, costs: &str) {
    paper.line(&format!("{:LABEL$}{command}", ""));
    let indent = LABEL + 4;
    paper.paragraph(indent, does);
    if !costs.is_empty() {
        paper.paragraph(indent, &format!("cost: {costs}"));
    }
}

pub(super) fn list(paper: &mut Paper, label: &str, lines: &[String]) {
    for (at, line) in lines.iter().enumerate() {
        paper.labelled(if at == 0 { label } else { "" }, line);
    }
}

/// What a person's choice costs at this moment.
pub fn costs_now(paper: &mut Paper, choice: &Choice) {
    paper.labelled("costs now", &format!("`{}`: {}", choice.key, choice.costs));
}
