use jiff::Timestamp;

use super::{
    held::Held,
    history::not_over,
    paper::Paper,
    sets::{NoSets, newest},
    trial,
    words::{between, size, time},
};
use crate::{
    backups::Listed,
    event::Failure,
    journal::{Entry, Holder, RunRow},
    survey::{Gathered, Status, gathered},
};

/// All that can be told about a site now.
pub struct Known<'a> {
    /// The site, or why it could not be looked at.
    pub site: Result<&'a Status, &'a Failure>,
    /// The newest run.
    pub last: Option<&'a RunRow>,
    /// Its calls, where it is not over.
    pub calls: &'a [Entry],
    pub holder: Option<&'a Holder>,
    /// What a finished run has left stopped, and does not run since, with that run.
    pub held: Option<(&'a RunRow, &'a Held)>,
    /// Why the record of the runs could not be read.
    pub unread: Option<&'a Failure>,
    /// The site's backups, or why they could not be looked at; `None` if nobody knows where they are.
    pub sets: Option<Result<&'a [Listed], &'a Failure>>,
    /// Told where there is no backup.
    pub none: Option<&'a NoSets>,
    /// What time it is there.
    pub now: Option<Timestamp>,
    pub typed: &'a str,
}

impl Known<'_> {
    /// The run that is not over.
    fn open(&self) -> Option<&RunRow> {
        self.last.filter(|run| run.state.unfinished())
    }
}

pub fn status(paper: &mut Paper, known: &Known<'_>) {
    if let Some(run) = known.open() {
        // Where the site can be looked at, what is there says it better than the record.
        let calls = if known.site.is_ok() { &[] } else { known.calls };
        not_over(paper, run, known.holder, calls, known.typed);
    }
    match known.site {
        Ok(status) => of_site(paper, status, known),
        Err(failure) => unread(paper, failure),
    }
    match known.sets {
        Some(Ok(sets)) => paper.labelled("backup", &newest(sets, known.none, known.now)),
        Some(Err(failure)) => unread(paper, failure),
        None => {}
    }
    if let Ok(status) = known.site {
        for one in gathered(&status.kept) {
            kept(paper, &one, known);
        }
    }
    match known.last {
        Some(run) if !run.state.unfinished() => {
            let ended = run.ended.map(time).unwrap_or_default();
            let state = super::history::state_word(run);
            paper.labelled("last run", &format!("{}: {}, {state}, {ended}", run.id, run.command));
        }
        None if known.unread.is_none() => paper.labelled("last run", "none yet"),
        // An unfinished one is told first of all.
        Some(_) | None => {}
    }
    if let Some(failure) = known.unread {
        unread(paper, failure);
    }
}

fn of_site(paper: &mut Paper, status: &Status, known: &Known<'_>) {
    let asks = format!("`{}` in `{}`, settings ask for {}", status.site, status.folder, status.version);
    paper.labelled("site", &asks);
    services(paper, status);
    left_stopped(paper, status, known.held);
    trial::there(paper, status, known.open(), known.typed);
    if let Some(database) = &status.database {
        paper.labelled("database", database);
    }
    paper.labelled("storage", &status.storage);
    if let Some(free) = status.free {
        paper.labelled("free", &format!("{} where backups go", size(free)));
    }
    for failure in &status.unread {
        unread(paper, failure);
    }
}

/// What is kept beside the site's own, and until when.
fn kept(paper: &mut Paper, one: &Gathered, known: &Known<'_>) {
    let mut text = format!("{}, {}", one.what, size(one.bytes));
    if !one.owners.is_empty() {
        text = format!("{text} of `{}`", one.owners.join("`, `"));
    }
    let moment = |at: &Option<String>| at.as_ref()?.parse::<Timestamp>().ok();
    if let (Some(now), Some(made), Some(expires)) = (known.now, moment(&one.made), moment(&one.expires)) {
        let is_over = expires <= now;
        let until = if is_over { "over since" } else { "until" };
        text = format!("{text}, {} old, {until} {}", between(made, now), time(expires));
        if one.pruned {
            let then = if is_over { "" } else { "then " };
            text = format!("{text}; {then}removed by `{} backup prune`", known.typed);
        }
    }
    paper.labelled("kept", &text);
}

/// An image without the registry that it is from.
pub(super) fn image(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// What each service runs and how it is.
pub(super) fn services(paper: &mut Paper, status: &Status) {
    for service in &status.services {
        let mut text = format!("`{}` {}", image(&service.image), service.state);
        if let Some(health) = &service.health {
            text.push_str(", ");
            text.push_str(health);
        }
        paper.labelled(&service.service, &text);
    }
}

/// A worker that does not run is no accident where a person has held it.
fn left_stopped(paper: &mut Paper, status: &Status, held: Option<(&RunRow, &Held)>) {
    let Some((run, held)) = held else { return };
    let text = format!(
        "{} is left stopped on purpose, by run {} (`{}`); a plain `docker compose up -d` would start it",
        held.names(),
        run.id,
        run.command
    );
    paper.labelled("held", &text);
    held.start(&status.compose).print(paper);
}

fn unread(paper: &mut Paper, failure: &Failure) {
    let hint = failure.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    paper.labelled("UNREAD", &format!("{}{hint}", failure.message));
}
