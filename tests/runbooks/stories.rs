//! What an upgrade does with each kind of release.

use uplift::{Ending, Event, World, event::ExitClass, ports::postgres::Kept};

use super::night::{Night, given, told};

#[tokio::test]
async fn a_good_release_runs_everywhere_and_one_setting_has_changed() {
    let night = Night::of(World::strata());
    let env = |night: &Night| String::from_utf8(night.world.file("/srv/strata/.env").unwrap().bytes).unwrap();
    let before = env(&night);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    assert_eq!(night.runs(), "1.1.0 1.1.0");
    assert_eq!(env(&night), before.replace("STRATA_VERSION=1.0.0", "STRATA_VERSION=1.1.0"));
    assert!(night.unfinished().await.is_none());
}

#[tokio::test]
async fn what_runs_already_needs_nothing() {
    let night = Night::at_1_1_0().await;
    let (before, writes) = (night.world.running(), night.world.writes());
    let told = night.upgrade("1.1.0").await;
    assert!(matches!(told.ending, Ending::NothingNeeded { .. }), "{:?}", told.ending);
    assert_eq!((night.world.running(), told.ending.exit()), (before, ExitClass::Done));
    // Kept copies of the settings for entry 0 are all that is written.
    let log = night.world.log();
    assert!(log[writes..].iter().all(|line| line.contains("/kept/")), "{:?}", &log[writes..]);
}

/// The savepoint's rows may name files that only the note has.
#[tokio::test]
async fn the_note_of_uploaded_files_stays_as_long_as_the_savepoint() {
    let night = Night::at_1_1_0().await;
    let noted = |night: &Night| {
        let files = night.world.files_in(night.set("")).into_iter();
        files.filter(|path| path.display().to_string().contains("/.uploads-")).count()
    };
    let there = noted(&night);
    night.world.advance(std::time::Duration::from_hours(6 * 24));
    night.upgrade("1.1.0").await;
    assert!(there > 0 && noted(&night) == there, "{there}");
    night.world.advance(std::time::Duration::from_hours(2 * 24));
    night.upgrade("1.1.0").await;
    assert_eq!(noted(&night), 0, "its time is over");
}

#[tokio::test]
async fn a_bad_release_without_migrations_is_taken_back() {
    for (tag, cause) in [("1.2.0", "answers 500"), ("1.6.0", "died"), ("1.7.0", "died")] {
        let night = Night::at_1_1_0().await;
        let before = night.world.running();
        let told = night.upgrade(tag).await;
        let Ending::TakenBack { failure, .. } = &told.ending else { panic!("{tag}: {:?}", told.ending) };
        assert!(failure.message.contains(cause), "{tag}: {failure}");
        assert!(!failure.evidence.is_empty() || tag == "1.2.0", "{tag}: without the container's last lines");
        assert!(failure.excerpt.as_ref().is_some_and(|text| text.contains("wait_healthy")), "{tag}");
        assert_eq!(night.world.running(), before, "{tag}");
        assert_eq!(
            night.upgrade("1.1.1").await.ending,
            Ending::Done,
            "{tag}: and then another upgrade works"
        );
    }
}

#[tokio::test]
async fn a_release_that_dies_before_it_migrates_is_taken_back() {
    let night = Night::of(World::strata());
    let before = night.world.running();
    let told = night.upgrade("1.7.0").await;
    assert!(matches!(told.ending, Ending::TakenBack { .. }), "{:?}", told.ending);
    assert_eq!(night.world.running(), before);
}

#[tokio::test]
async fn once_the_database_has_moved_a_person_decides() {
    for tag in ["1.6.0", "1.8.0"] {
        let night = Night::of(World::strata());
        let told = night.upgrade(tag).await;
        let Ending::NeedsPerson { question, failure } = &told.ending else {
            panic!("{tag}: {:?}", told.ending)
        };
        assert!(failure.is_some(), "{tag}");
        let keys: Vec<_> = question.choices.iter().map(|choice| choice.key.as_str()).collect();
        assert_eq!(keys, ["restore-data", "return-code", "stay"], "{tag}");
        // Nothing was taken back before the answer.
        assert!(!told.events.iter().any(|event| matches!(event, Event::Undone { .. })), "{tag}");
        assert_eq!(night.runs().split(' ').next(), Some(tag));
    }
}

/// Migrations, failures in the middle of them, and deaths soon after: all of it where no user is.
#[tokio::test]
async fn a_release_that_fails_in_the_dark_is_taken_back_with_its_migrations() {
    for tag in ["1.2.0", "1.3.0", "1.5.0"] {
        let night = Night::of(World::strata());
        let before = night.world.running();
        let told = night.upgrade(tag).await;
        assert!(matches!(told.ending, Ending::TakenBack { .. }), "{tag}: {:?}", told.ending);
        assert_eq!(night.world.running(), before, "{tag}");
        let files_are_back = |event: &Event| matches!(event, Event::Undone { result, .. } if result.contains("/uplift-restore-"));
        assert_eq!(
            told.events.iter().any(files_are_back),
            tag == "1.5.0",
            "{tag}: it deletes an uploaded file"
        );
        assert_eq!(night.runs(), "1.0.0 1.0.0", "{tag}");
        assert!(night.unfinished().await.is_none(), "{tag}");
    }
}

/// Nine minutes without a word in the log, and a migration at work: that is no failure.
#[tokio::test]
async fn a_long_migration_is_waited_for() {
    let night = Night::of(World::strata());
    assert_eq!(night.upgrade("1.4.0").await.ending, Ending::Done);
    assert_eq!(night.runs(), "1.4.0 1.4.0");
}

#[tokio::test]
async fn without_a_savepoint_a_person_decides_what_failed_in_the_dark() {
    let night = Night::of(World::strata());
    night.world.set_may_create(false);
    let told = night.upgrade("1.2.0").await;
    let Ending::NeedsPerson { question, .. } = &told.ending else { panic!("{:?}", told.ending) };
    let keys: Vec<_> = question.choices.iter().map(|choice| choice.key.as_str()).collect();
    assert_eq!(keys, ["return-code", "stay"]);
}

/// A copy that lacks what only an administrator may give it would be no copy: that is known before one is begun.
#[tokio::test]
async fn a_setting_of_another_role_means_no_savepoint_where_nobody_may_give_it_back() {
    let night = Night::of(World::strata());
    night.world.set_of_another("strata_production", "reporter: lock_timeout=7s");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let run = night.newest().await.0.id;
    let copy = Kept::Savepoint.name("strata_production", &run);
    assert!(night.world.database(&copy).is_none(), "no savepoint is made");
}

#[tokio::test]
async fn restoring_the_data_makes_the_site_what_it_was_before_the_migration() {
    let night = Night::of(World::strata());
    let before = night.world.running();
    let told = night.upgrade("1.8.0").await;
    assert_eq!(told.ending.exit(), ExitClass::NeedsPerson);
    let told = night.rollback(Some("restore-data")).await;
    assert_eq!(told.ending, Ending::RolledBack { left: Vec::new() });
    assert_eq!(night.world.running(), before);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done, "the way forward is free again");
}

#[tokio::test]
async fn returning_the_code_runs_the_old_release_on_the_new_schema() {
    let night = Night::of(World::strata());
    let before = night.world.running();
    night.upgrade("1.6.0").await;
    let schema = night.world.running().databases;
    let told = night.rollback(Some("return-code")).await;
    let left = "the database was left as the newer release has made it";
    let Ending::RolledBack { left: told_left } = &told.ending else { panic!("{:?}", told.ending) };
    assert!(told_left.len() == 1 && told_left[0].starts_with(left), "{told_left:?}");
    let now = night.world.running();
    assert_eq!((&now.containers, &now.files), (&before.containers, &before.files));
    assert_eq!(now.databases, schema, "the data is left as it is");
    assert!(night.unfinished().await.is_none());
}

#[tokio::test]
async fn staying_closes_the_run_and_touches_nothing() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    let before = night.world.running();
    let told = night.rollback(Some("stay")).await;
    assert!(matches!(told.ending, Ending::Closed { .. }), "{:?}", told.ending);
    assert_eq!(night.world.running(), before);
    assert!(night.unfinished().await.is_none());
}

#[tokio::test]
async fn a_choice_that_is_none_is_refused_and_the_question_stays() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    let before = night.world.running();
    let error = night.try_rollback(Some("retrun-code")).await.err().expect("refused").failure();
    assert_eq!(
        (error.code.as_str(), error.hint.as_deref()),
        ("no_such_choice", Some("did you mean `return-code`?"))
    );
    assert_eq!(night.world.running(), before);
    assert_eq!(night.rollback(Some("return-code")).await.ending.exit(), ExitClass::Done);
}

#[tokio::test]
async fn once_its_cause_is_mended_a_run_goes_on_where_it_failed() {
    let night = Night::of(World::strata());
    let told = night.upgrade("1.6.0").await;
    assert_eq!(told.ending.exit(), ExitClass::NeedsPerson);
    night.world.mend_release("1.6.0");
    night.world.advance(std::time::Duration::from_mins(2));
    let told = night.resume(None).await;
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.6.0 1.6.0");
}

/// From the stop until web is well again users have nothing, whatever is done in between: a plan must not promise less
/// than the run then takes.
#[tokio::test]
async fn a_plan_counts_all_of_the_time_for_which_web_stands_still() {
    let night = Night::of(World::strata());
    let plan = night.plan("1.1.0").await;
    let of = |plan: &uplift::Plan, service: &str| {
        let mut found = plan.downtime.iter().filter(|down| down.service == service);
        let (one, more) = (found.next().expect("it goes down"), found.next());
        assert_eq!(more, None, "{service} goes down once");
        (u128::from(one.millis), one.basis.clone())
    };
    let (web, basis) = of(&plan, "web");
    assert!(web >= 30_000, "a boot and 10 s of the trial, then a boot: {web}");
    assert!(basis.contains("trial") && of(&plan, "job").0 > web, "{basis}");
    let trial =
        plan.steps.iter().flat_map(|step| &step.calls).find(|call| call.address.contains("compose_trial"));
    let downs = |write: &&uplift::event::Write| matches!(&write.change, uplift::event::Change::ServiceDown { service, .. } if service == "web");
    assert_eq!(
        trial.expect("it is tried").writes.iter().filter(downs).count(),
        0,
        "web went down before that"
    );
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let calls = night.newest().await.1;
    let time = |verb: &str| {
        let call = calls.iter().find(|call| call.verb == verb).unwrap();
        let last = call.attempts.last().unwrap();
        (last.started, last.ended.unwrap())
    };
    let took = time("wait_healthy").1.duration_since(time("compose_stop").0).as_millis().unsigned_abs();
    assert!(web + 10_000 >= took, "the run took {took} ms with 10 s of watching, and the plan said {web}");
    let night = Night::at_1_1_0().await;
    night.world.pulled("1.1.1");
    let (web, basis) = of(&night.plan("1.1.1").await, "web");
    assert!(
        web < 15_000 && !basis.contains("trial"),
        "nothing is tried where nothing migrates: {web}, {basis}"
    );
}

#[tokio::test]
async fn the_plan_names_every_call_that_the_run_makes() {
    for (from, tag) in
        [("1.0.0", "1.1.0"), ("1.0.0", "1.6.0"), ("1.1.0", "1.1.1"), ("1.1.0", "1.2.0"), ("1.1.0", "1.7.0")]
    {
        let night = if from == "1.0.0" { Night::of(World::strata()) } else { Night::at_1_1_0().await };
        // Before the image is on the host a plan has to assume that it migrates.
        let assumed = night.plan(tag).await.addresses().join(" ");
        assert!(assumed.contains("compose_trial#1"), "{tag}: {assumed}");
        night.world.pulled(tag);
        let (before, writes) = (night.world.running(), night.world.writes());
        let plan = night.plan(tag).await;
        assert!(plan.is_complete(), "{tag}: {:?}", plan.end);
        assert_eq!(
            (night.world.writes(), night.world.running()),
            (writes, before),
            "planning changes nothing"
        );
        let told = night.upgrade(tag).await;
        let (_, calls) = night.newest().await;
        let made: Vec<_> = calls.iter().map(|call| call.address.as_str()).collect();
        let planned = plan.addresses();
        assert!(planned.starts_with(&made), "{tag}: planned {planned:?}, made {made:?}");
        if told.ending == Ending::Done {
            assert_eq!(made, planned, "{tag}");
        }
    }
}

#[tokio::test]
async fn a_site_that_has_changed_since_the_plan_is_not_touched() {
    let night = Night::of(World::strata());
    let host = night.host().await;
    let given = [("to".to_owned(), "1.1.0".to_owned())].into();
    let upgrade = host.runbook("compose/upgrade", &given).await.unwrap();
    let plan = upgrade.plan().await;
    night.world.push(uplift::sim::Release::new("1.1.0", &[]));
    let writes = night.world.writes();
    let error = upgrade.start(plan, "uplift upgrade").await.expect_err("refused");
    assert_eq!(error.failure().code, "plan_stale");
    assert!(
        error.failure().evidence.iter().any(|line| line.contains("registry digest")),
        "{:?}",
        error.failure()
    );
    assert_eq!(night.world.writes(), writes);
}

/// Somebody installs a package, or another site's unit goes away.
#[tokio::test]
async fn a_plan_does_not_rest_on_the_units_of_others() {
    let night = Night::of(World::strata());
    let unit = "/etc/systemd/system/other.service";
    night.world.put_file(unit, "[Service]\nExecStart=/usr/bin/other\n", 0o644);
    let upgrade = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    let plan = upgrade.plan().await;
    night.world.remove_file(unit);
    assert!(upgrade.start(plan, "uplift upgrade").await.is_ok());
}

/// Another site of this host may pull the same image in between: what it holds is certain by its digest.
#[tokio::test]
async fn a_plan_outlives_the_arrival_of_its_own_image() {
    let night = Night::of(World::strata());
    let upgrade = night.host().await.runbook("compose/upgrade", &given("1.1.0")).await.unwrap();
    let plan = upgrade.plan().await;
    night.world.pulled("1.1.0");
    let run = upgrade.start(plan, "uplift upgrade").await.expect("it is no other plan");
    assert_eq!(told(run).await.ending, Ending::Done);
}

#[tokio::test]
async fn a_release_that_is_older_than_the_database_is_refused_before_anything_stops() {
    let night = Night::of(World::strata());
    night.upgrade("1.6.0").await;
    night.rollback(Some("return-code")).await;
    night.world.push(uplift::sim::Release::new("1.0.1", &["20260105090000_create_accounts.rb"]));
    let before = night.world.running();
    let told = night.upgrade("1.0.1").await;
    let Ending::Refused { failure } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "schema_ahead");
    assert_eq!(night.world.running(), before);
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done, "a newer one goes");
}

#[tokio::test]
async fn the_image_of_a_site_that_runs_latest_gets_a_name_that_stays() {
    let world = World::strata();
    world.push(uplift::sim::Release::new("latest", &[]));
    let night = Night::of(world);
    let runs =
        night.world.containers().iter().find(|one| one.service() == Some("web")).unwrap().image_id.clone();
    // As `docker pull ...:latest` and `up -d` would have left it: the one image under a moving name alone.
    night.world.rename_image("1.0.0", "latest");
    night.world.set("STRATA_VERSION", "latest");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let kept = night.world.images().into_iter().find(|(name, id)| name.contains(":uplift-") && *id == runs);
    assert!(kept.is_some(), "{:?}", night.world.images());
}

#[tokio::test]
async fn kept_copies_of_a_run_that_never_began_do_not_stay() {
    let night = Night::of(World::strata());
    night.world.fault(4, uplift::sim::Fault::FailBefore);
    assert!(night.try_upgrade("1.1.0").await.is_err());
    let left = night.kept();
    assert!(!left.is_empty(), "the fault was to leave something");
    night.upgrade("1.1.0").await;
    assert!(night.kept().is_disjoint(&left));
}

/// A record that was moved away in the middle of a run leaves the kept copies as the only way back.
#[tokio::test]
async fn kept_copies_that_a_lost_record_knew_stay() {
    let night = Night::of(World::strata());
    assert_eq!(night.upgrade("1.8.0").await.ending.exit(), ExitClass::NeedsPerson);
    let (kept, run) = (night.kept(), night.newest().await.0.id);
    assert!(!kept.is_empty());
    night.lose_record();
    let told = night.run("compose/backup", &[]).await;
    assert_eq!(told.ending, Ending::Done);
    assert!(night.kept().is_superset(&kept), "{:?}", night.kept());
    let warned = |event: &Event| matches!(event, Event::Warning { text, .. } if text.contains(&run));
    assert!(told.events.iter().any(warned), "{:?}", told.events);
}

/// Rights of a database come back with the data; what does not is told, and the site is not called as before.
#[tokio::test]
async fn databases_are_compared_with_what_they_were() {
    let night = Night::of(World::strata());
    let before = night.world.database("strata_production").unwrap().facts;
    night.upgrade("1.8.0").await;
    let mut now = night.world.database("strata_production").unwrap();
    now.facts.acl = vec!["nobody=c/strata".to_owned()];
    night.world.put_database(now);
    let told = night.rollback(Some("restore-data")).await;
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    assert_eq!(night.world.database("strata_production").unwrap().facts.acl, before.acl);

    let night = Night::of(World::strata());
    night.upgrade("1.8.0").await;
    let copy = Kept::Savepoint.name("strata_production", &night.newest().await.0.id);
    let mut spoilt = night.world.database(&copy).unwrap();
    spoilt.facts.extensions.clear();
    night.world.put_database(spoilt);
    let told = night.rollback(Some("restore-data")).await;
    let Ending::Stuck { not_done, .. } = &told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(not_done, &["the extensions of `strata_production` are not as they were"]);
}
