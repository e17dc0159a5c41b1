//! Backup sets: what goes into one, how it is made and proved, where it lies, and what is kept of it.

mod find;
mod list;
mod make;
mod manifest;
mod places;
mod plan;
mod prove;
mod prune;
mod retention;
mod set;
mod try_restore;

pub use find::{find, no_such};
pub use list::{Checked, DELETING, Listed, Standing, list, note};
pub use make::{Made, made, make};
pub use manifest::{
    ConfigFile, DatabaseEntry, FORMAT, Home, ImageEntry, Level, Manifest, Part, ServerEntry, SnapshotEntry,
    StorageEntry, Stored, ToolEntry, Verification,
};
pub use plan::{
    DumpPlan, SetPlan, TreePlan, Uploads, Wanted, complete, needed, newest_with_uploads, outlives, plan,
    schemas, to_dump, volume,
};
pub use prove::{Eyes, hashes, prove, unlike_rows, whole};
pub use prune::{
    Goes, Judgement, PrunePlan, Pruned, in_groups, judgement, left, plan_prune, prune, removed, why_it_stays,
};
pub use retention::{Judged, KEEP, RUNS, judge, judge_databases, judge_run};
pub use set::{folder, folder_in, partial, read, set_id, uploads_note, uploads_notes};
pub use try_restore::{drop_trial, try_restore};

/// `412.0 MiB`.
fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}
