//! The public door, for the command line and for other programs alike: finds the site, wires the real world or a
//! simulated one, and gives runbooks that can be planned and run.

mod again;
mod begin;
mod door;
mod error;
mod held;
mod learn;
mod library;
mod log;
mod past;
mod points;
mod runbook;
mod running;
mod runs;
mod sets;
mod settle;
mod zero;

pub use door::{Host, HostBuilder};
pub use error::HostError;
pub use library::{StockRunbook, stock, stock_named};
pub use past::Shown;
pub use runbook::Runbook;
pub use running::Run;
pub use runs::{Runs, WayBack, who};
pub use sets::{Proved, Sets};
pub use settle::Settled;

// What the command line works with, so that it needs to know no room below this one.
#[cfg(feature = "cli")]
pub(crate) use crate::{
    backups::Listed,
    journal::{RunRow, RunState},
    primitives::contract::Decision,
    run::{Plan, PlanEnd},
    script::{Header, Param, ParamType},
    site::Scrubber,
    survey::{ServiceStatus, Start, Status},
};
