//! Events leave through here: scrubbed, written to the run's log, handed to whoever listens.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::{Event, Teller},
    ports::files::LineLog,
    site::Scrubber,
};

/// A teller that never stops a run: a listener that is gone or a log that cannot be written is not the run's
/// business, because the journal holds what matters.
pub(super) fn teller(
    scrubber: Scrubber,
    listener: UnboundedSender<Event>,
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
        let _gone = listener.send(event);
    }))
}

fn scrubbed(scrubber: &Scrubber, event: Event) -> Event {
    let Ok(value) = serde_json::to_value(&event) else { return event };
    let clean = scrubber.scrub_json(&value);
    if clean == value { event } else { serde_json::from_value(clean).unwrap_or(event) }
}
