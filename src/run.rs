//! Plan, execute, resume, undo: the only code that knows the order of journal and effect.

mod away;
mod context;
mod execute;
mod live;
mod perform;
mod plan;
mod position;
mod rehearse;
mod shared_lock;
mod unwind;
mod verify;

pub use away::{Away, away, left_stopped, stopped_meanwhile, touched, untouched};
pub use context::Context;
pub use execute::{Job, Record, asked, execute, take_back};
pub use plan::{Downtime, Plan, PlanEnd, PlannedStep};
pub use rehearse::rehearse;
pub use shared_lock::SharedLock;
pub(crate) use verify::schema_left;
