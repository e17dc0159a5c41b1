//! Reads a site: what it is, what it was before a run, and how it is now. Changes nothing.

mod before;
mod chosen;
mod find;
mod platform;
mod roles;
mod settings;
mod status;

pub use before::{Before, ContainerThen, but_databases, differences, keep, look as before};
pub use find::{Start, find};
pub use platform::{MINIMUM_COMPOSE, MINIMUM_ENGINE, supported};
pub use status::{KeptStatus, ServiceStatus, Status, status};
