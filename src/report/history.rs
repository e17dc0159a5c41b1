use super::{
    calls,
    paper::{Mark, Paper},
    trial,
    words::{between, count, time},
};
use crate::{
    event::{Ending, Failure},
    journal::{Entry, Holder, RunRow, RunState},
    run::untouched,
};

/// The state of a run in the operator's words.
pub(super) fn state_word(run: &RunRow) -> &'static str {
    match run.state {
        RunState::Running if run.interrupted => "interrupted",
        RunState::Running => "at work",
        RunState::Done => "done",
        RunState::Refused if run.ending == Some(Ending::Interrupted) => "interrupted at once",
        RunState::Refused => "refused",
        RunState::TakenBack | RunState::RolledBack if !run.left().is_empty() => "partly taken back",
        RunState::TakenBack => "failed, taken back",
        RunState::RolledBack => "taken back",
        RunState::NeedsPerson => "needs a decision",
        RunState::Stuck => "stuck",
        RunState::Unfinished => "stopped",
        RunState::Closed => "closed as it was",
    }
}

/// Runs, newest first, a line each; `older` ones are not among them.
pub fn history(paper: &mut Paper, runs: &[RunRow], older: usize, typed: &str) {
    if runs.is_empty() {
        paper.line("no run was ever made on this site");
        return;
    }
    // The name of a run begins with its date and time.
    row(paper, ["run (UTC)", "state", "took", "command"]);
    for run in runs {
        let took = run.ended.map(|ended| between(run.started, ended)).unwrap_or_default();
        row(paper, [&run.id, state_word(run), &took, verb(run)]);
    }
    if older > 0 {
        paper.line(&format!("and {}: `{typed} history --all`", count(older, "older run")));
    }
}

/// One line, cut where the terminal ends.
fn row(paper: &mut Paper, [run, state, took, command]: [&str; 4]) {
    let row = format!("{run:<22}{state:<20}{took:<12}{command}");
    let width = paper.width();
    if row.chars().count() <= width {
        return paper.line(&row);
    }
    paper.line(&row.chars().take(width - 3).chain("...".chars()).collect::<String>());
}

/// A run that is not over, and what is known of it.
pub struct Open<'a> {
    pub run: &'a RunRow,
    pub holder: Option<&'a Holder>,
    /// What it is at, a sentence each.
    pub at_work: &'a [String],
    /// Its calls, where nothing else tells what is there.
    pub calls: &'a [Entry],
    /// It has begun no change of containers, configuration or databases.
    pub untouched: bool,
}

impl<'a> Open<'a> {
    /// By its record alone.
    #[must_use]
    pub fn of(run: &'a RunRow, calls: &'a [Entry]) -> Self {
        Self { run, holder: None, at_work: &[], calls, untouched: untouched(calls) }
    }
}

/// Says first that a run is at work, or that one waits for somebody.
pub fn not_over(paper: &mut Paper, open: &Open<'_>, typed: &str) {
    let Open { run, holder, .. } = open;
    let id = &run.id;
    match run.state {
        RunState::Running if !run.interrupted => {
            let who = holder.map_or_else(
                || format!("`{}` by {}, since {}", run.command, run.by, time(run.started)),
                |holder| {
                    format!(
                        "`{}` by {} on {}, process {}, since {}",
                        holder.command,
                        holder.user,
                        holder.host,
                        holder.pid,
                        time(holder.since)
                    )
                },
            );
            paper.marked(Mark::Warn, &format!("run {id} is at work: {who}"), None);
            for text in open.at_work {
                paper.paragraph(8, &format!("now: {text}"));
            }
            paper.paragraph(8, &format!("watch it: {typed} show {id} --follow"));
        }
        RunState::NeedsPerson => {
            let text = format!("run {id} needs a decision: `{}`", verb(run));
            paper.marked(Mark::Warn, &text, None);
            paper.paragraph(8, &format!("what to choose from: {typed} show {id}"));
        }
        RunState::Stuck => {
            let text = format!("run {id} is stuck half way back: `{}`", verb(run));
            paper.marked(Mark::Warn, &text, None);
            paper.paragraph(8, &format!("what is not back, and why: {typed} show {id}"));
            paper.paragraph(8, &format!("once that is mended: {typed} rollback {id}"));
        }
        _ => {
            let text = format!("run {id} is not finished ({}): `{}`", state_word(run), verb(run));
            paper.marked(Mark::Warn, &text, None);
            if open.untouched {
                paper.paragraph(8, "it has changed nothing of the site");
            }
            if let Some(text) = trial::begun(open.calls) {
                paper.paragraph(8, &text);
            }
            if run.going_back {
                let text = "it was going back when it stopped: finish that";
                return paper.paragraph(8, &format!("{text}: {typed} rollback {id}"));
            }
            paper.paragraph(8, &format!("go on: {typed} resume {id}"));
            paper.paragraph(8, &format!("or take it back: {typed} rollback {id}"));
        }
    }
}

/// What was typed, without what everybody knows here: the program, and which site.
fn verb(run: &RunRow) -> &str {
    let mut rest = run.command.strip_prefix("uplift ").unwrap_or(&run.command);
    while let Some((_, value)) = rest.split_once(' ').filter(|(flag, _)| WHICH_SITE.contains(flag)) {
        let end = if value.starts_with('\'') { value.find("' ").map(|at| at + 1) } else { value.find(' ') };
        let Some(end) = end else { break };
        rest = value[end..].trim_start();
    }
    rest
}

/// Flags that say which site is meant, each with a value of its own.
const WHICH_SITE: [&str; 5] = ["-C", "--site", "--project", "--state", "--simulate"];

/// Why another run cannot begin: one waits for somebody.
#[must_use]
pub fn in_the_way(open: &Open<'_>, typed: &str) -> Failure {
    let Open { run, calls, untouched, .. } = *open;
    let id = &run.id;
    let text = format!("run {id} is not over ({}): `{}`", state_word(run), run.command);
    let hint = match run.state {
        RunState::NeedsPerson => format!("see what to choose from: `{typed} show {id}`"),
        RunState::Stuck => format!(
            "see what is not back, and why: `{typed} show {id}`; once that is mended go on with `{typed} rollback {id}`"
        ),
        _ if run.going_back => {
            format!("it was going back when it stopped: finish that with `{typed} rollback {id}`")
        }
        _ => format!("go on with `{typed} resume {id}`, or go back with `{typed} rollback {id}`"),
    };
    let trial = trial::begun(calls).map(|text| format!("; {text}")).unwrap_or_default();
    let untouched = if untouched { "; it has changed nothing of the site" } else { "" };
    Failure::new("run_unfinished", text).hint(format!("{hint}{trial}{untouched}"))
}

/// What going back would take back, last first: what was done, and what would be done about it.
pub fn way_back(paper: &mut Paper, run: &RunRow, changes: &[(String, String)]) {
    let title = match changes.len() {
        0 => format!(
            "going back from run {} would take nothing back: nothing that was begun is left, only the comparison with the site before",
            run.id
        ),
        n => format!("going back from run {} would take back {}, last first", run.id, count(n, "change")),
    };
    paper.heading(&title);
    for (did, back) in changes {
        paper.marked(Mark::Back, &format!("{did}: {back}"), None);
    }
    paper.line("then the site is compared with what was recorded before the run");
}

/// Where going on would begin, and what it would not do again.
pub fn way_on(paper: &mut Paper, run: &RunRow, calls: &[Entry]) {
    paper.heading(&format!("going on with run {}", run.id));
    paper.line("answered from the record, not done again:");
    calls::changes(paper, calls);
    let text = match (calls::stopped_at(calls), calls.last()) {
        (Some((call, step)), _) => format!("it would go on at `{step}`: {}", call.summary),
        (None, last) => {
            let last = last.map_or("the beginning", |call| call.summary.as_str());
            format!("it would go on with what comes after: {last}")
        }
    };
    paper.paragraph(0, &text);
}
