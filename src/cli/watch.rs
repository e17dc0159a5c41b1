//! A run at work, watched to its end.

use std::time::Duration;

use jiff::Timestamp;

use super::{bars::Terminal, session::Session};
use crate::{
    event::{Ending, Event, ExitClass},
    host::{Host, Run},
    report::{self, Bars, Lines, Live, Page},
};

/// How long a look at the site may take before an ending is told without it.
const LOOK: Duration = Duration::from_secs(5);

/// Who tells what happens.
enum View {
    People(Box<Live>),
    Programs(Lines),
}

impl View {
    fn of(session: &Session) -> Self {
        if session.json() {
            return Self::Programs(session.lines());
        }
        let bars = session.stage.redraw.then(|| {
            let bars = Terminal::new(session.stage.err.clone(), session.stage.width);
            Box::new(bars) as Box<dyn Bars>
        });
        Self::People(Box::new(Live::new(session.paper(), bars, session.loudness())))
    }

    fn event(&mut self, now: Timestamp, event: &Event) {
        match self {
            Self::People(live) => live.event(now, event),
            Self::Programs(lines) => lines.json(event),
        }
    }

    fn tick(&mut self, now: Timestamp) {
        if let Self::People(live) = self {
            live.tick(now);
        }
    }

    fn say(&mut self, text: &str) {
        if let Self::People(live) = self {
            live.say(text);
        }
    }
}

/// Watches `run` and tells how it ended. A second signal leaves it as it is.
pub(super) async fn watch(session: &Session, host: &Host, run: Run) -> ExitClass {
    let id = run.id().to_owned();
    tokio::select! {
        biased;
        () = session.signals.wanted(2) => left(session, &id),
        exit = followed(session, host, run) => exit,
    }
}

async fn followed(session: &Session, host: &Host, mut run: Run) -> ExitClass {
    let id = run.id().to_owned();
    let cancel = run.cancel();
    let mut view = View::of(session);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            () = session.signals.wanted(1), if !cancel.is_cancelled() => {
                cancel.cancel();
                view.say("stopping in good order; a second Ctrl-C leaves at once");
            }
            told = run.next_at() => {
                let Some((at, event)) = told else { break };
                view.event(at, &event);
                if matches!(event, Event::RunEnded { .. }) {
                    break;
                }
            }
            _ = ticks.tick(), if session.stage.heartbeat => view.tick(host.now()),
        }
    }
    let ending = run.ended().await;
    drop(view);
    tell(session, host, &id, &ending, !cancel.is_cancelled()).await;
    ending.exit()
}

/// The screen at the end.
async fn tell(session: &Session, host: &Host, run: &str, ending: &Ending, look: bool) {
    if session.json() {
        return;
    }
    let open = matches!(
        ending,
        Ending::NeedsPerson { .. } | Ending::Stuck { .. } | Ending::Unfinished { .. } | Ending::Closed { .. }
    );
    // What was found before the run is no longer so: the site is looked for anew.
    let now = if open && look {
        tokio::time::timeout(LOOK, session.fresh_status()).await.ok().flatten()
    } else {
        None
    };
    let mut paper = session.paper();
    let found = host.runs().and_then(|runs| Ok((runs.log(run), runs.show(Some(run))?)));
    match found {
        Ok((log, shown)) => {
            let (log, compose) = (log.display().to_string(), host.compose_by_hand());
            let page = Page {
                site: Some(&host.site().name),
                run: &shown.run,
                calls: &shown.calls,
                listed: false,
                log: Some(&log),
                now: now.as_ref(),
                compose: &compose,
                typed: &session.typed,
            };
            report::ending(&mut paper, &page, ending);
        }
        Err(error) => report::ending_alone(&mut paper, ending, &error.failure(), &session.typed),
    }
}

fn left(session: &Session, run: &str) -> ExitClass {
    if !session.json() {
        let typed = &session.typed;
        let mut paper = session.paper();
        paper.blank();
        paper.paragraph(0, "LEFT AT ONCE: what was begun may still be at work; the record is whole");
        paper.paragraph(0, "next, once you have looked how the site is:");
        paper.line(&format!("  {typed} status"));
        paper.line(&format!("  {typed} resume {run}"));
        paper.line(&format!("  {typed} rollback {run}"));
    }
    ExitClass::Unfinished
}
