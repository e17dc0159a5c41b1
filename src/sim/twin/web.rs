//! HTTP and the clock of a rehearsal.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{BOOT, Twin, containers::has_booted};
use crate::{
    event::Failure,
    ports::{
        clock::Clock,
        docker::{Container, Select},
        http::{Answer, Http, Probe},
    },
    sim::web::listens,
};

#[async_trait]
impl Clock for Twin {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Returns at once: only the rehearsal's own clock moves.
    async fn sleep(&self, time: Duration) {
        self.pass(time);
    }

    fn takes_for_granted(&self, what: &str) -> bool {
        self.assume(format!("it comes: {what}"));
        true
    }
}

#[async_trait]
impl Http for Twin {
    async fn probe(&self, probe: &Probe) -> Result<Answer, Failure> {
        let containers = self.live().docker.containers(&Select::All).await?;
        let none = || Failure::new("no_answer", format!("nobody answers at `{}`", probe.url)).retryable();
        let (planned, stopped) = {
            let overlay = self.lock();
            let all = &overlay.containers;
            let mut listening =
                all.changed.values().flatten().filter(|one| one.is_running() && listens(one, &probe.url));
            let planned = listening.find(|one| all.started.contains(&one.id)).cloned();
            // The live listener is removed or stopped in the rehearsal: what it would still answer does not count.
            let gone = |one: &Container| {
                all.changed.get(&one.id).is_some_and(|now| now.as_ref().is_none_or(|now| !now.is_running()))
            };
            (planned, containers.iter().any(|one| listens(one, &probe.url) && gone(one)))
        };
        if let Some(planned) = planned {
            if !has_booted(&planned, self.now(), BOOT) {
                return Err(none());
            }
            return Ok(self.assumed_well(&planned));
        }
        if stopped {
            return Err(none());
        }
        let answer = self.live().http.probe(probe).await;
        // What boots at this very moment would else never come to its end in the rehearsal's time.
        let boots = |one: &&Container| {
            one.is_running()
                // One that dies again and again is always young.
                && one.restarts == 0
                && listens(one, &probe.url)
                && !has_booted(one, self.live().clock.now(), BOOT)
                && has_booted(one, self.now(), BOOT)
        };
        match containers.iter().find(boots) {
            Some(one) if !answer.as_ref().is_ok_and(|answer| answer.status == 200) => {
                Ok(self.assumed_well(one))
            }
            _ => answer,
        }
    }
}

impl Twin {
    fn assumed_well(&self, container: &Container) -> Answer {
        let service = container.service().unwrap_or(&container.name);
        self.assume(format!("`{service}` answers well {} s after its start", BOOT.as_secs()));
        Answer { status: 200, location: None }
    }
}
