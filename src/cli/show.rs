use std::time::Duration;

use super::{arguments, session::Session, trouble::Trouble};
use crate::{
    event::{Ending, ExitClass},
    host::{RunState, Runs, Shown},
    report::{self, Follow, Page},
};

/// `uplift show`.
pub(super) async fn show(session: &mut Session, asked: arguments::Show) -> Result<ExitClass, Trouble> {
    let runs = session.runs().await?;
    let shown = runs.show(asked.run.as_deref())?;
    let at_work = shown.run.state == RunState::Running && !shown.run.interrupted;
    if asked.follow && at_work {
        return follow(session, &runs, shown).await;
    }
    if session.json() {
        session.lines().json(&shown);
    } else {
        let log = runs.log(&shown.run.id).display().to_string();
        report::show(&mut session.sheet(), &page(&shown, &log, &session.typed));
    }
    Ok(ExitClass::Done)
}

fn page<'a>(shown: &'a Shown, log: &'a str, typed: &'a str) -> Page<'a> {
    // Nobody has looked at the site: its record is read also where that cannot be done.
    let compose = "docker compose";
    let (run, calls) = (&shown.run, &shown.calls);
    Page { site: None, run, calls, listed: true, log: Some(log), now: None, compose, typed }
}

/// Reads the record again and again, and tells what is new, until the run ends. Whoever follows stops nothing.
async fn follow(session: &Session, runs: &Runs, shown: Shown) -> Result<ExitClass, Trouble> {
    let id = shown.run.id;
    let mut told = Follow::default();
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            () = session.signals.wanted(1) => return Ok(ExitClass::Done),
            _ = ticks.tick() => {}
        }
        let shown = runs.show(Some(&id))?;
        if session.json() {
            let mut lines = session.lines();
            told.fresh(&shown.calls).into_iter().for_each(|call| lines.json(call));
        } else {
            told.tell(&mut session.sheet(), &shown.calls);
        }
        if shown.run.state == RunState::Running && !shown.run.interrupted {
            continue;
        }
        if session.json() {
            session.lines().json(&shown.run);
        } else {
            let log = runs.log(&id).display().to_string();
            let page = page(&shown, &log, &session.typed);
            report::ended(&mut session.sheet(), &page);
        }
        return Ok(shown.run.ending.as_ref().map_or(ExitClass::Unfinished, Ending::exit));
    }
}
