//! What the screen says where nobody could be told of a run.

use uplift::sim::Notifier;

use super::{desk::Desk, screen};

fn desk(does: Notifier) -> Desk {
    let desk = Desk::new();
    desk.world.put_notifier("/usr/local/bin/tell", does);
    desk.world.put_file("/srv/strata/uplift.toml", "[notify]\ncommand = [\"tell\"]\n", 0o644);
    desk
}

/// How it ended comes first: whoever is told may take a while, or never come back.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_ending_because_of_a_notice() {
    let desk = desk(Notifier::Hangs);
    let seen = desk.types("uplift upgrade --to 1.1.0 -y").await;
    assert_eq!(seen.exit.code(), 0);
    let at = |words: &str| seen.err.find(words).unwrap_or_else(|| panic!("no {words} in {}", seen.err));
    assert!(at("nobody was told that this run has begun") < at("DONE: `strata` runs 1.1.0"));
    assert!(at("uplift status") < at("nobody was told that this run has ended"), "{}", seen.err);
    let seen = desk.types("uplift upgrade --to 1.1.1 -y --quiet").await;
    assert_eq!(seen.err.matches("WARN").count(), 2, "{}", seen.err);
    let log = desk.types("uplift upgrade --to 1.0.0 -y -o json").await;
    assert!(!log.out.contains("nobody"), "a run that is refused before it begins: {}", log.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_that_nobody_will_be_told() {
    let desk = desk(Notifier::Takes);
    let plan = desk.types("uplift upgrade --to 1.1.0 --dry-run").await;
    assert!(!plan.out.contains("nobody"), "{}", plan.out);
    desk.world.remove_file("/usr/local/bin/tell");
    screen("untold_plan", &desk, "uplift backup create --dry-run").await;
    let words = desk.types("uplift upgrade --to 1.1.0 -y").await.err;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let (plan, run) = words.split_once("run 2026").expect("it runs");
    assert!(plan.contains("WARN nobody will be told of this run: there is no `tell` in `PATH`"), "{plan}");
    assert!(run.contains("DONE: `strata` runs 1.1.0"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_meant_are_refused() {
    let desk = desk(Notifier::Takes);
    desk.world.put_file("/srv/strata/uplift.toml", "[notify]\ncommand = \"tell --room ops\"\n", 0o644);
    screen("untold_settings", &desk, "uplift upgrade --to 1.1.0 -y").await;
}
