//! The lock in the database: two machines that share a server never work on the same site, and a run that has lost it
//! begins nothing more.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use uplift::{
    Ending, Event, HostError, World,
    event::{ExitClass, Failure},
    journal::Entry,
    ports::{Ports, clock::Clock},
    run::PlanEnd,
    sim::Fault,
};

use super::night::{Night, Told, given, told};

/// A clock that stands still at the first wait until it is let go.
struct Held {
    world: World,
    waits: Notify,
    go: Semaphore,
}

#[async_trait]
impl Clock for Held {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn sleep(&self, time: Duration) {
        self.waits.notify_one();
        // Closed: everybody may go.
        let _gone = self.go.acquire().await;
        self.world.sleep(time).await;
    }
}

/// Lets it go, also where the test fails: a run that waits for ever would keep the test from its end.
struct Go(Arc<Held>);

impl Drop for Go {
    fn drop(&mut self) {
        self.0.go.close();
    }
}

/// Nothing was changed by whoever was kept out: no write, no run, and his own lock is free again.
async fn kept_out(night: &Night, writes: usize) {
    assert_eq!(night.world.writes(), writes);
    assert_eq!(night.host().await.history().unwrap(), [], "no run claims to be at work");
    assert!(night.host().await.runs().unwrap().holder().is_none());
}

fn refused<T>(result: Result<T, HostError>) -> (ExitClass, Failure) {
    let error = result.err().expect("the door stays shut");
    (error.exit(), error.failure())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_machines_the_second_is_kept_out_and_told_who_works() {
    let first = Night::of(World::strata());
    let second = Night::of(first.world.clone());
    let clock = Arc::new(Held { world: first.world.clone(), waits: Notify::new(), go: Semaphore::new(0) });
    let go = Go(Arc::clone(&clock));
    let ports = Ports { clock: clock.clone(), ..first.world.ports() };
    let upgrade = first.host_on(ports).await.runbook("compose/upgrade", &given("1.1.1")).await.unwrap();
    let run = upgrade.start(upgrade.plan().await, "uplift upgrade").await.unwrap();
    let id = run.id().to_owned();
    clock.waits.notified().await;
    let writes = first.world.writes();
    let (exit, failure) = refused(second.try_upgrade("1.1.0").await);
    assert_eq!((exit, failure.code.as_str()), (ExitClass::Held, "site_held"), "{failure}");
    let who = uplift::who();
    for part in [id.as_str(), who.as_str(), "db.example:5432"] {
        assert!(failure.message.contains(part), "`{part}` is missing in: {failure}");
    }
    kept_out(&second, writes).await;
    drop(go);
    assert_eq!(told(run).await.ending, Ending::Done, "the first is not disturbed");
    assert!(first.world.lock_holder().is_none(), "the lock goes with the run");
    assert!(matches!(second.upgrade("1.1.1").await.ending, Ending::NothingNeeded { .. }));
}

#[tokio::test]
async fn another_machine_keeps_out_whoever_wants_to_go_on_or_back() {
    let night = Night::of(World::strata());
    night.world.fault(32, Fault::LosesLock);
    assert_eq!(night.upgrade("1.1.0").await.ending.exit(), ExitClass::Unfinished);
    night.world.hold_lock("uplift 20261124-031500-7f3a ann@web2");
    let (writes, row) = (night.world.writes(), night.unfinished().await);
    for result in [night.try_resume(None).await, night.try_rollback(None).await] {
        let (exit, failure) = refused(result);
        assert_eq!((exit, failure.code.as_str()), (ExitClass::Held, "site_held"));
        assert!(failure.message.contains("20261124-031500-7f3a ann@web2"), "{failure}");
    }
    assert_eq!((night.world.writes(), night.unfinished().await), (writes, row));
    night.world.lose_lock();
    assert_eq!(night.resume(None).await.ending, Ending::Done);
}

#[tokio::test]
async fn who_may_not_take_the_lock_is_told_what_to_set() {
    let night = Night::of(World::strata());
    let writes = night.world.writes();
    night.world.deny_lock(true);
    let end = night.plan("1.1.0").await.end;
    assert!(matches!(&end, PlanEnd::Fails { failure, .. } if failure.code == "lock_denied"), "{end:?}");
    let (exit, failure) = refused(night.try_upgrade("1.1.0").await);
    assert_eq!((exit, failure.code.as_str()), (ExitClass::Refused, "lock_denied"));
    assert!(failure.hint.unwrap_or_default().contains("`UPLIFT_DB_ADMIN_URL`"));
    kept_out(&night, writes).await;
    night.world.deny_lock(false);
    night.world.set_pooler(Some("PgBouncer"));
    let (exit, failure) = refused(night.try_upgrade("1.1.0").await);
    assert_eq!((exit, failure.code.as_str()), (ExitClass::Refused, "pooled"));
    kept_out(&night, writes).await;
    night.world.set_pooler(None);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
}

#[tokio::test]
async fn a_new_run_needs_the_server_and_a_plan_needs_no_lock() {
    let night = Night::of(World::strata());
    let upgrade = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    night.world.hold_lock("uplift 20261124-031500-7f3a ann@web2");
    let plan = upgrade.plan().await;
    assert!(plan.addresses().join(" ").contains("compose_up"), "a plan is made whoever works");
    night.world.lose_lock();
    let writes = night.world.writes();
    night.world.set_server(false, false);
    let (exit, failure) = refused(upgrade.start(plan, "uplift upgrade").await);
    assert_eq!((exit, failure.code.as_str()), (ExitClass::Refused, "database_unreachable"));
    kept_out(&night, writes).await;
}

/// The loss is the end: whatever began before it may come to its own end, and nothing begins after it.
fn nothing_began_since(night: &Night, told: &Told, calls: &[Entry], when: &str) -> bool {
    let Ending::Unfinished { cause: Some(cause), .. } = &told.ending else {
        let over = matches!(told.ending, Ending::Done | Ending::TakenBack { .. });
        assert!(over, "{when}: {:?}", told.ending);
        return false;
    };
    assert_eq!((cause.code.as_str(), told.ending.exit()), ("lock_lost", ExitClass::Unfinished), "{when}");
    assert!(cause.message.contains("db.example:5432") && cause.hint.is_some(), "{when}: {cause}");
    let open = calls.iter().filter(|call| call.state.open()).count();
    assert_eq!(open, 0, "{when}: every call that began has ended");
    assert!(night.world.lock_holder().is_none(), "{when}");
    true
}

/// `tag` with the lock lost at every third of its writes. Only in the last call of all is nothing left to be stopped.
async fn lost_everywhere(tag: &str, back: bool) {
    let night = Night::of(World::strata());
    let before = night.world.writes();
    night.upgrade(tag).await;
    let tried: Vec<_> = (1..=night.world.writes() - before).step_by(3).collect();
    let mut stopped = 0;
    for n in &tried {
        let night = Night::of(World::strata());
        let (before, when) = (night.world.running(), format!("{tag}, lost at write {n}"));
        night.world.fault(*n, Fault::LosesLock);
        let told = night.upgrade(tag).await;
        let (_, calls) = night.newest().await;
        if !nothing_began_since(&night, &told, &calls, &when) {
            continue;
        }
        stopped += 1;
        if back || calls.iter().any(|call| !call.undos.is_empty()) {
            let told = night.rollback(None).await;
            assert!(matches!(told.ending, Ending::RolledBack { .. }), "{when}: {:?}", told.ending);
            assert_eq!(night.world.running(), before, "{when}");
        } else {
            assert_eq!(night.resume(None).await.ending, Ending::Done, "{when}");
            assert_eq!(night.runs(), format!("{tag} {tag}"), "{when}");
        }
    }
    println!("{stopped} of {} were stopped", tried.len());
    assert!(stopped > 8 && tried.len() - stopped <= 2, "only {stopped} of {}", tried.len());
}

#[tokio::test]
async fn a_run_whose_lock_is_lost_stops_before_its_next_change() {
    lost_everywhere("1.1.0", false).await;
}

#[tokio::test]
async fn a_way_back_whose_lock_is_lost_stops_before_its_next_change() {
    lost_everywhere("1.7.0", true).await;
}

const STOPS_JOB: &str = r#"
const RUNBOOK = #{ api: 1, summary: "leave job out for a while" };

step "stop" { compose_stop(#{ services: [site::job] }); }
step "note" { env_set(#{ NOTE: "1" }); }
step "start" { compose_up(#{ services: [site::job] }); }
"#;

/// A run that has stopped job and stands still, because it has lost the lock.
async fn job_is_stopped() -> Night {
    let mut at = None;
    loop {
        let night = Night::of(World::strata());
        night.world.put_file("/srv/strata/half.rhai", STOPS_JOB, 0o644);
        let half = night.host().await.runbook("/srv/strata/half.rhai", &BTreeMap::new()).await.unwrap();
        let (plan, before) = (half.plan().await, night.world.writes());
        if let Some(at) = at {
            night.world.fault(at, Fault::LosesLock);
        }
        let told = told(half.start(plan, "uplift run half.rhai").await.unwrap()).await;
        if at.is_some() {
            assert_eq!(told.ending.exit(), ExitClass::Unfinished, "{:?}", told.ending);
            return night;
        }
        // The first time only shows which of its writes it is.
        let log = night.world.log();
        at = Some(number_of(&log[before..], "stop job"));
    }
}

fn warns(told: &Told) -> bool {
    told.events.iter().any(|event| {
        matches!(event, Event::Warning { text, .. } if text.contains("nothing keeps another machine away"))
    })
}

#[tokio::test]
async fn what_leaves_the_databases_alone_goes_back_while_their_server_is_down() {
    let night = job_is_stopped().await;
    assert_eq!(night.runs(), "1.0.0 ", "job is down");
    night.world.set_server(false, false);
    let told = night.rollback(None).await;
    assert!(warns(&told), "{:?}", told.events);
    let Ending::RolledBack { left } = &told.ending else { panic!("{:?}", told.ending) };
    assert!(left.len() == 1 && left[0].contains("could not be compared"), "{left:?}");
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    assert!(night.unfinished().await.is_none());
}

/// Starting a release may migrate: that waits for the server, and for the lock.
#[tokio::test]
async fn what_needs_the_databases_waits_for_their_server() {
    let night = job_is_stopped().await;
    night.world.set_server(false, false);
    let told = night.resume(None).await;
    assert!(warns(&told), "{:?}", told.events);
    let Ending::Unfinished { cause: Some(cause), .. } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(cause.code, "database_unreachable");
    let (_, calls) = night.newest().await;
    assert_eq!(calls.last().map(|call| call.verb.as_str()), Some("env_set"), "so far it could go on");
    night.world.set_server(true, false);
    assert_eq!(night.resume(None).await.ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}

/// The number of the first of these writes whose line holds this, counted from 1.
fn number_of(log: &[String], words: &str) -> usize {
    1 + log.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words} in {log:#?}"))
}

#[tokio::test]
async fn databases_that_were_moved_come_back_only_with_their_server() {
    let shown = Night::of(World::strata());
    let first = shown.world.writes();
    shown.upgrade("1.1.0").await;
    let night = Night::of(World::strata());
    let before = night.world.running();
    night.world.fault(number_of(&shown.world.log()[first..], "aside: create"), Fault::LosesLock);
    assert_eq!(night.upgrade("1.1.0").await.ending.exit(), ExitClass::Unfinished);
    assert_eq!(night.newest().await.1.last().map(|call| call.verb.clone()).as_deref(), Some("compose_trial"));
    night.world.set_server(false, false);
    let writes = night.world.writes();
    let told = night.rollback(None).await;
    let Ending::Unfinished { cause: Some(cause), .. } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!((cause.code.as_str(), night.world.writes()), ("database_unreachable", writes));
    night.world.set_server(true, false);
    assert!(!warns(&night.rollback(None).await));
    assert_eq!(night.world.running(), before);
}
