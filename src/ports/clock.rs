//! The only source of time.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Waits; a simulated clock moves on at once.
    async fn sleep(&self, time: Duration);
}

/// What has passed on `clock` since `start`; zero if the clock was set back.
#[must_use]
pub fn since(clock: &dyn Clock, start: Timestamp) -> Duration {
    clock.now().duration_since(start).try_into().unwrap_or_default()
}
