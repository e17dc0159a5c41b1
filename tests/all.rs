//! One test binary, so that everything links once. Modules named after what they hold to account.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests stand outside: they look at files and time, and say how much they tried"
)]

mod backups;
mod contract;
mod examples;
mod guide;
mod journal;
mod lab;
mod laws;
mod layers;
mod mutations;
mod packaging;
mod real;
mod reasons;
mod runbooks;
mod script;
mod words;
