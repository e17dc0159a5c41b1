//! What keeps a savepoint from being made: said before anything stops, and mended by what is said.

use std::time::Duration;

use super::table::row;
use crate::{
    lab::{Shape, wait_until},
    real::{Field, field::lab},
};

const PRIMARY: &str = "strata_production";
const UPGRADE: &str = "upgrade --to 1.1.0 --savepoint always -y --settle 1s";

/// A site of which nothing may change.
struct Blocked {
    field: Field,
    ids: String,
    databases: String,
}

const DATABASES: &str = "SELECT string_agg(datname || datallowconn, ' ' ORDER BY datname) FROM pg_database";

#[test]
fn what_keeps_a_savepoint_from_being_made_is_said_first() {
    let field = Field::quick(Shape::Present, "1.0.0");
    with_slots(&field);
    let (ids, databases) =
        (field.stack.container_ids().unwrap(), field.stack.psql("postgres", DATABASES).unwrap());
    let site = Blocked { field, ids, databases };
    let psql = |database: &str, query: &str| site.field.stack.psql(database, query).unwrap();

    psql(PRIMARY, "SELECT pg_create_logical_replication_slot('reports', 'pgoutput')");
    site.refuses("replication slot", &["replication slot", "reports"]);
    psql(PRIMARY, "SELECT pg_drop_replication_slot('reports')");

    psql(PRIMARY, "BEGIN; CREATE TABLE half (id int); PREPARE TRANSACTION 'half done'");
    site.refuses("prepared transaction", &["prepared transaction", "half done"]);
    psql(PRIMARY, "ROLLBACK PREPARED 'half done'");

    psql("postgres", "ALTER ROLE strata NOCREATEDB");
    site.refuses("no right to make databases", &["may not create databases", "CREATEDB"]);
    psql("postgres", "ALTER ROLE strata CREATEDB");

    foreign(&site);

    standby(&site, true);
    site.refuses("standby", &["standby"]);
    standby(&site, false);
    // Without its database the worker has died again and again.
    site.field.stack.compose("restart -t 1 job").unwrap();
    site.field.assert_up();
    let screen = site.field.uplift(UPGRADE).ends(0);
    row("savepoint: nothing, afterwards", &screen);
    site.field.assert_runs("1.1.0");
    site.field.end();
}

impl Blocked {
    #[track_caller]
    fn refuses(&self, case: &str, texts: &[&str]) {
        let screen = self.field.uplift(UPGRADE);
        row(&format!("savepoint: {case}"), &screen);
        let screen = screen.ends(1).shows(texts).shows(&["nothing was changed"]);
        assert_eq!(self.field.stack.container_ids().unwrap(), self.ids, "{screen}");
        assert_eq!(self.field.stack.psql("postgres", DATABASES).unwrap(), self.databases, "{screen}");
    }
}

/// A server that may keep slots and transactions, as those of larger sites do.
fn with_slots(field: &Field) {
    for setting in ["wal_level = logical", "max_prepared_transactions = 5"] {
        field.stack.psql("postgres", &format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    restart(field);
}

fn restart(field: &Field) {
    lab().tools.docker().args("restart -t 10").arg(field.stack.postgres()).output().unwrap();
    let answers = || field.stack.psql("postgres", "SELECT 1").is_ok();
    wait_until("the database server", Duration::from_secs(30), answers).unwrap();
}

/// Somebody else's program is in the database: one that uplift may not end.
fn foreign(site: &Blocked) {
    let psql = "/usr/lib/postgresql/15/bin/psql -U postgres -h /var/run/postgresql -d strata_production -c";
    let exec =
        lab().tools.docker().args("exec -e PGAPPNAME=exporter").arg(site.field.stack.postgres()).args(psql);
    let session = exec.arg("SELECT pg_sleep(300)").start().unwrap();
    let there = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exporter'";
    let is_there = || site.field.stack.psql("postgres", there).is_ok_and(|count| count == "1");
    wait_until("the exporter", Duration::from_secs(10), is_there).unwrap();
    site.refuses("session of another program", &["exporter"]);
    assert!(is_there(), "it is not uplift's to end");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exporter'";
    site.field.stack.psql("postgres", end).unwrap();
    drop(session);
}

/// A server that only follows another one, and one that leads again.
fn standby(site: &Blocked, follows: bool) {
    if follows {
        let touch = "su postgres -c 'touch /var/lib/postgresql/data/standby.signal'";
        let exec = lab().tools.docker().arg("exec").arg(site.field.stack.postgres());
        exec.args("bash -c").arg(touch).output().unwrap();
        restart(&site.field);
    } else {
        site.field.stack.psql("postgres", "SELECT pg_promote()").unwrap();
        site.field.assert_up();
    }
}
