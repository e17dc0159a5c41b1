//! One site, and an operator who types one command after the other.

use std::{collections::BTreeMap, sync::Arc};

use uplift::{
    Decision, Ending, Event, Failure, Host, HostError, Plan, Runbook, Settled, Start, World,
    journal::{Entry, RunRow},
    ports::{Ports, postgres::Kept},
    run::PlanEnd,
    sim::Fault,
};

pub(super) struct Night {
    pub(super) world: World,
    /// The journal is a real one, with real files.
    state: Arc<tempfile::TempDir>,
}

/// What a run told, and how it ended.
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) ending: Ending,
}

impl Night {
    pub(super) fn of(world: World) -> Self {
        Self { world, state: Arc::new(folder()) }
    }

    /// Another world with the same state folder, whatever lies there.
    pub(super) fn instead(&self, world: World) -> Self {
        Self { world, state: Arc::clone(&self.state) }
    }

    /// A site that has come to 1.1.0 by an upgrade of its own.
    pub(super) async fn at_1_1_0() -> Self {
        let night = Self::of(World::strata());
        assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
        night
    }

    pub(super) async fn host(&self) -> Host {
        self.host_on(self.world.ports()).await
    }

    pub(super) async fn try_host(&self) -> Result<Host, HostError> {
        let start = Start { dir: Some("/srv/strata".into()), state: Some(self.folder()), project: None };
        Host::at(start).ports(self.world.ports()).open().await
    }

    /// The site as these ports show it.
    pub(super) async fn host_on(&self, ports: Ports) -> Host {
        let start = Start { dir: Some("/srv/strata".into()), state: Some(self.folder()), project: None };
        Host::at(start).ports(ports).open().await.unwrap()
    }

    pub(super) fn folder(&self) -> std::path::PathBuf {
        self.state.path().join(".uplift")
    }

    /// Files below the kept folder.
    pub(super) fn kept(&self) -> std::collections::BTreeSet<std::path::PathBuf> {
        self.world.files_in(self.folder().join("kept"))
    }

    pub(super) async fn plan(&self, tag: &str) -> Plan {
        self.host().await.runbook("compose/upgrade", &given(tag)).await.unwrap().plan().await
    }

    /// Whatever the plan says, it is begun.
    pub(super) async fn upgrade(&self, tag: &str) -> Told {
        self.try_upgrade(tag).await.unwrap()
    }

    /// An error if the door stayed shut.
    pub(super) async fn try_upgrade(&self, tag: &str) -> Result<Told, HostError> {
        let upgrade = self.host().await.runbook("compose/upgrade", &given(tag)).await?;
        let plan = upgrade.plan().await;
        Ok(told(upgrade.start(plan, "uplift upgrade").await?).await)
    }

    /// One that stops in the middle, before users can reach the release, and waits to go on or back.
    pub(super) async fn stopped_upgrade(&self, tag: &str) {
        self.world.fault_at("stop job", Fault::LosesLock);
        assert_eq!(self.upgrade(tag).await.ending.exit().code(), 9);
    }

    /// A run that is stopped right after the first change whose line begins with this, with its name. Whoever waits for an
    /// event to stop it may come too late.
    pub(super) async fn stopped_at(
        &self,
        runbook: &str,
        given: &BTreeMap<String, String>,
        line: &'static str,
    ) -> String {
        let runbook = self.host().await.runbook(runbook, given).await.unwrap();
        let mut run = runbook.start(runbook.plan().await, "uplift run").await.unwrap();
        let cancel = run.cancel().clone();
        self.world.watch(move |moment| {
            if moment.is_after && moment.line.starts_with(line) {
                cancel.cancel();
            }
        });
        while run.next().await.is_some() {}
        let ending = run.ended().await;
        assert!(matches!(ending, Ending::Unfinished { .. }), "{ending:?}");
        self.unfinished().await.expect("it is not over").id
    }

    pub(super) async fn resume(&self, outcome: Option<&str>) -> Told {
        self.try_resume(outcome).await.unwrap()
    }

    pub(super) async fn try_resume(&self, outcome: Option<&str>) -> Result<Told, HostError> {
        let run = self.host().await.resume(None, outcome.map(word), "uplift resume").await?;
        Ok(told(run).await)
    }

    pub(super) async fn rollback(&self, choice: Option<&str>) -> Told {
        self.try_rollback(choice).await.unwrap()
    }

    pub(super) async fn try_rollback(&self, choice: Option<&str>) -> Result<Told, HostError> {
        let run = self.host().await.rollback(None, choice.map(word), "uplift rollback").await?;
        Ok(told(run).await)
    }

    /// Returns from the finished upgrade `run`, with these parameters; an error if the plan says no.
    pub(super) async fn try_return(&self, run: &str, with: &[(&str, &str)]) -> Result<Told, Failure> {
        let runbook = self.returning(run, with).await.map_err(|error| error.failure())?;
        let plan = runbook.plan().await;
        if let PlanEnd::Fails { failure, .. } = plan.end {
            return Err(failure);
        }
        let run = runbook.start(plan, "uplift rollback").await.map_err(|error| error.failure())?;
        Ok(told(run).await)
    }

    pub(super) async fn returning(&self, run: &str, with: &[(&str, &str)]) -> Result<Runbook, HostError> {
        let mut given: BTreeMap<_, _> =
            [("run", run), ("settle", "10s"), ("patience", "1m")].into_iter().collect();
        given.extend(with.iter().copied());
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.host().await.runbook("compose/rollback", &given).await
    }

    /// The same night once more: another world, the same as this one is now, with a copy of its journal.
    pub(super) fn fork(&self) -> Self {
        let fork = Self::of(self.world.fork());
        copy(&self.folder(), &fork.folder());
        fork.world.move_folder(self.folder(), fork.folder());
        fork
    }

    /// Restores a set, by its name or folder; an error if the plan says no.
    pub(super) async fn try_restore(&self, set: &str, with: &[(&str, &str)]) -> Result<Told, Failure> {
        let mut given: BTreeMap<_, _> =
            [("set", set), ("settle", "10s"), ("patience", "1m")].into_iter().collect();
        given.extend(with.iter().copied());
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let runbook = self.host().await.runbook("compose/restore", &given).await;
        let runbook = runbook.map_err(|error| error.failure())?;
        let plan = runbook.plan().await;
        if let PlanEnd::Fails { failure, .. } = plan.end {
            return Err(failure);
        }
        let run = runbook.start(plan, "uplift restore").await.map_err(|error| error.failure())?;
        Ok(told(run).await)
    }

    /// Runs a runbook, whatever its plan says.
    pub(super) async fn run(&self, runbook: &str, given: &[(&str, &str)]) -> Told {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let runbook = self.host().await.runbook(runbook, &given).await.unwrap();
        let plan = runbook.plan().await;
        told(runbook.start(plan, "uplift run").await.unwrap()).await
    }

    /// Somebody moves the record of the runs away, and the note of it, as the refusal says.
    pub(super) fn lose_record(&self) {
        for name in ["journal.db", "journal.db-wal", "journal.db-shm", "journal.mark"] {
            let _none = std::fs::remove_file(self.folder().join(name));
        }
    }

    /// One text of the record, by a query.
    pub(super) fn record(&self, sql: &str) -> String {
        let record = rusqlite::Connection::open(self.folder().join("journal.db")).unwrap();
        record.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Changes the record behind everybody's back.
    pub(super) fn edit_record(&self, sql: &str) {
        rusqlite::Connection::open(self.folder().join("journal.db")).unwrap().execute_batch(sql).unwrap();
    }

    /// The folder of a set.
    pub(super) fn set(&self, name: &str) -> std::path::PathBuf {
        self.folder().join("backups").join(name)
    }

    /// Writes the configuration of a set into the site's folder.
    pub(super) async fn settle(&self, set: &std::path::Path) -> Result<Settled, HostError> {
        Host::at(Start::default()).ports(self.world.ports()).settle(set, "/srv/strata".as_ref(), false).await
    }

    /// Writes the site's settings file.
    pub(super) fn settings(&self, text: &str) {
        self.world.put_file("/srv/strata/uplift.toml", text, 0o644);
    }

    /// Somebody drops the copies that a run has made.
    pub(super) fn drop_savepoint(&self, run: &str) {
        for database in self.world.site().databases.all {
            self.world.drop_database(&Kept::Savepoint.name(&database.name, run));
        }
    }

    pub(super) async fn answer(&self, choice: &str) -> Told {
        self.resume(Some(choice)).await
    }

    /// The newest run with its calls.
    pub(super) async fn newest(&self) -> (RunRow, Vec<Entry>) {
        let shown = self.host().await.show(None).unwrap();
        (shown.run, shown.calls)
    }

    pub(super) async fn unfinished(&self) -> Option<RunRow> {
        self.host().await.unfinished().unwrap()
    }

    /// Tag that web and job really run, e.g. `1.1.0 1.1.0`.
    pub(super) fn runs(&self) -> String {
        let containers = self.world.containers();
        let tag = |service: &str| {
            let one = containers.iter().find(|one| one.service() == Some(service) && one.is_running());
            one.and_then(|one| one.image.rsplit(':').next().map(str::to_owned)).unwrap_or_default()
        };
        format!("{} {}", tag("web"), tag("job"))
    }
}

/// In memory, where there is room for it: the tests of many runs would wait for the disk most of the time. What a sync is
/// worth is tried where the power fails.
pub(super) fn folder() -> tempfile::TempDir {
    const ENOUGH: u64 = 256 << 20;
    let room = rustix::fs::statvfs("/dev/shm").map_or(0, |about| about.f_bavail * about.f_frsize);
    let made = (room > ENOUGH).then(|| tempfile::tempdir_in("/dev/shm").ok()).flatten();
    made.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

pub(super) fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    let mode = std::fs::metadata(from).unwrap().permissions();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
    std::fs::set_permissions(to, mode).unwrap();
}

pub(super) fn given(tag: &str) -> BTreeMap<String, String> {
    [("to", tag), ("settle", "10s"), ("patience", "1m")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn word(choice: &str) -> Decision {
    Decision { choice: choice.to_owned(), reason: "a test".to_owned(), by: "alice@app1".to_owned() }
}

pub(super) async fn told(mut run: uplift::Run) -> Told {
    let mut events = Vec::new();
    while let Some(event) = run.next().await {
        events.push(event);
    }
    Told { events, ending: run.ended().await }
}
