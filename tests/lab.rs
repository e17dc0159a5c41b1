//! A laboratory for the real thing: Docker Engine, compose, PostgreSQL, a registry, and a stand-in for Strata.
//!
//! Everything that a fresh machine lacks is brought, said before it is done, and kept below `target/lab`. What a
//! [`Stack`] makes carries the id of the process that made it, and goes with it: a [janitor](janitor) outlives the
//! process for a moment, however it ended.
//!
//! The paths are written out because examples take this file in by its path, where Rust would look beside it.
#![expect(
    clippy::disallowed_methods,
    reason = "it stands outside of uplift, as an operator and the vendor do"
)]
#![expect(clippy::print_stderr, reason = "whoever waits for it wants to know what for")]
#![expect(unreachable_pub, reason = "the tests and the examples each take it in as a module of their own")]

#[path = "lab/data.rs"]
mod data;
#[path = "lab/engine.rs"]
mod engine;
#[path = "lab/images.rs"]
mod images;
#[path = "lab/janitor.rs"]
mod janitor;
#[path = "lab/proxy.rs"]
mod proxy;
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

pub use {
    engine::{Disguise, Edit},
    images::{BASE, Images, RELEASES},
    registry::Registry,
    shell::{Ran, Shell, Started, free_port, wait_until},
    stack::{CANARY, QUICK, Server, Shape, Stack},
    state::SiteState,
    tools::Tools,
    writer::{Ledger, Writer, get},
};

/// What went wrong, with the command and its output.
pub type Result<T> = std::result::Result<T, String>;
