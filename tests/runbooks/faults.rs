//! Every write of an upgrade and of its way back goes wrong once, in every way.

use uplift::{Ending, World, event::ExitClass, sim::Fault};

use super::night::Night;

const FAULTS: [Fault; 3] = [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter];

/// Where a site may stand once everything is over.
fn lawful(night: &Night, tag: &str, when: &str) {
    let env = night.world.setting("STRATA_VERSION").expect("`.env` is whole");
    assert!(env == "1.0.0" || env == "1.1.0" || env == tag, "{when}: `.env` says `{env}`");
    assert!(night.world.database("strata_production").is_some(), "{when}: the database is there");
}

async fn upgrade_with(make: fn() -> World, tag: &str, n: usize, fault: Fault) {
    let night = Night::of(make());
    let when = format!("{tag}, {fault:?} at write {n}");
    let before = night.world.running();
    night.world.fault(n, fault);
    let told = night.try_upgrade(tag).await;
    night.world.clear_faults();
    let Ok(told) = told else {
        assert_eq!(night.world.running(), before, "{when}");
        assert!(night.unfinished().await.is_none(), "{when}: the door stayed shut, so there is no run");
        return;
    };
    lawful(&night, tag, &when);
    match told.ending.exit() {
        ExitClass::Done => assert_eq!(night.runs(), format!("{tag} {tag}"), "{when}"),
        ExitClass::Refused | ExitClass::TakenBack => assert_eq!(night.world.running(), before, "{when}"),
        ExitClass::NeedsPerson | ExitClass::Unfinished => {
            let row = night.unfinished().await.unwrap_or_else(|| panic!("{when}: the run stays open"));
            assert!(row.ending.is_some(), "{when}");
            let choice = told.ending.question().and_then(|question| question.choices.first());
            let back = night.rollback(choice.map(|choice| choice.key.as_str())).await;
            assert!(
                matches!(back.ending, Ending::RolledBack { .. }),
                "{when}: {:?} after {:?}",
                back.ending,
                told.ending
            );
            let now = night.world.running();
            assert_eq!((now.containers, now.files), (before.containers, before.files), "{when}");
        }
        other => panic!("{when}: {other:?}"),
    }
    assert!(night.unfinished().await.is_none(), "{when}");
}

async fn matrix(make: fn() -> World, tag: &str) -> usize {
    let night = Night::of(make());
    night.upgrade(tag).await;
    let writes = night.world.writes();
    for n in 1..=writes {
        for fault in FAULTS {
            upgrade_with(make, tag, n, fault).await;
        }
    }
    writes * FAULTS.len()
}

#[tokio::test]
async fn a_fault_at_every_write_of_a_good_upgrade() {
    let tried = matrix(World::strata, "1.1.0").await;
    println!("{tried} faults tried");
    assert!(tried > 30, "only {tried}");
}

#[tokio::test]
async fn a_fault_at_every_write_of_an_upgrade_that_is_taken_back() {
    let tried = matrix(World::strata, "1.7.0").await;
    println!("{tried} faults tried");
    assert!(tried > 40, "only {tried}");
}

#[tokio::test]
async fn a_fault_at_every_write_of_an_upgrade_that_ends_with_a_question() {
    let tried = matrix(World::strata, "1.6.0").await;
    println!("{tried} faults tried");
    assert!(tried > 30, "only {tried}");
}
