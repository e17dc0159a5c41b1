//! Ports in memory: a [`World`] with its own clock, containers, databases and faults, and a [`Twin`] that rehearses
//! on top of any ports.
//!
//! Shipped, not test-only: `--simulate` runs on a world, and every plan runs on a twin.

mod archive;
mod compose;
mod disk;
mod dotenv;
mod engine;
mod faults;
mod files;
mod hidden;
mod instance;
mod kept;
mod notices;
mod picture;
mod postgres;
mod programs;
mod registry;
mod requests;
mod server;
mod setup;
mod state;
mod tasks;
mod trees;
mod twin;
mod users;
mod watched;
mod web;
mod world;
mod written;

pub use faults::Fault;
pub use kept::Origin;
pub use notices::Notifier;
pub use picture::{Picture, PictureContainer, PictureDatabase, PictureFile};
pub use postgres::Told as ToldQuery;
pub use programs::{Does, Started};
pub use registry::{Exit, Release, WebHealth};
pub use requests::{Answers, Asked};
pub use server::{Db, Manner, Rows, Table};
pub use setup::Shape;
pub use twin::{Reading, Twin};
pub use watched::{Instance, Moment};
pub use world::World;
