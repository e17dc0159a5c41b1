//! Backup sets: their stored formats, their proof, what is kept of them and what goes.

mod formats;
