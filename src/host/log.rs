//! Events leave through here: scrubbed, written to the run's log, handed to whoever listens.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::{Event, Teller},
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
    log: Option<Arc<dyn LineLog>>,
) -> Teller {
    Teller::new(Arc::new(move |event| {
        let event = scrubbed(&scrubber, event);
        if let Some(log) = &log
            && let Ok(line) = serde_json::to_string(&event)
        {
            log.line(&line);
        }
        // The listener may have gone, e.g. because its terminal was closed.
        let _gone = listener.send((clock.now(), event));
    }))
}

fn scrubbed(scrubber: &Scrubber, event: Event) -> Event {
    let Ok(value) = serde_json::to_value(&event) else { return event };
    let clean = scrubber.scrub_json(&value);
    if clean == value { event } else { serde_json::from_value(clean).unwrap_or(event) }
}
