//! Killed with `kill -9` at any moment, and left by the servers it works with: the next command says what is true, and
//! the run can be ended with nothing lost.

mod commits;
mod copies;
mod end;
mod engine;
mod judge;
mod kept;
mod moments;
mod phases;
mod plain;
mod points;
mod record;
mod restarted;
mod signals;
mod walk;

pub(super) use record::left_over;
