//! A worker that takes its time to stop: how long web is away for it, and what a run finds that comes in between.

use std::{collections::BTreeMap, fs, thread::sleep, time::Duration};

use super::{Field, told::until_it_begins};
use crate::lab::Shape;

/// Its process ends no sooner than it is killed, like a worker whose jobs go on.
const DEAF: &str = "\
services:
  web:
    stop_grace_period: 3s
  job:
    stop_grace_period: 7s
    command: [\"bash\", \"-c\", \"trap : TERM; ./bin/jobs & while true; do sleep 1; done\"]
";

/// What the engine takes for granted of such a worker, and a moment.
const KILLED: Duration = Duration::from_secs(8);

#[test]
fn a_worker_that_takes_its_time_to_stop() {
    let field = Field::quick(Shape::Present, "1.1.0");
    fs::write(field.dir().join("docker-compose.override.yml"), DEAF).unwrap();
    field.stack.compose("up -d --no-deps web").unwrap();
    field.stack.wait_web().unwrap();
    field.stack.compose("up -d --no-deps job").unwrap();
    field.assert_up();
    field.stack.settle().unwrap();
    whoever_comes_while_it_stops_waits_for_it(&field);
    web_is_told_so_late_that_both_end_together(&field);
    field.end();
}

/// The engine goes on with a stop although nobody waits for it any more.
fn whoever_comes_while_it_stops_waits_for_it(field: &Field) {
    let before = field.stack.state().unwrap();
    let words = "upgrade --to 1.1.1 -y -o json";
    let run = field.start(words);
    until_it_begins(&run, "stop/compose_stop#1");
    sleep(Duration::from_millis(1500));
    run.signal("KILL").unwrap();
    let _killed = field.ended(run, words);
    field.uplift("rollback -y").ends(0).shows(&["is as it was before"]);
    sleep(KILLED);
    assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new());
}

fn web_is_told_so_late_that_both_end_together(field: &Field) {
    let began = field.stack.tools().docker().args("info -f {{.SystemTime}}").output().unwrap();
    field.uplift("upgrade --to 1.1.1 -y --settle 1s").ends(0);
    let told = first(field, &began, "kill");
    let ended = first(field, &began, "die");
    assert!(ended["web"] < ended["job"], "web waits for no worker: {told:?}, {ended:?}");
    let between = told["web"].saturating_sub(told["job"]);
    // The worker may take 7 s, web 3 s.
    let expected = Duration::from_millis(3500)..Duration::from_millis(5500);
    assert!(expected.contains(&between), "web was told {between:?} after the worker: {told:?}, {ended:?}");
}

/// When this first happened to each service, as the engine tells it.
fn first(field: &Field, since: &str, event: &str) -> BTreeMap<String, Duration> {
    let docker = field.stack.tools().docker().args("events --until 0s --since").arg(since);
    let project = format!("label=com.docker.compose.project={}", field.stack.project());
    let docker = docker.arg("--filter").arg(format!("event={event}")).arg("--filter").arg(project);
    let format = "{{index .Actor.Attributes \"com.docker.compose.service\"}} {{.TimeNano}}";
    let said = docker.arg("--format").arg(format).output().unwrap();
    let mut first = BTreeMap::new();
    for line in said.lines() {
        let (service, at) = line.split_once(' ').unwrap();
        first.entry(service.to_owned()).or_insert(Duration::from_nanos(at.parse().unwrap()));
    }
    first
}
