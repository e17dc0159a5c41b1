//! The binary as operators type it, on real containers, with a real PostgreSQL server and a real registry.
//!
//! A client that writes through the application and remembers what it was promised is the judge of "nothing lost".
//! Each test has a site of its own, and every test ends by searching all that uplift said and stored for secrets.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests stand outside of uplift, where an operator stands"
)]
#![expect(clippy::print_stderr, reason = "figures, and where a long test is")]

mod alone;
mod back;
mod backups;
mod broken;
mod by_hand;
mod canary;
mod changes;
mod choices;
mod cut;
mod dark;
mod drained;
mod faults;
mod field;
mod followed;
mod hidden;
mod hosts;
mod jam;
mod killed;
mod laboratory;
mod load;
mod locked;
mod notices;
mod observer;
mod planned;
mod preload;
mod restored;
mod routes;
mod screen;
mod screens;
mod secrets;
mod sets;
mod side;
mod slow;
mod stopped;
mod strange;
mod told;
mod upgrades;

use field::Field;

/// Whether the long forms of the tests are asked for.
fn every() -> bool {
    std::env::var_os("UPLIFT_TEST_EVERY").is_some()
}
