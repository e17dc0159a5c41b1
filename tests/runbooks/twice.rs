//! What goes on although something beside it is not as usual: a release that is tried a second time, a log that is lost.

use uplift::{Ending, World, event::ExitClass, sim::Fault};

use super::night::Night;

const TRIES_TWICE: &str = r#"
const RUNBOOK = #{ api: 1, summary: "try a release, and once more" };

step "stop" { compose_stop(#{ services: [site::job, site::web], hold: true }); }
step "try" {
    pg_savepoint(#{ mode: "always" });
    compose_trial(#{ tag: "1.1.0", stable_for: "1s", timeout: "1m" });
    compose_trial(#{ tag: "1.1.0", stable_for: "1s", timeout: "1m" });
}
step "start" { compose_up(#{ services: [site::web, site::job] }); }
"#;

/// The second is no echo of the first.
#[tokio::test]
async fn a_release_that_is_tried_twice_boots_twice() {
    let night = Night::of(World::strata());
    night.world.pulled("1.1.0");
    night.world.put_file("/srv/strata/twice.rhai", TRIES_TWICE, 0o644);
    assert_eq!(night.run("/srv/strata/twice.rhai", &[]).await.ending, Ending::Done);
    let log = night.world.log();
    let boots = log.iter().filter(|line| line.starts_with("run ") && line.ends_with("aside: create")).count();
    assert_eq!(boots, 2, "{log:#?}");
}

/// After a power cut the engine may not be able to read what containers have said.
#[tokio::test]
async fn a_log_that_cannot_be_read_holds_up_neither_way() {
    let night = Night::of(World::strata());
    night.world.lose_logs();
    let told = night.upgrade("1.7.0").await;
    assert_eq!(told.ending.exit(), ExitClass::TakenBack, "{:?}", told.ending);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
}

/// A disk that fills up while the site is down must not keep it down for the sake of a log.
#[tokio::test]
async fn a_log_that_has_no_room_holds_up_nobody() {
    let good = Night::of(World::strata());
    assert_eq!(good.upgrade("1.1.0").await.ending, Ending::Done);
    let logs: Vec<_> = good.world.log();
    let logs = logs.iter().enumerate().filter(|(_, line)| line.contains("/kept/") && line.contains(".log"));
    let writes: Vec<_> = logs.map(|(at, _)| at + 1).collect();
    assert!(writes.len() > 2, "web, job and the trial: {:#?}", good.world.log());
    for n in writes {
        let night = Night::of(World::strata());
        night.world.fault(n, Fault::NoRoom);
        assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done, "without the log of write {n}");
    }
}
