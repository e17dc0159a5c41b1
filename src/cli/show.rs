use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{arguments, session::Session, trouble::Trouble};
use crate::{
    event::{Ending, Event, ExitClass},
    host::{RunState, Runs, Shown, Telling},
    report::{self, AtWork, Follow, Page},
};

/// `uplift show`.
pub(super) async fn show(session: &mut Session, asked: arguments::Show) -> Result<ExitClass, Trouble> {
    let runs = session.runs().await?;
    let shown = runs.show(asked.run.as_deref())?;
    if asked.follow && is_at_work(&shown) {
        return follow(session, &runs, shown).await;
    }
    let at_work = at_work(&runs, &shown).await;
    if session.json() {
        let Shown { run, calls, .. } = &shown;
        session.lines().json(&json!({ "run": run, "calls": calls, "at_work": at_work.all() }));
    } else {
        let left = runs.left(&shown.run.id).await;
        let log = left.log.display().to_string();
        let page = page(&shown, &log, &session.typed);
        let page = Page { log: page.log.filter(|_| !left.log_gone), ..page };
        report::show(&mut session.sheet(), &page, &at_work, runs.now());
        if left.kept_gone && !shown.calls.is_empty() {
            report::kept_gone(&mut session.sheet(), &shown.run, &left.kept.display().to_string());
        }
    }
    Ok(ExitClass::Done)
}

/// What a run is at, if somebody works on it.
pub(super) async fn at_work(runs: &Runs, shown: &Shown) -> AtWork {
    let mut at_work = AtWork::default();
    if is_at_work(shown) {
        look(&mut runs.telling(&shown.run.id), &mut at_work, shown).await;
    }
    at_work
}

fn is_at_work(shown: &Shown) -> bool {
    shown.run.state == RunState::Running && !shown.run.interrupted
}

/// What the run is at now; gives what it told since the last look.
async fn look(telling: &mut Telling, at_work: &mut AtWork, shown: &Shown) -> Vec<(Timestamp, Event)> {
    let told = telling.more().await;
    for (at, event) in &told {
        at_work.hear(*at, event);
    }
    at_work.settle(&shown.calls);
    if !is_at_work(shown) {
        at_work.is_over();
    }
    told
}

fn page<'a>(shown: &'a Shown, log: &'a str, typed: &'a str) -> Page<'a> {
    let (run, calls, compose) = (&shown.run, &shown.calls, shown.compose.as_str());
    // Nobody has looked at the site: its record is read also where that cannot be done.
    Page { site: None, run, calls, listed: true, log: Some(log), now: None, compose, typed }
}

/// Reads the record and the log again and again, and tells what is new, until the run ends. Whoever follows stops nothing.
async fn follow(session: &Session, runs: &Runs, shown: Shown) -> Result<ExitClass, Trouble> {
    let id = shown.run.id;
    let (mut told, mut at_work, mut telling) = (Follow::default(), AtWork::default(), runs.telling(&id));
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            () = session.signals.wanted(1) => return Ok(ExitClass::Interrupted),
            _ = ticks.tick() => {}
        }
        let shown = runs.show(Some(&id))?;
        let events = look(&mut telling, &mut at_work, &shown).await;
        let log = runs.log(&id).display().to_string();
        let page = page(&shown, &log, &session.typed);
        if session.json() {
            let mut lines = session.lines();
            told.fresh(&shown.calls).into_iter().for_each(|call| lines.json(call));
            events.iter().filter(|(_, event)| goes_on(event)).for_each(|(_, event)| lines.json(event));
        } else {
            told.tell(&mut session.sheet(), &page, &mut at_work, runs.now());
        }
        if is_at_work(&shown) {
            continue;
        }
        if session.json() {
            session.lines().json(&shown.run);
        } else {
            report::ended(&mut session.sheet(), &page);
        }
        return Ok(shown.run.ending.as_ref().map_or(ExitClass::Unfinished, Ending::exit));
    }
}

/// What the record does not have.
fn goes_on(event: &Event) -> bool {
    matches!(
        event,
        Event::CallStarted { .. } | Event::CallProgress { .. } | Event::Note { .. } | Event::Warning { .. }
    )
}
