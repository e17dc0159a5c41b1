//! The durable record of every run: what was decided before a write, what was learned after it.
//!
//! One `SQLite` file per site, in the state folder. [`Lock`] says who may write and [`Writer`] writes; [`Reader`]
//! reads beside them, takes no lock and makes no file. Where an entry stands is never stored: it is folded from its
//! attempts and undos by the pure rules of [`Standing`], so that what is reported is what happened.
//!
//! The order of one effect: [`Writer::intend`] is committed and synced, then the effect runs, then
//! [`Writer::outcome`] or [`Writer::unknown`] is committed. What stands between the two after a crash is `unknown`.

mod error;
mod fold;
mod folder;
mod hash;
mod id;
mod lock;
mod mark;
mod processes;
mod reader;
mod records;
mod reserve;
mod schema;
mod scrub;
mod state;
mod writer;

pub use error::JournalError;
pub use folder::Folder;
pub use hash::{bytes_hash, input_hash};
pub use id::new_run_id;
pub use lock::{Holder, Lock};
pub use processes::{Orphan, orphans};
pub use reader::Reader;
pub use records::{Attempt, Choosing, Decided, Entry, Kind, NewEntry, NewRun, RunRow, UndoRow};
pub use schema::FORMAT;
pub use state::{Illegal, Move, RunState, Standing, State};
pub use writer::Writer;
