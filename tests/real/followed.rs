//! A run that others look on at from another terminal, and whose log somebody moves away.

use std::{fs, time::Duration};

use super::{Field, told::until_it_begins};
use crate::lab::{Shape, Started, wait_until};

fn until_it_shows(follower: &Started, words: &str) {
    let shows = || follower.stdout().contains(words);
    wait_until(words, Duration::from_secs(20), shows)
        .unwrap_or_else(|why| panic!("{why}: {}", follower.stdout()));
}

#[test]
fn who_looks_on_sees_what_is_at_work_and_disturbs_nothing() {
    let field = Field::quick(Shape::Present, "1.1.0");
    let run = field.start("upgrade --to 1.1.1 -y --settle 8s -o json");
    until_it_begins(&run, "prepare/backup#1");
    let first = field.start("show --follow");
    let last = field.start("show --follow");
    until_it_begins(&run, "switch web/wait_healthy#1");
    until_it_shows(&first, "wait until `web` is well");
    first.signal("INT").unwrap();
    field.ended(first, "show --follow").ends(130);

    field.uplift("show").ends(0).shows(&["at work", "wait until `web` is well", "since"]);
    let log = fs::read_dir(field.state("logs")).unwrap().next().unwrap().unwrap().path();
    let moved = log.with_extension("jsonl.1");
    fs::rename(&log, &moved).unwrap();
    field.uplift("show").ends(0).shows(&["at work"]);
    field.ended(run, "upgrade --to 1.1.1").ends(0);
    field.ended(last, "show --follow").ends(0).shows(&[
        "DONE: the site runs 1.1.1",
        "ok",
        "prove that everything",
    ]);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("run_ended") && !text.contains("run_started"), "{text}");
    assert!(fs::read_to_string(&moved).unwrap().contains("run_started"));
    field.assert_runs("1.1.1");
    field.end();
}
