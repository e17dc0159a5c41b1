//! Returning from a finished upgrade, on simulated sites.

use uplift::{Ending, World, event::ExitClass, ports::docker::State, sim::Fault, site::Way};

use super::night::Night;

/// A site at 1.0.0 with jobs that wait and users who write, upgraded to 1.1.0, which migrates.
async fn at_1_1_0() -> (Night, String) {
    let world = World::strata();
    world.put_job("SendInvoice", None);
    world.put_job("RebuildIndex", Some("worker 7"));
    let night = Night::of(world);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    night.world.advance(std::time::Duration::from_mins(9));
    night.world.place_orders(12);
    (night, run)
}

const ALWAYS: [(&str, &str); 2] = [("restore_data", "always"), ("jobs", "run")];

#[tokio::test]
async fn after_a_release_on_the_same_schema_the_code_goes_back_and_the_data_stays() {
    let night = Night::at_1_1_0().await;
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    night.world.place_orders(12);
    let databases = night.world.running().databases;
    let told = night.try_return(&run, &[]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.1.0 1.1.0");
    assert_eq!(night.world.running().databases, databases, "the data stays");
    assert_eq!(night.world.lost_orders(), 0);
    let told = night.try_return(&run, &[]).await.unwrap();
    assert!(matches!(told.ending, Ending::NothingNeeded { .. }), "{:?}", told.ending);
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done, "the way forward is free");
}

#[tokio::test]
async fn migrated_data_waits_for_a_persons_word_with_what_it_costs() {
    let (night, run) = at_1_1_0().await;
    let (before, writes) = (night.world.running(), night.world.writes());
    let failure = night.try_return(&run, &[]).await.err().expect("a person is asked");
    let question = failure.question.expect("with a question");
    assert_eq!(question.flag.as_deref(), Some("restore-data"));
    assert_eq!(question.choices.len(), 1, "`never` is none here: {question:?}");
    assert_eq!(question.choices[0].key, "always");
    assert!(question.choices[0].costs.starts_with("24 rows of "), "orders and their jobs: {question:?}");
    let found = question.found.join("\n");
    for words in [
        "12 rows written in `strata_production`.`orders` (all added) since",
        "12 rows written in `strata_production_queue`.`solid_queue_jobs`",
        "up to 2 jobs would run a second time: RebuildIndex",
        "`--restore-data never` is refused",
    ] {
        assert!(found.contains(words), "`{words}` in {found}");
    }
    assert_eq!((night.world.running(), night.world.writes()), (before, writes), "nothing was changed");
}

/// Whoever has answered would only be refused then.
#[tokio::test]
async fn nothing_is_asked_where_the_answer_would_be_refused() {
    let (night, run) = at_1_1_0().await;
    night.world.set("WEB_CONCURRENCY", "7");
    let told = night.try_return(&run, &[]).await.err().expect("an edit that nobody has applied");
    assert_eq!((told.code.as_str(), told.question), ("drift", None));
    let asked = night.try_return(&run, &[("edits", "apply")]).await.err().expect("a person is asked");
    assert!(asked.question.is_some(), "{asked}");
}

/// Rows of before name the file, which users of the newer release have deleted.
#[tokio::test]
async fn files_that_were_deleted_since_return_with_their_rows() {
    let world = World::strata();
    world.upload(UPLOAD, "needed by a row of before");
    let night = Night::of(world);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    let path = night.world.uploaded(UPLOAD);
    night.world.remove_file(&path);
    let (before, start) = (night.fork(), night.world.writes());
    assert_eq!(night.try_return(&run, &ALWAYS).await.unwrap().ending, Ending::Done);
    assert_eq!(night.world.file(&path).unwrap().bytes, b"needed by a row of before");
    // A return that is taken back leaves the newer release the files that it had.
    let mut taken_back = 0;
    for n in 1..=night.world.writes() - start {
        let night = before.fork();
        night.world.fault(n, Fault::FailBefore);
        let told = night.try_return(&run, &ALWAYS).await;
        if told.is_ok_and(|told| told.ending.exit() == ExitClass::TakenBack) {
            assert_eq!(night.world.running(), before.world.running(), "write {n}");
            taken_back += 1;
        }
    }
    assert!(taken_back > 5, "only {taken_back}");
}

const UPLOAD: &str = "k9aaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn always_lets_the_older_release_serve_on_its_own_databases() {
    let (night, run) = at_1_1_0().await;
    let told = night.try_return(&run, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    let database = |name: &str| night.world.database(name);
    let versions = database("strata_production").unwrap().versions.unwrap();
    assert!(!versions.contains(&"20260703101500".to_owned()), "{versions:?}");
    assert_eq!(night.world.lost_orders(), 12, "what was written since is put aside");
    let returned = night.newest().await.0.id.replace('-', "_");
    for name in ["strata_production", "strata_production_queue"] {
        let aside = database(&format!("{name}__failed_{returned}"));
        assert!(aside.is_some_and(|one| !one.facts.open), "the newer `{name}` is kept, closed");
    }
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done, "the way forward is free again");
    assert_eq!(night.runs(), "1.1.0 1.1.0");
}

#[tokio::test]
async fn never_is_refused_unless_the_settings_call_it_compatible() {
    let (night, run) = at_1_1_0().await;
    let before = night.world.running();
    let failure = night.try_return(&run, &[("restore_data", "never")]).await.err().expect("refused");
    assert_eq!(failure.code, "not_compatible");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("`compatible = [\"1.1.0\"]`")));
    assert_eq!(night.world.running(), before);

    night.settings("[rollback]\ncompatible = [\"1.1.0\"]\n");
    let told = night.try_return(&run, &[("restore_data", "never")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    assert_eq!(night.world.running().databases, before.databases, "the data stays");
    assert_eq!(night.world.lost_orders(), 0);
}

#[tokio::test]
async fn without_its_savepoint_the_way_is_a_backup_set() {
    let (night, run) = at_1_1_0().await;
    night.drop_savepoint(&run);
    let failure = night.try_return(&run, &ALWAYS).await.err().expect("refused");
    assert_eq!(failure.code, "needs_restore");
    let hint = failure.hint.unwrap_or_default();
    assert!(hint.contains(&format!("uplift restore {run}")), "{hint}");
    assert!(failure.evidence[0].contains("it costs 24 rows of"), "{:?}", failure.evidence);
}

#[tokio::test]
async fn the_list_says_where_one_can_return_to_and_what_it_costs() {
    let (night, first) = at_1_1_0().await;
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done);
    let second = night.newest().await.0.id;
    let places = night.host().await.places().await.unwrap();
    let runs: Vec<_> = places.iter().map(|place| place.point.run.clone()).collect();
    assert_eq!(runs, [second.clone(), first.clone()], "newest first");
    assert_eq!(places[0].way, Way::Code);
    assert!(matches!(places[1].way, Way::Savepoint { copies: 4, .. }), "{:?}", places[1].way);
    assert_eq!(places[1].written.as_ref().map(|written| written.rows), Some(24));
    assert_eq!((places[1].point.from.as_str(), places[1].point.to.as_str()), ("1.0.0", "1.1.0"));
    assert!(places.iter().all(|place| place.missing.is_empty() && place.names.is_empty()));

    night.drop_savepoint(&first);
    night.world.forget_image("1.0.0");
    let places = night.host().await.places().await.unwrap();
    assert!(matches!(&places[1].way, Way::Set { set, .. } if *set == first), "{:?}", places[1].way);
    assert_eq!(places[1].missing.len(), 2, "web and job");
    let failure = night.try_return(&first, &ALWAYS).await.err().expect("refused");
    assert_eq!(failure.code, "needs_restore");
}

#[tokio::test]
async fn what_ran_as_latest_comes_back_as_the_very_image() {
    let world = World::strata();
    world.push(uplift::sim::Release::new("latest", &[]));
    let night = Night::of(world);
    let ran =
        night.world.containers().iter().find(|one| one.service() == Some("web")).unwrap().image_id.clone();
    night.world.rename_image("1.0.0", "latest");
    night.world.set("STRATA_VERSION", "latest");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    // Somebody pulls `latest` since: the name means another image.
    night.world.pulled("latest");
    let told = night.try_return(&run, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    for container in night.world.containers() {
        assert_eq!(container.image_id, ran, "{}", container.name);
    }
    assert_eq!(night.world.setting("STRATA_VERSION"), Some(format!("uplift-{run}")));
}

#[tokio::test]
async fn jobs_wait_until_a_person_has_seen_them() {
    for (choice, runs) in [("run", "1.0.0 1.0.0"), ("hold", "1.0.0 ")] {
        let (night, run) = at_1_1_0().await;
        let told = night.try_return(&run, &[("restore_data", "always")]).await.unwrap();
        assert_eq!(told.ending.exit(), ExitClass::NeedsPerson);
        let question = told.ending.question().expect("a question");
        assert_eq!(question.flag.as_deref(), Some("jobs"));
        assert!(question.found[0].starts_with("2 jobs wait in the returned queue, 1 of them taken"));
        assert!(question.found[1].starts_with("RebuildIndex"), "claimed first: {:?}", question.found);
        assert_eq!(night.runs(), "1.0.0 ", "web runs, the worker is held");
        let error = night.try_rollback(Some(choice)).await.err().expect("the answer is about going on");
        assert_eq!(error.failure().code, "other_way");
        night.world.place_orders(210);
        let asked_again = night.resume(None).await;
        assert_eq!(asked_again.ending.exit(), ExitClass::NeedsPerson, "going on without a word asks again");
        let again = asked_again.ending.question().expect("a question");
        assert_eq!(again.found, question.found, "what users enqueued since has not run yet");
        assert_eq!(again.choices[0].costs, "up to 2 jobs run a second time");
        let told = night.answer(choice).await;
        assert_eq!(told.ending, Ending::Done, "{choice}");
        assert_eq!(night.runs(), runs, "{choice}");
    }
}

/// A worker that was stopped before is nobody's to start unseen: an earlier return may have left it so.
#[tokio::test]
async fn a_return_of_the_code_does_not_start_a_worker_that_was_stopped() {
    let night = Night::at_1_1_0().await;
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    night.world.put_job("SendInvoice", Some("worker 7"));
    night.world.edit_container("strata-job-1", |job| job.state = State::Exited);
    let told = night.try_return(&run, &[]).await.unwrap();
    assert_eq!(told.ending.exit(), ExitClass::NeedsPerson);
    let question = told.ending.question().expect("a question");
    assert_eq!(question.flag.as_deref(), Some("jobs"));
    assert!(question.found[0].contains("stopped before this run began"), "{:?}", question.found);
    assert_eq!(night.runs(), "1.1.0 ", "web runs, the worker does not");
    assert_eq!(night.answer("hold").await.ending, Ending::Done);
    assert_eq!(night.runs(), "1.1.0 ");
}

#[tokio::test]
async fn a_return_whose_worker_is_held_is_there_already() {
    let (night, run) = at_1_1_0().await;
    let held = [("restore_data", "always"), ("jobs", "hold")];
    assert_eq!(night.try_return(&run, &held).await.unwrap().ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 ");
    let places = night.host().await.places().await.unwrap();
    assert!(places.iter().any(|place| place.point.run == run && place.runs_now), "{places:?}");
}

#[tokio::test]
async fn a_return_of_the_code_that_the_settings_allow_is_offered_without_its_savepoint() {
    let (night, run) = at_1_1_0().await;
    night.settings("[rollback]\ncompatible = [\"1.1.0\"]\n");
    night.drop_savepoint(&run);
    let failure = night.try_return(&run, &[]).await.err().expect("refused");
    let hint = failure.hint.unwrap_or_default();
    assert!(hint.contains("--restore-data never"), "{hint}");
    let told = night.try_return(&run, &[("restore_data", "never")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
}

#[tokio::test]
async fn a_return_that_waits_for_a_word_about_jobs_can_be_taken_back() {
    let (night, run) = at_1_1_0().await;
    let before = night.world.running();
    night.try_return(&run, &[("restore_data", "always")]).await.unwrap();
    let told = night.rollback(None).await;
    let keys: Vec<_> =
        told.ending.question().expect("users could write").choices.iter().map(|one| &one.key).collect();
    assert_eq!(keys, ["restore-data", "stay"]);
    let told = night.rollback(Some("restore-data")).await;
    assert_eq!(told.ending, Ending::RolledBack { left: Vec::new() });
    assert_eq!(night.world.running(), before);
    assert_eq!(night.world.lost_orders(), 0, "the newer databases are back");
}

#[tokio::test]
async fn the_plan_of_a_return_names_the_calls_that_it_makes() {
    let (night, run) = at_1_1_0().await;
    let (before, writes) = (night.world.running(), night.world.writes());
    let plan = night.returning(&run, &ALWAYS).await.unwrap().plan().await;
    assert!(plan.is_complete(), "{:?}", plan.end);
    assert_eq!((night.world.running(), night.world.writes()), (before, writes), "a plan writes nothing");
    night.try_return(&run, &ALWAYS).await.unwrap();
    let (_, calls) = night.newest().await;
    let made: Vec<_> = calls.iter().map(|call| call.address.as_str()).collect();
    assert_eq!(made, plan.addresses());
}

/// Whatever goes wrong, the site ends at the one release or at the other, with its own databases, or asks.
#[tokio::test]
async fn a_fault_at_every_write_of_a_return_with_data() {
    let (night, run) = at_1_1_0().await;
    let (before, start) = (night.fork(), night.world.writes());
    night.try_return(&run, &ALWAYS).await.unwrap();
    let writes = night.world.writes() - start;
    let mut tried = 0;
    for n in 1..=writes {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter] {
            faulty(&before, &run, n, fault).await;
            tried += 1;
        }
    }
    println!("{tried} faults tried");
    assert!(tried > 60, "only {tried}");
}

async fn faulty(before: &Night, run: &str, n: usize, fault: Fault) {
    let night = before.fork();
    let when = format!("{fault:?} at write {n}");
    let before = night.world.running();
    night.world.fault(n, fault);
    let told = night.try_return(run, &ALWAYS).await;
    night.world.clear_faults();
    let Ok(told) = told else {
        assert_eq!(night.world.running(), before, "{when}");
        return;
    };
    match told.ending.exit() {
        ExitClass::Done => {
            assert_eq!(night.runs(), "1.0.0 1.0.0", "{when}");
            assert_eq!(night.world.lost_orders(), 12, "{when}");
        }
        ExitClass::Refused | ExitClass::TakenBack => {
            assert_eq!(night.world.running(), before, "{when}");
        }
        ExitClass::NeedsPerson | ExitClass::Unfinished => {
            let choice = told.ending.question().and_then(|question| question.choices.first());
            let mut back = night.rollback(choice.map(|choice| choice.key.as_str())).await;
            if let Some(question) = back.ending.question() {
                let key = question.choices[0].key.clone();
                back = night.rollback(Some(&key)).await;
            }
            assert!(matches!(back.ending, Ending::RolledBack { .. }), "{when}: {:?}", back.ending);
            assert_eq!(night.world.running(), before, "{when}");
            assert_eq!(night.world.lost_orders(), 0, "{when}");
        }
        other => panic!("{when}: {other:?}"),
    }
    assert!(night.unfinished().await.is_none(), "{when}");
}

/// What another uplift wrote down of a savepoint is not taken for no savepoint: that would send people to a restore.
#[tokio::test]
async fn a_savepoint_that_this_uplift_cannot_read_is_not_called_gone() {
    let night = Night::at_1_1_0().await;
    let run = night.newest().await.0.id;
    night.edit_record("UPDATE entry SET version = 99 WHERE verb = 'pg_savepoint'");
    let failure = night.try_return(&run, &[("restore_data", "always"), ("jobs", "run")]).await.err().unwrap();
    assert_eq!(failure.code, "intent_version", "{failure:?}");
    // It keeps nobody from seeing the others, nor what to do about it.
    let places = night.host().await.places().await.unwrap();
    assert_eq!((places.len(), &places[0].way), (1, &Way::Nothing), "{places:?}");
    let unread = places[0].point.unread.as_ref().unwrap();
    assert!(unread.hint.contains(&format!("`uplift rollback {run}`")), "{unread:?}");
}

/// Who has returned from an upgrade has left what came after it too.
#[tokio::test]
async fn what_came_after_the_upgrade_that_was_returned_from_is_not_offered() {
    let night = Night::at_1_1_0().await;
    let first = night.newest().await.0.id;
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done);
    assert_eq!(night.host().await.places().await.unwrap().len(), 2);
    night.try_return(&first, &[("restore_data", "always"), ("jobs", "run")]).await.unwrap();
    let places = night.host().await.places().await.unwrap();
    let runs: Vec<_> = places.iter().map(|place| place.point.run.as_str()).collect();
    assert_eq!(runs, [first.as_str()], "1.0.0 runs, on its own data");
    assert!(places[0].runs_now && places[0].migrated.is_empty());
    // Another upgrade begins anew.
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    assert_eq!(night.host().await.places().await.unwrap().len(), 2);
}
