//! Runs that are taken up again after they were stopped at an awkward place: between two words, or in a look.

use uplift::{
    Ending, World,
    event::ExitClass,
    journal::{Choosing, Folder, Holder, Lock, Writer},
    ports::docker::Stop,
    sim::Fault,
    site::Scrubber,
};

use super::night::{Night, Told};

fn asked(told: &Told) -> Vec<&str> {
    let question = told.ending.question().unwrap_or_else(|| panic!("nothing is asked: {:?}", told.ending));
    question.choices.iter().map(|choice| choice.key.as_str()).collect()
}

/// Somebody wanted to go on, and the process was killed in the look that had failed before.
fn killed_in_a_look(night: &Night) {
    let last = "(SELECT max(seq) FROM entry WHERE verb = 'wait_healthy')";
    night.edit_record("UPDATE run SET state = 'running', ended_at = NULL, ending = NULL");
    night.edit_record(&format!(
        "UPDATE attempt SET state = 'waiting' WHERE seq = {last};
         INSERT INTO attempt (run, seq, n, state, epoch, boot_id, pid, started_at)
         SELECT run, seq, n + 1, 'started', epoch, boot_id, pid, started_at FROM attempt WHERE seq = {last}"
    ));
}

/// Goes back by a word, and the process is killed before anything is taken back.
async fn chosen_in_vain(night: &Night, choice: &str) {
    let (run, calls) = night.newest().await;
    let question = run.ending.as_ref().and_then(Ending::question).expect("it is asked");
    let seq = calls.iter().find(|call| call.address == question.address).unwrap().seq;
    let folder = Folder::prepare(&night.folder()).unwrap();
    let now = night.host().await.now();
    let holder = Holder {
        run: run.id.clone(),
        command: "uplift rollback".into(),
        user: "alice".into(),
        host: "app1".into(),
        since: now,
        pid: 0,
        space: String::new(),
    };
    let lock = Lock::take(&folder, holder).unwrap();
    let writer = Writer::open(&folder, &lock, Scrubber::default()).unwrap();
    writer.adopt(&run.id).unwrap();
    let chosen = Choosing { choice: choice.into(), reason: "a test".into(), by: "alice@app1".into() };
    writer.decide(&run.id, seq, chosen, now).unwrap();
}

#[tokio::test]
async fn a_run_that_was_killed_in_a_second_look_can_be_taken_back() {
    let night = Night::of(World::strata());
    assert_eq!(asked(&night.upgrade("1.6.0").await), ["restore-data", "return-code", "stay"]);
    killed_in_a_look(&night);
    assert_eq!(asked(&night.rollback(None).await), ["restore-data", "return-code", "stay"]);
    let told = night.rollback(Some("return-code")).await;
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    assert!(night.unfinished().await.is_none());
}

#[tokio::test]
async fn a_run_that_was_killed_in_a_second_look_can_go_on() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    killed_in_a_look(&night);
    assert!(
        asked(&night.resume(None).await).contains(&"return-code"),
        "the look is made once more, and says the same"
    );
    assert!(matches!(night.rollback(Some("return-code")).await.ending, Ending::RolledBack { .. }));
}

/// Whoever chose by the figures of yesterday is asked again by those of today.
#[tokio::test]
async fn a_choice_that_was_never_acted_on_does_not_count_later() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    chosen_in_vain(&night, "restore-data").await;
    night.world.place_orders(40);
    let told = night.rollback(None).await;
    assert_eq!(asked(&told), ["restore-data", "return-code", "stay"]);
    assert_eq!(night.world.lost_orders(), 0);
    assert!(matches!(night.rollback(Some("restore-data")).await.ending, Ending::RolledBack { .. }));
    assert_eq!(night.world.lost_orders(), 40);
}

const SETS: &str = r#"
const RUNBOOK = #{ api: 1, summary: "stop the worker, and set something", on_failure: "pause" };

step "stop" { compose_stop(#{ services: [site::job] }); }
step "set" { env_set(#{ PORTAL_NOTICE: "away" }); }
"#;

/// A word about the way back says nothing of whether something was done.
#[tokio::test]
async fn a_choice_for_the_way_back_is_no_answer_on_the_way_forward() {
    let night = Night::of(World::strata());
    night.world.put_file("/srv/strata/set.rhai", SETS, 0o644);
    assert_eq!(night.run("/srv/strata/set.rhai", &[]).await.ending, Ending::Done);
    // Its process was killed before the last words.
    night.edit_record("UPDATE run SET state = 'running', ended_at = NULL, ending = NULL");
    night.edit_record(
        "UPDATE attempt SET state = 'started', value = NULL, ended_at = NULL \
         WHERE seq = (SELECT seq FROM entry WHERE verb = 'env_set')",
    );
    night.world.set("WEB_CONCURRENCY", "7");
    assert_eq!(asked(&night.rollback(None).await), ["restore", "keep-edit"]);
    chosen_in_vain(&night, "keep-edit").await;
    let told = night.resume(None).await;
    assert_eq!(asked(&told), ["applied", "not-applied", "retry"], "nothing was written over the edit");
}

const GOES_PAST: &str = r#"
const RUNBOOK = #{ api: 1, summary: "stop both, if that can be", on_failure: "pause" };

step "stop" { try { compose_stop(#{ services: [site::job, site::web] }); } catch { print("not stopped"); } }
step "pull" { compose_pull(#{ tag: "1.1.0" }); }
"#;

/// A runbook that goes past what nobody knows the end of ends well once somebody can tell.
#[tokio::test]
async fn what_was_gone_past_in_doubt_is_looked_at_before_a_good_end() {
    let night = Night::of(World::strata());
    night.world.put_file("/srv/strata/past.rhai", GOES_PAST, 0o644);
    night.world.fault_at("stop job", Fault::TimeoutAfter);
    let told = night.run("/srv/strata/past.rhai", &[]).await;
    assert_eq!(told.ending.exit(), ExitClass::Unfinished, "{:?}", told.ending);
    night.world.clear_faults();
    let told = night.resume(None).await;
    let Ending::Unfinished { cause: Some(failure), .. } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "left_in_doubt");
    assert!(failure.hint.as_ref().unwrap().starts_with("`uplift rollback`"), "{failure:?}");
    assert!(!failure.evidence.is_empty(), "{failure:?}");
    let web = night.world.containers().into_iter().find(|one| one.service() == Some("web")).unwrap();
    let by_hand = Stop { id: web.id, service: String::new(), timeout: None };
    night.world.ports().docker.stop(&by_hand).await.unwrap();
    assert_eq!(night.resume(None).await.ending, Ending::Done);
}

const REFUSED: &str = r#"
const RUNBOOK = #{ api: 1, summary: "back up beside a pull", on_failure: "pause" };

step "stop" { compose_stop(#{ services: [site::job] }); }
step "prepare" { together { compose_pull(#{ tag: "1.1.0" }); backup(#{ storage: "copy", config: true }); } }
"#;

#[tokio::test]
async fn a_block_that_was_refused_is_tried_again_once_its_cause_is_mended() {
    let night = Night::of(World::strata());
    night.world.put_file("/srv/strata/block.rhai", REFUSED, 0o644);
    night.world.set_free("/", 1 << 20);
    let told = night.run("/srv/strata/block.rhai", &[]).await;
    assert_eq!(told.ending.exit(), ExitClass::Unfinished, "{:?}", told.ending);
    // Still so: the plan of the rest says it too.
    assert_eq!(night.resume(None).await.ending.exit(), ExitClass::Unfinished);
    night.world.set_free("/", 20 << 30);
    let run = night.newest().await.0.id;
    let rest = night.host().await.plan_on(&run).await.unwrap();
    assert!(rest.is_complete(), "{:?}", rest.end);
    assert_eq!(night.resume(None).await.ending, Ending::Done);
    let addresses: Vec<_> = night.newest().await.1.into_iter().map(|call| call.address).collect();
    assert_eq!(addresses, ["stop/compose_stop#1", "prepare/compose_pull#1", "prepare/backup#1"]);
}

/// What a look at the way back has printed can be typed as it stands.
#[tokio::test]
async fn a_choice_can_be_typed_before_it_was_asked() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    killed_in_a_look(&night);
    let run = night.newest().await.0.id;
    let back = night.host().await.plan_back(&run).await.unwrap();
    assert!(back.question.unwrap().choices.iter().any(|choice| choice.key == "return-code"));
    let host = night.host().await;
    assert_eq!(host.try_answer(&run, "nonsense", true).await.unwrap_err().failure().code, "no_such_choice");
    assert_eq!(host.try_answer(&run, "return-code", true).await.unwrap().key, "return-code");
    assert!(matches!(night.rollback(Some("return-code")).await.ending, Ending::RolledBack { .. }));
}
