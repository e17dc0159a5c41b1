//! A simulated site whose operator makes backups.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;
use uplift::{
    Ending, Host, HostError, Plan, Sets, Start, World,
    backups::{Listed, Standing},
    event::Teller,
    ports::Ports,
    primitives::contract::Catalogue,
};

pub(super) struct Site {
    pub(super) world: World,
    ports: Option<Ports>,
    /// The journal is a real one, on a real disk.
    state: tempfile::TempDir,
}

impl Site {
    pub(super) fn new() -> Self {
        Self::of(World::strata())
    }

    pub(super) fn of(world: World) -> Self {
        Self { world, ports: None, state: tempfile::tempdir().unwrap() }
    }

    /// The same with some of its ports in somebody else's hands.
    pub(super) fn with(self, ports: Ports) -> Self {
        Self { ports: Some(ports), ..self }
    }

    /// The same operator and the same record, on another world.
    pub(super) fn on(self, world: World) -> Self {
        Self { world, ..self }
    }

    pub(super) fn state(&self) -> PathBuf {
        self.state.path().join(".uplift")
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.state().join("backups")
    }

    fn start(&self) -> Start {
        Start { dir: Some("/srv/strata".into()), state: Some(self.state()), project: None }
    }

    pub(super) async fn host(&self) -> Host {
        let ports = self.ports.clone().unwrap_or_else(|| self.world.ports());
        Host::at(self.start()).ports(ports).open().await.unwrap()
    }

    pub(super) fn sets(&self) -> Sets {
        self.sets_of(&self.world)
    }

    /// The sets as they lie in another world, a fork of this one.
    pub(super) fn sets_of(&self, world: &World) -> Sets {
        Host::at(self.start()).ports(world.ports()).sets().expect("its folder is known").unwrap()
    }

    pub(super) async fn all(&self) -> Vec<Listed> {
        self.sets().all().await.unwrap()
    }

    /// Names of those that may be relied on.
    pub(super) async fn good(&self) -> Vec<String> {
        let all = self.all().await.into_iter();
        all.filter(|set| matches!(set.standing, Standing::Verified { .. })).map(|set| set.set).collect()
    }

    pub(super) async fn run(&self, runbook: &str, given: &[(&str, &str)]) -> Result<Ending, HostError> {
        let given: BTreeMap<_, _> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let book = self.host().await.runbook(runbook, &given).await?;
        let plan = book.plan().await;
        let mut run = book.start(plan, "uplift backup").await?;
        while run.next().await.is_some() {}
        Ok(run.ended().await)
    }

    pub(super) async fn plan(&self, runbook: &str) -> Plan {
        self.host().await.runbook(runbook, &BTreeMap::new()).await.unwrap().plan().await
    }

    /// One good backup; its name.
    pub(super) async fn backup(&self) -> String {
        let ending = self.run("compose/backup", &[]).await.unwrap();
        assert_eq!(ending, Ending::Done);
        self.good().await.into_iter().next().expect("it is listed as good")
    }

    pub(super) async fn prune(&self) -> Ending {
        self.run("compose/prune", &[]).await.unwrap()
    }
}

/// A run that only effects know, which are called by hand.
pub(super) const RUN: &str = "20261124-031500-7f3a";

/// What an effect decides on in a world, as its own example asks for it.
pub(super) async fn intended(world: &World, verb: &str) -> Value {
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get(verb).unwrap();
    let call = verb.parse(verb.example.clone()).unwrap();
    call.intend(ports.observe(&site, RUN, &tell)).await.unwrap().0.unwrap()
}

/// Names in a folder of a world, sorted.
pub(super) fn names(world: &World, folder: &std::path::Path) -> Vec<String> {
    let below =
        |path: PathBuf| Some(path.strip_prefix(folder).ok()?.iter().next()?.to_string_lossy().into_owned());
    let mut names: Vec<_> = world.files_in(folder).into_iter().filter_map(below).collect();
    names.dedup();
    names
}
