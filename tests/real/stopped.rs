//! Ctrl-C, and a terminal that is closed.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    Field,
    field::{image, lab},
    told::until_it_begins,
};
use crate::lab::{Registry, Shape, Shell, wait_until};

/// From the signal to the end, on a machine that does other things besides.
const AT_ONCE: Duration = Duration::from_millis(1500);

#[test]
fn ctrl_c_during_the_dump_leaves_nothing_behind() {
    let field = Field::quick(Shape::Present, "1.1.0");
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    // What holds this lock keeps the dump waiting for its table.
    let lock = "BEGIN; LOCK TABLE solid_cable_messages IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(100)";
    let psql =
        "/usr/lib/postgresql/15/bin/psql -U postgres -h /var/run/postgresql -d strata_production_cable -c";
    let holder =
        lab().tools.docker().arg("exec").arg(field.stack.postgres()).args(psql).arg(lock).start().unwrap();
    interrupted(&field, "upgrade --to 1.1.1 -y -o json", "prepare/backup#1", 130);
    drop(holder);
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
    field.stack.psql("postgres", query).unwrap();
    let dumps = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%dump%' OR application_name LIKE '%uplift%'";
    wait_until("the server to be rid of the dump", Duration::from_secs(10), || {
        field.stack.psql("postgres", dumps).is_ok_and(|count| count == "0")
    })
    .unwrap();
    unchanged(&field, &before);
    let left = field.backups();
    assert!(left.is_empty(), "half a backup is no backup: {left:?}");
    field.end();
}

#[test]
fn ctrl_c_during_the_pull_leaves_nothing_behind() {
    let registry = Registry::start(&lab().tools, &lab().images).unwrap();
    registry.push("1.1.0").unwrap();
    registry.push("1.1.1").unwrap();
    let field = Field::behind(&registry, Shape::Present, "1.1.0");
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    registry.hold(true);
    interrupted(&field, "upgrade --to 1.1.1 -y -o json", "prepare/compose_pull#1", 130);
    registry.hold(false);
    unchanged(&field, &before);
    field.uplift("upgrade --to 1.1.1 -y --settle 1s").ends(0);
    field.end();
}

/// Nothing was changed, and no run is open.
fn unchanged(field: &Field, before: &crate::lab::SiteState) {
    assert_eq!(field.stack.state().unwrap().differences(before), Vec::<String>::new());
    field.uplift("status").ends(0);
    field.assert_up();
}

#[test]
fn ctrl_c_while_web_is_awaited_says_where_the_site_stands() {
    let field = Field::quick(Shape::Present, "1.1.0");
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    let words = "upgrade --to 1.2.0 -y --settle 1s -o json";
    interrupted(&field, words, "switch web/wait_healthy#1", 9);
    field.uplift("status").ends(9).shows(&["uplift resume", "uplift rollback"]);
    field.uplift("rollback -y").ends(0).shows(&["is as it was before"]);
    unchanged(&field, &before);

    // The same for a person, who is told in words what to type.
    let run = field.start("upgrade --to 1.2.0 -y --settle 1s");
    let waits = || running_image(&field) == image("1.2.0");
    wait_until("web of the new release", Duration::from_mins(1), waits).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    run.signal("INT").unwrap();
    let screen = field.ended(run, "upgrade --to 1.2.0").ends(9);
    screen.shows(&["uplift resume", "uplift rollback"]);
    field.uplift("rollback -y").ends(0);
    unchanged(&field, &before);
    field.end();
}

fn running_image(field: &Field) -> String {
    field.stack.containers().unwrap().get("web").map(|web| web.image.clone()).unwrap_or_default()
}

/// Starts, waits until a call is at work, and sends uplift alone what Ctrl-C would.
#[track_caller]
fn interrupted(field: &Field, words: &str, address: &str, exit: i32) {
    let run = field.start(words);
    until_it_begins(&run, address);
    std::thread::sleep(Duration::from_millis(700));
    let children = descendants(run.pid());
    let asked = Instant::now();
    run.signal("INT").unwrap();
    let screen = field.ended(run, words);
    let took = asked.elapsed();
    assert!(took < AT_ONCE, "gone after {took:?}\n{screen}");
    let _ended = screen.ends(exit);
    let alive: Vec<_> = children.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
    assert!(alive.is_empty(), "{alive:?} of {children:?} live on");
}

/// Processes below this one.
fn descendants(pid: u32) -> Vec<u32> {
    let list = Shell::new("ps").args("-o pid= --ppid").arg(pid.to_string()).output().unwrap_or_default();
    let children: Vec<u32> = list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    let below: Vec<_> = children.iter().flat_map(|pid| descendants(*pid)).collect();
    [children, below].concat()
}

#[test]
fn a_closed_terminal_does_not_stop_a_run() {
    let field = Field::quick(Shape::Present, "1.1.0");
    let uplift = env!("CARGO_BIN_EXE_uplift");
    let script = field.wrapped("script", "-q -c").arg(format!("{uplift} upgrade --to 1.1.1 -y --settle 1s"));
    // `script` is the terminal: with it goes the other end of what uplift writes to.
    let mut terminal = script.arg("/dev/null").command();
    let mut terminal = terminal.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the run to begin", Duration::from_mins(1), || field.state("logs").exists()).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let done = || field.uplift("history -o json").everything().contains("\"done\"");
    wait_until("the run to end by itself", Duration::from_mins(1), done).unwrap();
    field.uplift("status").ends(0);
    field.assert_runs("1.1.1");
    field.assert_up();
    let log = fs::read_dir(field.state("logs")).unwrap().next().unwrap().unwrap();
    let log = fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("run_ended"), "the log holds the whole run: {log}");
    field.end();
}
