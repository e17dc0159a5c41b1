//! A signal stops a run in good order. It reaches a whole process, so that each of these is one of its own.

use std::process::Command;

use uplift::event::ExitClass;

use super::desk::Desk;

fn in_a_child(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_signal_stops_a_run_that_has_changed_the_site() {
    in_a_child("words::signals::stopped_in_the_middle");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "sends a signal to its own process"]
async fn stopped_in_the_middle() {
    let desk = Desk::new().interrupted_at("...   wait until `web` is well");
    let seen = desk.types("uplift upgrade --to 1.1.0 -y").await;
    assert_eq!(seen.exit, ExitClass::Unfinished, "{}", seen.page());
    assert!(seen.err.contains("stopping in good order"), "{}", seen.err);
    assert!(seen.err.contains("STOPPED IN THE MIDDLE: stopped by a signal"), "{}", seen.err);
    assert!(desk.host().await.unfinished().unwrap().is_some());
}

#[test]
fn a_signal_before_any_change_ends_with_nothing_changed() {
    in_a_child("words::signals::stopped_before_any_change");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "sends a signal to its own process"]
async fn stopped_before_any_change() {
    let desk = Desk::new().interrupted_at("start now?");
    let before = desk.world.running();
    let seen = desk.types("uplift upgrade --to 1.1.0").await;
    assert_eq!(seen.exit, ExitClass::Interrupted, "{}", seen.page());
    assert_eq!(desk.world.running(), before);
}

#[test]
fn a_closed_terminal_stops_nothing() {
    in_a_child("words::signals::hung_up");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "sends a signal to its own process"]
async fn hung_up() {
    let desk = Desk::new().hung_up_at("...   wait until `web` is well");
    let seen = desk.types("uplift upgrade --to 1.1.0 -y").await;
    assert_eq!(seen.exit, ExitClass::Done, "{}", seen.page());
}

#[test]
fn a_signal_stops_the_tests_of_runbooks() {
    in_a_child("words::signals::stopped_while_testing");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "sends a signal to its own process"]
async fn stopped_while_testing() {
    let desk = Desk::new();
    let text = "test \"first\" { expect(true); }\n\
                test \"long\" { for _day in 0..500 { expect(simulated(\"plain\").run(\"compose/backup\").code, 0); } }";
    desk.world.put_file("/srv/strata/uplift/tests/long.rhai", text, 0o644);
    let seen = desk.types("uplift runbook test long --only first").await;
    assert_eq!(seen.exit.code(), 0, "{}", seen.page());
    let stopping = tokio::spawn(async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
    });
    let seen = desk.types("uplift runbook test long").await;
    stopping.await.unwrap();
    assert_eq!(seen.exit.code(), 130, "{}", seen.page());
    assert!(!seen.out.contains("FAIL"), "{}", seen.page());
}
