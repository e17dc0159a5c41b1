//! HTTP and the clock of a world.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{state::State, world::World};
use crate::{
    event::Failure,
    ports::{
        clock::Clock,
        docker::Container,
        http::{Answer, Http, Probe},
    },
};

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    async fn sleep(&self, time: Duration) {
        self.lock().pass(time);
    }
}

/// Whether a request to `url` reaches this container: through a published port, or by its own address.
pub(super) fn listens(container: &Container, url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let local = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    let published = container.ports.values().any(|bound| bound.host_port.to_string() == port);
    local && published || container.networks.values().any(|address| address == host)
}

impl State {
    fn answer(&self, probe: &Probe) -> Option<Answer> {
        if let Some(status) = self.elsewhere.get(&probe.url) {
            return Some(Answer { status: *status, location: None });
        }
        let mut running = self.host.instances.values().filter(|one| one.shown.is_running());
        let instance = running.find(|one| listens(&one.shown, &probe.url))?;
        let release = self.host.images.get(&instance.shown.image_id)?.release.as_ref()?;
        let status = instance.answers(release, self.now)?;
        let secure = |name: &str, value: &str| {
            name.eq_ignore_ascii_case("x-forwarded-proto") && value.eq_ignore_ascii_case("https")
        };
        let forced = instance.environment.get("FORCE_SSL").is_some_and(|value| value == "true");
        if forced && !probe.headers.iter().any(|(name, value)| secure(name, value)) {
            let location = probe.url.replacen("http://", "https://", 1);
            return Some(Answer { status: 301, location: Some(location) });
        }
        Some(Answer { status, location: None })
    }
}

#[async_trait]
impl Http for World {
    async fn probe(&self, probe: &Probe) -> Result<Answer, Failure> {
        self.look(|state| {
            let none = || Failure::new("no_answer", format!("nobody answers at `{}`", probe.url)).retryable();
            state.answer(probe).ok_or_else(none)
        })
    }
}
