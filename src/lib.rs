//! `uplift` upgrades and rolls back self-hosted Strata Servers: a host for runbooks that can be planned, run,
//! resumed and taken back.
//!
//! ```text
//! cli -> host -> run -> script -> primitives -> ports <- clients | sim
//!                 |                  |           ^
//!                 +-> journal        +-> backups-+-- survey     everything -> event -> report
//! ```
//!
//! Another program begins with [`Host::at`]; `examples/embed.rs` shows the whole way. A primitive of one's own
//! implements [`primitives::contract::Effect`] or [`primitives::contract::Read`] and is added to a [`Catalogue`].

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

pub use event::{Ending, Event, ExitClass, Failure};
pub use host::who;
pub use host::{
    Bundles, Checkup, Described, Ejected, Field, Host, HostBuilder, HostError, KeyFile, Leavings, Offer,
    Packed, Problem, Proved, Run, Runbook, Runs, Sets, Settled, Shown, SigningKey, Simulated, StockRunbook,
    Telling, Undoing, stock, stock_named,
};
pub use primitives::contract::{Catalogue, Decision};
pub use run::Plan;
pub use sim::World;
pub use survey::Start;
