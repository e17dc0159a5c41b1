//! A laboratory for the real thing: Docker Engine, compose, PostgreSQL, a registry, and a stand-in for Strata.
//!
//! Everything that a fresh machine lacks is brought, said before it is done, and kept below `target/lab`. What a
//! [`Stack`] makes carries the id of the process that made it, and goes with it; leftovers of processes that were
//! killed are swept when the next one starts.
//!
//! The paths are written out because examples take this file in by its path, where Rust would look beside it.

#[path = "lab/images.rs"]
mod images;
#[path = "lab/registry.rs"]
mod registry;
#[path = "lab/shell.rs"]
mod shell;
#[path = "lab/stack.rs"]
mod stack;
#[path = "lab/state.rs"]
mod state;
#[path = "lab/tools.rs"]
mod tools;
#[path = "lab/writer.rs"]
mod writer;

#[expect(unused_imports, reason = "the tests and the quickstart each use a part")]
pub use {
    images::{Images, RELEASES},
    registry::Registry,
    shell::{Ran, Shell, free_port, wait_until},
    stack::{Shape, Stack},
    state::{ContainerState, SiteState},
    tools::Tools,
    writer::{Ledger, Writer},
};

/// What went wrong, with the command and its output.
pub type Result<T> = std::result::Result<T, String>;
