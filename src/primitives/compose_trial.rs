use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    as_before::{keep_log, write_kept},
    contract::{Back, Effect, Found, Span, Undone, WhenUnknown, from_value, to_bytes},
    exchange::PATIENCE,
    moved_data::ByHand,
    watch::{Watched, watch},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        compose::RunAside,
        docker::{Container, RemoveContainer, Select, Stop},
        postgres::{EndSessions, Kept},
        project::trial_name,
    },
    site::{Endpoint, Moment, Sequences},
};

/// Try a release where no user reaches it: it boots with the site's settings, migrates, and must stay healthy.
///
/// The container has no published port, no name of the service on the networks and no labels that a proxy reads. It is
/// removed when the trial is over; its log stays with the run.
///
/// Undo: the trial's container is removed. What it has migrated goes back by the `pg_savepoint` before it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComposeTrial {
    /// Image tag to try, e.g. `1.1.0`.
    pub tag: String,
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
pub(super) struct Intent {
    #[schemars(with = "serde_json::Value")]
    aside: RunAside,
    tag: String,
    stable_for: Span,
    timeout: Span,
    #[schemars(with = "serde_json::Value")]
    endpoint: Endpoint,
    databases: Vec<String>,
    /// Since when nobody else may have run, RFC 3339 in UTC. Empty where the trial was meant beside what runs, and in what
    /// an older uplift wrote.
    #[serde(default)]
    since: String,
    /// Where its outcome is written down when it is over: nothing else of it stays.
    told: PathBuf,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The tag that was tried.
    pub tag: String,
    /// Milliseconds until it was well for the first time.
    pub well_after_ms: u64,
    /// The moment when it was over, as the primary database's snapshot: what is newer, users have written.
    pub snapshot: String,
    /// When it was over, RFC 3339 in UTC; empty in what an older uplift wrote.
    #[serde(default)]
    pub at: String,
    /// How far the numbers of the rows had come, by database.
    #[serde(default)]
    pub sequences: Sequences,
}

impl Effect for ComposeTrial {
    const NAME: &'static str = "compose_trial";
    const MOVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { tag: "1.1.0".to_owned(), stable_for: ten_seconds(), timeout: ten_minutes() }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let web = &site.site.web;
        let reference = format!("{}:{}", web.repository, self.tag);
        if site.docker.image(&reference).await?.is_none() {
            let failure = Failure::new("image_missing", format!("`{reference}` is not on this host"));
            return Err(Refusal(failure.hint("pull it first: `compose_pull(#{ tag: ... })` in the runbook")));
        }
        // Found by the plan: when the site stands still it is too late.
        let version = site.compose.version().await?;
        if version < RunAside::SINCE {
            let text = format!("`docker compose` {version} cannot run a release without its proxy labels");
            let hint = format!(
                "a trial in the dark needs {} or newer: `sudo apt install --only-upgrade docker-compose-plugin`",
                RunAside::SINCE
            );
            return Err(Refusal(Failure::new("compose_too_old", text).hint(hint)));
        }
        let all = &site.site.databases;
        Ok(Intent {
            aside: RunAside {
                project: site.site.project.clone(),
                service: web.name.clone(),
                name: trial_name(&site.site.project, site.run),
                overrides: BTreeMap::from([("STRATA_VERSION".to_owned(), self.tag.clone())]),
            },
            tag: self.tag.clone(),
            stable_for: self.stable_for,
            timeout: self.timeout,
            endpoint: all.endpoint.clone(),
            since: closed_since(site).await?,
            databases: all.all.iter().map(|one| one.name.clone()).collect(),
            told: self.free_note(site).await?,
        })
    }

    fn summary(intent: &Intent) -> String {
        format!("try {} where no user reaches it", intent.tag)
    }

    fn result(outcome: &Outcome) -> String {
        format!("{} migrates, boots and stays well", outcome.tag)
    }

    fn undo_summary(_: &Intent) -> String {
        "remove the trial's container; the databases go back by the savepoint".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let told = site.files.read(&intent.told).await?;
        let outcome = told.and_then(|file| serde_json::from_slice(&file.bytes).ok());
        Ok(match outcome {
            Some(outcome) => Found::Applied(outcome),
            None => Found::Partial("the trial was not over, or has not begun".to_owned()),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if let Found::Applied(outcome) = Self::probe(intent, site.observe()).await? {
            return Ok(outcome);
        }
        // One that does not run is what an earlier attempt left: it tells nothing about this one.
        if intent.container(site.observe()).await?.is_some_and(|one| !one.is_up()) {
            intent.take_away(site).await?;
        }
        intent.alone(site.observe()).await?;
        let id = site.compose.run_aside(&intent.aside).await?;
        let watched = Watched {
            service: &intent.aside.service,
            container: Some(&id),
            stable_for: Some(intent.stable_for.0),
            timeout: intent.timeout.0,
        };
        let after_ms = watch(&[watched], site.observe()).await?.first().map(|well| well.after_ms);
        intent.take_away(site).await?;
        intent.alone(site.observe()).await?;
        let snapshot = site.postgres.snapshot(&intent.endpoint, primary(intent)).await?;
        let mut sequences = Sequences::new();
        for name in &intent.databases {
            sequences.insert(name.clone(), site.postgres.sequences(&intent.endpoint, name).await?);
        }
        let (tag, at) = (intent.tag.clone(), site.clock.now().to_string());
        let outcome = Outcome { tag, well_after_ms: after_ms.unwrap_or_default(), snapshot, at, sequences };
        write_kept(&intent.told, to_bytes(&outcome)?, "outcome of the trial", site).await?;
        Ok(outcome)
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let removed = intent.take_away(site).await?;
        Ok(if removed {
            Undone::restored("removed the trial's container, and ended what it had begun in the databases")
        } else {
            Undone::nothing("the trial's container is gone, and nothing of it is at work in the databases")
        })
    }
}

/// From the run's savepoint on, what anybody writes is in no copy. Without one it is from now on, if nothing runs now.
async fn closed_since(site: Observe<'_>) -> Result<String, Failure> {
    let all = &site.site.databases;
    let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
    let kept = site.postgres.kept(&all.endpoint, &names).await?;
    let mut marks = kept.into_iter().filter_map(|one| one.mark);
    if let Some(own) = marks.find(|mark| mark.kind == Kept::Savepoint && mark.run == site.run) {
        return Ok(own.made);
    }
    let now = site.clock.now().to_string();
    Ok(if ByHand::since(&now, site).await?.is_none() { now } else { String::new() })
}

fn primary(intent: &Intent) -> &str {
    intent.databases.first().map_or("", String::as_str)
}

impl ComposeTrial {
    /// Where its end is noted. A runbook may try the same release again, with other settings.
    async fn free_note(&self, site: Observe<'_>) -> Result<PathBuf, Failure> {
        let mut note = site.kept().join(format!("trial-{}.json", self.tag));
        let mut n = 1;
        while site.files.size(&note).await?.is_some() {
            n += 1;
            note = site.kept().join(format!("trial-{}-{n}.json", self.tag));
        }
        Ok(note)
    }
}

impl Intent {
    async fn container(&self, site: Observe<'_>) -> Result<Option<Container>, Failure> {
        let all = site.docker.containers(&Select::All).await?;
        Ok(all.into_iter().find(|one| one.name == self.aside.name))
    }

    /// Users must not write with the older release while the newer one migrates, nor anything that no copy has.
    async fn alone(&self, site: Observe<'_>) -> Result<(), Failure> {
        if self.since.is_empty() {
            return Ok(());
        }
        let Some(by_hand) = ByHand::since(&self.since, site).await? else { return Ok(()) };
        Err(Failure::new("started_by_hand", by_hand.in_words())
            .hint("let the run end its work before anybody starts anything: it asks what is to become of what was written"))
    }

    /// Removes the container. The server goes on with the statement of a client that was killed, so what is at work
    /// is ended too.
    async fn take_away(&self, site: Operate<'_>) -> Result<bool, Failure> {
        let there = self.container(site.observe()).await?;
        if let Some(container) = &there {
            keep_log(container, site).await?;
            // It is not the service that goes down with it: that was stopped long before.
            let (id, service) = (container.id.clone(), self.aside.name.clone());
            if container.is_up() {
                site.docker.stop(&Stop { id: id.clone(), service: service.clone(), timeout: None }).await?;
                if let Some(stopped) = site.docker.container(&id).await? {
                    keep_log(&stopped, site).await?;
                }
            }
            site.docker.remove(&RemoveContainer { id, service }).await?;
        }
        let at_work = site.postgres.activity(&self.endpoint, &self.databases).await?;
        if !at_work.is_empty() {
            let (endpoint, databases) = (self.endpoint.clone(), self.databases.clone());
            site.postgres.end_sessions(&EndSessions { endpoint, databases, patience: PATIENCE }).await?;
        }
        Ok(there.is_some() || !at_work.is_empty())
    }
}

/// The moment from which on users could write with the release that was tried, by what the record has of the trial.
pub(crate) fn trial_ended(outcome: Value, at: Timestamp) -> Result<Moment, Failure> {
    let Outcome { snapshot, sequences, .. } = from_value(outcome)?;
    Ok(Moment { snapshot, at, sequences })
}
