//! What stays beside the site: databases on its server, folders beside its files, containers and sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use super::super::Field;
use crate::lab::{Shell, wait_until};

pub(super) const PRIMARY: &str = "strata_production";
const OWN: [&str; 4] =
    ["strata_production", "strata_production_queue", "strata_production_cache", "strata_production_cable"];

/// Settings that a copy does not take along by itself.
pub(super) fn adorn(field: &Field) {
    for statement in [
        "ALTER DATABASE strata_production SET work_mem = '5MB'",
        "ALTER DATABASE strata_production CONNECTION LIMIT 77",
        "COMMENT ON DATABASE strata_production IS 'orders; ask Ada'",
        "REVOKE TEMPORARY ON DATABASE strata_production_queue FROM PUBLIC",
        "ALTER DATABASE strata_production_cable SET statement_timeout = '7min'",
    ] {
        field.stack.psql("postgres", statement).unwrap();
    }
}

/// Owner, rights, settings, limit and comment of the product's databases, and whether they let people in.
pub(super) fn equipment(field: &Field) -> String {
    let query = "SELECT datname, pg_get_userbyid(datdba), datacl, datconnlimit, datallowconn, \
                 shobj_description(oid, 'pg_database'), (SELECT array_agg(s.setconfig) FROM pg_db_role_setting s \
                 WHERE s.setdatabase = d.oid) FROM pg_database d WHERE datname = ANY($$NAMES$$::name[]) ORDER BY 1";
    let names = format!("{{{}}}", OWN.join(","));
    field.stack.psql("postgres", &query.replace("NAMES", &names)).unwrap()
}

/// Other databases beside the product's own.
pub(super) fn beside(field: &Field) -> BTreeSet<String> {
    let query =
        "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
    let all = field.stack.psql("postgres", query).unwrap();
    all.lines().filter(|name| !OWN.contains(name)).map(str::to_owned).collect()
}

/// Those that `status` lists.
pub(super) fn listed(field: &Field) -> BTreeSet<String> {
    let status = field.uplift("status -o json").ends(0).json();
    let kept = status["site"]["kept"].as_array().unwrap_or_else(|| panic!("no list in {status}"));
    kept.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// Keys of orders by the kept databases that have such a table; each keeps everybody out again afterwards.
pub(super) fn orders_in(field: &Field, names: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for name in names.iter().filter(|name| name.starts_with("strata_production__")) {
        let admit = |open: bool| format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS {open}");
        field.stack.psql("postgres", &admit(true)).unwrap();
        found.insert(name.clone(), orders(field, name));
        field.stack.psql("postgres", &admit(false)).unwrap();
    }
    found
}

pub(super) fn orders(field: &Field, database: &str) -> BTreeSet<String> {
    let keys = field.stack.psql(database, "SELECT key FROM orders").unwrap();
    keys.lines().map(str::to_owned).collect()
}

/// As `backup prune` does once their time is over.
pub(super) fn prune(field: &Field, names: impl IntoIterator<Item = String>) {
    for name in names {
        field.stack.psql("postgres", &format!("DROP DATABASE \"{name}\" WITH (FORCE)")).unwrap();
    }
}

/// What uplift has put beside them.
pub(super) fn folders_beside(field: &Field) -> BTreeSet<PathBuf> {
    let data = field.stack.storage().unwrap();
    let entries = fs::read_dir(data.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| *path != data).collect()
}

/// Names, owners, modes and hashes of the uploaded files.
pub(super) fn uploads(field: &Field) -> String {
    let list = "find . -type f -printf '%p %u %g %m ' -exec sha256sum {} ';' | sort";
    Shell::new("sh").folder(field.stack.storage().unwrap()).arg("-c").arg(list).output().unwrap()
}

/// Everything on the engine that carries the site's name, in any state.
pub(super) fn containers(field: &Field) -> BTreeSet<String> {
    let filter = format!("name=^{}-", field.stack.project());
    let list = field.stack.tools().docker().args("ps -a --format {{.Names}} --filter").arg(filter);
    list.output().unwrap().lines().map(str::to_owned).collect()
}

/// Nothing of uplift's is at work on the server any more.
pub(super) fn assert_no_sessions(field: &Field) {
    let query = "SELECT coalesce(string_agg(concat_ws(' ', datname, application_name, state, query), '; '), '') FROM \
                 pg_stat_activity WHERE application_name ~ '^(uplift|`|pg_dump|pg_restore)' OR datname ~ '__'";
    let mut left = String::new();
    wait_until("uplift's sessions to be gone", Duration::from_secs(10), || {
        left = field.stack.psql("postgres", query).unwrap_or_else(|error| error);
        left.is_empty()
    })
    .unwrap_or_else(|error| panic!("{error}: {left}"));
}
