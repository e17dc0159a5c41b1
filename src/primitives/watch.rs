//! Watching a container until it is well and stays so.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::contract::Span;
use crate::{
    event::{Failure, Unit},
    ports::{
        Observe,
        clock::since,
        docker::{Container, State},
        http::Probe,
        project::of_service,
    },
};

const PAUSE: Duration = Duration::from_millis(250);
/// Lines of a log that are shown with a failure.
const LAST_LINES: usize = 20;
/// Some releases die this long after they were well.
const SHORT: Duration = Duration::from_secs(10);

/// After so long without progress it is said when a wait is given up.
const STANDS_STILL: Duration = Duration::from_secs(30);

/// What is watched, and for how long.
pub(super) struct Watched<'a> {
    pub(super) service: &'a str,
    /// This container instead of the service's own.
    pub(super) container: Option<&'a str>,
    /// How long it must stay well without a break; `None`: its first good answer is enough.
    pub(super) stable_for: Option<Duration>,
    /// How long to wait without any sign of progress.
    pub(super) timeout: Duration,
}

/// It was well, and stayed so.
pub(super) struct Well {
    /// Milliseconds until it was well for the first time.
    pub(super) after_ms: u64,
    /// Milliseconds for which it stayed so.
    pub(super) stable_ms: u64,
}

/// Until all of them are well, and each has stayed so for its time; in their order.
pub(super) async fn watch(all: &[Watched<'_>], site: Observe<'_>) -> Result<Vec<Well>, Failure> {
    let mut waits = Vec::new();
    for watched in all {
        waits.push(Wait::begin(watched, site).await?);
    }
    loop {
        let mut well = Vec::new();
        for (turn, wait) in waits.iter_mut().enumerate() {
            let containers = wait.containers().await?;
            for container in &containers {
                wait.died(container).await?;
            }
            // What is not well yet is what is waited for.
            let tells = well.len() == turn;
            well.extend(wait.turn(&containers, tells).await?);
        }
        if well.len() == waits.len() {
            return Ok(well);
        }
        site.clock.sleep(PAUSE).await;
    }
}

/// One wait, and what it has seen so far.
struct Wait<'a> {
    watched: &'a Watched<'a>,
    site: Observe<'a>,
    started: Timestamp,
    /// Restarts that the engine had counted before, by the containers' ids.
    restarts: BTreeMap<String, u64>,
    well_since: Option<Timestamp>,
    moved: Timestamp,
    mark: String,
    said: String,
    /// `/up` has answered, if only to say no.
    answers: bool,
    /// What stands last in its log while nothing moves has been told.
    said_last: bool,
}

impl<'a> Wait<'a> {
    async fn begin(watched: &'a Watched<'a>, site: Observe<'a>) -> Result<Self, Failure> {
        let now = site.clock.now();
        if let Some(stable_for) = watched.stable_for.filter(|time| *time < SHORT) {
            let (service, time) = (watched.service, Span(stable_for));
            site.tell.warn(format!("`{service}` is watched for {time} only: what dies later is not noticed"));
        }
        let mut wait = Self {
            watched,
            site,
            started: now,
            restarts: BTreeMap::new(),
            well_since: None,
            moved: now,
            mark: String::new(),
            said: "it has not answered yet".to_owned(),
            answers: false,
            said_last: false,
        };
        let counted = |container: Container| (container.id, container.restarts);
        wait.restarts = wait.containers().await?.into_iter().map(counted).collect();
        Ok(wait)
    }

    async fn containers(&self) -> Result<Vec<Container>, Failure> {
        let service = self.watched.service;
        let found = match self.watched.container {
            Some(id) => self.site.docker.container(id).await?.into_iter().collect(),
            None => of_service(self.site.docker, &self.site.site.project, service).await?,
        };
        if !found.is_empty() {
            return Ok(found);
        }
        let text = format!("`{}` has no container", self.watched.service);
        Err(Failure::new("container_missing", text)
            .hint("start it in an earlier step: `compose_up(#{ services: [...] })`"))
    }

    /// A container that has died, or that the engine had to start again, is not waited for.
    async fn died(&self, container: &Container) -> Result<(), Failure> {
        let gone =
            matches!(container.state, State::Exited | State::Dead | State::Restarting | State::Removing);
        let before = self.restarts.get(&container.id).copied().unwrap_or_default();
        if !gone && container.restarts <= before {
            return Ok(());
        }
        let cause = match (container.oom_killed, container.exit_code) {
            (true, _) => "it was killed for using too much memory".to_owned(),
            (false, Some(code)) => format!("exit code {code}"),
            // It runs again already: the engine does not keep how it ended before.
            (false, None) => "the engine has started it again since".to_owned(),
        };
        let which = if self.watched.container.is_some() { "the trial's container" } else { "the container" };
        let text = format!("{which} of `{}` died: {cause}", self.watched.service);
        Err(Failure::new("container_died", text).evidence(self.last_lines(container).await))
    }

    /// Asks once. The outcome, once it was well for long enough.
    async fn turn(&mut self, containers: &[Container], tells: bool) -> Result<Option<Well>, Failure> {
        let now = self.site.clock.now();
        let mut unwell = None;
        for container in containers {
            if !self.is_well(container).await {
                unwell = Some(container);
                break;
            }
        }
        let Some(unwell) = unwell else {
            let first = *self.well_since.get_or_insert(now);
            let stable = since(self.site.clock, first);
            let wanted = self.watched.stable_for.unwrap_or_default();
            if tells {
                let text = format!("`{}` is well", self.watched.service);
                self.site.tell.progress(text, millis(stable), Some(millis(wanted)), Unit::Milliseconds);
            }
            if stable >= wanted {
                let before = first.duration_since(self.started);
                let after_ms = millis(before.try_into().unwrap_or_default());
                return Ok(Some(Well { after_ms, stable_ms: millis(stable) }));
            }
            return Ok(None);
        };
        self.well_since = None;
        self.note_progress(unwell, now).await?;
        if tells {
            // Said once nothing moves: until then the moment does.
            let still = since(self.site.clock, self.moved) >= STANDS_STILL;
            let until = self.moved.checked_add(self.watched.timeout).ok().filter(|_| still);
            let until = until.map(|at| at.strftime(" until %H:%M:%S UTC").to_string()).unwrap_or_default();
            let text = format!("waiting for `{}`{until}: {}", self.watched.service, self.said);
            let passed = millis(since(self.site.clock, self.started));
            self.site.tell.progress(text, passed, None, Unit::Milliseconds);
            if still && !self.said_last {
                self.said_last = true;
                self.say_last(unwell).await;
            }
        }
        if since(self.site.clock, self.moved) < self.watched.timeout {
            return Ok(None);
        }
        let text = format!(
            "`{}` did not become well within {}: {}",
            self.watched.service,
            Span(self.watched.timeout),
            self.said
        );
        Err(Failure::new("not_healthy", text)
            .evidence(self.last_lines(unwell).await)
            .hint("`--patience` gives it more time without a sign of progress; a plan takes a boot as 10 s"))
    }

    async fn is_well(&mut self, container: &Container) -> bool {
        if !container.is_running() {
            "its container does not run".clone_into(&mut self.said);
            return false;
        }
        if self.watched.service != self.site.site.web.name {
            return true;
        }
        let Some(probe) = Probe::up(self.site.site, container) else {
            "it has no address yet".clone_into(&mut self.said);
            return false;
        };
        match self.site.http.probe(&probe).await {
            Ok(answer) if answer.status == 200 => true,
            Ok(answer) => {
                self.answers = true;
                self.said = format!("`/up` answers {}", answer.status);
                false
            }
            Err(_) => {
                "`/up` does not answer yet".clone_into(&mut self.said);
                false
            }
        }
    }

    /// The log and the schema move while a release migrates or boots. A release that is up and says no keeps logging
    /// its refusals: once `/up` has answered anything, its log is no sign of progress any more.
    async fn note_progress(&mut self, container: &Container, now: Timestamp) -> Result<(), Failure> {
        let databases = &self.site.site.databases;
        let versions = self.site.postgres.schema_versions(&databases.endpoint, databases.primary()).await;
        let versions = versions.ok().flatten().map_or(0, |versions| versions.len());
        let line = if self.answers {
            String::new()
        } else {
            // One that cannot be read is no sign of anything.
            let last = self.site.docker.logs(&container.id, Some(1)).await.unwrap_or_default();
            last.last().map(|line| format!("{:?} {}", line.at, line.text)).unwrap_or_default()
        };
        let (at_work, migrates) = self.at_work().await;
        let mark = format!("{versions} {} {line} {at_work}", self.answers);
        if migrates {
            self.moved = now;
        }
        if mark != self.mark {
            self.mark = mark;
            self.moved = now;
            self.said_last = false;
        }
        Ok(())
    }

    /// The statement that the server is at, while the release migrates: without it a long one looks like standing
    /// still. What the server says of how far it is counts as progress, and so does a session that holds the lock for
    /// migrations and is at work. Other statements are of those who use the site, and go on for ever.
    async fn at_work(&mut self) -> (String, bool) {
        let databases = &self.site.site.databases;
        let names: Vec<_> = databases.all.iter().map(|one| one.name.clone()).collect();
        // A server that cannot be asked just now is no sign of anything.
        let activity = self.site.postgres.activity(&databases.endpoint, &names).await.unwrap_or_default();
        let measured = || activity.iter().find(|one| one.progress.is_some());
        let Some(one) = activity.iter().find(|one| one.migrating).or_else(measured) else {
            return (String::new(), false);
        };
        let progress = one.progress.as_ref().map(|text| format!(", {text}")).unwrap_or_default();
        let words: Vec<_> = one.query.split_whitespace().collect();
        let query: String = words.join(" ").chars().take(60).collect();
        self.said =
            format!("process {} in `{}` is at `{query}`, {} s{progress}", one.pid, one.database, one.seconds);
        // One that waits for somebody else's lock does not come on.
        (format!("{} {progress}", one.pid), one.migrating && one.blocked_by.is_empty())
    }

    /// Once, while there is time to do something: a log may go on for ever with what it says of a refusal.
    async fn say_last(&self, container: &Container) {
        let lines = self.site.docker.logs(&container.id, Some(1)).await.unwrap_or_default();
        if let Some(line) = lines.last().map(|line| line.text.trim()).filter(|line| !line.is_empty()) {
            let shown: String = line.chars().take(120).collect();
            self.site
                .tell
                .warn(format!("nothing moves; the last line of `{}`: {shown}", self.watched.service));
        }
    }

    async fn last_lines(&self, container: &Container) -> Vec<String> {
        match self.site.docker.logs(&container.id, Some(LAST_LINES)).await {
            Ok(lines) => lines.into_iter().map(|line| line.text).collect(),
            Err(failure) => vec![format!("its log cannot be read: {failure}")],
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
