//! Reads a site: what it is, what it was before a run, and how it is now. Changes nothing.

mod before;
mod find;
mod footprint;
mod gathered;
mod own;
mod platform;
mod project;
mod put_aside;
mod roles;
mod route;
mod settings;
mod status;
mod unfound;
mod written;

pub use before::{Before, ContainerThen, but_databases, differences, keep, look as before};
pub use find::{Start, find};
pub use footprint::{Footprint, footprint};
pub use gathered::{Gathered, gathered};
pub use own::{params, said, trusted};
pub use platform::{MINIMUM_COMPOSE, MINIMUM_ENGINE, supported};
pub use route::way;
pub use status::{KEEPS_DYING, KeptStatus, ServiceStatus, Status, TrialStatus, status};
pub use unfound::containers;
pub use written::{Noted, noted, trusting};
