//! Backup sets: their stored formats, their proof, what is kept of them and what goes.

mod damage;
mod faults;
mod formats;
mod lost_notes;
mod notes;
mod prune;
mod retention;
mod savepoint;
mod site;
mod uploads;
