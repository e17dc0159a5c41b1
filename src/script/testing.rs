//! Tests of runbooks: files of named blocks, each of which makes simulated sites, lets runbooks work on them, and says
//! what it expects. The same engine as a runbook's, and out of it leads [`Bench`] alone.

mod bench;
mod engine;
mod examine;
mod expect;
mod perform;
mod words;

pub use bench::{Bench, TestCall};
pub use examine::{Block, ExaminedTests, Tests, examine_tests, holds_tests};
pub use perform::{Tested, perform_test};
pub use words::{TestWord, WordKind, test_words};

pub(super) use bench::LET_IT_RUN;
pub(super) use engine::register;
pub(super) use words::{TAKEN, of_kind};
