use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Read, Span};
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

/// Wait until a service is well and stays so: web answers `/up` with 200, any other service runs without a restart.
///
/// A container that dies ends the wait at once. The time limit counts from the last sign of progress: a new line in
/// the container's log, or a migration that was applied.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitHealthy {
    /// Name of the service, e.g. `site::web`.
    pub service: String,
    /// How long it must stay well without a break. Initially `10s`.
    #[serde(default = "ten_seconds")]
    pub stable_for: Span,
    /// How long to wait without any sign of progress. Initially `10m`.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
}

fn ten_seconds() -> Span {
    Span(Duration::from_secs(10))
}

fn ten_minutes() -> Span {
    Span(Duration::from_mins(10))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    pub service: String,
    /// Milliseconds until it was well for the first time.
    pub well_after_ms: u64,
    /// Milliseconds for which it stayed so.
    pub stable_ms: u64,
}

const PAUSE: Duration = Duration::from_millis(250);
/// Lines of a log that are shown with a failure.
const LAST_LINES: usize = 20;

impl Read for WaitHealthy {
    const NAME: &'static str = "wait_healthy";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { service: "web".to_owned(), stable_for: ten_seconds(), timeout: ten_minutes() }
    }

    fn summary(&self) -> String {
        format!("wait until `{}` is well and stays so for {}", self.service, self.stable_for)
    }

    fn result(outcome: &Outcome) -> String {
        format!(
            "`{}` was well after {:.1} s and stayed so for {:.1} s",
            outcome.service,
            seconds(outcome.well_after_ms),
            seconds(outcome.stable_ms)
        )
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let mut wait = Wait::begin(self, site).await?;
        loop {
            let containers = wait.containers().await?;
            for container in &containers {
                wait.died(container).await?;
            }
            if let Some(outcome) = wait.turn(&containers).await? {
                return Ok(outcome);
            }
            site.clock.sleep(PAUSE).await;
        }
    }
}

/// One wait, and what it has seen so far.
struct Wait<'a> {
    options: &'a WaitHealthy,
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
}

impl<'a> Wait<'a> {
    async fn begin(options: &'a WaitHealthy, site: Observe<'a>) -> Result<Self, Failure> {
        let now = site.clock.now();
        if options.stable_for < ten_seconds() {
            let (service, time) = (&options.service, options.stable_for);
            site.tell.warn(format!("`{service}` is watched for {time} only: what dies later is not noticed"));
        }
        let mut wait = Self {
            options,
            site,
            started: now,
            restarts: BTreeMap::new(),
            well_since: None,
            moved: now,
            mark: String::new(),
            said: "it has not answered yet".to_owned(),
            answers: false,
        };
        let counted = |container: Container| (container.id, container.restarts);
        wait.restarts = wait.containers().await?.into_iter().map(counted).collect();
        Ok(wait)
    }

    async fn containers(&self) -> Result<Vec<Container>, Failure> {
        let found = of_service(self.site.docker, &self.site.site.project, &self.options.service).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let text = format!("`{}` has no container", self.options.service);
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
        let text = format!("the container of `{}` died: {cause}", self.options.service);
        Err(Failure::new("container_died", text).evidence(self.last_lines(container).await))
    }

    /// Asks once. The outcome, once it was well for long enough.
    async fn turn(&mut self, containers: &[Container]) -> Result<Option<Outcome>, Failure> {
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
            let wanted = self.options.stable_for.0;
            let text = format!("`{}` is well", self.options.service);
            self.site.tell.progress(text, millis(stable), Some(millis(wanted)), Unit::Milliseconds);
            if stable >= wanted {
                let before = first.duration_since(self.started);
                return Ok(Some(Outcome {
                    service: self.options.service.clone(),
                    well_after_ms: millis(before.try_into().unwrap_or_default()),
                    stable_ms: millis(stable),
                }));
            }
            return Ok(None);
        };
        self.well_since = None;
        self.note_progress(unwell, now).await?;
        let text = format!("waiting for `{}`: {}", self.options.service, self.said);
        self.site.tell.progress(text, millis(since(self.site.clock, self.started)), None, Unit::Milliseconds);
        if since(self.site.clock, self.moved) < self.options.timeout.0 {
            return Ok(None);
        }
        let text = format!(
            "`{}` did not become well within {}: {}",
            self.options.service, self.options.timeout, self.said
        );
        Err(Failure::new("not_healthy", text).evidence(self.last_lines(unwell).await))
    }

    async fn is_well(&mut self, container: &Container) -> bool {
        if !container.is_running() {
            "its container does not run".clone_into(&mut self.said);
            return false;
        }
        if self.options.service != self.site.site.web.name {
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
            let last = self.site.docker.logs(&container.id, Some(1)).await?;
            last.last().map(|line| format!("{:?} {}", line.at, line.text)).unwrap_or_default()
        };
        let mark = format!("{versions} {} {line}", self.answers);
        if mark != self.mark {
            self.mark = mark;
            self.moved = now;
        }
        Ok(())
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

#[expect(clippy::cast_precision_loss, reason = "seconds on a screen")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
