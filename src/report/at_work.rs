//! Calls that are at work: what each is at, since when, how far it has come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    paper::Mark,
    progress::{Seen, in_words},
    words::{hour, millis_between, span, step_of, time},
};
use crate::{
    event::{Event, Progress, pace},
    journal::{Entry, State},
};

/// From here on it is said since when something lasts.
const LONG_AGO: u64 = 600_000;
/// Progress is told at least every minute; what is older than this was heard of no more.
const STALE: u64 = 180_000;
/// From here on the hour alone does not say which day.
const HALF_A_DAY: u64 = 12 * 3_600_000;

/// One call that is at work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Open {
    pub(super) summary: String,
    pub(super) since: Timestamp,
    /// When it was last told that it goes on.
    pub(super) told: Option<Timestamp>,
    seen: Option<Seen>,
}

impl Open {
    pub(super) fn new(summary: &str, since: Timestamp) -> Self {
        Self { summary: summary.to_owned(), since, told: None, seen: None }
    }

    /// Progress was told.
    pub(super) fn moved(&mut self, now: Timestamp, progress: &Progress) {
        let first = match &self.seen {
            Some(seen) if seen.progress.what == progress.what && seen.first.1 <= progress.done => seen.first,
            _ => (now, progress.done),
        };
        self.seen = Some(Seen { progress: progress.clone(), first, at: now });
    }

    /// How far it has come, if it has told that, and when, if that is long ago.
    fn progress(&self, now: Timestamp) -> Option<String> {
        let seen = self.seen.as_ref()?;
        let words = in_words(seen, now);
        let stale = millis_between(seen.at, now) > STALE;
        Some(if stale { format!("{words} (told at {})", moment(seen.at, now)) } else { words })
    }

    /// What it is at.
    pub(super) fn words(&self, now: Timestamp) -> String {
        let what = self.progress(now).unwrap_or_else(|| format!("still at it: {}", self.summary));
        if self.age(now) < LONG_AGO { what } else { format!("{what}; since {}", moment(self.since, now)) }
    }

    /// The same for somebody who was not there when it began.
    fn all_words(&self, now: Timestamp) -> String {
        let progress = self.progress(now).map(|progress| format!(": {progress}")).unwrap_or_default();
        format!("{}{progress}; since {}", self.summary, moment(self.since, now))
    }

    pub(super) fn age(&self, now: Timestamp) -> u64 {
        millis_between(self.since, now)
    }

    /// Whether it is news again that it goes on.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.told.is_none_or(|told| millis_between(told, now) >= pace(self.age(now)))
    }
}

fn moment(at: Timestamp, now: Timestamp) -> String {
    if millis_between(at, now) < HALF_A_DAY { hour(at) } else { time(at) }
}

/// What a run is at, by its log and its record, for somebody who looks on.
#[derive(Debug, Default)]
pub struct AtWork {
    open: BTreeMap<String, Open>,
    /// Notes and warnings that were not shown yet.
    said: Vec<(Mark, String)>,
}

/// One call that is at work, for programs.
#[derive(Debug, Serialize)]
pub struct Working<'a> {
    pub address: &'a str,
    pub summary: &'a str,
    pub since: Timestamp,
    pub progress: Option<&'a Progress>,
    /// When the progress was told.
    pub told: Option<Timestamp>,
}

impl AtWork {
    /// An event of the run's log.
    pub fn hear(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::RunStarted { .. } | Event::RunResumed { .. } | Event::RunEnded { .. } => {
                self.open.clear();
                self.said.clear();
            }
            Event::CallStarted { address, summary } => {
                self.open.insert(address.clone(), Open::new(summary, at));
            }
            Event::CallProgress { address, progress } => {
                let new = || Open::new(&progress.what, at);
                self.open.entry(address.clone()).or_insert_with(new).moved(at, progress);
            }
            Event::CallEnded { address, .. }
            | Event::CallFailed { address, .. }
            | Event::Undone { address, .. }
            | Event::UndoFailed { address, .. } => {
                self.open.remove(address);
            }
            Event::Note { text, .. } => self.said.push((Mark::Note, text.clone())),
            Event::Warning { text, .. } => self.said.push((Mark::Warn, text.clone())),
            Event::StepStarted { .. } | Event::StepEnded { .. } | Event::UndoStarted { .. } => {}
        }
    }

    /// The record knows better than a log of which a part may be lost. A look that is at work stands in the log alone.
    pub fn settle(&mut self, calls: &[Entry]) {
        for call in calls {
            let (summary, since) = match call.state {
                State::Started => (call.summary.clone(), call.attempts.last().map(|attempt| attempt.started)),
                State::UndoStarted => {
                    (format!("taking back: {}", call.summary), call.undos.last().map(|undo| undo.started))
                }
                _ => {
                    self.open.remove(&call.address);
                    continue;
                }
            };
            if let Some(since) = since {
                let new = || Open::new(&summary, since);
                let open = self.open.entry(call.address.clone()).or_insert_with(new);
                (open.summary, open.since) = (summary, since);
            }
        }
    }

    #[must_use]
    pub fn all(&self) -> Vec<Working<'_>> {
        let mut all = Vec::new();
        for (address, open) in &self.open {
            let Open { summary, since, seen, .. } = open;
            let (progress, told) =
                (seen.as_ref().map(|seen| &seen.progress), seen.as_ref().map(|seen| seen.at));
            all.push(Working { address, summary, since: *since, progress, told });
        }
        all
    }

    /// Nothing is at work any more, whatever the log says.
    pub fn is_over(&mut self) {
        self.open.clear();
    }

    /// A sentence for each.
    pub(super) fn in_words(&self, now: Timestamp) -> Vec<String> {
        self.open.values().map(|open| open.all_words(now)).collect()
    }

    /// Notes and warnings that are news.
    pub(super) fn said(&mut self) -> Vec<(Mark, String)> {
        std::mem::take(&mut self.said)
    }

    /// What has begun since this was last asked, and once in a while what goes on: its step, what it is at, for how long.
    pub(super) fn news(&mut self, now: Timestamp) -> Vec<(String, String, String)> {
        let mut news = Vec::new();
        for (address, open) in self.open.iter_mut().filter(|(_, open)| open.is_due(now)) {
            let words = if open.told.is_none() { open.all_words(now) } else { open.words(now) };
            news.push((step_of(address).to_owned(), words, span(open.age(now))));
            open.told = Some(now);
        }
        news
    }
}
