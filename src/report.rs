//! Tells people and programs what happens and what was found: runs, plans, the state of a site, the record.
//!
//! Everything is made from plain data (events, the journal's views, plans, a status), so that a run that was watched
//! and one that is looked up later read the same. What `run` and `survey` give here is data, and sums of the
//! record: this module asks nothing and starts nothing.

mod asked;
mod at_work;
mod away;
mod bundles;
mod calls;
mod ending;
mod failure;
mod held;
mod history;
mod init;
mod lines;
mod live;
mod next;
mod paper;
mod places;
mod plan;
mod progress;
mod sets;
mod show;
mod simulated;
mod status;
mod testing;
mod trial;
mod words;

pub use asked::{chosen, costs_now, question, undecided, undecided_but};
pub use at_work::{AtWork, Working};
pub use bundles::{Shipment, deviations, exchange, exchange_tests, exchanged, packed};
pub use ending::{Page, ending, ending_alone, nothing_needed};
pub use failure::{failure, wrote};
pub use held::Held;
pub use history::{Open, history, in_the_way, not_over, way_back, way_on};
pub use init::{Introduced, introduced};
pub use lines::Lines;
pub use live::{Bars, Live, Loudness};
pub use paper::Paper;
pub use places::places;
pub use plan::{Detail, held_to, plan, plan_back, planned_at};
pub use sets::{NoSets, set, sets, verified, verifying};
pub use show::{Follow, ended, kept_gone, show};
pub use simulated::simulated;
pub use status::{Known, in_between, status};
pub use testing::{Tried, test_failed, test_file, tested, tests_ended};
pub use words::{between, span, time, wrapped};
