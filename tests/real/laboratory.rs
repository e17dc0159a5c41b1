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
    for what in ["file `new`", "containers:", "migrations:", "`strata_production.orders` has lost the row"] {
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
