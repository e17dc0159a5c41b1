//! HTTP and the clock of a world.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{instance::Instance, state::State, world::World};
use crate::{
    event::Failure,
    ports::{
        clock::Clock,
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

/// The `host:port` of a URL.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

impl State {
    /// The container that listens where `url` points.
    fn listener(&self, url: &str) -> Option<&Instance> {
        let (host, port) = authority(url).rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let local = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
        self.host.instances.values().find(|instance| {
            let published = local && instance.shown.ports.values().any(|bound| bound.host_port == port);
            let inside = instance.shown.networks.values().any(|address| address == host);
            instance.shown.is_running() && (published || inside)
        })
    }

    fn answer(&self, probe: &Probe) -> Option<Answer> {
        if let Some(status) = self.elsewhere.get(&probe.url) {
            return Some(Answer { status: *status, location: None });
        }
        let instance = self.listener(&probe.url)?;
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
