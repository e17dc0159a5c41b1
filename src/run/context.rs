use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Failure, Teller},
    ports::{Observe, Operate, Ports, notices::Begun},
    primitives::contract::{Catalogue, UndoCall, Verb},
    site::Site,
};

/// All that one run works with. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub catalogue: Arc<Catalogue>,
    pub ports: Ports,
    pub site: Arc<Site>,
    /// The run's id.
    pub run: String,
    /// How it began; a plan begins when it is made.
    pub begun: Arc<Begun>,
    pub tell: Teller,
    pub cancel: CancellationToken,
    pub runtime: tokio::runtime::Handle,
}

impl Context {
    /// The reading side, for the call at `tell`'s address.
    pub(super) fn observe<'a>(&'a self, tell: &'a Teller) -> Observe<'a> {
        self.ports.observe(&self.site, &self.run, tell)
    }

    pub(super) fn operate<'a>(&'a self, tell: &'a Teller) -> Operate<'a> {
        self.ports.operate(&self.site, &self.run, tell).in_run(&self.begun)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    pub(super) fn millis_since(&self, start: Timestamp) -> u64 {
        let passed = crate::ports::clock::since(&*self.ports.clock, start);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn verb(&self, name: &str) -> Result<&Verb, Failure> {
        self.catalogue.get(name).ok_or_else(|| {
            Failure::new("primitive_missing", format!("this uplift has no `{name}`"))
                .hint("use the uplift that began the run")
        })
    }

    /// What resume and undo need of an effect; a failure for reads and for names that are gone.
    pub(super) fn kept(&self, name: &str) -> Result<&dyn UndoCall, Failure> {
        self.verb(name)?
            .kept()
            .ok_or_else(|| Failure::inside("not_an_effect", format!("`{name}` changes nothing")))
    }
}
