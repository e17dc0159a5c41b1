//! What a notice says of a run: a line for people, and what can be typed next.

use std::fmt::Write as _;

use crate::{
    event::{Ending, Failure, Question, span},
    journal::{Entry, RunRow},
    ports::{
        files::{quote, quoted},
        notices::Notice,
    },
    site::Site,
};

/// Longer messages are cut: they go where people talk.
const LONGEST: usize = 500;

pub(super) fn begun(notice: &Notice) -> String {
    let Notice { site, command, by, run, .. } = notice;
    let what =
        if notice.again { format!("run {run} is taken up again") } else { format!("run {run} begins") };
    line(&format!("{site}: {what}: `{command}` by {by}"))
}

/// The times come before the reason: a long one is cut. `first` is the service that people miss first.
pub(super) fn ended(notice: &Notice, first: &str, ending: &Ending) -> String {
    let Notice { site, command, .. } = notice;
    line(&format!("{site}: {} ({}): `{command}`{}", state(ending), times(notice, first), why(ending)))
}

/// How long it all took, and for how long services were away.
fn times(notice: &Notice, first: &str) -> String {
    let took = notice.at.duration_since(notice.started).as_millis();
    let mut names: Vec<_> = notice.away_ms.keys().collect();
    names.sort_by_key(|name| *name != first);
    let away = names.into_iter().map(|name| match notice.away_since.get(name) {
        Some(since) => format!("{name} away since {}", since.strftime("%H:%M:%S UTC")),
        None => format!("{name} away {}", span(notice.away_ms[name])),
    });
    let all: Vec<_> = std::iter::once(span(u64::try_from(took).unwrap_or(0))).chain(away).collect();
    all.join(", ")
}

/// How it ended, in a few words.
fn state(ending: &Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::NothingNeeded { .. } => "nothing was needed",
        Ending::Refused { failure } if failure.question.is_some() => {
            "a person must decide, nothing was changed"
        }
        Ending::Refused { .. } => "refused, nothing was changed",
        Ending::TakenBack { left, .. } if left.is_empty() => "failed and was taken back",
        Ending::TakenBack { .. } => "failed and was taken back, but for what is listed as left",
        Ending::RolledBack { left } if left.is_empty() => "taken back",
        Ending::RolledBack { .. } => "taken back, but for what is listed as left",
        Ending::NeedsPerson { .. } => "a person must decide",
        Ending::Stuck { .. } => "stuck half way back, a person is needed",
        Ending::Unfinished { question: Some(_), .. } => {
            "stopped in the middle, and nobody knows what became of one change"
        }
        Ending::Unfinished { .. } => "stopped in the middle",
        Ending::Interrupted => "interrupted, nothing was changed",
        Ending::Closed { .. } => "closed as it stands",
    }
}

fn why(ending: &Ending) -> String {
    let text = match ending {
        Ending::NothingNeeded { why } | Ending::Closed { why } | Ending::Unfinished { why, .. } => {
            Some(why.clone())
        }
        Ending::NeedsPerson { failure: None, question } => Some(question.text.clone()),
        Ending::NeedsPerson { failure: Some(failure), question } => {
            Some(format!("{failure}; {}", question.text))
        }
        Ending::Refused { failure } => Some(match &failure.question {
            Some(question) => question.text.clone(),
            None => failure.message.clone(),
        }),
        other => cause(other).map(|failure| failure.message.clone()),
    };
    text.map(|text| format!(": {text}")).unwrap_or_default()
}

/// What it failed at.
pub(super) fn cause(ending: &Ending) -> Option<&Failure> {
    match ending {
        Ending::Refused { failure } | Ending::TakenBack { failure, .. } | Ending::Stuck { failure, .. } => {
            Some(failure)
        }
        Ending::NeedsPerson { failure, .. } => failure.as_ref(),
        Ending::Unfinished { cause, .. } => cause.as_ref(),
        _ => None,
    }
}

/// How it ended, as `-o json` names it.
pub(super) fn result(ending: &Ending) -> Option<String> {
    serde_json::to_value(ending).ok()?.get("ending")?.as_str().map(str::to_owned)
}

/// Whether a person has to answer something.
pub(super) fn asks(ending: &Ending) -> bool {
    question(ending).is_some()
}

fn question(ending: &Ending) -> Option<&Question> {
    match ending {
        Ending::Refused { failure } => failure.question.as_deref(),
        other => other.question(),
    }
}

/// What can be typed next, as the screen at the end has it, most useful first.
pub(super) fn next(typed: &str, row: &RunRow, calls: &[Entry], ending: &Ending) -> Vec<String> {
    let of_run = |verb: &str| format!("{typed} {verb} {}", row.id);
    let going_back = calls.iter().any(|call| !call.undos.is_empty());
    let mut next = match ending {
        Ending::Done | Ending::NothingNeeded { .. } | Ending::RolledBack { .. } | Ending::Closed { .. } => {
            vec![format!("{typed} status")]
        }
        Ending::Refused { failure } if failure.question.is_some() => Vec::new(),
        Ending::Refused { .. }
        | Ending::Interrupted
        | Ending::TakenBack { .. }
        | Ending::NeedsPerson { .. } => vec![of_run("show")],
        Ending::Stuck { .. } | Ending::Unfinished { question: Some(_), .. } => {
            vec![of_run("show"), of_run("rollback")]
        }
        Ending::Unfinished { .. } if going_back => vec![of_run("rollback")],
        Ending::Unfinished { .. } => vec![of_run("resume"), of_run("rollback")],
    };
    next.extend(question(ending).into_iter().flat_map(|question| answers(typed, row, ending, question)));
    next
}

/// A line for each choice.
fn answers(typed: &str, row: &RunRow, ending: &Ending, question: &Question) -> Vec<String> {
    let id = &row.id;
    let line = |key: &str, also: &str| match (ending, &question.flag) {
        (Ending::Refused { .. }, flag) => {
            let also = if also.is_empty() { String::new() } else { format!(" {also}") };
            format!("{} --{} {key}{also}", row.command, flag.as_deref().unwrap_or("choose"))
        }
        (Ending::Unfinished { .. }, _) => format!("{typed} resume {id} --outcome {key} --reason TEXT"),
        (_, Some(_)) => format!("{typed} resume {id} --choose {key} --reason TEXT"),
        (_, None) => format!("{typed} rollback {id} --choose {key} --reason TEXT"),
    };
    question.choices.iter().map(|choice| line(&choice.key, &choice.also)).collect()
}

/// The program with what names a site: it means the same in every folder of its host.
pub(super) fn typed(site: &Site, project: Option<&str>) -> String {
    let dir = &site.project.dir;
    let mut typed = format!("uplift -C {}", quoted(dir));
    if let Some(project) = project {
        let _ = write!(typed, " --project {}", quote(project));
    }
    if site.state != dir.join(".uplift") {
        let _ = write!(typed, " --state {}", quoted(&site.state));
    }
    typed
}

/// One line, however many there were.
fn line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 3).chain("...".chars()).collect()
}
