//! Sessions on the server that hold up what uplift does there, so that something can happen at that very moment.

use std::time::Duration;

use super::{Field, field::lab, told::last_words};
use crate::lab::{Started, wait_until};

/// A session that holds what its statements have taken, until it is told to end.
pub(super) struct Jam<'a> {
    field: &'a Field,
    mark: String,
    _session: Started,
}

impl<'a> Jam<'a> {
    /// Keeps every dump waiting for one of its tables.
    pub(super) fn make(field: &'a Field) -> Self {
        let lock = "LOCK TABLE solid_cable_messages IN ACCESS EXCLUSIVE MODE";
        Self::holding(field, "strata_production_cable", lock)
    }

    /// Does something in one transaction, and keeps that open.
    pub(super) fn holding(field: &'a Field, database: &str, statements: &str) -> Self {
        let mark = format!("jam_{database}");
        field.stack.psql("postgres", &format!("CREATE ROLE {mark}")).unwrap();
        // In the site's databases as the product's own user, whose sessions uplift may end: another's would be refused at once.
        let user = if database == "postgres" { "postgres" } else { "strata" };
        let psql = "/usr/lib/postgresql/15/bin/psql -h /var/run/postgresql -v ON_ERROR_STOP=1 -U";
        let docker = lab().tools.docker().arg("exec").arg(field.stack.postgres()).args(psql);
        let docker = docker.arg(user).arg("-d").arg(database);
        let wait = format!(
            "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_roles WHERE rolname = '{mark}') LOOP PERFORM pg_sleep(0.05); END LOOP; END $$"
        );
        // All of one `-c` is one transaction.
        let session = docker.arg("-c").arg(format!("{statements}; {wait}")).start().unwrap();
        let holds = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{mark}%' AND pid <> pg_backend_pid() \
             AND wait_event = 'PgSleep'"
        );
        wait_until("the jam", Duration::from_mins(2), || {
            field.stack.psql("postgres", &holds).is_ok_and(|count| count != "0")
        })
        .map_err(|error| format!("{error}\n{}", session.stderr()))
        .unwrap();
        Self { field, mark, _session: session }
    }

    /// Commits what was done, and lets the others go on.
    pub(super) fn ends(self) {
        self.field.stack.psql("postgres", &format!("DROP ROLE {}", self.mark)).unwrap();
        let holds = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{}%' AND pid <> pg_backend_pid()",
            self.mark
        );
        wait_until("the end of the jam", Duration::from_mins(1), || {
            self.field.stack.psql("postgres", &holds).is_ok_and(|count| count == "0")
        })
        .unwrap();
    }
}

/// Comes back once a dump of ours waits for a lock in this database.
pub(super) fn until_it_waits(field: &Field, run: &Started, database: &str) {
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'uplift' \
         AND wait_event_type = 'Lock' AND datname = '{database}' AND query LIKE 'LOCK TABLE%'"
    );
    wait_until("the dump to wait", Duration::from_mins(4), || {
        field.stack.psql("postgres", &waits).is_ok_and(|count| count != "0")
    })
    .map_err(|error| format!("{error}\n{}", last_words(run)))
    .unwrap();
}
