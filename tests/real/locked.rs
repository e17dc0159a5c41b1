//! The lock in the database: two machines on one server, and a run whose session there is ended.

use std::time::Duration;

use super::{Field, field::lab};
use crate::lab::{Shape, Started, wait_until};

/// A session that keeps every dump waiting for one of its tables.
struct Jam<'a> {
    field: &'a Field,
    _session: Started,
}

impl<'a> Jam<'a> {
    fn make(field: &'a Field) -> Self {
        let lock = "BEGIN; LOCK TABLE solid_cable_messages IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(100)";
        let psql = "/usr/lib/postgresql/15/bin/psql -U postgres -h /var/run/postgresql -d strata_production_cable -c";
        let docker = lab().tools.docker().arg("exec").arg(field.stack.postgres()).args(psql);
        let session = docker.arg(lock).start().unwrap();
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100)%' AND pid <> pg_backend_pid()";
        wait_until("the jam", Duration::from_secs(30), || {
            field.stack.psql("postgres", sleeps).is_ok_and(|count| count != "0")
        })
        .unwrap();
        Self { field, _session: session }
    }

    fn ends(self) {
        let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE query LIKE '%pg_sleep(100)%' AND pid <> pg_backend_pid()";
        self.field.stack.psql("postgres", query).unwrap();
    }
}

/// Starts an upgrade, and comes back while its dump waits.
fn dumping(field: &Field, words: &str) -> Started {
    let run = field.start(words);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'uplift' \
                 AND wait_event_type = 'Lock' AND datname = 'strata_production_cable'";
    wait_until("the dump to wait", Duration::from_mins(1), || {
        field.stack.psql("postgres", waits).is_ok_and(|count| count != "0")
    })
    .map_err(|error| format!("{error}\n{}\n{}", run.stdout(), run.stderr()))
    .unwrap();
    run
}

const HOLDERS: &str =
    "FROM pg_stat_activity WHERE datname = 'postgres' AND application_name LIKE 'uplift 2%'";

#[test]
fn two_machines_never_work_on_the_same_databases() {
    let field = Field::quick(Shape::Present, "1.0.0");
    // Another machine has a state folder of its own, and no lock in common with this one but that in the database.
    let elsewhere = tempfile::tempdir().unwrap();
    let second =
        |to: &str| format!("upgrade --to {to} -y --settle 2s --state {}", elsewhere.path().display());
    let jam = Jam::make(&field);
    let words = "upgrade --to 1.1.0 -y --settle 2s";
    let first = dumping(&field, words);
    let holder = field.stack.psql("postgres", &format!("SELECT application_name {HOLDERS}")).unwrap();
    let kept_out = field.uplift(&second("1.1.0"));
    kept_out.ends(5).shows(&["another run holds", &holder[..30], "nothing was changed"]);
    jam.ends();
    field.ended(first, words).ends(0);
    field.assert_runs("1.1.0");
    assert_eq!(field.stack.psql("postgres", &format!("SELECT count(*) {HOLDERS}")).unwrap(), "0");
    field.uplift(&second("1.1.0")).ends(0).shows(&["NOTHING NEEDED"]);

    // The session is ended in the middle: the dump goes on to its end, and nothing else begins.
    let jam = Jam::make(&field);
    let words = "upgrade --to 1.1.1 -y --settle 2s";
    let run = dumping(&field, words);
    field.stack.psql("postgres", &format!("SELECT pg_terminate_backend(pid) {HOLDERS}")).unwrap();
    jam.ends();
    field.ended(run, words).ends(9).shows(&["held the site's lock", "uplift resume", "uplift rollback"]);
    field.assert_runs("1.1.0");
    field.uplift("resume").ends(0).shows(&["1.1.1"]);
    field.assert_runs("1.1.1");
    field.assert_up();
    field.end();
}
