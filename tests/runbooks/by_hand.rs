//! A run was stopped while the site is down, and somebody types `docker compose up -d`.

use std::time::Duration;

use uplift::{
    Ending, Event, World,
    event::ExitClass,
    ports::docker::{Start, Stop},
};

use super::{
    night::{Night, given},
    restore::with_a_set,
};

const ORDERS: u64 = 5;
const OLD: &str = "k1aaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "k9bbbbbbbbbbbbbbbbbbbbbbbbbb";
const TRIAL: &str = "remove container of strata-trial";

/// Stopped at this change; then the older release was started, and users have written with it.
async fn started_by_hand(last: &'static str) -> Night {
    let world = World::strata();
    world.upload(OLD, "needed by a row of before");
    let night = Night::of(world);
    night.stopped_at("compose/upgrade", &given("1.1.0"), last).await;
    start(&night).await;
    night.world.place_orders(ORDERS);
    night
}

/// What `docker compose up -d` does where nothing else has changed.
async fn start(night: &Night) {
    night.world.advance(Duration::from_secs(1));
    for one in night.world.containers().into_iter().filter(|one| one.service().is_some()) {
        let start = Start { id: one.id, service: String::new(), image: String::new() };
        night.world.ports().docker.start(&start).await.unwrap();
    }
    night.world.advance(Duration::from_secs(20));
}

fn found(ending: &Ending) -> String {
    ending.question().unwrap_or_else(|| panic!("nothing is asked: {ending:?}")).found.join("; ")
}

#[tokio::test]
async fn going_back_asks_about_what_users_wrote_meanwhile() {
    let night = started_by_hand(TRIAL).await;
    let told = night.rollback(None).await;
    let found = found(&told.ending);
    assert!(found.contains("`web` was started at") && found.contains("5 rows"), "{found}");
    assert_eq!(night.world.lost_orders(), 0);
    let other = night.fork();
    let told = other.rollback(Some("return-code")).await;
    assert_eq!(told.ending.exit(), ExitClass::Done, "{:?}", told.ending);
    assert_eq!((other.runs().as_str(), other.world.lost_orders()), ("1.0.0 1.0.0", 0));
    let told = night.rollback(Some("restore-data")).await;
    assert_eq!(told.ending.exit(), ExitClass::Done, "{:?}", told.ending);
    assert_eq!((night.runs().as_str(), night.world.lost_orders()), ("1.0.0 1.0.0", ORDERS));
}

/// It makes no difference that everything stands still again.
#[tokio::test]
async fn what_ran_and_was_stopped_again_has_been_written_with() {
    let night = started_by_hand(TRIAL).await;
    stop(&night).await;
    let told = night.rollback(None).await;
    assert!(found(&told.ending).contains("`web` was started at"), "{:?}", told.ending);
}

async fn stop(night: &Night) {
    for one in night.world.containers() {
        let stop = Stop { id: one.id, service: String::new(), timeout: None };
        night.world.ports().docker.stop(&stop).await.unwrap();
    }
}

/// Nor does it let the savepoint stand for what was written after it.
#[tokio::test]
async fn going_on_does_not_migrate_what_users_wrote_meanwhile() {
    for runs in [true, false] {
        let night = started_by_hand("copy strata_production_cable").await;
        if !runs {
            stop(&night).await;
        }
        let back = night.fork();
        assert_eq!(back.rollback(None).await.ending.exit(), ExitClass::Done, "nothing was migrated");
        assert_eq!((back.runs().as_str(), back.world.lost_orders()), ("1.0.0 1.0.0", 0));
        let told = night.resume(None).await;
        let refused = |event: &Event| matches!(event, Event::CallFailed { failure, .. } if failure.code == "started_by_hand");
        assert!(told.events.iter().any(refused), "{:?}", told.ending);
        assert!(found(&told.ending).contains("`web` was started at"), "{:?}", told.ending);
        assert_eq!(night.world.lost_orders(), 0);
    }
}

/// A file is gone: what users have uploaded since is not exchanged with the folder of before.
#[tokio::test]
async fn what_users_uploaded_meanwhile_stays() {
    for choice in ["return-code", "restore-data"] {
        let night = started_by_hand(TRIAL).await;
        night.world.remove_file(night.world.uploaded(OLD));
        night.world.upload(NEW, "of a user");
        let told = night.rollback(None).await;
        assert!(found(&told.ending).contains("`web` was started at"), "{:?}", told.ending);
        let told = night.rollback(Some(choice)).await;
        assert_eq!(told.ending.exit(), ExitClass::Done, "{:?}", told.ending);
        let there = |key: &str| night.world.file(night.world.uploaded(key)).is_some();
        assert!(there(NEW), "{choice}");
        assert_eq!(there(OLD), choice == "restore-data", "its row is there again only with the data");
    }
}

/// A site that a restore, or a return, has stopped at this change and that somebody has started then: users have written to
/// what has taken the places by now.
async fn in_place(runbook: &str, last: &'static str) -> (Night, String) {
    let (night, run) = with_a_set().await;
    // A return puts it back, and going back from the return takes it away again.
    if runbook == "compose/rollback" {
        night.world.remove_file(night.world.uploaded(OLD));
    }
    let name = if runbook == "compose/restore" { "set" } else { "run" };
    let given = [(name, run.as_str()), ("restore_data", "always"), ("jobs", "run"), ("settle", "10s")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let open = night.stopped_at(runbook, &given, last).await;
    start(&night).await;
    night.world.place_orders(ORDERS);
    night.world.upload(NEW, "of a user");
    (night, open)
}

#[tokio::test]
async fn what_users_did_on_what_was_restored_or_returned_is_kept() {
    for (runbook, last) in [("compose/restore", "exchange /"), ("compose/rollback", "put back /")] {
        let (night, run) = in_place(runbook, last).await;
        let told = night.rollback(None).await;
        assert!(found(&told.ending).contains("`web` was started at"), "{runbook}: {:?}", told.ending);
        let started = || night.world.containers().into_iter().map(|one| one.started).collect::<Vec<_>>();
        let before = started();
        let log = night.world.log().len();
        let told = night.rollback(Some("restore-data")).await;
        assert_eq!(told.ending.exit(), ExitClass::Done, "{runbook}: {:?}", told.ending);
        assert_eq!(night.runs(), "1.1.0 1.1.0", "{runbook}");
        assert!(
            started().iter().all(|at| !before.contains(at)),
            "{runbook}: they see what has its place again"
        );
        let log = &night.world.log()[log..];
        let first = |words: &str| log.iter().position(|line| line.starts_with(words));
        let moved = ["exchange ", "close ", "remove /var"].iter().filter_map(|words| first(words)).min();
        assert!(
            first("stop ") < moved && moved.is_some(),
            "{runbook}: they stand still before anything moves: {log:?}"
        );
        let aside =
            night.world.database(&format!("strata_production__failed_{}_returned", run.replace('-', "_")));
        assert!(aside.is_some(), "{runbook}");
        if runbook == "compose/restore" {
            let live = night.world.uploaded(NEW);
            let root = live.ancestors().find(|path| path.ends_with("_data")).unwrap();
            let aside = root.join(format!("uplift-restore-{run}")).join(live.strip_prefix(root).unwrap());
            let beside = root
                .parent()
                .unwrap()
                .join(format!("uplift-restore-{run}"))
                .join(live.strip_prefix(root).unwrap());
            let there = |path: &std::path::Path| night.world.file(path).is_some();
            assert!(there(&aside) || there(&beside), "what a user has uploaded: {}", aside.display());
        }
    }
}
