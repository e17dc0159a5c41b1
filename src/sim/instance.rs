//! What containers do as time passes: boot, migrate, answer, end, and be started again by the engine.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    registry::{Exit, Release, WebHealth},
    state::{State, later},
};
use crate::ports::docker::{Container, LogLine, State as Running};

/// The engine asks the health check after each full interval.
const INTERVAL: Duration = Duration::from_secs(30);
/// Until then a failed health check does not count.
const START_PERIOD: Duration = Duration::from_mins(2);

/// One container with what the engine knows of it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(super) struct Instance {
    pub shown: Container,
    pub environment: BTreeMap<String, String>,
    pub command: Vec<String>,
    pub has_healthcheck: bool,
    /// When the engine starts it again, after it ended by itself.
    #[serde(skip)]
    pub restart_at: Option<Timestamp>,
    /// This start has come past its migrations.
    #[serde(skip)]
    pub migrated: bool,
    #[serde(skip)]
    pub logs: Vec<LogLine>,
}

impl Instance {
    /// Something else than the product: it runs and does nothing.
    pub(super) fn still(shown: Container) -> Self {
        Self {
            shown,
            environment: BTreeMap::new(),
            command: Vec::new(),
            has_healthcheck: false,
            restart_at: None,
            migrated: false,
            logs: Vec::new(),
        }
    }

    /// The process is the product's web server, not its worker.
    pub(super) fn is_web(&self) -> bool {
        self.command.is_empty()
    }

    pub(super) fn say(&mut self, at: Timestamp, text: impl Into<String>) {
        self.logs.push(LogLine { at: Some(at), text: text.into() });
    }

    pub(super) fn start(&mut self, at: Timestamp) {
        self.shown.state = Running::Running;
        self.shown.started = Some(at);
        self.shown.exit_code = None;
        self.shown.health = self.has_healthcheck.then(|| "starting".to_owned());
        self.restart_at = None;
        self.migrated = false;
        let what = if self.is_web() { "=> Booting Puma" } else { "=> Starting the worker" };
        self.say(at, what);
    }

    /// Stopped by request: the engine does not start it again.
    pub(super) fn stop(&mut self, at: Timestamp) {
        if self.shown.state == Running::Running {
            self.say(at, "- Gracefully stopping, waiting for requests to finish");
        }
        self.shown.state = Running::Exited;
        self.shown.exit_code = Some(0);
        self.shown.health = None;
        self.restart_at = None;
    }

    /// Ended by itself.
    fn end(&mut self, at: Timestamp, exit: &Exit) {
        for line in &exit.lines {
            self.say(at, line);
        }
        self.shown.exit_code = Some(exit.code);
        self.shown.health = None;
        let policy = self.shown.restart_policy.as_str();
        let again = match policy {
            "always" | "unless-stopped" => true,
            other => other.starts_with("on-failure") && exit.code != 0,
        };
        if again {
            let wait = Duration::from_millis(100 << self.shown.restarts.min(10)).min(Duration::from_mins(1));
            self.shown.state = Running::Restarting;
            self.restart_at = Some(later(at, wait));
        } else {
            self.shown.state = Running::Exited;
        }
    }

    /// Whether `/up` is answered at `now`, and how.
    pub(super) fn answers(&self, release: &Release, now: Timestamp) -> Option<u16> {
        let started = self.shown.started.filter(|_| self.shown.state == Running::Running)?;
        let booted = self.is_web() && later(started, release.boot) <= now;
        booted.then_some(if release.web == WebHealth::Healthy { 200 } else { 500 })
    }

    /// What the engine's own health check has found by `now`.
    fn judge(&mut self, release: &Release, now: Timestamp) {
        let Some(started) = self.shown.started else { return };
        if !self.has_healthcheck || self.shown.state != Running::Running {
            return;
        }
        let age = Duration::try_from(now.duration_since(started)).unwrap_or_default();
        let checks = u32::try_from(age.as_secs() / INTERVAL.as_secs()).unwrap_or(u32::MAX);
        let healthy =
            checks > 0 && self.answers(release, later(started, INTERVAL.saturating_mul(checks))) == Some(200);
        let health = match healthy {
            true => "healthy",
            false if age > START_PERIOD + 3 * INTERVAL => "unhealthy",
            false => "starting",
        };
        self.shown.health = Some(health.to_owned());
    }
}

impl State {
    /// Brings every container up to now.
    pub(super) fn settle(&mut self) {
        for id in self.host.instances.keys().cloned().collect::<Vec<_>>() {
            while self.advance(&id) {}
        }
    }

    /// The next thing that one container did by now, if there is one.
    fn advance(&mut self, id: &str) -> bool {
        let now = self.now;
        let Some(instance) = self.host.instances.get_mut(id) else { return false };
        if let Some(at) = instance.restart_at.filter(|at| *at <= now) {
            instance.shown.restarts += 1;
            instance.start(at);
            return true;
        }
        let built = self.host.images.get(&instance.shown.image_id);
        let Some(release) = built.and_then(|built| built.release.clone()) else { return false };
        let Some(started) = instance.shown.started.filter(|_| instance.shown.is_running()) else {
            return false;
        };
        let exit = if instance.is_web() {
            &release.exits
        } else {
            release.exits.as_ref().map_or(&release.job_exits, |_| &release.exits)
        };
        if let Some(exit) = exit.as_ref().filter(|exit| later(started, exit.after) <= now) {
            instance.end(later(started, exit.after), exit);
            return true;
        }
        let migrates = instance.is_web()
            && instance.environment.get("STRATA_RUN_DB_PREPARE").is_some_and(|value| value == "true");
        if migrates && !instance.migrated && later(started, release.boot / 2) <= now {
            instance.migrated = true;
            // Rails buffers what it says about migrations without a terminal: the log stays empty.
            if !self.server.prepare(&release) {
                let lines = vec!["bin/rails aborted! StandardError: An error has occurred".to_owned()];
                let after = release.boot / 2;
                instance.end(later(started, after), &Exit { code: 1, lines, after });
            }
            return true;
        }
        instance.judge(&release, now);
        false
    }
}
