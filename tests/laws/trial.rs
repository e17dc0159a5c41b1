//! One effect on one world: begun, executed, cut short, taken back.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;
use uplift::{
    event::{Failure, Teller, Write},
    ports::Ports,
    primitives::contract::{Back, Found, Undone, Verb},
    sim::{Fault, Picture, Twin, World},
    site::Site,
};

use super::{
    record,
    worlds::{self, Start},
};

pub(super) const RUN: &str = "20261124-031500-7f3a";

pub(super) struct Trial<'v> {
    verb: &'v Verb,
    /// The version of the primitive that has decided.
    version: u32,
    pub(super) world: World,
    ports: Ports,
    site: Site,
    tell: Teller,
    /// The running site before the effect.
    pub(super) before: Picture,
    pub(super) intent: Result<Value, Failure>,
    pub(super) outcome: Result<Value, Failure>,
    /// What a plan showed.
    pub(super) shown: Vec<Write>,
}

impl<'v> Trial<'v> {
    fn on(verb: &'v Verb, world: World, ports: Ports) -> Self {
        let nothing = || Err(Failure::new("nothing", "nothing was done yet"));
        Self {
            version: verb.version,
            verb,
            ports,
            site: worlds::site(&world),
            tell: Teller::silent(),
            before: world.running(),
            world,
            intent: nothing(),
            outcome: nothing(),
            shown: Vec::new(),
        }
    }

    async fn intend(&mut self) {
        let call = match self.verb.parse(self.verb.example.clone()) {
            Ok(call) => call,
            Err(failure) => {
                self.intent = Err(failure);
                return;
            }
        };
        let site = self.ports.observe(&self.site, RUN, &self.tell);
        self.intent = match call.intend(site).await {
            Ok((Some(intent), _)) => Ok(intent),
            Ok((None, _)) => call.look(site).await.map(|(answer, _)| answer),
            Err(refusal) => Err(refusal.0),
        };
    }

    /// Decided on, nothing written; the failure if it is refused here.
    pub(super) async fn begin(verb: &'v Verb, start: &Start) -> Result<Self, Failure> {
        let world = start.world();
        let ports = record::known(&world);
        let mut trial = Self::on(verb, world, ports);
        trial.intend().await;
        match &trial.intent {
            Ok(_) => Ok(trial),
            Err(failure) => Err(failure.clone()),
        }
    }

    /// The same once more, from here on: another world, in which nothing has gone wrong yet.
    pub(super) fn again(&self) -> Self {
        let world = self.world.fork();
        Self {
            version: self.version,
            verb: self.verb,
            ports: record::known(&world),
            world,
            site: self.site.clone(),
            tell: Teller::silent(),
            before: self.before.clone(),
            intent: self.intent.clone(),
            outcome: self.outcome.clone(),
            shown: self.shown.clone(),
        }
    }

    /// Decided on before, by this version; nothing written.
    pub(super) fn recorded(&self, version: u32, intent: &Value) -> Self {
        Self { version, intent: Ok(intent.clone()), ..self.again() }
    }

    /// On the twin, down to the end.
    pub(super) async fn planned(verb: &'v Verb, start: &Start) -> Self {
        let world = start.world();
        let twin = Twin::new(&record::known(&world), &worlds::site(&world));
        let mut trial = Self::on(verb, world, twin.ports());
        trial.intend().await;
        if verb.kept().is_some() && trial.intent.is_ok() {
            trial.execute().await;
            trial.shown = twin.take_writes();
        }
        trial
    }

    /// Executed to its end.
    pub(super) async fn executed(&self) -> Self {
        let mut trial = self.again();
        trial.execute().await;
        trial
    }

    /// Executed with one write gone wrong.
    pub(super) async fn faulty(&self, n: usize, fault: Fault) -> Self {
        let mut trial = self.again();
        trial.world.fault(n, fault);
        trial.execute().await;
        trial.world.clear_faults();
        trial
    }

    /// The running site now, but for what another effect takes back.
    pub(super) fn running(&self) -> Picture {
        self.own(self.world.running())
    }

    /// The running site before, but for what another effect takes back.
    pub(super) fn expected(&self) -> Picture {
        self.own(self.before.clone())
    }

    fn own(&self, mut picture: Picture) -> Picture {
        if self.verb.moves_data {
            picture.databases.clear();
        }
        picture
    }

    fn intended(&self) -> Value {
        self.intent.clone().expect("it was decided on")
    }

    pub(super) async fn execute(&mut self) {
        let (kept, intent) = (self.verb.kept().expect("an effect"), self.intended());
        let site = self.ports.operate(&self.site, RUN, &self.tell);
        self.outcome = kept.execute(self.version, intent, site).await;
    }

    pub(super) async fn undo(&self) -> Result<Undone, Failure> {
        let kept = self.verb.kept().expect("an effect");
        let site = self.ports.operate(&self.site, RUN, &self.tell);
        kept.undo(self.version, self.intended(), &Back::default(), site).await
    }

    pub(super) async fn probe(&self) -> Result<Found<Value>, Failure> {
        let kept = self.verb.kept().expect("an effect");
        let site = self.ports.observe(&self.site, RUN, &self.tell);
        kept.probe(self.version, self.intended(), site).await
    }

    pub(super) fn writes(&self) -> usize {
        self.world.writes()
    }

    /// What a probe must tell apart: the running site and the images.
    pub(super) fn picture(&self) -> (Picture, BTreeMap<String, String>) {
        (self.world.running(), self.world.images())
    }

    /// All of it, with what lies in the state folder, and what people were told.
    pub(super) fn everything(&self) -> (Picture, BTreeMap<String, String>, BTreeSet<PathBuf>, Vec<String>) {
        let (running, images) = self.picture();
        let told = self.world.notices().into_iter().map(|notice| notice.message).collect();
        (running, images, self.world.files_in(&self.site.state), told)
    }
}
