use jiff::Timestamp;

use super::{
    at_work::AtWork,
    held::Held,
    history::{Open, not_over},
    paper::Paper,
    sets::{NoSets, newest},
    trial,
    words::{size, time},
};
use crate::{
    backups::Listed,
    event::Failure,
    journal::{Entry, Holder, RunRow, RunState},
    run::{stopped_meanwhile, touched},
    survey::{Footprint, Gathered, KEEPS_DYING, ServiceStatus, Status, gathered},
};

/// All that can be told about a site now.
pub struct Known<'a> {
    /// The site, or why it could not be looked at.
    pub site: Result<&'a Status, &'a Failure>,
    /// Its containers, where it could not be looked at.
    pub containers: &'a [ServiceStatus],
    /// The newest run.
    pub last: Option<&'a RunRow>,
    /// Its calls, where it is not over.
    pub calls: &'a [Entry],
    pub holder: Option<&'a Holder>,
    /// What the run that is at work is at.
    pub at_work: &'a AtWork,
    /// The run whose way back has left something as it is, and no later one has settled it.
    pub left: Option<&'a RunRow>,
    /// What a finished run has left stopped, and does not run since, with that run.
    pub held: Option<(&'a RunRow, &'a Held)>,
    /// Why the record of the runs could not be read.
    pub unread: Option<&'a Failure>,
    /// The site's backups, or why they could not be looked at; `None` if nobody knows where they are.
    pub sets: Option<Result<&'a [Listed], &'a Failure>>,
    /// Told where there is no backup.
    pub none: Option<&'a NoSets>,
    /// What uplift itself takes of the disk.
    pub own: Option<&'a Footprint>,
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
        let at_work = known.now.map(|now| known.at_work.in_words(now)).unwrap_or_default();
        let open = Open { holder: known.holder, at_work: &at_work, calls, ..Open::of(run, known.calls) };
        not_over(paper, &open, known.typed);
    }
    match known.site {
        Ok(status) => {
            asks(paper, status);
            let stopped = match (known.open(), known.held) {
                (Some(_), _) => Stopped::ByRun,
                (None, held) => Stopped::Unexplained { but: held.map_or(&[], |(_, held)| &held.services) },
            };
            services(paper, &status.services, stopped);
            if let Some(run) = known.open() {
                in_between(paper, status, run, known.calls);
            }
            // In the middle of a run files and containers differ, and the run says how.
            if known.open().is_none() {
                differs(paper, status, known.typed);
            }
            left_stopped(paper, status, known.held);
            dies_since(paper, status, known);
            trial::there(paper, status, known.open(), known.typed);
            around(paper, status, known.own, known.open());
        }
        Err(failure) => {
            unread(paper, failure);
            services(paper, known.containers, Stopped::ByRun);
        }
    }
    match known.sets {
        Some(Ok(sets)) => paper.labelled("backup", &newest(sets, known.none, known.now)),
        Some(Err(failure)) => unread(paper, failure),
        None => {}
    }
    if let Ok(status) = known.site {
        bundle(paper, status);
        all_kept(paper, &gathered(&status.kept), known);
    }
    if let Some(own) = known.own.filter(|own| own.old == Some(true)) {
        // One line, whatever the figures are; how much it is in all says `-o json`.
        let (backups, runs) = (size(own.backups), size(own.runs));
        let text = format!("backups {backups}, runs {runs}, some old: `{} backup prune`", known.typed);
        paper.labelled("own", &text);
    }
    match known.last {
        Some(run) if !run.state.unfinished() => {
            let ended = run.ended.map(time).unwrap_or_default();
            let state = super::history::state_word(run);
            paper.labelled("last run", &format!("{}: {state} {ended}, `{}`", run.id, run.command));
            left(paper, run, known.left);
        }
        // Where nobody knows the folder no record was looked at.
        None if known.unread.is_none() && known.sets.is_some() => {
            paper
                .labelled("last run", if known.site.is_ok() { "none yet" } else { "no record of runs here" });
        }
        // An unfinished one is told first of all.
        Some(_) | None => {}
    }
    if let Some(failure) = known.unread {
        unread(paper, failure);
    }
}

/// By whose runbooks the site is upgraded, where it is not those that ship with uplift.
fn bundle(paper: &mut Paper, status: &Status) {
    if let Some(bundle) = &status.bundle {
        paper.labelled("runbooks", &format!("of the bundle {bundle}"));
    }
}

/// What is not as it was before an upgrade that was taken back: a nightly backup since does not settle it.
fn left(paper: &mut Paper, last: &RunRow, left: Option<&RunRow>) {
    let Some(run) = left else { return };
    let by = if run.id == last.id { String::new() } else { format!(" (run {})", run.id) };
    for text in run.left() {
        let text = text.replace("`uplift show`", &format!("`uplift show {}`", run.id));
        paper.labelled("LEFT", &format!("{text}{by}"));
    }
}

/// The site with nothing of what uplift has done to it.
pub(super) fn of_site(paper: &mut Paper, status: &Status) {
    asks(paper, status);
    services(paper, &status.services, Stopped::Unexplained { but: &[] });
    differs(paper, status, "uplift");
    around(paper, status, None, None);
}

fn asks(paper: &mut Paper, status: &Status) {
    let asks = format!("`{}` in `{}`, settings ask for {}", status.site, status.folder, status.version);
    paper.labelled("site", &asks);
}

/// So many differences are each told.
const TOLD: usize = 2;

fn differs(paper: &mut Paper, status: &Status, typed: &str) {
    for text in status.differs.iter().take(TOLD) {
        paper.labelled("DIFFERS", text);
    }
    if let Some(more @ 1..) = status.differs.len().checked_sub(TOLD) {
        paper.labelled("DIFFERS", &format!("and {more} more: `{typed} status -o json` has them"));
    }
    if let Some(way) = &status.way {
        paper.labelled("", way);
    }
}

/// So much of uplift's own is told also where nothing of it is old.
const MUCH: u64 = 1 << 30;

/// Its databases and files, and the room for backups.
fn around(paper: &mut Paper, status: &Status, own: Option<&Footprint>, open: Option<&RunRow>) {
    if let Some(database) = &status.database {
        paper.labelled("database", database);
    }
    paper.labelled("storage", &storage(&status.storage, status.free, own));
    for failure in &status.unread {
        match open.filter(|_| failure.code == "database_closed") {
            Some(run) => {
                // A swap keeps everybody out: whoever opened it would let the product into what is half moved.
                let hint = if run.state == RunState::Running && !run.interrupted {
                    format!(
                        "run {} is at work and may be moving it: leave it alone until that is over",
                        run.id
                    )
                } else {
                    format!("run {} may be moving it: end that run first, and open nothing by hand", run.id)
                };
                unread(paper, &failure.clone().hint(hint));
            }
            None => unread(paper, failure),
        }
    }
}

/// Where the files are, and the room beside them. How much uplift has stands in the place of some words, not in a line of its
/// own: a site that is well is told in ten.
fn storage(storage: &str, free: Option<u64>, own: Option<&Footprint>) -> String {
    let much = own.filter(|own| own.bytes >= MUCH && own.old != Some(true)).map(|own| size(own.bytes));
    let Some(free) = free.map(size) else { return storage.to_owned() };
    match much {
        Some(own) => format!("{storage}; uplift has {own}, {free} free"),
        None => format!("{storage}; {free} free where backups go"),
    }
}

/// So many groups of databases are each told; more in one line.
const FEW: usize = 2;

/// What is kept beside the site's own. What uplift does not remove by itself always has a line.
fn all_kept(paper: &mut Paper, groups: &[Gathered], known: &Known<'_>) {
    let (pruned, others): (Vec<_>, Vec<_>) = groups.iter().partition(|one| one.pruned);
    if pruned.len() <= FEW {
        for one in &pruned {
            kept(paper, one, known);
        }
    } else {
        let bytes = pruned.iter().map(|one| one.bytes).sum();
        let mut owners: Vec<_> = pruned.iter().flat_map(|one| &one.owners).map(String::as_str).collect();
        owners.sort_unstable();
        owners.dedup();
        let first = pruned.iter().filter_map(|one| one.expires.as_ref()?.parse::<Timestamp>().ok()).min();
        let first = first.map(|at| format!(", the first until {}", time(at))).unwrap_or_default();
        let text = format!(
            "databases in {} groups, {} of `{}`{first}: `{} backup prune --dry-run` lists them",
            pruned.len(),
            size(bytes),
            owners.join("`, `"),
            known.typed
        );
        paper.labelled("kept", &text);
    }
    for one in &others {
        kept(paper, one, known);
    }
}

/// What is kept beside the site's own, and until when.
fn kept(paper: &mut Paper, one: &Gathered, known: &Known<'_>) {
    let mut text = format!("{}, {}", one.what, size(one.bytes));
    if !one.owners.is_empty() {
        text = format!("{text} of `{}`", one.owners.join("`, `"));
    }
    let moment = |at: &Option<String>| at.as_ref()?.parse::<Timestamp>().ok();
    if let (Some(now), Some(expires)) = (known.now, moment(&one.expires)) {
        let is_over = expires <= now;
        let until = if is_over { "over since" } else { "until" };
        text = format!("{text}, {until} {}", time(expires));
        if one.pruned {
            let then = if is_over { "" } else { "then " };
            text = format!("{text}: {then}`{} backup prune`", known.typed);
        }
    }
    paper.labelled("kept", &text);
}

/// An image without the registry that it is from.
pub(super) fn image(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Why a service may stand still.
#[derive(Clone, Copy)]
pub(super) enum Stopped<'a> {
    /// A run has stopped it, and says what to type.
    ByRun,
    /// Nothing is known of it, but of those that a run has left stopped on purpose.
    Unexplained { but: &'a [String] },
}

/// What each service runs and how it is.
pub(super) fn services(paper: &mut Paper, all: &[ServiceStatus], stopped: Stopped<'_>) {
    for service in all {
        let mut text = format!("`{}` {}", image(&service.image), service.state);
        if let Some(health) = &service.health {
            text.push_str(", ");
            text.push_str(health);
        }
        let is_told = match stopped {
            Stopped::ByRun => true,
            Stopped::Unexplained { but } => but.contains(&service.service),
        };
        if let Some(next) = service.next.as_ref().filter(|_| !is_told) {
            text.push_str("; ");
            text.push_str(next);
        }
        paper.labelled(&service.service, &text);
    }
}

/// What a person should know before typing anything else: a run stands still between its stop and its switch.
pub fn in_between(paper: &mut Paper, status: &Status, run: &RunRow, calls: &[Entry]) {
    let at_work = run.state == RunState::Running && !run.interrupted;
    if at_work || !run.state.unfinished() {
        return;
    }
    let of = |names: Vec<String>| status.services.iter().filter(move |one| names.contains(&one.service));
    let running: Vec<_> = of(stopped_meanwhile(calls))
        .filter(|service| service.running)
        .map(|service| format!("`{}`", service.service))
        .collect();
    // Web comes first, whether it has a container or not.
    let web =
        status.services.first().map(|first| first.service.clone()).filter(|web| touched(calls).contains(web));
    let is_down = web.is_some_and(|web| of(vec![web]).all(|one| !one.running));
    if !running.is_empty() {
        let text = format!(
            "{}: running, though run {} has stopped the site and started nothing; users can write, and going back asks \
             what is to become of that",
            running.join(", "),
            run.id
        );
        paper.labelled("RUNS AGAIN", &text);
    } else if is_down {
        let text = "users reach nothing until the run is ended; start nothing by hand, a `docker compose up -d` lets \
                    them write what no copy has";
        paper.labelled("DOWN", text);
    }
}

/// The newest run has brought what keeps dying: there is a way back.
fn dies_since(paper: &mut Paper, status: &Status, known: &Known<'_>) {
    let Some(run) = known.last.filter(|run| run.state == RunState::Done && run.runbook == UPGRADE) else {
        return;
    };
    if status.services.iter().any(|service| service.state.starts_with(KEEPS_DYING)) {
        let text =
            format!("since run {}: `{} rollback --list` says what going back costs", run.id, known.typed);
        paper.labelled("way back", &text);
    }
}

/// The runbook that brings a release.
const UPGRADE: &str = "compose/upgrade";

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
    let why = failure.evidence.join("; ");
    let why = if why.is_empty() { why } else { format!(" ({why})") };
    let hint = failure.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
    paper.labelled("UNREAD", &format!("{}{why}{hint}", failure.message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uplift_has_is_told_once_it_is_much_and_fits_the_line() {
        let own = |bytes, old| Footprint { folder: ".uplift".into(), bytes, backups: bytes, runs: 0, old };
        let line = |own: Footprint| storage("volume `strata_strata_storage`", Some(40 << 30), Some(&own));
        let told = line(own(MUCH, Some(false)));
        assert_eq!(told, "volume `strata_strata_storage`; uplift has 1.0 GiB, 40.0 GiB free");
        // Beside its label, on a terminal of 80 columns.
        let long = line(own(900 << 30, None));
        assert!(long.chars().count() <= 80 - 12, "{long}");
        let usual = "volume `strata_strata_storage`; 40.0 GiB free where backups go";
        assert_eq!(
            (line(own(MUCH - 1, None)).as_str(), line(own(MUCH, Some(true))).as_str()),
            (usual, usual)
        );
    }
}
