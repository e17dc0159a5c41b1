//! The contract of a primitive, and the one seam where its types end.

mod catalogue;
mod effect;
mod record;
pub mod schema;
mod seam;

pub use crate::site::{Size, Span};
pub use catalogue::{Catalogue, Kind, Verb};
pub use effect::{
    Back, Decision, Effect, FORWARD, Found, Later, Left, Read, Undone, WhenUnknown, unknown_version,
};
pub(super) use record::to_bytes;
pub use record::{Record, from_value, to_value};
pub use seam::{Call, Fut, UndoCall};

pub use crate::event::suggest;
