use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Left, Size, Undone, WhenUnknown},
    exchange::{Exchange, PATIENCE, Pair, Stands, exchange, stands},
    moved_data::{RESTORE_DATA, RETURN_CODE, Reached, question},
    savepoint_room::{self, Verdict},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        postgres::{Admit, CopyDatabase, DatabaseFacts, DropDatabase, EndSessions, Job, Kept, Mark},
        project::of_service,
    },
    site::Endpoint,
};

/// Copy all databases on their server while the application stands still, for an instant return.
///
/// Taken back in the dark, the copies take the databases' places again; once users could reach the new release, only
/// after a person has chosen. What is replaced stays beside them under another name.
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

/// How long nobody should drop a savepoint.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Jobs that are named to a person.
const SHOWN_JOBS: usize = 10;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    run: String,
    made_at: String,
    expires: String,
    #[schemars(with = "serde_json::Value")]
    endpoint: Endpoint,
    /// As they were when the last writer had stopped.
    #[schemars(with = "serde_json::Value")]
    databases: Vec<DatabaseFacts>,
    schemas: BTreeMap<String, Vec<String>>,
    /// Why there is none, if none is made.
    none: Option<String>,
    snapshot: String,
    /// Jobs of the queue that were not done.
    jobs_waiting: u64,
    #[schemars(with = "serde_json::Value")]
    jobs: Vec<Job>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    pub made: bool,
    /// Names of the copies.
    pub copies: Vec<String>,
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
        let none = match savepoint_room::judge(self.mode, &databases, site).await? {
            Verdict::Room => None,
            Verdict::None(why) => Some(why),
        };
        still(site).await?;
        let mut schemas = BTreeMap::new();
        for name in &names {
            let versions = site.postgres.schema_versions(&all.endpoint, name).await?;
            schemas.insert(name.clone(), versions.unwrap_or_default());
        }
        let queue = all.all.iter().find(|one| one.role == "queue");
        let jobs = match queue {
            Some(queue) => site.postgres.jobs(&all.endpoint, &queue.name, SHOWN_JOBS).await?,
            None => crate::ports::postgres::Jobs::default(),
        };
        let now = site.clock.now();
        Ok(Intent {
            run: site.run.to_owned(),
            made_at: now.to_string(),
            expires: now.checked_add(KEPT_FOR).unwrap_or(Timestamp::MAX).to_string(),
            endpoint: all.endpoint.clone(),
            databases,
            schemas,
            none,
            snapshot: site.postgres.snapshot(&all.endpoint, all.primary()).await?,
            jobs_waiting: jobs.waiting,
            jobs: jobs.oldest,
        })
    }

    fn summary(intent: &Intent) -> String {
        match &intent.none {
            None => format!("copy {} databases on their server", intent.databases.len()),
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
        let found = intent.copies(site).await?;
        let open = intent.all_open(site).await?;
        Ok(match (found.len(), open) {
            (count, true) if count == intent.databases.len() => Found::Applied(outcome(intent)),
            (0, true) => Found::NotApplied,
            (count, _) => Found::Partial(format!("{count} of {} copies are there", intent.databases.len())),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if intent.none.is_none() {
            still(site.observe()).await?;
            intent.close(site).await?;
            if let Err(failure) = intent.copy_all(site).await {
                // What was closed is opened by the undo as well; the sooner the better.
                return Err(match intent.open(site).await {
                    Ok(()) => failure,
                    Err(second) => failure.evidence([format!("the databases are still closed: {second}")]),
                });
            }
            intent.open(site).await?;
        }
        Ok(outcome(intent))
    }

    async fn undo(intent: &Intent, back: &Back, site: Operate<'_>) -> Result<Undone, Failure> {
        let reached = Reached::of(back);
        let chosen = back.decision.as_ref().map(|decision| decision.choice.as_str());
        if intent.none.is_some() {
            return intent.without_copies(&reached, chosen, site).await;
        }
        let Some(plan) = intent.exchange(site.observe()).await? else {
            intent.open(site).await?;
            return Ok(Undone::nothing("no copy was used, and the databases are open"));
        };
        if matches!(stands(&plan, site.observe()).await?, Stands::After) {
            return Ok(Undone::nothing("the databases are the ones from before"));
        }
        match (&reached, chosen) {
            (Reached::Nobody, _) | (_, Some(RESTORE_DATA)) => {}
            (_, Some(RETURN_CODE)) => {
                let what =
                    "left the databases as the newer release has made them; the savepoint stays".to_owned();
                return Ok(Undone::Restored { what, left: vec![Left::Schema] });
            }
            (Reached::Users { since }, _) => {
                let since = since.as_deref().unwrap_or(&intent.snapshot);
                let question =
                    question(since, true, intent.jobs_waiting, &intent.jobs, site.observe()).await?;
                return Ok(Undone::NeedsPerson { question });
            }
            (Reached::NotEvenTried, _) => {}
        }
        if matches!(reached, Reached::NotEvenTried) {
            intent.open(site).await?;
            intent.drop_copies(site).await?;
            return Ok(Undone::restored("dropped the copies, which nobody has needed"));
        }
        exchange(&plan, site).await?;
        let aside = plan.pairs.first().map(|pair| pair.aside.clone()).unwrap_or_default();
        Ok(Undone::restored(format!(
            "the databases are the ones from before; the newer release's stay beside them, as `{aside}` and so on"
        )))
    }
}

impl Intent {
    fn copy_of(&self, name: &str) -> String {
        Kept::Savepoint.name(name, &self.run)
    }

    fn mark(&self, kind: Kept, of: &str) -> Mark {
        Mark {
            kind,
            of: of.to_owned(),
            run: self.run.clone(),
            made: self.made_at.clone(),
            expires: self.expires.clone(),
            snapshot: self.snapshot.clone(),
        }
    }

    fn names(&self) -> Vec<String> {
        self.databases.iter().map(|one| one.name.clone()).collect()
    }

    /// The copies that are there under their own names.
    async fn copies(&self, site: Observe<'_>) -> Result<Vec<DatabaseFacts>, Failure> {
        let names: Vec<_> = self.databases.iter().map(|one| self.copy_of(&one.name)).collect();
        site.postgres.databases(&self.endpoint, &names).await
    }

    async fn all_open(&self, site: Observe<'_>) -> Result<bool, Failure> {
        let found = site.postgres.databases(&self.endpoint, &self.names()).await?;
        Ok(found.len() == self.databases.len() && found.iter().all(|one| one.open))
    }

    async fn close(&self, site: Operate<'_>) -> Result<(), Failure> {
        let (endpoint, databases) = (self.endpoint.clone(), self.names());
        site.postgres
            .admit(&Admit { endpoint: endpoint.clone(), databases: databases.clone(), open: false })
            .await?;
        let end =
            EndSessions { endpoint: endpoint.clone(), databases: databases.clone(), patience: PATIENCE };
        site.postgres.end_sessions(&end).await?;
        // An answer is no proof: what is copied must be what nobody can write to.
        let found = site.postgres.databases(&endpoint, &databases).await?;
        let sessions = site.postgres.sessions(&endpoint, &databases).await?;
        if found.iter().all(|one| !one.open) && sessions.is_empty() {
            return Ok(());
        }
        let who = sessions
            .iter()
            .map(|one| format!("process {} of `{}` in `{}`", one.pid, one.application, one.database));
        Err(Failure::new(
            "not_closed",
            "the databases could not be kept to ourselves, so they were not copied",
        )
        .hint("end these sessions, then type the command again")
        .evidence(who))
    }

    async fn open(&self, site: Operate<'_>) -> Result<(), Failure> {
        if self.all_open(site.observe()).await? {
            return Ok(());
        }
        let admit = Admit { endpoint: self.endpoint.clone(), databases: self.names(), open: true };
        site.postgres.admit(&admit).await
    }

    async fn copy_all(&self, site: Operate<'_>) -> Result<(), Failure> {
        for from in &self.databases {
            let request = CopyDatabase {
                endpoint: self.endpoint.clone(),
                from: from.clone(),
                to: self.copy_of(&from.name),
                mark: self.mark(Kept::Savepoint, &from.name),
            };
            site.postgres.copy_database(&request, site.tell).await?;
        }
        let kept = site.postgres.kept(&self.endpoint, &self.names()).await?;
        for name in self.names() {
            let (copy, mark) = (self.copy_of(&name), self.mark(Kept::Savepoint, &name));
            if !kept.iter().any(|one| one.name == copy && one.mark.as_ref() == Some(&mark)) {
                return Err(Failure::new("not_copied", format!("`{copy}` is not there as it should be")));
            }
        }
        Ok(())
    }

    /// The copies in the databases' places; `None` if not all copies are there, so that none was ever used.
    async fn exchange(&self, site: Observe<'_>) -> Result<Option<Exchange>, Failure> {
        let marked = |mark: &Mark| mark.run == self.run;
        let kept = site.postgres.kept(&self.endpoint, &self.names()).await?;
        let live = site.postgres.databases(&self.endpoint, &self.names()).await?;
        let mut pairs = Vec::new();
        for was in &self.databases {
            let copy = self.copy_of(&was.name);
            let there = kept.iter().find(|one| one.name == copy && one.mark.as_ref().is_some_and(marked));
            let aside = Kept::Failed.name(&was.name, &self.run);
            // Exchanged already: then the copy has the database's own name by now.
            let moved = live.iter().find(|one| one.name == was.name && one.oid != was.oid);
            let Some(incoming_oid) = there.map(|one| one.oid).or(moved.map(|one| one.oid)) else {
                return Ok(None);
            };
            pairs.push(Pair {
                live: was.clone(),
                incoming: copy,
                incoming_oid,
                aside,
                aside_mark: self.mark(Kept::Failed, &was.name),
            });
        }
        Ok(Some(Exchange { endpoint: self.endpoint.clone(), pairs }))
    }

    async fn drop_copies(&self, site: Operate<'_>) -> Result<(), Failure> {
        for copy in self.copies(site.observe()).await? {
            let drop = DropDatabase { endpoint: self.endpoint.clone(), name: copy.name, oid: copy.oid };
            site.postgres.drop_database(&drop).await?;
        }
        match self.copies(site.observe()).await?.first() {
            None => Ok(()),
            Some(left) => Err(Failure::new("not_dropped", format!("`{}` is still there", left.name))),
        }
    }

    async fn without_copies(
        &self,
        reached: &Reached,
        chosen: Option<&str>,
        site: Operate<'_>,
    ) -> Result<Undone, Failure> {
        let mut moved = false;
        for (name, versions) in &self.schemas {
            let now = site.postgres.schema_versions(&self.endpoint, name).await?.unwrap_or_default();
            moved |= now != *versions;
        }
        if !moved {
            return Ok(Undone::nothing("no savepoint was made, and nothing was migrated"));
        }
        if chosen == Some(RETURN_CODE) {
            let what = "left the databases as the newer release has made them".to_owned();
            return Ok(Undone::Restored { what, left: vec![Left::Schema] });
        }
        let since = match reached {
            Reached::Users { since: Some(since) } => since,
            _ => &self.snapshot,
        };
        let question = question(since, false, self.jobs_waiting, &self.jobs, site.observe()).await?;
        Ok(Undone::NeedsPerson { question })
    }
}

/// A copy of what is being written to would be of no moment.
async fn still(site: Observe<'_>) -> Result<(), Failure> {
    for service in site.site.product() {
        for container in of_service(site.docker, &site.site.project, &service.name).await? {
            if container.is_up() {
                let text = format!("`{}` still runs, so its databases cannot be copied", service.name);
                return Err(Failure::new("still_running", text)
                    .hint("stop it in an earlier step: `compose_stop(#{ services: [...] })`"));
            }
        }
    }
    Ok(())
}

fn outcome(intent: &Intent) -> Outcome {
    let made = intent.none.is_none();
    Outcome {
        made,
        copies: if made {
            intent.names().iter().map(|name| intent.copy_of(name)).collect()
        } else {
            Vec::new()
        },
        bytes: if made { intent.databases.iter().map(|one| one.size).sum() } else { 0 },
        why: intent.none.clone(),
    }
}
