//! A database server that goes on with what a killed uplift had asked it for.

use std::time::Duration;

use super::{
    super::Field,
    end::Way,
    kept::PRIMARY,
    walk::{Flow, Walk},
};
use crate::lab::{Started, wait_until};

/// Long enough on any machine.
const LIMIT: Duration = Duration::from_mins(4);

#[test]
fn a_copy_that_the_server_still_makes_is_not_left_behind() {
    let mut walk = Walk::begin();
    let scene = walk.scene(Flow::Upgrade, false);
    let holder = hold_copies_up(&walk.field);
    let words = walk.words(Flow::Upgrade);
    let run = walk.field.start(&words);
    let copies = || is_at_work(&walk.field, "CREATE DATABASE%\\_\\_pre\\_%");
    wait_until("the server to copy a database", LIMIT, copies).unwrap();
    run.signal("KILL").unwrap();
    assert_eq!(walk.field.ended(run, &words).exit(), None);
    let id = scene.run(&walk.field).unwrap().id;
    let words = format!("{} -o json", Way::Rollback.words(&id));
    let back = walk.field.start(&words);
    // The copy is held up until the rollback believes that it has taken everything back, or has ended the copy.
    wait_until("the rollback to come to the copy", LIMIT, || {
        let said = back.stdout();
        said.lines().any(|line| line.contains("undone") && line.contains("/pg_savepoint#1")) || !copies()
    })
    .unwrap();
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    walk.field.stack.psql("postgres", all).unwrap();
    drop(holder);
    let _screen = walk.field.ended(back, &words).ends(0);
    walk.judged(&scene, None);
    walk.field.end();
}

/// Whoever writes a comment has a lock in whose way a copy is, and nothing else.
fn hold_copies_up(field: &Field) -> Started {
    let psql = "/usr/lib/postgresql/15/bin/psql -U postgres -h /var/run/postgresql -d postgres -c";
    let lock = format!("BEGIN; COMMENT ON DATABASE {PRIMARY} IS 'held'; SELECT pg_sleep(600)");
    let exec = field.stack.tools().docker().arg("exec").arg(field.stack.postgres());
    let holder = exec.args(psql).arg(lock).start().unwrap();
    wait_until("the lock", LIMIT, || is_at_work(field, "%pg_sleep(600)%")).unwrap();
    holder
}

fn is_at_work(field: &Field, query: &str) -> bool {
    let ask = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '{query}' AND state = 'active' AND pid <> pg_backend_pid()"
    );
    field.stack.psql("postgres", &ask).is_ok_and(|count| count != "0")
}
