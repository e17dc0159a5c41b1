use jiff::Timestamp;
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::log::Told;
use crate::event::{Ending, Event};

/// A run at work. Dropping it does not stop it; [`Run::cancel`] does.
#[derive(Debug)]
pub struct Run {
    id: String,
    events: UnboundedReceiver<Told>,
    end: JoinHandle<Ending>,
    cancel: CancellationToken,
}

impl Run {
    pub(super) fn new(
        id: String,
        events: UnboundedReceiver<Told>,
        end: JoinHandle<Ending>,
        cancel: CancellationToken,
    ) -> Self {
        Self { id, events, end, cancel }
    }

    /// e.g. `20261124-031500-7f3a`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next event; `None` once the run is over.
    pub async fn next(&mut self) -> Option<Event> {
        self.next_at().await.map(|(_, event)| event)
    }

    /// The next event with the time of the site's clock at which it was told.
    pub async fn next_at(&mut self) -> Option<(Timestamp, Event)> {
        self.events.recv().await
    }

    /// A handle that stops the run within a second, its journal intact.
    #[must_use]
    pub fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for the end, and for the site's own command to have been told of it.
    pub async fn ended(self) -> Ending {
        match self.end.await {
            Ok(ending) => ending,
            // The journal says what was done; that the worker is gone is all that is known here.
            Err(error) => Ending::Unfinished {
                why: format!("the run's worker ended: {error}"),
                cause: None,
                question: None,
            },
        }
    }
}
