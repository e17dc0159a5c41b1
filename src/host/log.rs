//! Events leave through here: scrubbed, written to the run's log, handed to whoever listens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::{Event, Teller, pace},
    ports::{clock::Clock, files::LineLog},
    site::Scrubber,
};

/// An event with the time at which it was told: whoever reads it later must not count its own slowness.
pub(super) type Told = (Timestamp, Event);

/// A teller that never stops a run: a listener that is gone or a log that cannot be written is not the run's
/// business, because the journal holds what matters.
pub(super) fn teller(
    scrubber: Scrubber,
    clock: Arc<dyn Clock>,
    listener: UnboundedSender<Told>,
    log: Arc<dyn LineLog>,
) -> Teller {
    let thinned = Mutex::new(Thinned::default());
    Teller::new(Arc::new(move |event| {
        let event = scrubbed(&scrubber, event);
        let now = clock.now();
        let is_news = thinned.lock().unwrap_or_else(PoisonError::into_inner).is_news(now, &event);
        if let (true, Some(line)) = (is_news, line(now, &event)) {
            log.line(&line);
        }
        // The listener may have gone, e.g. because its terminal was closed.
        let _gone = listener.send((now, event));
    }))
}

/// A line of the log: the event, and when it was told.
fn line(at: Timestamp, event: &Event) -> Option<String> {
    let mut value = serde_json::to_value(event).ok()?;
    value.as_object_mut()?.entry("at").or_insert_with(|| Value::String(at.to_string()));
    Some(value.to_string())
}

/// What a line of the log says; `None` if it says nothing that this uplift knows.
pub(super) fn read(line: &[u8]) -> Option<Told> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let at = value.get("at")?.as_str()?.parse().ok()?;
    Some((at, serde_json::from_value(value).ok()?))
}

/// At least so often something that goes on is logged, in milliseconds: whoever looks on from another terminal reads the
/// log.
const SELDOM: u64 = 60_000;
/// So many things inside one call are told apart.
const THINGS: usize = 8;

/// Progress comes several times a second, for hours. A log that held all of it would fill the disk.
#[derive(Default)]
struct Thinned {
    calls: BTreeMap<String, Call>,
}

struct Call {
    since: Timestamp,
    /// When each thing was last logged.
    told: Vec<(String, Timestamp)>,
}

impl Thinned {
    fn is_news(&mut self, now: Timestamp, event: &Event) -> bool {
        match event {
            Event::CallProgress { address, progress } => {
                let new = || Call { since: now, told: Vec::new() };
                self.calls.entry(address.clone()).or_insert_with(new).is_news(now, &progress.what)
            }
            Event::CallEnded { address, .. }
            | Event::CallFailed { address, .. }
            | Event::Undone { address, .. } => {
                self.calls.remove(address);
                true
            }
            _ => true,
        }
    }
}

impl Call {
    fn is_news(&mut self, now: Timestamp, what: &str) -> bool {
        let pace = pace(millis(self.since, now)).min(SELDOM);
        self.told.retain(|(_, at)| millis(*at, now) < pace);
        // Seconds and counts in it do not make it another thing.
        let what: String = what.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        if self.told.len() >= THINGS || self.told.iter().any(|(known, _)| *known == what) {
            return false;
        }
        self.told.push((what, now));
        true
    }
}

fn millis(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.duration_since(from).as_millis()).unwrap_or(0)
}

fn scrubbed(scrubber: &Scrubber, event: Event) -> Event {
    let Ok(value) = serde_json::to_value(&event) else { return event };
    let clean = scrubber.scrub_json(&value);
    if clean == value {
        return event;
    }
    // What cannot be read back once its secrets are gone is not told as it came.
    serde_json::from_value(clean).unwrap_or_else(|_| Event::Warning {
        address: None,
        text: "something that held a secret was not told".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Progress, Unit};

    fn progress(what: &str) -> Event {
        let progress = Progress { what: what.to_owned(), done: 1, total: None, unit: Unit::Bytes };
        Event::CallProgress { address: "a/b#1".to_owned(), progress }
    }

    /// Four dumps side by side tell their progress twice a second for nine hours, and so does one who says what a
    /// server is at, which is always another thing.
    #[test]
    fn what_lasts_for_hours_fills_no_disk() {
        for (name, most) in [("dump of", 4 * 560), ("statement", 8 * 560)] {
            let (mut thinned, mut lines) = (Thinned::default(), 0);
            let start: Timestamp = "2026-11-24T03:15:00Z".parse().unwrap();
            let mut last = start;
            for half in 0..9 * 7200_i64 {
                let now = start + jiff::SignedDuration::from_millis(half * 500);
                for n in 0..4 {
                    let letter = if name == "dump of" {
                        u32::from(b'a') + n
                    } else {
                        0x4e00 + u32::try_from(half % 5000).unwrap()
                    };
                    let what = format!("{name} {} {half}", char::from_u32(letter).unwrap());
                    if thinned.is_news(now, &progress(&what)) {
                        lines += 1;
                        assert!(millis(last, now) <= SELDOM, "whoever looks on waits too long: {now}");
                        last = now;
                    }
                }
            }
            assert!((500..=most).contains(&lines), "{name}: {lines}");
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let now: Timestamp = "2026-11-24T03:15:00Z".parse().unwrap();
        for event in [
            progress("x"),
            Event::RunStarted {
                run: "r".to_owned(),
                runbook: "b".to_owned(),
                site: "s".to_owned(),
                at: now.to_string(),
                log: "l".to_owned(),
            },
        ] {
            assert_eq!(read(line(now, &event).unwrap().as_bytes()), Some((now, event)));
        }
        assert_eq!(read(b"{\"event\":\"of a later uplift\",\"at\":\"2026-11-24T03:15:00Z\"}"), None);
        assert_eq!(read(b"half a li"), None);
    }
}
