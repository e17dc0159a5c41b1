//! `uplift` upgrades and rolls back self-hosted Strata Servers.
//!
//! ```text
//! cli -> host -> run -> script -> primitives -> ports <- clients | sim
//!                 |                  |           ^
//!                 +-> journal        +-> backups-+-- survey     everything -> event -> report
//! ```

pub mod backups;
pub mod clients;
pub mod event;
pub mod host;
pub mod journal;
pub mod ports;
pub mod primitives;
pub mod report;
pub mod run;
pub mod script;
pub mod sim;
pub mod site;
pub mod survey;

#[cfg(feature = "cli")]
pub mod cli;
