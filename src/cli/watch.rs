//! A run at work, watched to its end.

use std::time::Duration;

use jiff::Timestamp;

use super::{bars::Terminal, session::Session};
use crate::{
    event::{Ending, Event, ExitClass},
    host::{Host, Run},
    report::{self, Bars, Held, Lines, Live, Page},
};

/// How long a look at the site may take before an ending is told without it.
const LOOK: Duration = Duration::from_secs(5);

/// Who tells what happens.
enum View {
    People(Box<Live>),
    Programs(Lines),
    /// Programs that read something else, and hear of this only if it does not end well.
    Trouble(Lines),
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
            Self::Trouble(lines) => {
                if let Event::RunEnded { ending, .. } = event
                    && ending.exit() != ExitClass::Done
                {
                    lines.json(event);
                }
            }
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
    watched(session, host, run, View::of(session)).await
}

/// The same for programs that read something else.
pub(super) async fn watch_for_trouble(session: &Session, host: &Host, run: Run) -> ExitClass {
    watched(session, host, run, View::Trouble(session.lines())).await
}

async fn watched(session: &Session, host: &Host, run: Run, view: View) -> ExitClass {
    let id = run.id().to_owned();
    let (ending, run) = tokio::select! {
        biased;
        () = session.signals.wanted(2) => return left(session, &id),
        seen = followed(session, host, run, view) => seen,
    };
    if let Some(run) = run {
        afterwards(session, run).await;
    }
    ending.exit()
}

/// To the screen at its end; gives the run, if that may have something to tell yet.
async fn followed(session: &Session, host: &Host, mut run: Run, mut view: View) -> (Ending, Option<Run>) {
    let id = run.id().to_owned();
    let cancel = run.cancel();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let ending = loop {
        tokio::select! {
            biased;
            () = session.signals.wanted(1), if !cancel.is_cancelled() => {
                cancel.cancel();
                view.say("stopping in good order; a second Ctrl-C leaves at once");
            }
            told = run.next_at() => {
                let Some((at, event)) = told else { break None };
                view.event(at, &event);
                if let Event::RunEnded { ending, .. } = event {
                    break Some(ending);
                }
            }
            _ = ticks.tick(), if session.stage.heartbeat => view.tick(host.now()),
        }
    };
    drop(view);
    let (ending, run) = match ending {
        Some(ending) => (ending, Some(run)),
        None => (run.ended().await, None),
    };
    tell(session, host, &id, &ending, !cancel.is_cancelled()).await;
    (ending, run)
}

/// Whoever is told of runs may take a while, and must not keep the screen waiting. One more signal waits no longer.
async fn afterwards(session: &Session, mut run: Run) {
    let mut view = View::of(session);
    let rest = async {
        while let Some((at, event)) = run.next_at().await {
            view.event(at, &event);
        }
        run.ended().await
    };
    tokio::select! {
        () = session.signals.another() => {}
        _ending = rest => {}
    }
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
            let well = matches!(ending, Ending::Done | Ending::NothingNeeded { .. });
            let held = Held::of(&shown.calls).is_some_and(|held| !held.services.is_empty());
            if !(session.common.quiet && well && !held) {
                report::ending(&mut paper, &page, ending);
            }
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
