//! Backup sets: their stored formats, their proof, what is kept of them and what goes.

mod damage;
mod faults;
mod formats;
mod lost_notes;
mod notes;
mod owner;
mod prune;
mod retention;
mod runs;
mod savepoint;
mod site;
mod uploads;
