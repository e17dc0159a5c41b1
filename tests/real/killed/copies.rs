//! A database server that goes on with what a killed uplift had asked it for.

use std::{fs, time::Duration};

use super::{
    super::Field,
    end::Way,
    walk::{Flow, Walk},
};
use crate::lab::{Shell, wait_until};

#[test]
fn a_copy_that_the_server_still_makes_is_not_left_behind() {
    let mut walk = Walk::begin();
    walk.heavy();
    let scene = walk.scene(Flow::Upgrade, false);
    let words = walk.words(Flow::Upgrade);
    let run = walk.field.start(&words);
    let backend = held_copy(&walk.field);
    run.signal("KILL").unwrap();
    assert_eq!(walk.field.ended(run, &words).exit(), None);
    let id = scene.run(&walk.field).unwrap().id;
    let words = format!("{} -o json", Way::Rollback.words(&id));
    let back = walk.field.start(&words);
    // The copy is held up until the rollback believes that it has taken everything back, or ends the copy.
    wait_until("the rollback to come to the copy", Duration::from_mins(3), || {
        let over =
            back.stdout().lines().any(|line| line.contains("undone") && line.contains("/pg_savepoint#1"));
        over || is_told_to_end(&backend)
    })
    .unwrap();
    signal(&backend, "CONT");
    let _screen = walk.field.ended(back, &words).ends(0);
    walk.judged(&scene, None);
    walk.field.end();
}

/// Waits until the server copies a database, and has it stand still in the middle of that.
fn held_copy(field: &Field) -> String {
    let inspect = field.stack.tools().docker().args("inspect -f {{.State.Pid}}").arg(field.stack.postgres());
    let server = inspect.output().unwrap();
    let mut found = None;
    wait_until("the server to copy a database", Duration::from_mins(2), || {
        // A copy takes less time than the pause between two questions here.
        for _ in 0..40 {
            let list =
                Shell::new("ps").args("-o pid=,args= --ppid").arg(&server).output().unwrap_or_default();
            let copy = list.lines().find(|line| line.contains("CREATE DATABASE"));
            if let Some(pid) = copy.and_then(|line| line.split_whitespace().next()) {
                signal(pid, "STOP");
                found = Some(pid.to_owned());
                return true;
            }
        }
        false
    })
    .unwrap();
    found.unwrap()
}

/// Whether a signal waits for a process that stands still.
fn is_told_to_end(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let waiting = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or_default();
    waiting.trim().chars().any(|digit| digit != '0')
}

fn signal(pid: &str, name: &str) {
    let _gone = Shell::new("kill").arg(format!("-{name}")).arg(pid).output();
}
