//! The laboratory itself: the judge can say no, and the stand-in is as its page says.

use std::time::Duration;

use super::{Field, field::lab};
use crate::lab::{Shape, get, wait_until};

#[test]
fn the_judge_sees_what_is_missing() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let stack = &field.stack;
    let ((), ledger) = field.while_writing(|| std::thread::sleep(Duration::from_secs(4)));
    field.assert_nothing_lost(&ledger);
    let before = stack.state().unwrap();
    assert_eq!(stack.state().unwrap().differences(&before), Vec::<String>::new());

    let lost = ledger.acknowledged[3].clone();
    stack.psql("strata_production", &format!("DELETE FROM orders WHERE key = '{lost}'")).unwrap();
    assert_eq!(ledger.missing(stack).unwrap(), [lost]);
    stack
        .psql("strata_production", "CREATE TABLE more (id int); INSERT INTO schema_migrations VALUES ('9')")
        .unwrap();
    let docker =
        |words: &str| lab().tools.docker().args(words).arg(format!("{}-web-1", stack.project())).output();
    docker("update --restart no").unwrap();
    std::fs::write(field.dir().join("new"), "").unwrap();
    let found = stack.state().unwrap().differences(&before).join("\n");
    for what in [
        "file `new`",
        "containers:",
        "schema of `strata_production`",
        "`strata_production.orders` has lost the row",
    ] {
        assert!(found.contains(what), "`{what}` in {found}");
    }
    field.end();
}

#[test]
fn the_stand_in_behaves_as_its_page_says() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let stack = &field.stack;
    let started = || stack.compose("restart -t 2 web");

    // A missing database is made again, empty and in silence.
    stack.psql("postgres", "ALTER DATABASE strata_production_cable RENAME TO elsewhere").unwrap();
    started().unwrap();
    field.assert_up();
    let loaded = "SELECT count(*) FROM solid_cable_messages";
    assert_eq!(stack.psql("strata_production_cable", loaded).unwrap(), "0");

    // Migrations run under a lock; who finds it taken fails.
    let key = "import zlib; print(zlib.crc32(b'strata_production') * 2053462845)";
    let key = stack.compose_words(&["exec", "-T", "web", "python3", "-c", key]).unwrap();
    let lock = format!("SELECT pg_advisory_lock({key}), pg_sleep(100)");
    let psql = "/usr/lib/postgresql/15/bin/psql -U postgres -h /var/run/postgresql -d strata_production -c";
    let holder = lab().tools.docker().arg("exec").arg(stack.postgres()).args(psql).arg(lock).start().unwrap();
    let held =
        || stack.psql("postgres", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted");
    wait_until("the lock", Duration::from_secs(10), || held().is_ok_and(|count| count == "1")).unwrap();
    started().unwrap();
    let log = || stack.compose("logs --no-color web").unwrap();
    wait_until("the refusal", Duration::from_secs(20), || log().contains("ConcurrentMigrationError"))
        .unwrap();
    stack
        .psql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        .unwrap();
    drop(holder);
    field.assert_up();

    // Only this site's keys can read its data.
    let wrong =
        ["run", "--rm", "--no-deps", "-e", "STRATA_ENCRYPTION_PRIMARY_KEY=another", "job", "./bin/jobs"];
    assert!(
        stack.compose_words(&wrong).unwrap_err().contains("ActiveRecord::Encryption::Errors::Decryption")
    );

    // `/up` says nothing about the database.
    lab().tools.docker().args("stop -t 2").arg(stack.postgres()).output().unwrap();
    assert_eq!(get(&stack.address(), "/up").unwrap(), 200);
    assert!(!get(&stack.address(), "/orders/1").is_ok_and(|status| status < 500));
    field.end();
}

#[test]
fn the_later_releases_go_wrong_as_their_page_says() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let stack = &field.stack;
    stack.set("STAND_IN_MIGRATION_SECONDS", "6").unwrap();
    let log = || stack.compose("logs --no-color").unwrap();
    let primary = |query: &str| stack.psql("strata_production", query).unwrap();
    let running = |query: &str| {
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()";
        primary(&format!("{sessions} AND query LIKE '%{query}%'")) == "1"
    };
    let switch = |release: &str| {
        stack.compose("rm -s -f job").unwrap();
        stack.set("STRATA_VERSION", release).unwrap();
        stack.compose("up -d --quiet-pull --no-deps -t 1 web").unwrap();
    };
    let soon = |what: &str, done: &dyn Fn() -> bool| {
        wait_until(what, Duration::from_secs(30), done).unwrap_or_else(|error| panic!("{error}\n{}", log()));
    };

    // The server goes on with a statement whose client is gone, and keeps what it did.
    switch("1.9.0");
    soon("the long statement", &|| running("INSERT INTO statements"));
    stack.compose("kill web").unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(running("INSERT INTO statements"));
    soon("the end of the statement", &|| !running("INSERT INTO statements"));
    assert_eq!(primary("SELECT count(*) FROM statements"), "100");
    let known = "SELECT max(version) FROM schema_migrations";
    assert_eq!(primary(known), "20260901000001");

    switch("1.8.0");
    field.assert_web_is_up();
    stack.compose("up -d --no-deps job").unwrap();
    soon("the end of the worker", &|| log().contains("NoMethodError undefined method `deliver_later'"));

    // An index is seen to grow.
    switch("1.4.0");
    let grown =
        "SELECT count(*) FROM pg_stat_progress_create_index WHERE blocks_done BETWEEN 1 AND blocks_total - 1";
    soon("the index", &|| primary(grown) == "1");
    field.assert_web_is_up();

    switch("1.5.0");
    field.assert_web_is_up();
    soon("the end of web", &|| log().contains("Errno::ENOMEM"));
    assert_eq!(
        primary("SELECT pg_typeof(channel) FROM orders UNION SELECT 'order_channel'"),
        "order_channel"
    );

    switch("1.3.0");
    soon("the failure", &|| log().contains("column \"note\" of relation \"orders\" does not exist"));
    assert_eq!(primary("SELECT to_regclass('shipments')"), "shipments");
    let currency = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'currency'";
    assert_eq!(primary(currency), "0");

    switch("1.7.1");
    soon("the missing variable", &|| log().contains("KeyError"));
    assert_eq!(primary("SELECT to_regclass('invoices') IS NULL"), "t");
    field.end();
}
