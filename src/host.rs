//! The public door, for the command line and for other programs alike: finds the site, wires the real world or a
//! simulated one, and gives runbooks that can be planned and run.

mod begin;
mod door;
mod error;
mod library;
mod log;
mod past;
mod runbook;
mod running;
mod runs;

pub use door::{Host, HostBuilder};
pub use error::HostError;
pub use library::{StockRunbook, stock};
pub use past::Shown;
pub use runbook::Runbook;
pub use running::Run;
pub use runs::{Runs, WayBack};

// What the command line works with, so that it needs to know no room below this one.
pub use crate::{
    journal::{Holder, RunRow, RunState},
    primitives::contract::Decision,
    run::{Plan, PlanEnd},
    script::{Header, Param, ParamType},
    survey::{Start, Status},
};
