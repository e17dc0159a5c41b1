//! What a runbook can ask for: one file per primitive, one line each in the list below.
//!
//! The reference page, the editor's definitions, the checker, the plan and the laws all read this list; there is no
//! second one. [`contract`] says what a primitive must keep.
//!
//! Who adds one writes its file and its line, and runs the tests. `SNAPSHOTS=overwrite cargo test --locked -- guide
//! laws::intents` makes anew what is generated (`docs/primitives.md`, `docs/editors`, `src/host/failures.txt`, a sample of its
//! intent in `tests/laws/intents`); what a test asks for besides is written by hand: a code's line in `docs/reasons.md`, a
//! reason why nothing is taken back in `tests/laws/nothing.txt`, a behaviour in `tests/contract` for what a port does anew.

mod as_before;
mod asking;
mod backup_set;
mod beside;
pub mod contract;
mod exchange;
mod foreign_sessions;
mod granted;
mod held_restarts;
mod left_behind;
mod moved_data;
mod old_runs;
mod others;
mod placed;
mod question;
mod set_config;
mod set_of;
mod standstill;
mod started;
mod swapped;
mod uploads_back;
mod watch;
pub(crate) mod way_back;

pub(crate) use self::{
    check_drift::drift, check_host::restarters, check_release::order as release_order,
    compose_trial::trial_ended, old_runs::any_goes as old_runs_go, pg_savepoint::savepoint_then,
};

/// Names every stock primitive once: declares its module and registers it. It only lists; what a primitive is
/// stands in [`contract`].
macro_rules! stock {
    ($($kind:ident $file:ident :: $primitive:ident,)*) => {
        $(mod $file;)*

        impl contract::Catalogue {
            /// Every primitive that ships with uplift.
            #[must_use]
            pub fn stock() -> Self {
                // Its schemas are made once: every host has a catalogue, and a process may have many hosts.
                static STOCK: std::sync::LazyLock<contract::Catalogue> = std::sync::LazyLock::new(|| {
                    contract::Catalogue::default()$(.$kind::<$file::$primitive>())*
                });
                STOCK.clone()
            }
        }
    };
}

stock! {
    read check_host::CheckHost,
    read check_room::CheckRoom,
    read check_release::CheckRelease,
    read check_drift::CheckDrift,
    read check_health::CheckHealth,
    read check_database::CheckDatabase,
    read pending_migrations::PendingMigrations,
    read backup_retention::BackupRetention,
    read runs_retention::RunsRetention,
    read wait_healthy::WaitHealthy,
    read verify_running::VerifyRunning,
    read return_point::ReturnPoint,
    read returned_jobs::ReturnedJobs,
    read restore_set::RestoreSet,
    read sql_query::SqlQuery,
    read wait_until::WaitUntil,
    read pause::Pause,
    effect backup::Backup,
    effect backup_prune::BackupPrune,
    effect runs_prune::RunsPrune,
    effect pg_dump::PgDump,
    effect storage_copy::StorageCopy,
    effect config_copy::ConfigCopy,
    effect compose_pull::ComposePull,
    effect image_name::ImageName,
    effect compose_stop::ComposeStop,
    effect storage_savepoint::StorageSavepoint,
    effect pg_savepoint::PgSavepoint,
    effect compose_trial::ComposeTrial,
    effect pg_return::PgReturn,
    effect storage_return::StorageReturn,
    effect compose_create::ComposeCreate,
    effect pg_load::PgLoad,
    effect pg_swap::PgSwap,
    effect storage_unpack::StorageUnpack,
    effect storage_swap::StorageSwap,
    effect config_return::ConfigReturn,
    effect env_set::EnvSet,
    effect compose_up::ComposeUp,
    effect compose_release::ComposeRelease,
    effect docker_run::DockerRun,
    effect docker_remove::DockerRemove,
    effect exec::Exec,
    effect http_request::HttpRequest,
    effect file_put::FilePut,
    effect template::Template,
    effect notify::Notify,
}
