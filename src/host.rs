//! The public door, for the command line and for other programs alike: finds the site, wires the real world or a
//! simulated one, and gives runbooks that can be planned and run.

mod again;
mod begin;
mod check;
mod definitions;
mod door;
mod eject;
mod error;
mod given;
mod held;
mod imports;
mod init;
mod layer;
mod learn;
mod library;
mod log;
mod notices;
mod past;
mod points;
mod publish;
mod reference;
mod runbook;
mod running;
mod runs;
mod scripts;
mod sets;
mod settle;
mod simulated;
mod telling;
mod testing;
mod vendor;
mod words;
mod zero;

pub use check::{Checkup, Problem};
pub use door::{Host, HostBuilder};
pub use eject::Ejected;
pub use error::HostError;
pub use library::{StockRunbook, stock, stock_named, stock_tests};
pub use past::Shown;
pub use reference::{Described, Field};
pub use runbook::Runbook;
pub use running::Run;
pub use runs::{Leavings, Runs, Undoing, who};
pub use sets::{Proved, Sets};
pub use settle::Settled;
pub use simulated::Simulated;
pub use telling::Telling;
pub use testing::{Failing, Proof, Suite, Summary, Whose};
pub use vendor::{Bundles, KeyFile, Offer, Packed, SigningKey};

// What the command line works with, so that it needs to know no room below this one.
#[cfg(feature = "cli")]
pub(crate) use crate::{
    backups::{Listed, RUNS},
    journal::{Entry, RunRow, RunState},
    primitives::contract::Decision,
    run::{Plan, PlanEnd, WayBack},
    script::{Header, Param, ParamType},
    site::{Scrubber, Secret, Shipped},
    survey::{Footprint, ServiceStatus, Start, Status},
};
