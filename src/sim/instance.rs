//! What containers do as time passes: boot, migrate, answer, end, and be started again by the engine.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    registry::{Exit, Release, WebHealth},
    server::{Backend, Prepared},
    state::{State, later},
    tasks::Task,
};
use crate::ports::docker::{Container, LogLine, State as Running};

/// The engine asks the health check after each full interval.
const INTERVAL: Duration = Duration::from_secs(30);
/// Until then a failed health check does not count.
const START_PERIOD: Duration = Duration::from_mins(2);

/// `db:prepare` of one start of web.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Prepare {
    #[default]
    Ahead,
    /// Waits for a statement of this backend.
    Waits(i32),
    Done(Timestamp),
}

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
    /// How far this start has come with `db:prepare`.
    #[serde(skip)]
    pub prepare: Prepare,
    #[serde(skip)]
    pub logs: Vec<LogLine>,
    /// It is none of compose's.
    #[serde(skip)]
    pub task: Option<Task>,
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
            prepare: Prepare::Ahead,
            logs: Vec::new(),
            task: None,
        }
    }

    /// The process is the product's web server, not its worker.
    pub(super) fn is_web(&self) -> bool {
        self.command.is_empty() && self.task.is_none()
    }

    /// It has sessions in the product's databases while it runs.
    pub(super) fn knows_the_server(&self) -> bool {
        self.environment.contains_key("DB_HOST")
    }

    /// It runs `db:prepare` before it serves.
    pub(super) fn prepares(&self) -> bool {
        self.is_web() && self.environment.get("STRATA_RUN_DB_PREPARE").is_some_and(|value| value == "true")
    }

    /// The first moment at which web answers, once it can be known.
    fn booted(&self, release: &Release) -> Option<Timestamp> {
        let started = self.shown.started.filter(|_| self.shown.is_running() && self.is_web())?;
        let booted = later(started, release.boot);
        match self.prepare {
            _ if !self.prepares() => Some(booted),
            Prepare::Done(at) => Some(booted.max(later(at, release.boot / 2))),
            Prepare::Ahead | Prepare::Waits(_) => None,
        }
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
        self.prepare = Prepare::Ahead;
        if self.task.is_some() {
            return;
        }
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
        let booted = self.booted(release)? <= now;
        booted.then_some(if release.web == WebHealth::Healthy { 200 } else { 500 })
    }

    /// When this start ends by itself, if it does.
    fn exit(&self, release: &Release) -> Option<(Timestamp, Exit)> {
        let started = self.shown.started?;
        let all = release.exits.as_ref();
        let own = if self.is_web() { None } else { release.job_exits.as_ref() };
        if let Some(exit) = all.or(own) {
            return Some((later(started, exit.after), exit.clone()));
        }
        let exit = release.web_exits.as_ref()?;
        Some((later(self.booted(release)?, exit.after), exit.clone()))
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
    /// Brings every container and every statement up to now.
    pub(super) fn settle(&mut self) {
        for id in self.host.instances.keys().cloned().collect::<Vec<_>>() {
            while self.advance(&id) {}
        }
        self.server.finish_orphans(self.now);
    }

    /// The next thing that one container did by now, if there is one.
    fn advance(&mut self, id: &str) -> bool {
        let now = self.now;
        if self.host.instances.get(id).is_some_and(|one| one.task.is_some()) {
            return self.end_task(id);
        }
        let Some(instance) = self.host.instances.get_mut(id) else { return false };
        if let Some(at) = instance.restart_at.filter(|at| *at <= now) {
            instance.shown.restarts += 1;
            instance.start(at);
            self.connect(id);
            return true;
        }
        let built = self.host.images.get(&instance.shown.image_id);
        let Some(release) = built.and_then(|built| built.release.clone()) else { return false };
        let Some(started) = instance.shown.started.filter(|_| instance.shown.is_running()) else {
            return false;
        };
        if let Some((at, exit)) = instance.exit(&release).filter(|(at, _)| *at <= now) {
            instance.end(at, &exit);
            self.disconnect(id);
            return true;
        }
        let begins = later(started, release.boot / 2);
        match instance.prepare {
            Prepare::Ahead if instance.prepares() && begins <= now => {
                self.prepare(id, &release, begins);
                true
            }
            Prepare::Waits(pid) => self.wait_for(id, &release, pid),
            _ => {
                instance.judge(&release, now);
                false
            }
        }
    }

    /// `db:prepare` goes on, as far as it comes at once.
    fn prepare(&mut self, id: &str, release: &Release, at: Timestamp) {
        let prepared = self.server.prepare(release);
        if release.purges && prepared == Prepared::Done {
            let volume = self.host.volumes.values().next().cloned().unwrap_or_default();
            let oldest = self.disk.files.keys().find(|path| path.starts_with(&volume)).cloned();
            oldest.map(|path| self.disk.files.remove(&path));
        }
        let pid = 5_000 + i32::try_from(self.server.number()).unwrap_or_default();
        let Some(instance) = self.host.instances.get_mut(id) else { return };
        match prepared {
            Prepared::Done => instance.prepare = Prepare::Done(at),
            // Rails buffers what it says about migrations without a terminal: the log stays empty.
            Prepared::Failed(lines) => instance.end(at, &Exit { code: 1, lines, after: Duration::ZERO }),
            Prepared::Takes { file, time, one_statement } => {
                instance.prepare = Prepare::Waits(pid);
                let client = instance.shown.networks.values().next().cloned().unwrap_or_default();
                let database = self.server.product.first().cloned().unwrap_or_default();
                let (until, orphan) = (later(at, time), false);
                let backend =
                    Backend { pid, database, client, file, began: at, until, one_statement, orphan };
                self.server.backends.push(backend);
            }
        }
    }

    /// Whether the statement that web waits for has ended by now, well or not.
    fn wait_for(&mut self, id: &str, release: &Release, pid: i32) -> bool {
        let now = self.now;
        let Some(at) = self.server.backends.iter().position(|one| one.pid == pid) else {
            let lines = vec!["bin/rails aborted! PG::ConnectionBad: terminating connection".to_owned()];
            if let Some(instance) = self.host.instances.get_mut(id) {
                instance.end(now, &Exit { code: 1, lines, after: Duration::ZERO });
            }
            return true;
        };
        if self.server.backends[at].until > now {
            return false;
        }
        let ended = self.server.backends.remove(at);
        self.server.apply(&ended.file);
        self.server.record(&ended.file);
        self.prepare(id, release, ended.until);
        true
    }

    /// The process of a container is gone, and with it the client of its statement.
    pub(super) fn disconnect(&mut self, id: &str) {
        let waits = self.host.instances.get_mut(id).map(|one| std::mem::take(&mut one.prepare));
        if let Some(Prepare::Waits(pid)) = waits {
            self.server.abandon(pid);
        }
    }

    /// A process that begins is kept out of what lets nobody in; everywhere else it has sessions.
    pub(super) fn connect(&mut self, id: &str) {
        self.server.cut.retain(|(container, _)| container != id);
        if !self.host.instances.get(id).is_some_and(Instance::knows_the_server) {
            return;
        }
        let closed = self.server.databases.values().filter(|db| !db.facts.open).map(|db| db.facts.oid);
        self.server.cut.extend(closed.map(|oid| (id.to_owned(), oid)).collect::<Vec<_>>());
    }
}
