//! Migrations that take long: they are waited for and named, and when their container or uplift itself is killed, what
//! goes on in the server is ended before a database is moved.

use std::time::Duration;

use super::{Field, every, field::lab, told::last_words};
use crate::lab::{Server, Shape, Started, wait_until};

#[test]
fn a_slow_migration_is_waited_for_and_named() {
    if every() {
        waited_for(Server::Published, 90, 15);
    } else {
        waited_for(Server::Published, 30, 10);
    }
}

/// Only what the server says of the migration keeps it from being taken for one that stands still: it lasts longer than
/// uplift's patience.
pub(super) fn waited_for(server: Server, seconds: u32, patience: u32) {
    let settings = format!("STAND_IN_MIGRATION_SECONDS={seconds}\n");
    let field = Field::with(server, Shape::Present, "1.0.0", &settings);
    let words = format!("upgrade --to 1.4.0 -y --settle 3s --patience {patience}s");
    let (screen, ledger) = field.while_writing(|| {
        let run = field.start(&words);
        let builder = waited_pid(&field, &run, "SELECT pid FROM pg_stat_progress_create_index");
        let named = format!("process {builder} in `strata_production` is at");
        field.ended(run, &words).ends(0).shows(&[&named, "building index", "of 60 blocks"])
    });
    for alarm in ["FAIL", "warn", "did not become well"] {
        assert!(!screen.everything().contains(alarm), "`{alarm}`\n{screen}");
    }
    eprintln!("waited for in {:.1} s", screen.seconds());
    field.assert_runs("1.4.0");
    field.assert_up();
    field.assert_nothing_lost(&ledger);
    field.end();
}

/// Who is killed in the middle of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Killed {
    Container,
    Uplift,
}

#[test]
fn a_statement_that_goes_on_without_its_container_is_ended_before_a_database_is_moved() {
    ended_first(Server::Published, Killed::Container);
}

#[test]
fn a_statement_that_goes_on_without_uplift_is_ended_by_the_rollback() {
    ended_first(Server::Published, Killed::Uplift);
}

pub(super) fn ended_first(server: Server, killed: Killed) {
    let field = Field::at(server, Shape::Present, "1.0.0");
    field.stack.adorn().unwrap();
    field.stack.psql("postgres", "ALTER SYSTEM SET log_statement = 'ddl'").unwrap();
    field.stack.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    let (pid, ledger) = field.while_writing(|| in_the_middle(&field, killed));
    let log = server_log(&field);
    let ended = log.iter().position(|line| line.contains(&format!("[{pid}] FATAL:  terminating connection")));
    let moved = log.iter().position(|line| line.contains("RENAME TO"));
    let (ended, moved) = (ended.expect("it was ended"), moved.expect("databases were renamed"));
    eprintln!("{}\n{}", log[ended], log[moved]);
    assert!(ended < moved, "process {pid} was ended after the first rename\n{}", log.join("\n"));
    // What it was at is told in a line of its own.
    let words = |line: &&String| line.contains(&format!("[{pid}]")) && !line.contains("STATEMENT:");
    assert!(!log[ended + 1..].iter().any(|line| words(&line)), "it did something after its end");
    field.assert_runs("1.0.0");
    field.assert_up();
    field.assert_nothing_lost(&ledger);
    field.assert_as(&before, &ledger);
    field.uplift("status").ends(0);
    field.end();
}

/// Kills while the server is at the statement, and sees it taken back. Gives the backend's process.
fn in_the_middle(field: &Field, killed: Killed) -> String {
    let words = "upgrade --to 1.9.0 -y --settle 3s";
    let run = field.start(words);
    let at_work = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
                   AND query LIKE '%INSERT INTO statements%'";
    let pid = waited_pid(field, &run, at_work);
    let goes_on = || assert_eq!(field.stack.psql("postgres", at_work).unwrap(), pid, "the server goes on");
    match killed {
        Killed::Container => {
            // Held, so that it is seen that the statement goes on without its container.
            run.signal("STOP").unwrap();
            let trial = format!("name=^{}-trial-", field.stack.project());
            let docker = || lab().tools.docker();
            let id = docker().args("ps -q --filter").arg(trial).output().unwrap();
            docker().args("kill").arg(id).output().unwrap();
            std::thread::sleep(Duration::from_secs(1));
            goes_on();
            run.signal("CONT").unwrap();
            field.ended(run, words).ends(6).shows(&["is as it was before", "container of `web` died"]);
        }
        Killed::Uplift => {
            run.signal("KILL").unwrap();
            assert_eq!(field.ended(run, words).exit(), None);
            field.uplift("status").ends(9).shows(&["interrupted", "uplift rollback"]);
            goes_on();
            field.uplift("rollback -y").ends(0).shows(&["is as it was before"]);
        }
    }
    assert_eq!(field.stack.psql("postgres", at_work).unwrap(), "", "nothing goes on");
    pid
}

/// The server's process that is at it, asked until there is one.
fn waited_pid(field: &Field, run: &Started, query: &str) -> String {
    let mut pid = String::new();
    let waited = wait_until("the server to be at it", Duration::from_mins(8), || {
        pid = field.stack.psql("postgres", query).unwrap_or_default();
        !pid.is_empty()
    });
    waited.unwrap_or_else(|error| panic!("{error}\n{}", last_words(run)));
    pid
}

/// What the database server has written, oldest first.
fn server_log(field: &Field) -> Vec<String> {
    let ran = lab().tools.docker().arg("logs").arg(field.stack.postgres()).run().unwrap();
    format!("{}{}", ran.stdout, ran.stderr).lines().map(str::to_owned).collect()
}
