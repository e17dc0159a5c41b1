//! The only source of time.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Waits; a simulated clock moves on at once.
    async fn sleep(&self, time: Duration);

    /// Whether what is waited for from outside is taken to come. Only a rehearsal takes it so, and says it.
    fn takes_for_granted(&self, _what: &str) -> bool {
        false
    }
}

/// What has passed on `clock` since `start`; zero if the clock was set back.
#[must_use]
pub fn since(clock: &dyn Clock, start: Timestamp) -> Duration {
    clock.now().duration_since(start).try_into().unwrap_or_default()
}
