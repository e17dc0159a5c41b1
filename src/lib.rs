//! `uplift` upgrades and rolls back self-hosted Strata Servers: a host for runbooks that can be planned, run,
//! resumed and taken back.
//!
//! ```text
//! cli -> host -> run -> script -> primitives -> ports <- clients | sim
//!                 |                  |           ^
//!                 +-> journal        +-> backups-+-- survey     everything -> event -> report
//! ```
//!
//! Another program begins with [`Host::at`]; what it needs stands here at the root, and `docs/embedding.md` tells how. The
//! modules are the rooms that this is made of.
//!
//! ```
//! use std::collections::BTreeMap;
//! use uplift::{Ending, Host, Start, World};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let state = Some(folder.path().join(".uplift"));
//! // On a real host: `Host::at(Start::in_folder("/srv/strata")).open().await?`
//! let start = Start { state, ..Start::in_folder("/srv/strata") };
//! let host = Host::at(start).ports(World::strata().ports()).open().await?;
//!
//! let given = BTreeMap::from([("to".to_owned(), "1.1.0".to_owned())]);
//! let upgrade = host.runbook("compose/upgrade", &given).await?;
//! let plan = upgrade.plan().await;
//! assert!(plan.is_complete(), "{:?}", plan.end);
//! let ending = upgrade.start(plan, "my program").await?.ended().await;
//! assert_eq!(ending, Ending::Done);
//! # Ok(())
//! # }
//! ```
//!
//! A primitive of one's own implements [`Effect`] or [`Read`] and is added to a [`Catalogue`]; what it works with besides is a
//! [`Port`].

pub mod backups;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clients;
pub mod event;
mod host;
pub mod journal;
pub mod ports;
pub mod primitives;
pub mod report;
pub mod run;
pub mod script;
pub mod sim;
pub mod site;
pub mod survey;

pub use event::{
    Change, Choice, Ending, Event, ExitClass, Failure, Planned, Progress, Question, Refusal, Write,
};
pub use host::who;
pub use host::{
    Bundles, Checkup, Described, Ejected, Failing, Field, Host, HostBuilder, HostError, KeyFile, Leavings,
    Offer, Packed, Problem, Proof, Proved, Run, Runbook, Runs, Sets, Settled, Shown, SigningKey, Simulated,
    StockRunbook, Suite, Summary, Telling, Undoing, Whose, stock, stock_named, stock_tests,
};
pub use journal::{Entry, RunRow, RunState};
pub use ports::{Observe, Operate, Overlay, Port, Ports, Rehearsed};
pub use primitives::contract::{
    Back, Catalogue, Decision, Effect, Found, Later, Left, Read, Record, Undone, WhenUnknown,
};
pub use run::{GoingBack, Plan, PlanEnd, PlannedStep, WayBack};
pub use sim::World;
pub use site::{Secret, Site};
pub use survey::{Start, Status};
