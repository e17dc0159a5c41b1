//! How a run ended: what happened, what it cost, what the site is like now, and what to type next.

use super::{
    asked::{list, option, then, type_one, undecided},
    away, calls,
    failure::why,
    held::Held,
    next::Next,
    paper::Paper,
    status::{Stopped, in_between, services},
    trial,
    words::between,
};
use crate::{
    event::{Ending, Failure, Question},
    journal::{Entry, RunRow},
    run,
    survey::Status,
};

/// All that an ending is told from.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// Its name, where somebody has looked.
    pub site: Option<&'a str>,
    pub run: &'a RunRow,
    pub calls: &'a [Entry],
    /// The calls are listed above already.
    pub listed: bool,
    /// Where the run's log lies.
    pub log: Option<&'a str>,
    /// The site as it is now, where somebody has looked.
    pub now: Option<&'a Status>,
    /// How `docker compose` is called for this site by hand.
    pub compose: &'a str,
    /// The program with what names the site, as it has to be typed here: `uplift -C /srv/strata`.
    pub typed: &'a str,
}

pub fn ending(paper: &mut Paper, page: &Page<'_>, ending: &Ending) {
    paper.blank();
    match ending {
        Ending::Done => done(paper, page),
        Ending::NothingNeeded { why } => nothing_needed(paper, why),
        Ending::Refused { failure } => refused(paper, page, failure),
        Ending::TakenBack { failure, left } => taken_back(paper, page, failure, left),
        Ending::RolledBack { left } => rolled_back(paper, page, left),
        Ending::NeedsPerson { failure, question } => needs_person(paper, page, failure.as_ref(), question),
        Ending::Stuck { failure, cause, done, not_done } => {
            stuck(paper, page, (failure, cause.as_ref()), done, not_done);
        }
        Ending::Unfinished { why, cause, question: None } => stopped(paper, page, why, cause.as_ref()),
        Ending::Unfinished { question: Some(question), .. } => in_doubt(paper, page, question),
        Ending::Interrupted => {
            paper.heading("INTERRUPTED: nothing was changed");
            kept(paper, page);
            Next::new().then("when you are ready, type it again", &page.run.command).print(paper);
        }
        Ending::Closed { why } => {
            paper.heading(&format!("CLOSED: {why}"));
            now(paper, page);
            list(paper, "stays", &calls::of_hooks(page.calls));
            kept(paper, page);
            Next::new().then("see how the site is", page.see_status()).print(paper);
        }
    }
}

/// What was asked for is there already. Its reason may have several lines.
pub fn nothing_needed(paper: &mut Paper, why: &str) {
    let (first, more) = why.split_once('\n').unwrap_or((why, ""));
    paper.heading(&format!("NOTHING NEEDED: {first}"));
    paper.paragraph(0, more);
    paper.labelled("state", "nothing was changed");
}

/// The ending where the record of the run cannot be read, so that nothing can be said of its calls.
pub fn ending_alone(paper: &mut Paper, ending: &Ending, unread: &Failure, typed: &str) {
    paper.blank();
    let (title, failure) = match ending {
        Ending::Done => ("DONE".to_owned(), None),
        Ending::NothingNeeded { why } => (format!("NOTHING NEEDED: {why}"), None),
        Ending::Refused { failure } => ("REFUSED: nothing was changed".to_owned(), Some(failure)),
        Ending::TakenBack { failure, .. } => ("FAILED, TAKEN BACK".to_owned(), Some(failure)),
        Ending::RolledBack { .. } => ("TAKEN BACK".to_owned(), None),
        Ending::NeedsPerson { failure, .. } => ("A PERSON MUST DECIDE".to_owned(), failure.as_ref()),
        Ending::Stuck { failure, .. } => ("STUCK: a person is needed".to_owned(), Some(failure)),
        Ending::Unfinished { why, cause, .. } => (format!("STOPPED IN THE MIDDLE: {why}"), cause.as_ref()),
        Ending::Interrupted => ("INTERRUPTED: nothing was changed".to_owned(), None),
        Ending::Closed { why } => (format!("CLOSED: {why}"), None),
    };
    paper.heading(&title);
    if let Some(failure) = failure {
        why(paper, failure);
    }
    paper.labelled("record", &format!("it cannot be read now: {}", unread.message));
    if let Some(hint) = &unread.hint {
        paper.labelled("hint", hint);
    }
    Next::new().then("see how the site is", format!("{typed} status")).print(paper);
}

fn done(paper: &mut Paper, page: &Page<'_>) {
    let title = match calls::proved(page.calls) {
        Some(tag) => format!("DONE: {} runs {tag}, verified", page.name()),
        None => format!("DONE: {} on {}", page.run.runbook, page.name()),
    };
    let held = Held::of(page.calls).filter(|held| !held.services.is_empty());
    match &held {
        Some(held) => {
            paper.heading(&format!("{title}; {} STOPPED", held.names()));
            paper.labelled("held", &format!("{} is left stopped until somebody starts it", held.names()));
        }
        None => paper.heading(&title),
    }
    if let Some(aside) = calls::put_aside(page.calls) {
        paper.labelled("put aside", &format!("{aside}: `{}` tells what of that is kept", page.see_status()));
    }
    cost(paper, page);
    kept(paper, page);
    let mut next = held.map_or_else(Next::new, |held| held.start(page.compose));
    next = next.then("see how the site is", page.see_status());
    if calls::brought(page.calls) {
        next = next.then("should users find it bad, see what each way back costs", page.see_ways_back());
    }
    next.print(paper);
}

fn refused(paper: &mut Paper, page: &Page<'_>, failure: &Failure) {
    if let Some(question) = &failure.question {
        undecided(paper, question, &page.run.command, None);
        kept(paper, page);
        return;
    }
    paper.heading(&format!("REFUSED: nothing of {} was changed", page.name()));
    at(paper, page, failure);
    why(paper, failure);
    kept(paper, page);
    Next::new().then("mend the cause, then type it again", &page.run.command).print(paper);
}

fn taken_back(paper: &mut Paper, page: &Page<'_>, failure: &Failure, left: &[String]) {
    paper.heading(&format!("FAILED, TAKEN BACK: {}", back_where(page, left)));
    at(paper, page, failure);
    why(paper, failure);
    as_before(paper, left);
    cost(paper, page);
    kept(paper, page);
    Next::new()
        .then("mend the cause, then try again", &page.run.command)
        .then("see every call of this run", page.command("show"))
        .print(paper);
}

fn rolled_back(paper: &mut Paper, page: &Page<'_>, left: &[String]) {
    paper.heading(&format!("TAKEN BACK: {}", back_where(page, left)));
    as_before(paper, left);
    for call in page.calls {
        for decided in &call.decisions {
            let decision = &decided.decision;
            let text = format!("`{}` by {}: {}", decision.choice, decision.by, decision.reason);
            paper.labelled("decided", &text);
            // What it cost stands in the question that it has answered.
            let asked = call.undos.iter().rev().find_map(|undo| undo.question.as_ref());
            let chosen = asked.and_then(|asked| asked.choices.iter().find(|one| one.key == decision.choice));
            if let Some(chosen) = chosen {
                paper.labelled("", &chosen.costs);
            }
        }
    }
    cost(paper, page);
    kept(paper, page);
    let mut next = Next::new();
    if page.calls.iter().any(|call| call.verb == "pg_savepoint") && !left.is_empty() {
        next = next.then(
            "if the older release fails on these databases, see what the return of the data costs",
            page.see_ways_back(),
        );
    }
    next.then("see how the site is", page.see_status()).print(paper);
}

fn back_where(page: &Page<'_>, left: &[String]) -> String {
    if left.is_empty() {
        return format!("{} is as it was before", page.name());
    }
    format!("{} runs what it ran before, but for what is listed as left", page.name())
}

fn needs_person(paper: &mut Paper, page: &Page<'_>, failure: Option<&Failure>, question: &Question) {
    paper.heading("A PERSON MUST DECIDE: nothing more is done until you choose");
    if let Some(failure) = failure {
        at(paper, page, failure);
        why(paper, failure);
    }
    paper.labelled("question", &question.text);
    list(paper, "found", &question.found);
    // Whoever looks later at what was counted.
    let has_figures = question.choices.iter().any(|choice| !choice.costs.is_empty());
    then(paper, page.run.ended.filter(|_| page.now.is_none() && has_figures));
    now(paper, page);
    cost(paper, page);
    kept(paper, page);
    paper.labelled("choices", type_one(question));
    // With a flag it is about how to go on.
    let verb = if question.flag.is_some() { page.resume() } else { page.rollback() };
    for choice in &question.choices {
        let command = format!("{verb} --choose {} --reason TEXT", choice.key);
        option(paper, &command, &choice.does, &choice.costs);
    }
    if let Some(flag) = &question.flag {
        option(paper, &page.rollback(), "go back to how the site was before this run", "");
        let words: Vec<_> = question.choices.iter().map(|choice| choice.key.as_str()).collect();
        let advance = format!("`--{flag} {}` decides it before a run begins", words.join("|"));
        if !flag.is_empty() {
            paper.labelled("in advance", &advance);
        }
    } else if page.calls.iter().all(|call| call.undos.is_empty()) {
        on(paper, page, failure.is_some());
    }
}

/// How to go on, where somebody has looked what going back would ask: nothing is taken back yet.
fn on(paper: &mut Paper, page: &Page<'_>, failed: bool) {
    let open = page.calls.iter().filter_map(Entry::question).find(|question| question.flag.is_some());
    let Some(open) = open else {
        if matches!(&page.run.ending, Some(Ending::NeedsPerson { failure: Some(why), .. }) if why.code == "started_by_hand")
        {
            // That it was started is past, and nobody can mend it.
            return;
        }
        let (does, costs) = if failed {
            (
                "mend the cause yourself, then go on from where it failed",
                "the site stays as it is now until it is mended; an edit of a runbook or hook does not count in this run",
            )
        } else {
            ("do not go back, but on from where it stopped", "")
        };
        option(paper, &page.resume(), does, costs);
        return;
    };
    paper.labelled("or go on", &format!("which asks still: {}", open.text));
    for choice in &open.choices {
        let command = format!("{} --choose {} --reason TEXT", page.resume(), choice.key);
        option(paper, &command, &choice.does, &choice.costs);
    }
}

fn stuck(
    paper: &mut Paper,
    page: &Page<'_>,
    (failure, cause): (&Failure, Option<&Failure>),
    done: &[String],
    not_done: &[String],
) {
    paper.heading("STUCK: going back failed half way, and a person is needed");
    why(paper, failure);
    if let Some(cause) = cause {
        paper.labelled("at first", &cause.message);
        paper.quoted("", &cause.evidence);
    }
    list(paper, "is back", done);
    list(paper, "is NOT back", not_done);
    now(paper, page);
    cost(paper, page);
    kept(paper, page);
    Next::new()
        .then("mend what is named above, then go on going back", page.rollback())
        .then("see every call of this run", page.command("show"))
        .print(paper);
}

fn stopped(paper: &mut Paper, page: &Page<'_>, why: &str, cause: Option<&Failure>) {
    paper.heading(&format!("STOPPED IN THE MIDDLE: {why}"));
    if let Some(cause) = cause {
        at(paper, page, cause);
        super::failure::why(paper, cause);
    }
    so_far(paper, page);
    now(paper, page);
    cost(paper, page);
    kept(paper, page);
    on_or_back(page).print(paper);
}

fn in_doubt(paper: &mut Paper, page: &Page<'_>, question: &Question) {
    paper.heading("STOPPED IN THE MIDDLE: nobody knows whether one change was made");
    paper.labelled("question", &question.text);
    list(paper, "found", &question.found);
    so_far(paper, page);
    now(paper, page);
    cost(paper, page);
    kept(paper, page);
    paper.labelled("answers", "look for yourself, then type one of these:");
    for choice in &question.choices {
        let command = format!("{} --outcome {} --reason TEXT", page.resume(), choice.key);
        option(paper, &command, &choice.does, &choice.costs);
    }
    option(paper, &page.rollback(), "go back to how the site was before this run", "");
}

/// Nobody is at work any more, and nobody has said why.
pub(super) fn interrupted(paper: &mut Paper, page: &Page<'_>) {
    paper.blank();
    paper.heading("INTERRUPTED: the program ended in the middle (a crash, a kill, a power cut)");
    so_far(paper, page);
    now(paper, page);
    cost(paper, page);
    kept(paper, page);
    on_or_back(page).print(paper);
}

fn on_or_back(page: &Page<'_>) -> Next {
    if page.calls.iter().any(|call| !call.undos.is_empty()) {
        return Next::new().then("it was going back when it stopped: finish that", page.rollback());
    }
    Next::new()
        .then("go on from where it stopped", page.resume())
        .then("or go back to how the site was before", page.rollback())
}

/// The call that has failed, if it was a call: one that was interrupted earlier may be the last that did not end well.
fn at(paper: &mut Paper, page: &Page<'_>, failure: &Failure) {
    let of_this = |call: &Entry| {
        let own = call.attempts.last().and_then(|last| last.failure.as_ref());
        own.is_none_or(|own| own.code == failure.code)
    };
    if let Some((call, step)) = calls::stopped_at(page.calls).filter(|(call, _)| of_this(call)) {
        paper.labelled("failed", &format!("{step}: {}", call.summary));
    }
}

fn as_before(paper: &mut Paper, left: &[String]) {
    // What was left is not as it was recorded, so it is not claimed.
    let compared = if left.is_empty() {
        "images, states and restart policies of the containers, settings, the databases' schema, owners and rights are \
         what was recorded before the first change, and web answers if it did then"
    } else {
        "images, states and restart policies of the containers are what was recorded before the first change, and web \
         answers if it did then"
    };
    paper.labelled("state", compared);
    list(paper, "left", left);
}

/// What was begun so far and where each of it stands.
fn so_far(paper: &mut Paper, page: &Page<'_>) {
    if page.listed {
        return;
    }
    paper.labelled("so far", "what this run has begun, in order:");
    calls::changes(paper, page.calls);
}

fn now(paper: &mut Paper, page: &Page<'_>) {
    if let Some(status) = page.now {
        paper.labelled("now", &format!("`{}` asks for {} in its settings", status.site, status.version));
        services(paper, &status.services, Stopped::ByRun);
        in_between(paper, status, page.run, page.calls);
        trial::there(paper, status, Some(page.run).filter(|run| run.state.unfinished()), page.typed);
        return;
    }
    paper.labelled("now", &format!("`{}` tells how the site is", page.see_status()));
    if let Some(text) = trial::begun(page.calls) {
        paper.labelled("trial", &text);
    }
}

/// What it cost: time, and who was away for how long.
fn cost(paper: &mut Paper, page: &Page<'_>) {
    if let Some(ended) = page.run.ended {
        paper.labelled("took", &between(page.run.started, ended));
    }
    let away: Vec<_> = run::away(page.run, page.calls).iter().map(away::in_words).collect();
    let away = if away.is_empty() { "no service was away".to_owned() } else { away.join(", ") };
    paper.labelled("away", &away);
}

/// What lies on the disk for later.
fn kept(paper: &mut Paper, page: &Page<'_>) {
    match calls::backup(page.calls) {
        Some(folder) => paper.labelled("backup", &folder),
        None => paper.labelled("backup", "none was made"),
    }
    if let Some(log) = page.log {
        paper.labelled("log", log);
    }
}
