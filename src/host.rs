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

pub use door::{Host, HostBuilder};
pub use error::HostError;
pub use library::{StockRunbook, stock};
pub use past::Shown;
pub use runbook::Runbook;
pub use running::Run;
