//! What can go wrong while a backup is made, kept, proved or restored: a clear end each time, nothing listed as good
//! that is not, nothing lost, nothing left over. Each test prints its part of the table: what went wrong, exit code,
//! first words, what is left. The long form runs when `UPLIFT_TEST_EVERY` is set.

mod dumps;
mod files;
mod kept;
mod rights;
mod rooms;
mod savepoints;
mod table;

pub(super) use table::good;
