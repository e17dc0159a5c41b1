use super::{
    calls,
    ending::{Page, ending, interrupted},
    history::state_word,
    paper::Paper,
    words::time,
};

use crate::journal::{Entry, State};

/// One run as the record has it: what was asked, every call, and how it ended.
pub fn show(paper: &mut Paper, page: &Page<'_>) {
    let run = page.run;
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
    calls::all(paper, page.calls);
    match &run.ending {
        Some(how) => ending(paper, page, how),
        None if run.interrupted => interrupted(paper, page),
        None => {
            paper.blank();
            paper.heading("at work");
        }
    }
}

/// How the run ended, or that nobody works on it any more.
pub fn ended(paper: &mut Paper, page: &Page<'_>) {
    match &page.run.ending {
        Some(how) => ending(paper, page, how),
        None => interrupted(paper, page),
    }
}

/// What somebody who follows the record has been told.
#[derive(Debug, Default)]
pub struct Follow {
    told: Vec<(i64, State)>,
    step: String,
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

    pub fn tell(&mut self, paper: &mut Paper, calls: &[Entry]) {
        for call in self.fresh(calls) {
            if call.path != self.step {
                self.step.clone_from(&call.path);
                paper.blank();
                paper.heading(&self.step.replace('/', " / "));
            }
            calls::one(paper, call);
        }
    }
}
