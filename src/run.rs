//! Plan, execute, resume, undo: the only code that knows the order of journal and effect.

mod away;
mod context;
mod done;
mod doubts;
mod downtime;
mod execute;
mod going_back;
mod held_to;
mod live;
mod on_its_thread;
mod past;
mod perform;
mod plan;
mod position;
mod rehearse;
mod room;
mod shared_lock;
mod told;
mod unwind;
mod verify;
mod warned;

pub use away::{Away, away, left_stopped, stopped_meanwhile, touched, untouched};
pub use context::Context;
pub use downtime::Downtime;
pub use execute::{Job, Record, asked, execute, take_back};
pub use going_back::{GoingBack, WayBack, plan_back};
pub use past::SoFar;
pub use plan::{Plan, PlanEnd, PlannedStep};
pub use position::failed_last;
pub use rehearse::rehearse;
pub use room::Room;
pub use shared_lock::SharedLock;
pub(crate) use verify::schema_left;
