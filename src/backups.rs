//! Backup sets: what is in one, where it lies, and whether it is still what was written.

mod manifest;
mod set;

pub use manifest::{
    ConfigFile, DatabaseEntry, FORMAT, ImageEntry, Level, Manifest, Part, ServerEntry, SnapshotEntry,
    StorageEntry, Stored, ToolEntry, Verification,
};
pub use set::{SetSummary, folder, list, partial, read, set_id, verify};
