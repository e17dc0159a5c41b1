//! Whether data may go back by itself, and what it costs where only a person may say so.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    contract::{Back, Later},
    way_back::written,
};
use crate::{
    event::{Choice, Failure, Question, moment},
    ports::{Observe, postgres::Job, project::of_service},
    site::{Moment, Sequences, Written},
};

/// The databases become what they were, and what users wrote since is put aside.
pub(super) const RESTORE_DATA: &str = "restore-data";
/// The older release runs again, on the databases as they are.
pub(super) const RETURN_CODE: &str = "return-code";

/// Effects after which still no user can reach the new release.
const DARK: [&str; 16] = [
    "compose_create",
    "compose_release",
    "compose_trial",
    "config_return",
    // Neither lets a container of the product stay, or publish a port: what a task writes goes back with the rest.
    "docker_remove",
    "docker_run",
    "env_set",
    // Whatever these do, users write only where a container of the product runs: one that they start is found by its start.
    "exec",
    "file_put",
    "http_request",
    "pg_return",
    "pg_savepoint",
    "pg_swap",
    "storage_return",
    "storage_swap",
    "template",
];

/// Those of them that may have written to the databases.
const TASKS: [&str; 3] = ["docker_run", "exec", "http_request"];

/// How far the new release has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// It has not run at all.
    NotEvenTried,
    /// It has run where no user is.
    Nobody,
    /// Users may have written with it, or have been able to. Whatever is not known to be dark counts as this.
    Users {
        /// The moment from which on they could, where a trial has told it.
        since: Option<Since>,
    },
}

/// The moment from which on users could write, as a trial has told it. Older ones told the snapshot alone.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Since {
    snapshot: String,
    #[serde(default)]
    at: String,
    #[serde(default)]
    sequences: Sequences,
}

impl Since {
    /// `cut` is when the savepoint was made.
    pub(super) fn moment(self, cut: Timestamp) -> Moment {
        let at = self.at.parse().unwrap_or(cut);
        Moment { snapshot: self.snapshot, at, sequences: self.sequences }
    }
}

impl Reached {
    pub(super) fn of(back: &Back<'_>) -> Self {
        let tried = back.later.iter().find(|one| one.verb == "compose_trial");
        if users_since(back) {
            let since = tried.and_then(|one| Since::deserialize(one.outcome.as_ref()?).ok());
            return Self::Users { since };
        }
        // A task writes as a trial does: what it has made of the databases goes back with them.
        let is_task = |one: &Later| TASKS.contains(&one.verb.as_str()) && !one.adds_only;
        let by_task = back.later.iter().any(is_task);
        if tried.is_some() || by_task { Self::Nobody } else { Self::NotEvenTried }
    }

    /// What the record tells, corrected by who was started beside the run after `since` (RFC 3339).
    pub(super) async fn seen(
        back: &Back<'_>,
        since: &str,
        site: Observe<'_>,
    ) -> Result<(Self, Option<ByHand>), Failure> {
        let reached = Self::of(back);
        if reached != Self::Nobody {
            return Ok((reached, None));
        }
        let by_hand = ByHand::since(since, site).await?;
        Ok((if by_hand.is_some() { Self::Users { since: None } } else { reached }, by_hand))
    }
}

/// A service of the product that was started after a run had stopped it, and not by the run.
pub(super) struct ByHand {
    pub service: String,
    pub started: Option<Timestamp>,
}

impl ByHand {
    /// Looks for one that runs, or has run, since `at` (RFC 3339). `docker compose up -d` is what a person types whose
    /// site is down: users write from then on, whatever the run thinks of who can reach what.
    pub(super) async fn since(at: &str, site: Observe<'_>) -> Result<Option<Self>, Failure> {
        let at: Option<Timestamp> = at.parse().ok();
        for service in site.site.product() {
            for container in of_service(site.docker, &site.site.project, &service.name).await? {
                let ran = at.is_some_and(|at| container.started.is_some_and(|started| started > at));
                if container.is_up() || ran {
                    return Ok(Some(Self { service: service.name.clone(), started: container.started }));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn in_words(&self) -> String {
        let at = self.started.map(|at| format!(" at {}", moment(at))).unwrap_or_default();
        format!(
            "`{}` was started{at}, and not by this run, which had it stopped: users could write since",
            self.service
        )
    }
}

fn brings_users(one: &Later) -> bool {
    !one.adds_only && !DARK.contains(&one.verb.as_str())
}

/// Whether users could reach what came after an effect.
pub(super) fn users_since(back: &Back<'_>) -> bool {
    back.later.iter().any(brings_users)
}

/// Whether a person has chosen that the data becomes what it was.
pub(super) fn data_returned(back: &Back<'_>) -> bool {
    back.later.iter().any(|one| one.choice.as_deref() == Some(RESTORE_DATA))
}

/// Whether users could reach what a later `verb` has put in its place.
pub(super) fn users_had(back: &Back<'_>, verb: &str) -> bool {
    back.later.iter().skip_while(|one| one.verb != verb).skip(1).any(brings_users)
}

/// What is known when a person is asked what is to become of the data.
pub(super) struct Offer<'a> {
    /// The moment since when users could write with the new release.
    pub since: Moment,
    /// There is a savepoint that the databases can go back to.
    pub savepoint: bool,
    /// Jobs that were not done when the savepoint was made: how many, and the oldest of them.
    pub jobs_waiting: u64,
    pub jobs: &'a [Job],
}

/// Asks what is to become of the data, with what was written since.
pub(super) async fn question(offer: &Offer<'_>, site: Observe<'_>) -> Question {
    let (lines, cost) = counted(&offer.since, site).await;
    let reached = |line: String| format!("{line} users could reach the new release");
    let found = lines.map_or_else(
        |why| vec![why],
        |lines| {
            let none = "no rows have been written since users could reach the new release".to_owned();
            let found = if lines.is_empty() { vec![none] } else { lines.into_iter().map(reached).collect() };
            [found, vec![Written::UNCOUNTED.to_owned()]].concat()
        },
    );
    let mut choices = Vec::new();
    if offer.savepoint {
        choices.push(offer.restore_data(&cost));
    }
    choices.push(return_code("the older release"));
    choices.push(stay());
    Question { address: String::new(), text: MOVED.to_owned(), found, choices, flag: None }
}

/// A line for each table that has been written to, or why that cannot be told; and all of it in a word. Whoever has to
/// choose is asked also where nothing can be counted.
async fn counted(since: &Moment, site: Observe<'_>) -> (Result<Vec<String>, String>, String) {
    match written(since, site).await {
        Ok(written) => (Ok(written.in_words()), written.cost()),
        Err(failure) => {
            let why = format!("what was written since {} cannot be counted: {failure}", since.at);
            (Err(why), "rows that nobody can count".to_owned())
        }
    }
}

/// What is asked once a migration cannot be taken back without a person.
pub(super) const MOVED: &str = "the new release has already changed the database: what is to run now?";

impl Offer<'_> {
    fn restore_data(&self, cost: &str) -> Choice {
        let mut costs =
            format!("{cost} are put aside with the databases of now, which stay under another name");
        if self.jobs_waiting > 0 {
            let named: Vec<_> = self.jobs.iter().map(|job| format!("{} {}", job.class, job.id)).collect();
            let waiting = self.jobs_waiting;
            costs = format!(
                "{costs}; up to {waiting} jobs that waited then run a second time: {}",
                named.join(", ")
            );
        }
        let does =
            "run the older release again, on the databases as they were before the migration".to_owned();
        Choice { key: RESTORE_DATA.to_owned(), does, costs, also: String::new() }
    }
}

/// `release` runs again, on the databases as they are now.
pub(super) fn return_code(release: &str) -> Choice {
    Choice {
        key: RETURN_CODE.to_owned(),
        does: format!("run {release} again, on the databases as they are now"),
        costs: "no rows are lost, but the older release was not made for these databases: it may fail where columns or \
                tables have changed"
            .to_owned(),
        also: String::new(),
    }
}

pub(super) fn stay() -> Choice {
    Choice {
        key: "stay".to_owned(),
        does: "leave everything as it is now and close this run".to_owned(),
        costs: "nothing is lost; uplift does not take this run back any more, and what stands still stays so until you start it, \
                also after a reboot"
            .to_owned(),
        also: String::new(),
    }
}

/// Where the databases that took the product's places come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// A savepoint: they have returned, and the others are a newer release's.
    Savepoint,
    /// A backup set: they were restored, and the others are those of before.
    Set,
}

/// Asks what is to become of the data that has taken the product's places and that users may have written to since.
pub(super) async fn returned_question(since: &str, came: Came, site: Observe<'_>) -> Question {
    let (happened, does) = match came {
        Came::Savepoint => {
            ("the databases have returned", "run the newer release again, on its own databases")
        }
        Came::Set => (
            "the restored databases took their places",
            "run what ran before the restore again, on the databases of then",
        ),
    };
    let moment = Moment { snapshot: since.to_owned(), at: site.clock.now(), sequences: Sequences::new() };
    let (found, rows) = if since.is_empty() {
        let text = "there were no databases before, so what was written since cannot be counted";
        (vec![text.to_owned()], "all".to_owned())
    } else {
        match written(&moment, site).await {
            Ok(written) => {
                let none = (written.rows == 0).then(|| format!("no rows have been written since {happened}"));
                let lines = none.into_iter().chain(written.in_words());
                (lines.chain([Written::UNCOUNTED.to_owned()]).collect(), written.rows.to_string())
            }
            Err(failure) => {
                (vec![format!("what was written since cannot be counted: {failure}")], "all".to_owned())
            }
        }
    };
    let again = Choice {
        key: RESTORE_DATA.to_owned(),
        does: if since.is_empty() {
            "put the restored databases aside: before them there were none"
        } else {
            does
        }
        .to_owned(),
        costs: format!(
            "{rows} rows that were written since are put aside with the databases of now, which stay under another name"
        ),
        also: String::new(),
    };
    let text = format!("users could write since {happened}: what is to run now?");
    Question { address: String::new(), text, found, choices: vec![again, stay()], flag: None }
}
