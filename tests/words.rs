//! What is on the screen: complete screens of a simulated site as golden files, and the words of the command line.
//!
//! After a change of words: `SNAPSHOTS=overwrite cargo nextest run -E 'test(words)'`, and read the difference.

mod desk;
mod screens;
