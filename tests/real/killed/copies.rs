//! A database server that goes on with what a killed uplift had asked it for.

use std::time::Duration;

use super::{
    super::Field,
    end::{Way, end_it},
    walk::{Flow, Walk},
};
use crate::lab::{Shell, wait_until};

/// How long the copy is held up: longer than a rollback takes to come to it.
const HELD: Duration = Duration::from_secs(6);

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
    std::thread::scope(|threads| {
        let ended = threads.spawn(|| end_it(&walk.field, Way::Rollback, &id));
        std::thread::sleep(HELD);
        signal(&backend, "CONT");
        let _screen = ended.join().unwrap().ends(0);
    });
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

fn signal(pid: &str, name: &str) {
    let _gone = Shell::new("kill").arg(format!("-{name}")).arg(pid).output();
}
