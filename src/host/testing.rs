//! Tests of runbooks: where they lie, the simulated sites that they play on, and what became of each.

mod find;
mod own;
mod played;
mod ready;
mod stand;
mod suite;
mod told;

pub(super) use own::Own;
pub use suite::{Failing, Proof, Suite, Summary, Whose};
