//! What may be asked of the world outside: one file per outside system, each with a reading trait and a writing
//! trait that extends it.
//!
//! Ports speak in verbs and reports, not in bytes, so that the twin can answer with an estimate. Everything that a
//! writing method is told is one request value, and the request can say what it changes ([`crate::event::Write`]):
//! plans are made of these, never of a second, hand-written list.

pub mod clock;
pub mod compose;
pub mod docker;
pub(crate) mod env_file;
pub mod files;
pub mod http;
pub(crate) mod mount;
pub mod notices;
mod outside;
pub mod points;
pub mod postgres;
pub mod product;
pub mod programs;
pub mod project;
pub mod requests;
mod room;
pub mod secrets;
pub mod trees;

pub(crate) use outside::{Notes, Overlays, ends_a_plan};
pub use outside::{Outside, Overlay, Port, Rehearsed};
pub use room::server_room;

use crate::{
    event::{Failure, Teller},
    site::{Scrubber, Site},
};

/// The reading side of every port: all that a plan, a check or a question may use.
#[derive(Clone, Copy)]
pub struct Observe<'a> {
    pub site: &'a Site,
    pub docker: &'a dyn docker::DockerRead,
    pub compose: &'a dyn compose::ComposeRead,
    pub postgres: &'a dyn postgres::PostgresRead,
    pub files: &'a dyn files::FilesRead,
    pub trees: &'a dyn trees::TreesRead,
    pub http: &'a dyn http::Http,
    pub programs: &'a dyn programs::ProgramsRead,
    pub requests: &'a dyn requests::RequestsRead,
    pub notices: &'a dyn notices::NoticesRead,
    pub variables: &'a dyn secrets::Variables,
    pub clock: &'a dyn clock::Clock,
    /// Takes secrets out of what is about to be shown or written.
    pub scrubber: &'a Scrubber,
    pub tell: &'a Teller,
    /// The run that asks, e.g. `20261124-031500-7f3a`; names kept files and backup sets.
    pub run: &'a str,
    outside: &'a Outside,
}

/// Both sides of every port.
#[derive(Clone, Copy)]
pub struct Operate<'a> {
    pub site: &'a Site,
    pub docker: &'a dyn docker::Docker,
    pub compose: &'a dyn compose::Compose,
    pub postgres: &'a dyn postgres::Postgres,
    pub files: &'a dyn files::Files,
    pub trees: &'a dyn trees::Trees,
    pub http: &'a dyn http::Http,
    pub programs: &'a dyn programs::Programs,
    pub requests: &'a dyn requests::Requests,
    pub notices: &'a dyn notices::Notices,
    pub variables: &'a dyn secrets::Variables,
    pub clock: &'a dyn clock::Clock,
    pub scrubber: &'a Scrubber,
    pub tell: &'a Teller,
    pub run: &'a str,
    begun: Option<&'a notices::Begun>,
    outside: &'a Outside,
}

/// One owner for a whole set of ports: the real clients, a simulated world, or the twin over either.
#[derive(Clone)]
pub struct Ports {
    pub docker: std::sync::Arc<dyn docker::Docker>,
    pub compose: std::sync::Arc<dyn compose::Compose>,
    pub postgres: std::sync::Arc<dyn postgres::Postgres>,
    pub files: std::sync::Arc<dyn files::Files>,
    pub trees: std::sync::Arc<dyn trees::Trees>,
    pub http: std::sync::Arc<dyn http::Http>,
    pub programs: std::sync::Arc<dyn programs::Programs>,
    pub requests: std::sync::Arc<dyn requests::Requests>,
    pub variables: std::sync::Arc<dyn secrets::Variables>,
    pub clock: std::sync::Arc<dyn clock::Clock>,
    pub notices: std::sync::Arc<dyn notices::Notices>,
    pub outside: Outside,
    /// Knows the secrets that primitives have used. A clone knows the same.
    pub scrubber: Scrubber,
}

impl Ports {
    #[must_use]
    pub fn operate<'a>(&'a self, site: &'a Site, run: &'a str, tell: &'a Teller) -> Operate<'a> {
        Operate {
            site,
            docker: &*self.docker,
            compose: &*self.compose,
            postgres: &*self.postgres,
            files: &*self.files,
            trees: &*self.trees,
            http: &*self.http,
            programs: &*self.programs,
            requests: &*self.requests,
            notices: &*self.notices,
            variables: &*self.variables,
            scrubber: &self.scrubber,
            clock: &*self.clock,
            tell,
            run,
            begun: None,
            outside: &self.outside,
        }
    }

    #[must_use]
    pub fn observe<'a>(&'a self, site: &'a Site, run: &'a str, tell: &'a Teller) -> Observe<'a> {
        self.operate(site, run, tell).observe()
    }
}

impl<'a> Operate<'a> {
    /// The same site with its writing side out of reach.
    #[must_use]
    pub fn observe(&self) -> Observe<'a> {
        Observe {
            site: self.site,
            docker: self.docker,
            compose: self.compose,
            postgres: self.postgres,
            files: self.files,
            trees: self.trees,
            http: self.http,
            programs: self.programs,
            requests: self.requests,
            notices: self.notices,
            variables: self.variables,
            scrubber: self.scrubber,
            clock: self.clock,
            tell: self.tell,
            run: self.run,
            outside: self.outside,
        }
    }

    /// The same, in a run that began so.
    #[must_use]
    pub fn in_run(self, begun: &'a notices::Begun) -> Self {
        Self { begun: Some(begun), ..self }
    }

    /// How the run began. Outside of a run everything begins now.
    #[must_use]
    pub fn begun(&self) -> notices::Begun {
        self.begun.cloned().unwrap_or_else(|| notices::Begun {
            started: self.clock.now(),
            runbook: String::new(),
            command: String::new(),
            by: String::new(),
            host: String::new(),
            again: false,
        })
    }

    /// The writing side of a port from outside this crate. Fails with `port_missing` where the embedder did not bring it; in
    /// a plan with `port_not_rehearsed` where it brings no [`Port::rehearse`], which ends the plan there.
    pub fn port<P: Port>(&self) -> Result<std::sync::Arc<P::Write>, Failure> {
        self.outside.write::<P>()
    }
}

impl Observe<'_> {
    /// The reading side of a port from outside this crate. Fails with `port_missing` where the embedder did not bring it.
    pub fn port<P: Port>(&self) -> Result<std::sync::Arc<P::Read>, Failure> {
        self.outside.read::<P>()
    }

    /// The folder for copies of files that undo may need: `kept/RUN` in the state folder, 0700. Where something lies in it
    /// under a name that no primitive of this crate gives, `backup prune` never removes the folder, and names it.
    #[must_use]
    pub fn kept(&self) -> std::path::PathBuf {
        self.kept_of(self.run)
    }

    /// The same folder of another run.
    #[must_use]
    pub fn kept_of(&self, run: &str) -> std::path::PathBuf {
        self.site.state.join("kept").join(run)
    }
}
