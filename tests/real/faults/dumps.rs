//! Dumps that are broken off, that lie about their end, or that something happens to on the server.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::table::{Table, children};
use crate::{
    lab::{Shell, Started},
    real::{
        jam::{Jam, until_it_waits},
        screen::Screen,
    },
};

const CREATE: &str = "backup create -y";
const PRIMARY: &str = "strata_production";
const CABLE: &str = "strata_production_cable";

#[test]
fn a_dump_that_something_happens_to() {
    let mut table = Table::new();
    rewritten(&mut table);
    killed(&mut table);
    cut_off(&mut table);
    liars(&mut table);
    at_once(&mut table);
    dropped(&mut table);
    let screen = table.field.uplift(CREATE);
    table.made("nothing, afterwards", screen, &["rows, as in the databases"]);
    table.end();
}

/// Starts a backup, does something while its last dump waits, and gives how it ended.
fn while_it_dumps(table: &Table, act: impl FnOnce(&Started)) -> Screen {
    let jam = Jam::make(&table.field);
    let run = table.field.start(CREATE);
    until_it_waits(&table.field, &run, CABLE);
    act(&run);
    jam.ends();
    table.field.ended(run, CREATE)
}

/// The program is killed, as when the machine has no memory left.
fn killed(table: &mut Table) {
    let screen = while_it_dumps(table, |run| {
        let dumps = children(run, "pg_dump");
        assert_eq!(dumps.len(), 1);
        Shell::new("kill").arg("-KILL").arg(dumps[0].to_string()).output().unwrap();
    });
    table.failed("`pg_dump` killed", screen, &["signal 9", "nothing of the site was changed"]);
}

/// The server ends one of the two sessions, or both.
fn cut_off(table: &mut Table) {
    let ours = "application_name = 'uplift' AND datname LIKE 'strata%'";
    for (case, which) in [
        ("connection of `pg_dump` cut", "AND query LIKE 'LOCK TABLE%'"),
        ("connection that holds the moment cut", "AND query NOT LIKE 'LOCK TABLE%'"),
        ("all connections cut", ""),
    ] {
        let screen = while_it_dumps(table, |_| {
            let end =
                format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {ours} {which}");
            assert_ne!(table.field.stack.psql("postgres", &end).unwrap(), "0");
        });
        table.failed(case, screen, &["nothing of the site was changed"]);
    }
}

/// Programs in the place of `pg_dump`: what they write is no dump, whatever they say.
fn liars(table: &mut Table) {
    let half = "head -c 9000";
    for (case, script, texts) in [
        // What a pipe in a shell does with the exit code of what stands before it.
        (
            "half a dump, exit code lost in a pipe",
            format!("\"$REAL\" \"$@\" | {half}; exit 0"),
            ["set_damaged"],
        ),
        (
            "no dump, exit code lost in a pipe",
            "\"$REAL\" --no-such-option 2>/dev/null | cat".to_owned(),
            [""],
        ),
        ("a whole dump, but `pg_dump` failed", "\"$REAL\" \"$@\"; exit 1".to_owned(), ["dump_failed"]),
        ("a whole dump of less", "\"$REAL\" \"$@\" --exclude-table-data=orders".to_owned(), ["not_proved"]),
        ("client of another major", "echo 'pg_dump (PostgreSQL) 14.11'".to_owned(), ["dump_client_missing"]),
    ] {
        let screen = with_pg_dump(table, &script, &format!("{CREATE} -o json"));
        table.failed(case, screen, &texts);
    }
}

/// Runs uplift where another `pg_dump` stands in the place of the real one, which it finds as `$REAL`.
fn with_pg_dump(table: &Table, script: &str, words: &str) -> Screen {
    const PLACE: &str = "/usr/lib/postgresql/15/bin/pg_dump";
    let away = tempfile::tempdir().unwrap();
    let (real, ours) = (away.path().join("real"), away.path().join("ours"));
    fs::write(&real, "").unwrap();
    let real = real.display();
    let asked =
        if script.contains("echo") { "" } else { "[ \"$1\" = --version ] && exec \"$REAL\" --version\n" };
    fs::write(&ours, format!("#!/bin/sh\nREAL={real}\n{asked}{script}\n")).unwrap();
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!(
        "mount --bind {PLACE} {real} && mount --bind {} {PLACE} && mount --bind {} /usr/bin/pg_dump && exec {} {words}",
        ours.display(),
        ours.display(),
        env!("CARGO_BIN_EXE_uplift")
    );
    table.field.run(&table.field.wrapped("unshare", "-m sh -c").arg(line), words)
}

fn at_once(table: &mut Table) {
    let mut second = None;
    let screen = while_it_dumps(table, |_| second = Some(table.field.uplift(CREATE)));
    let second = second.unwrap().ends(5).shows(&["is at work on this site", "nothing was changed"]);
    table.made("two backups at once: the first", screen, &["rows, as in the databases"]);
    table.ended("two backups at once: the second", second, 5, &[]);
}

/// What is in the list of the backup is not there any more when its turn comes.
fn dropped(table: &mut Table) {
    table.field.stack.psql(CABLE, "CREATE TABLE gone (id int); ALTER TABLE gone OWNER TO strata").unwrap();
    let jam = Jam::holding(&table.field, CABLE, "LOCK TABLE solid_cable_messages; DROP TABLE gone");
    let run = table.field.start(CREATE);
    until_it_waits(&table.field, &run, CABLE);
    jam.ends();
    let screen = table.field.ended(run, CREATE);
    table.failed("table dropped in the middle", screen, &["gone"]);
    psql(table, &format!("CREATE DATABASE saved TEMPLATE {CABLE} OWNER strata"));
    let jam = Jam::holding(&table.field, PRIMARY, "LOCK TABLE orders");
    let run = table.field.start(CREATE);
    until_it_waits(&table.field, &run, PRIMARY);
    psql(table, &format!("DROP DATABASE {CABLE} WITH (FORCE)"));
    jam.ends();
    let screen = table.field.ended(run, CREATE);
    psql(table, &format!("ALTER DATABASE saved RENAME TO {CABLE}"));
    table.failed("database dropped in the middle", screen, &["nothing of the site was changed"]);
}

fn psql(table: &Table, query: &str) {
    table.field.stack.psql("postgres", query).unwrap();
}

/// A migration writes a table anew between the moment of the backup and the dump of that table. For everybody who
/// stands at an earlier moment the table is empty then: PostgreSQL says so, and neither the dump nor a count notices.
fn rewritten(table: &mut Table) {
    let change = "ALTER TABLE orders ADD COLUMN drawn double precision DEFAULT random()";
    let jam = Jam::holding(&table.field, PRIMARY, change);
    let run = table.field.start(CREATE);
    until_it_waits(&table.field, &run, PRIMARY);
    jam.ends();
    let screen = table.field.ended(run, CREATE);
    let said = ["was emptied or written anew", "made again", "rows, as in the databases"];
    let set = table.made("table written anew in the middle", screen, &said);
    let shown = table.field.uplift(&format!("backup show {set} -o json")).ends(0).json();
    let tables = shown["manifest"]["databases"][0]["tables"].as_array().unwrap();
    let orders = tables.iter().find(|one| one["name"] == "orders").unwrap();
    let rows = table.field.stack.psql(PRIMARY, "SELECT count(*) FROM orders").unwrap();
    assert_eq!(orders["rows"].to_string(), rows, "orders in the backup");
}
