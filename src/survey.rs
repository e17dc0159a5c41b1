//! Reads a site: what it is, what it was before a run, and how it is now. Changes nothing.

mod before;
mod find;
mod gathered;
mod own;
mod platform;
mod put_aside;
mod roles;
mod route;
mod settings;
mod status;

pub use before::{Before, ContainerThen, but_databases, differences, keep, look as before};
pub use find::{Start, find};
pub use gathered::{Gathered, gathered};
pub use platform::{MINIMUM_COMPOSE, MINIMUM_ENGINE, supported};
pub use route::way;
pub use status::{KeptStatus, ServiceStatus, Status, TrialStatus, status};
