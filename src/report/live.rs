//! A run as it happens: steps as headings, each call a line with its result and its time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    at_work::Open,
    paper::{Mark, Paper},
    words::{count, span},
};
use crate::event::{Event, Progress};

/// Lines at the foot of a terminal that are drawn again and again. Without a terminal there are none.
pub trait Bars: Send {
    /// Draws or redraws the line of one call.
    fn draw(&mut self, address: &str, text: &str);
    fn remove(&mut self, address: &str);
    /// Takes the lines away while `print` writes above them.
    fn aside(&mut self, print: &mut dyn FnMut());
}

/// How much is told while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Only what is wrong, and the ending.
    Quiet,
    Normal,
    /// Also where each call stands in the runbook.
    Verbose,
}

/// A call says that it began once it has taken this long, so that short ones are one line.
const LONG: u64 = 1000;

pub struct Live {
    paper: Paper,
    bars: Option<Box<dyn Bars>>,
    /// When the event that is being told was told to us.
    now: Timestamp,
    loudness: Loudness,
    open: BTreeMap<String, Open>,
}

impl Live {
    #[must_use]
    pub fn new(paper: Paper, bars: Option<Box<dyn Bars>>, loudness: Loudness) -> Self {
        Self { paper, bars, now: Timestamp::UNIX_EPOCH, loudness, open: BTreeMap::new() }
    }

    pub fn event(&mut self, now: Timestamp, event: &Event) {
        self.now = now;
        match event {
            Event::RunStarted { run, runbook, site, log, .. } => {
                self.began(&format!("run {run}: {runbook} on `{site}`"), log);
            }
            Event::RunResumed { run, runbook, site, log, .. } => {
                self.began(&format!("run {run} is taken up again: {runbook} on `{site}`"), log);
            }
            Event::StepStarted { path } => self.heading(path),
            Event::CallStarted { address, summary } => self.started(address, summary),
            Event::CallProgress { address, progress } => self.progress(address, progress),
            Event::CallEnded { address, took_ms, result, replayed } => {
                self.close(address);
                let (mark, time) =
                    if *replayed { (Mark::Before, None) } else { (Mark::Ok, Some(span(*took_ms))) };
                self.mark(mark, result, time.as_deref());
            }
            Event::CallFailed { address, took_ms, failure } => {
                self.close(address);
                // What waits for a person has not failed.
                let (mark, text) = match &failure.question {
                    Some(question) => (Mark::Unknown, &question.text),
                    None => (Mark::Fail, &failure.message),
                };
                self.mark(mark, text, Some(&span(*took_ms)));
            }
            Event::Note { text, .. } => self.mark(Mark::Note, text, None),
            Event::Warning { text, .. } => self.mark(Mark::Warn, text, None),
            Event::UndoStarted { calls, because, .. } => self.going_back(*calls, because),
            Event::Undone { address, took_ms, result } => {
                self.close(address);
                self.mark(Mark::Back, result, Some(&span(*took_ms)));
            }
            Event::UndoFailed { address, failure } => {
                self.close(address);
                self.mark(Mark::Fail, &failure.message, None);
            }
            Event::StepEnded { .. } => {}
            Event::RunEnded { .. } => {
                for address in self.open.keys().cloned().collect::<Vec<_>>() {
                    self.close(&address);
                }
            }
        }
    }

    /// To be called about once a second: what has long been silent says that it goes on.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
        for address in self.open.keys().cloned().collect::<Vec<_>>() {
            self.goes_on(&address);
        }
    }

    /// A line of the command itself, beside what the run tells.
    pub fn say(&mut self, text: &str) {
        self.write(|paper| paper.marked(Mark::Warn, text, None));
    }

    fn began(&mut self, title: &str, log: &str) {
        if self.loudness > Loudness::Quiet {
            self.write(|paper| {
                paper.heading(title);
                paper.line(&format!("log {log}"));
            });
        }
    }

    fn heading(&mut self, path: &str) {
        if self.loudness > Loudness::Quiet {
            self.write(|paper| {
                paper.blank();
                paper.heading(&path.replace('/', " / "));
            });
        }
    }

    fn going_back(&mut self, calls: usize, because: &str) {
        if self.loudness == Loudness::Quiet || calls == 0 {
            return;
        }
        let what = count(calls, "change");
        let title = match because {
            "" => "nothing of the site was changed: what was begun beside it is tidied up".to_owned(),
            "asked for" => format!("going back: {what}, last first"),
            because => format!("going back: {what}, last first, because {because}"),
        };
        self.write(|paper| {
            paper.blank();
            paper.heading(&title);
        });
    }

    fn mark(&mut self, mark: Mark, text: &str, time: Option<&str>) {
        if self.loudness > Loudness::Quiet || matches!(mark, Mark::Warn | Mark::Fail) {
            self.write(|paper| paper.marked(mark, text, time));
        }
    }

    fn started(&mut self, address: &str, summary: &str) {
        let mut open = Open::new(summary, self.now);
        if self.loudness == Loudness::Verbose {
            open.told = Some(self.now);
            let text = format!("{summary} ({address})");
            self.write(|paper| paper.marked(Mark::Going, &text, None));
        }
        self.draw(address, summary);
        self.open.insert(address.to_owned(), open);
    }

    fn progress(&mut self, address: &str, progress: &Progress) {
        let now = self.now;
        if !self.open.contains_key(address) {
            self.started(address, &progress.what);
        }
        let Some(open) = self.open.get_mut(address) else { return };
        open.moved(now, progress);
        let text = open.words(now);
        self.draw(address, &text);
        self.goes_on(address);
    }

    fn goes_on(&mut self, address: &str) {
        let now = self.now;
        let quiet = self.loudness == Loudness::Quiet || self.bars.is_some();
        let Some(open) = self.open.get_mut(address).filter(|_| !quiet) else { return };
        let age = open.age(now);
        let (text, time) = match open.told {
            None if age >= LONG => (open.summary.clone(), None),
            Some(_) if open.is_due(now) => (open.words(now), Some(span(age))),
            _ => return,
        };
        open.told = Some(now);
        self.write(|paper| paper.marked(Mark::Going, &text, time.as_deref()));
    }

    fn close(&mut self, address: &str) {
        self.open.remove(address);
        if let Some(bars) = &mut self.bars {
            bars.remove(address);
        }
    }

    fn draw(&mut self, address: &str, text: &str) {
        if self.loudness > Loudness::Quiet
            && let Some(bars) = &mut self.bars
        {
            bars.draw(address, text);
        }
    }

    fn write(&mut self, mut print: impl FnMut(&mut Paper)) {
        let paper = &mut self.paper;
        match &mut self.bars {
            Some(bars) => bars.aside(&mut || print(paper)),
            None => print(paper),
        }
    }
}
