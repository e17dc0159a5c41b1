mod copies;
mod room;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{copies::Copies, room::Verdict};
use super::{
    contract::{Back, Effect, Found, Left, Size, Undone, WhenUnknown},
    exchange::{Stands, exchange, stands},
    moved_data::{Offer, RESTORE_DATA, RETURN_CODE, Reached, Since, question},
    others,
    standstill::{still, stop_what_runs},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        postgres::{Job, Jobs, Kept},
    },
    site::{Moment, SavepointThen, Sequences},
};

/// Copy all databases on their server while the application stands still, for an instant return.
///
/// Taken back in the dark, the copies take the databases' places again; once users could reach the new release, only
/// after a person has chosen. What is replaced stays beside them under another name.
///
/// Undo: the copies take the databases' places, as long as no user could reach the new release; after that a person is
/// asked first. Where none was made, nothing is done as long as nothing was migrated.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PgSavepoint {
    /// `auto`: where the server is known to have the room. `always`: also where its room cannot be known. `never`.
    #[serde(default)]
    pub mode: Mode,
}

/// When a savepoint is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    #[default]
    Auto,
    Always,
    Never,
}

/// Jobs that are named to a person.
const SHOWN_JOBS: usize = 10;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    copies: Copies,
    /// Applied migrations, by database.
    schemas: BTreeMap<String, Vec<String>>,
    /// Why there is none, if none is made.
    none: Option<String>,
    /// Jobs of the queue that were not done.
    jobs_waiting: u64,
    #[schemars(with = "serde_json::Value")]
    jobs: Vec<Job>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// There is one.
    pub made: bool,
    /// Names of the copies.
    pub copies: Vec<String>,
    /// Bytes that the copies hold on the server.
    pub bytes: u64,
    /// Why there is none.
    pub why: Option<String>,
}

impl Effect for PgSavepoint {
    const NAME: &'static str = "pg_savepoint";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { mode: Mode::Always }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let all = &site.site.databases;
        let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
        let databases = site.postgres.databases(&all.endpoint, &names).await?;
        crate::backups::complete(&names, &databases)?;
        let none = match room::judge(self.mode, &databases, site).await? {
            Verdict::Room => None,
            Verdict::None(why) => Some(why),
        };
        still(site).await?;
        if none.is_none() {
            others::announce(&names, site).await?;
        }
        let schemas = crate::backups::schemas(site).await?;
        let queue = all.all.iter().find(|one| one.role == "queue");
        let jobs = match queue {
            Some(queue) => site.postgres.jobs(&all.endpoint, &queue.name, None, SHOWN_JOBS).await?,
            None => Jobs::default(),
        };
        let now = site.clock.now();
        let copies = Copies {
            run: site.run.to_owned(),
            made_at: now.to_string(),
            expires: Kept::Savepoint.until(now),
            endpoint: all.endpoint.clone(),
            databases,
            snapshot: site.postgres.snapshot(&all.endpoint, all.primary()).await?,
        };
        // From here on whatever has such a name is this run's: nobody else can know the name.
        if let (None, true) = (&none, copies.any(site).await?) {
            let text = format!("there is already a database `{}`", copies.own_names().join("` or `"));
            let hint = "look at it with `psql -l`, and rename or drop it";
            return Err(Refusal(Failure::new("name_taken", text).hint(hint)));
        }
        Ok(Intent { copies, schemas, none, jobs_waiting: jobs.waiting, jobs: jobs.oldest })
    }

    fn summary(intent: &Intent) -> String {
        match &intent.none {
            None => format!("copy {} databases on their server", intent.copies.databases.len()),
            Some(why) => format!("make no savepoint: {why}"),
        }
    }

    fn result(outcome: &Outcome) -> String {
        match &outcome.why {
            None => format!("{} copies, {}", outcome.copies.len(), Size(outcome.bytes)),
            Some(why) => format!("no savepoint: {why}"),
        }
    }

    fn undo_summary(intent: &Intent) -> String {
        match intent.none {
            None => "put the copies in the databases' places; once users could reach the new release, only after a \
                     person has chosen",
            Some(_) => "nothing as long as nothing was migrated; else only after a person has chosen",
        }
        .to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        if intent.none.is_some() {
            return Ok(Found::Applied(outcome(intent)));
        }
        let copies = &intent.copies;
        let (missing, open) = (copies.missing(site).await?.len(), copies.all_open(site).await?);
        if missing == 0 && open {
            return Ok(Found::Applied(outcome(intent)));
        }
        if open && !copies.any(site).await? {
            return Ok(Found::NotApplied);
        }
        let all = copies.databases.len();
        Ok(Found::Partial(format!("{} of {all} copies are whole", all - missing)))
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if intent.none.is_none() {
            still(site.observe()).await?;
            others::none_at_work(&intent.copies.names(), site.observe()).await?;
            intent.copies.close(site).await?;
            if let Err(failure) = intent.copies.make(site).await {
                // What was closed is opened by the undo as well; the sooner the better.
                return Err(match intent.copies.open(site).await {
                    Ok(()) => failure,
                    Err(second) => failure.evidence([format!("the databases are still closed: {second}")]),
                });
            }
            intent.copies.open(site).await?;
        }
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let (reached, by_hand) = Reached::seen(back, &intent.copies.made_at, site.observe()).await?;
        let chosen = back.decision.as_ref().map(|decision| decision.choice.as_str());
        if intent.none.is_some() {
            return intent.without_copies(reached, chosen, None, site).await;
        }
        if reached == Reached::NotEvenTried {
            return intent.unused(site).await;
        }
        let Some(plan) = intent.copies.exchange(&intent.schemas, site.observe()).await? else {
            intent.copies.open(site).await?;
            let missing = intent.copies.missing(site.observe()).await?;
            return intent.without_copies(reached, chosen, missing.first(), site).await;
        };
        if stands(&plan, site.observe()).await? == Stands::After {
            return Ok(Undone::nothing("the databases are the ones from before"));
        }
        match (reached, chosen) {
            (Reached::Users { .. }, Some(RETURN_CODE)) => return Ok(intent.left_as_it_is()),
            (Reached::Users { since }, choice) if choice != Some(RESTORE_DATA) => {
                let mut asked = intent.ask(since, true, site.observe()).await?;
                if let (Some(by_hand), Undone::NeedsPerson { question }) = (&by_hand, &mut asked) {
                    for line in &mut question.found {
                        *line = line.replace("since users could reach the new release", "since then");
                    }
                    question.found.insert(0, by_hand.in_words());
                }
                return Ok(asked);
            }
            _ => {}
        }
        if by_hand.is_some() {
            // Their sessions could be ended, and came back at once.
            stop_what_runs(site).await?;
        }
        exchange(&plan, site).await?;
        let aside: Vec<_> = plan.pairs.iter().map(|pair| format!("`{}`", pair.aside)).collect();
        let what = if by_hand.is_some() { "they held until now" } else { "the newer release made of them" };
        Ok(Undone::restored(format!(
            "the databases are the ones from before; what {what} stays as {}",
            aside.join(", ")
        )))
    }
}

impl Intent {
    /// The new release has not run: the copies are of no use to anybody.
    async fn unused(&self, site: Operate<'_>) -> Result<Undone, Failure> {
        self.copies.end_making(site).await?;
        let (open, any) =
            (self.copies.all_open(site.observe()).await?, self.copies.any(site.observe()).await?);
        self.copies.open(site).await?;
        self.copies.drop_all(site).await?;
        Ok(if open && !any {
            Undone::nothing("no copy is there, and the databases are open")
        } else {
            Undone::restored("dropped the copies, which nobody has needed; the databases are open")
        })
    }

    /// Without a whole copy of each the data cannot go back from here.
    async fn without_copies(
        &self,
        reached: Reached,
        chosen: Option<&str>,
        lost: Option<&String>,
        site: Operate<'_>,
    ) -> Result<Undone, Failure> {
        let mut moved = false;
        for (name, versions) in &self.schemas {
            let now = site.postgres.schema_versions(&self.copies.endpoint, name).await?.unwrap_or_default();
            moved |= now != *versions;
        }
        if !moved {
            return Ok(Undone::nothing(match lost {
                None => "no savepoint was made, and nothing was migrated".to_owned(),
                Some(name) => format!("nothing was migrated; the copy of `{name}` is not there or not whole"),
            }));
        }
        if chosen == Some(RETURN_CODE) {
            return Ok(self.left_as_it_is());
        }
        let since = match reached {
            Reached::Users { since } => since,
            _ => None,
        };
        self.ask(since, false, site.observe()).await
    }

    fn left_as_it_is(&self) -> Undone {
        let stays = if self.none.is_none() { "; the savepoint stays" } else { "" };
        let what = format!("left the databases as the newer release has made them{stays}");
        Undone::Restored { what, left: vec![Left::Schema] }
    }

    async fn ask(&self, since: Option<Since>, savepoint: bool, site: Observe<'_>) -> Result<Undone, Failure> {
        let cut = self.copies.made_at.parse().unwrap_or_else(|_| site.clock.now());
        let at_the_cut =
            || Moment { snapshot: self.copies.snapshot.clone(), at: cut, sequences: Sequences::new() };
        let offer = Offer {
            since: since.map_or_else(at_the_cut, |since| since.moment(cut)),
            savepoint,
            jobs_waiting: self.jobs_waiting,
            jobs: &self.jobs,
        };
        Ok(Undone::NeedsPerson { question: question(&offer, site).await })
    }
}

/// What a run that has ended well can be returned from by, as the record has it; `None` if it made no savepoint.
pub(crate) fn savepoint_then(version: u32, intent: Value) -> Result<Option<SavepointThen>, Failure> {
    let Intent { copies, schemas, none, jobs_waiting, jobs } = PgSavepoint::read_intent(version, intent)?;
    if none.is_some() {
        return Ok(None);
    }
    let at = copies.made_at.parse().map_err(|error| {
        Failure::new("bad_record", format!("the savepoint of run {} has no moment: {error}", copies.run))
            .hint("use the uplift that made it")
    })?;
    let job = |job: &Job| {
        let taken = job.claimed_by.as_ref().map(|by| format!(", taken by {by}")).unwrap_or_default();
        format!("{} {}{taken}", job.class, job.id)
    };
    let made = Moment { snapshot: copies.snapshot, at, sequences: Sequences::new() };
    Ok(Some(SavepointThen { made, schemas, jobs_waiting, jobs: jobs.iter().map(job).collect() }))
}

fn outcome(intent: &Intent) -> Outcome {
    let why = intent.none.clone();
    let (copies, bytes) = match why {
        None => (intent.copies.own_names(), intent.copies.bytes()),
        Some(_) => (Vec::new(), 0),
    };
    Outcome { made: why.is_none(), copies, bytes, why }
}
