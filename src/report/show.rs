use jiff::Timestamp;

use super::{
    at_work::AtWork,
    calls,
    ending::{Page, ending, interrupted},
    history::state_word,
    next::Next,
    paper::{Mark, Paper},
    words::time,
};
use crate::journal::{Entry, RunRow, RunState, State};

/// One run as the record has it: what was asked, every call, and how it ended, or what it is at now.
pub fn show(paper: &mut Paper, page: &Page<'_>, at_work: &AtWork, now: Option<Timestamp>) {
    let run = page.run;
    let alive = run.state == RunState::Running && !run.interrupted;
    head(paper, run);
    calls::all(paper, page.calls, alive);
    match &run.ending {
        Some(how) => ending(paper, page, how),
        None if run.interrupted => interrupted(paper, page),
        None => {
            paper.blank();
            paper.heading("at work");
            for text in now.map(|now| at_work.in_words(now)).unwrap_or_default() {
                paper.marked(Mark::Going, &text, None);
            }
            Next::new().then("watch it", format!("{} --follow", page.command("show"))).print(paper);
        }
    }
}

fn head(paper: &mut Paper, run: &RunRow) {
    paper.heading(&format!("run {}: {}", run.id, state_word(run)));
    paper.labelled("command", &run.command);
    paper.labelled("by", &run.by);
    let again = match run.resumed {
        0 => String::new(),
        n => format!(", taken up again {}", super::words::count(n as usize, "time")),
    };
    paper.labelled("started", &format!("{}{again}", time(run.started)));
    if let Some(map) = run.params.as_object().filter(|map| !map.is_empty()) {
        let params: Vec<_> = map
            .iter()
            .map(|(name, value)| {
                format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        paper.labelled("with", &params.join(", "));
    }
}

/// What a run had kept for its way back is no longer there.
pub fn kept_gone(paper: &mut Paper, run: &RunRow, folder: &str) {
    let why = if run.state.unfinished() {
        "what needs it can no longer be taken back"
    } else {
        "`uplift backup prune` removes it once nothing leads back to a run"
    };
    paper.labelled("gone", &format!("what this run had kept for its way back (`{folder}`): {why}"));
}

/// How the run ended, or that nobody works on it any more.
pub fn ended(paper: &mut Paper, page: &Page<'_>) {
    match &page.run.ending {
        Some(how) => ending(paper, page, how),
        None => interrupted(paper, page),
    }
}

/// What somebody who follows a run has been told.
#[derive(Debug, Default)]
pub struct Follow {
    told: Vec<(i64, State)>,
    step: String,
    headed: bool,
}

impl Follow {
    /// Calls that are new, or stand elsewhere than when they were last told.
    pub fn fresh<'a>(&mut self, calls: &'a [Entry]) -> Vec<&'a Entry> {
        let mut fresh = Vec::new();
        for call in calls {
            let stands = (call.seq, call.state);
            if !self.told.contains(&stands) {
                self.told.push(stands);
                fresh.push(call);
            }
        }
        fresh
    }

    /// What is new: which run it is, calls that have ended, and what is at work.
    pub fn tell(&mut self, paper: &mut Paper, page: &Page<'_>, at_work: &mut AtWork, now: Option<Timestamp>) {
        if !self.headed {
            head(paper, page.run);
            self.headed = true;
        }
        for call in self.fresh(page.calls).into_iter().filter(|call| !calls::at_work(call)) {
            self.heading(paper, &call.path);
            calls::one(paper, call);
        }
        for (mark, text) in at_work.said() {
            paper.marked(mark, &text, None);
        }
        for (step, text, time) in now.map(|now| at_work.news(now)).unwrap_or_default() {
            self.heading(paper, &step);
            paper.marked(Mark::Going, &text, Some(&time));
        }
    }

    fn heading(&mut self, paper: &mut Paper, step: &str) {
        if step != self.step {
            step.clone_into(&mut self.step);
            paper.blank();
            paper.heading(&step.replace('/', " / "));
        }
    }
}
