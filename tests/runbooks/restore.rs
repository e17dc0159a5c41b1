//! Restoring a backup set, on simulated sites: onto the site that runs, and onto a host that has lost everything.

use uplift::{Ending, World, event::ExitClass, ports::postgres::Kept, sim::Fault};

use super::night::Night;

/// A site with uploads and jobs, upgraded to 1.1.0: the upgrade has made a set of 1.0.0. Gives the set's name.
pub(super) async fn with_a_set() -> (Night, String) {
    let world = World::strata();
    world.upload("k1aaaaaaaaaaaaaaaaaaaaaaaaaa", "one");
    world.put_job("SendInvoice", None);
    let night = Night::of(world);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let set = night.newest().await.0.id;
    night.world.advance(std::time::Duration::from_mins(5));
    night.world.place_orders(7);
    night.world.upload("k2bbbbbbbbbbbbbbbbbbbbbbbbbb", "two");
    (night, set)
}

pub(super) const ALWAYS: [(&str, &str); 2] = [("restore_data", "always"), ("jobs", "run")];
const RUN_JOBS: [(&str, &str); 1] = [("jobs", "run")];

#[tokio::test]
async fn a_restore_says_first_what_was_written_since() {
    let (night, set) = with_a_set().await;
    let (before, writes) = (night.world.running(), night.world.writes());
    let failure = night.try_restore(&set, &[]).await.err().expect("a person is asked");
    let question = failure.question.expect("with a question");
    assert_eq!(question.flag.as_deref(), Some("restore-data"));
    assert!(question.choices[0].costs.contains(" rows of "), "{question:?}");
    assert!(
        question.found.join("\n").contains("7 rows written in `strata_production`.`orders`"),
        "{question:?}"
    );
    assert_eq!((night.world.running(), night.world.writes()), (before, writes), "nothing was changed");
}

#[tokio::test]
async fn a_restore_brings_databases_files_and_release_back() {
    let (night, set) = with_a_set().await;
    let told = night.try_restore(&set, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    assert_eq!(night.world.lost_orders(), 7, "what was written since is put aside");
    let told: Vec<_> = told.events.iter().map(|event| format!("{event:?}")).collect();
    let said = |words: &str| told.iter().any(|event| event.contains("Warning") && event.contains(words));
    assert!(said("put aside with the databases of now") && said("7 rows written in"), "{told:?}");
    let there = |key: &str| night.world.file(night.world.uploaded(key)).is_some();
    assert!(there("k1aaaaaaaaaaaaaaaaaaaaaaaaaa") && !there("k2bbbbbbbbbbbbbbbbbbbbbbbbbb"));
    let returned = night.newest().await.0.id.replace('-', "_");
    for name in ["strata_production", "strata_production_queue"] {
        let aside = night.world.database(&format!("{name}__failed_{returned}"));
        assert!(aside.is_some_and(|one| !one.facts.open), "the newer `{name}` is kept, closed");
    }
    let kept = night.host().await.status().await.kept;
    let folder = format!("/uplift-restore-{}", night.newest().await.0.id);
    let files =
        kept.iter().find(|one| one.name.ends_with(&folder)).expect("the uploads of before are listed");
    assert!(
        files.bytes > 0 && files.made.is_some() && files.expires.is_none(),
        "nobody removes them: {files:?}"
    );
    assert!(files.what.contains("sudo rm -r /var/lib/docker/volumes/"), "{files:?}");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done, "the way forward is free again");
}

/// What a restore has brought is neither a migration of the later release nor a row that a user wrote.
#[tokio::test]
async fn after_a_restore_the_way_back_says_whose_migrations_and_rows_those_are() {
    let (night, set) = with_a_set().await;
    assert_eq!(night.upgrade("1.1.1").await.ending, Ending::Done, "it migrates nothing");
    assert_eq!(night.try_restore(&set, &ALWAYS).await.unwrap().ending, Ending::Done);
    let restore = night.newest().await.0.id;
    let places = night.host().await.places().await.unwrap();
    let [later, earlier] = places.as_slice() else { panic!("{places:?}") };
    assert!(later.moved().contains(&format!("(run {restore}, a restore, came since)")), "{}", later.moved());
    assert!(earlier.migrated.is_empty() && earlier.runs_now, "{earlier:?}");
    let failure = night.try_return(&later.point.run, &[]).await.err().expect("only a set is left");
    assert_eq!(failure.code, "needs_restore");
    let evidence = failure.evidence.join("\n");
    assert!(
        evidence.contains(&format!("rows that run {restore}, a restore, has loaded are counted")),
        "{evidence}"
    );
}

#[tokio::test]
async fn a_damaged_set_is_refused_before_anything_is_begun() {
    let (night, set) = with_a_set().await;
    let dump = night.set(&set).join("strata_production.dump.zst");
    let mut bytes = night.world.file(&dump).unwrap().bytes;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    night.world.put_file(&dump, bytes, 0o600);
    let before = night.world.running();
    let told = night.try_restore(&set, &ALWAYS).await;
    let failure = match told {
        Err(failure) => failure,
        Ok(told) => match told.ending {
            Ending::Refused { failure } => failure,
            other => panic!("{other:?}"),
        },
    };
    assert_eq!(failure.code, "set_damaged");
    assert_eq!(night.world.running(), before);
}

/// What a list shows of a set costs nothing to look at, so the plan ends there: with what is wrong, and no question about
/// what would be put aside for it.
#[tokio::test]
async fn a_set_that_is_known_to_be_bad_is_not_even_planned() {
    let (night, set) = with_a_set().await;
    let planned =
        async |night: &Night, set: &str| night.try_restore(set, &[]).await.err().expect("a refusal");
    let dump = night.set(&set).join("strata_production.dump.zst");
    let whole = night.world.file(&dump).unwrap().bytes;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for bytes in [&flipped[..], &whole[1..]] {
        let night = night.fork();
        let dump = night.set(&set).join("strata_production.dump.zst");
        night.world.put_file(&dump, bytes, 0o600);
        let sets = night.host().await.sets();
        // A byte that is another one shows once somebody has looked; a length shows at once.
        let _found = sets.verify(&sets.one(&set).await.unwrap()).await.unwrap_err();
        let failure = planned(&night, &set).await;
        assert_eq!((failure.code.as_str(), failure.question), ("set_damaged", None));
        assert!(failure.message.contains("strata_production.dump.zst"), "{}", failure.message);
        assert!(failure.hint.unwrap().contains("uplift backup list"));
    }
    night.world.put_file(night.set("20261101-031500-0001.partial").join("half.dump.zst"), "half", 0o600);
    let failure = planned(&night, "20261101-031500-0001.partial").await;
    assert_eq!(failure.code, "set_incomplete", "{failure}");
}

#[tokio::test]
async fn a_set_that_is_not_there_is_said_not_to_be_there() {
    let (night, set) = with_a_set().await;
    let folder = night.set("");
    let wrong = format!("{}x", &set[..set.len() - 1]);
    for asked in [wrong.clone(), folder.join(&wrong).display().to_string()] {
        let failure = night.try_restore(&asked, &[]).await.err().expect("a refusal");
        assert_eq!(failure.code, "no_such_set");
        let folder = folder.display().to_string();
        let text = format!("there is no backup `{wrong}` in `{}`", folder.trim_end_matches('/'));
        assert_eq!(failure.message, text);
        let hint = failure.hint.unwrap();
        assert!(
            hint.contains(&format!("did you mean `{set}`?")) && hint.contains("`uplift backup list`"),
            "{hint}"
        );
    }
}

#[tokio::test]
async fn the_configuration_of_the_set_goes_back_only_where_it_is_asked_for() {
    let (night, set) = with_a_set().await;
    let then = night.world.setting("WEB_CONCURRENCY");
    night.world.set("WEB_CONCURRENCY", "7");
    night.try_restore(&set, &ALWAYS).await.unwrap();
    assert_eq!(night.world.setting("WEB_CONCURRENCY").as_deref(), Some("7"));
    let told =
        night.try_restore(&set, &[("restore_data", "always"), ("jobs", "run"), ("config", "true")]).await;
    assert_eq!(told.unwrap().ending, Ending::Done);
    assert_eq!(night.world.setting("WEB_CONCURRENCY"), then);
}

/// Containers, volumes and databases are gone; what is left is the set and a database server with the role.
#[tokio::test]
async fn a_set_brings_a_site_back_onto_an_empty_host() {
    let (night, set) = with_a_set().await;
    let path = night.set(&set);
    night.world.lose_everything();
    let settled = night.settle(&path).await.unwrap();
    assert_eq!(settled.written.len(), 2, "the env file and the compose file: {settled:?}");
    let told = night.try_restore(&path.display().to_string(), &[]).await.unwrap();
    let question = told.ending.question().expect("a question");
    assert!(question.text.contains("the restored databases"), "{question:?}");
    assert_eq!(question.flag.as_deref(), Some("jobs"), "what has run since the set would run a second time");
    assert_eq!(night.runs(), "1.0.0 ", "web runs, the worker is held");
    assert_eq!(night.answer("run").await.ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
    assert!(night.world.file(night.world.uploaded("k1aaaaaaaaaaaaaaaaaaaaaaaaaa")).is_some());
    let primary = night.world.database("strata_production").expect("the primary is back");
    assert_eq!(primary.facts.owner, "strata");
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
}

/// There is no newer release in it: what is taken back are databases that were restored.
#[tokio::test]
async fn a_restore_that_is_taken_back_is_asked_about_as_a_restore() {
    let (night, set) = with_a_set().await;
    night.world.put_job("SendInvoice", None);
    let told = night.try_restore(&set, &[("restore_data", "always")]).await.unwrap();
    assert!(told.ending.question().is_some(), "about the jobs: {:?}", told.ending);
    let told = night.rollback(None).await;
    let question = told.ending.question().expect("users could write");
    let all = format!("{question:?}");
    assert!(question.text.contains("since the restored databases took their places"), "{all}");
    assert!(question.choices[0].does.contains("what ran before the restore"), "{all}");
    assert!(!all.contains("newer release") && !all.contains("returned"), "{all}");
}

#[tokio::test]
async fn a_fault_at_every_write_of_a_restore() {
    let (night, set) = with_a_set().await;
    let (before, start) = (night.fork(), night.world.writes());
    night.try_restore(&set, &ALWAYS).await.unwrap();
    let writes = night.world.writes() - start;
    let mut tried = 0;
    for n in 1..=writes {
        for fault in [Fault::FailBefore, Fault::TimeoutAfter] {
            faulty(&before, &set, n, fault).await;
            tried += 1;
        }
    }
    println!("{tried} faults tried");
    assert!(tried > 60, "only {tried}");
}

async fn faulty(before: &Night, set: &str, n: usize, fault: Fault) {
    let night = before.fork();
    let when = format!("{fault:?} at write {n}");
    let policies =
        |world: &World| world.containers().into_iter().map(|one| (one.name, one.restart_policy)).collect();
    let (before, kept): (_, Vec<_>) = (night.world.running(), policies(&night.world));
    night.world.fault(n, fault);
    let told = night.try_restore(set, &ALWAYS).await;
    night.world.clear_faults();
    let Ok(told) = told else {
        assert_eq!(night.world.running(), before, "{when}");
        return;
    };
    match told.ending.exit() {
        ExitClass::Done => {
            assert_eq!(night.runs(), "1.0.0 1.0.0", "{when}");
            assert_eq!(policies(&night.world), kept, "{when}: after a reboot it is there again");
        }
        ExitClass::Refused | ExitClass::TakenBack => assert_eq!(night.world.running(), before, "{when}"),
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

/// Users could reach what was restored: whoever takes the restore back must not take away what they did there.
#[tokio::test]
async fn what_users_did_on_a_restored_site_stays_when_it_is_taken_back() {
    let (night, set) = with_a_set().await;
    let told = night.try_restore(&set, &[("restore_data", "always")]).await.unwrap();
    assert_eq!(told.ending.exit(), ExitClass::NeedsPerson, "the jobs are asked about, and web is open");
    night.world.place_orders(3);
    night.world.upload("k3cccccccccccccccccccccccccc", "three");
    let wrong = night.try_rollback(Some("restore-data")).await.err().expect("that was not asked");
    assert!(format!("{wrong:?}").contains("leave the answer out"), "{wrong:?}");
    assert_eq!(night.rollback(None).await.ending.exit(), ExitClass::NeedsPerson, "users could write");
    let told = night.rollback(Some("restore-data")).await;
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    let there = |key: &str| night.world.file(night.world.uploaded(key)).is_some();
    assert!(there("k2bbbbbbbbbbbbbbbbbbbbbbbbbb") && !there("k3cccccccccccccccccccccccccc"));
    let kept = night.world.files_in("/var/lib/docker/volumes");
    assert!(kept.iter().any(|path| path.ends_with("k3cccccccccccccccccccccccccc")), "{kept:?}");
}

/// The same where there was nothing before: the databases that users wrote to are put aside, not dropped.
#[tokio::test]
async fn what_users_wrote_on_a_host_that_was_empty_stays_when_it_is_taken_back() {
    let (night, set) = with_a_set().await;
    let path = night.set(&set);
    night.world.lose_everything();
    night.settle(&path).await.unwrap();
    let whole = night.fork();
    let start = whole.world.writes();
    whole.try_restore(&whole.set(&set).display().to_string(), &RUN_JOBS).await.unwrap();
    let log = whole.world.log();
    let job = start + 1 + log[start..].iter().position(|line| line == "up job").expect("job comes up last");
    night.world.fault(job, Fault::FailBefore);
    let told = night.try_restore(&path.display().to_string(), &RUN_JOBS).await.unwrap();
    assert_eq!(told.ending.exit(), ExitClass::NeedsPerson, "{:?}", told.ending);
    night.world.place_orders(3);
    let run = night.newest().await.0.id;
    night.rollback(Some("restore-data")).await;
    let aside = Kept::Failed.name("strata_production", &format!("{run}-returned"));
    let aside = night.world.database(&aside).expect("what users wrote to is kept");
    assert!(aside.facts.comment.is_some_and(|comment| comment.starts_with("uplift: ")), "and marked");
}

/// Somebody made room and took away what the way back needs: a run that nobody can end would block the site for ever.
#[tokio::test]
async fn a_restore_whose_files_of_before_are_gone_can_still_be_taken_back() {
    let (night, set) = with_a_set().await;
    let given = [("set", set.as_str()), ("restore_data", "always"), ("jobs", "run"), ("settle", "10s")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    night.stopped_at("compose/restore", &given, "exchange /").await;
    let kept = night.host().await.status().await.kept;
    let aside = kept.iter().find(|one| one.name.contains("/uplift-restore-")).expect("it is listed");
    assert!(aside.what.contains("do not remove") && !aside.what.contains("rm -r"), "{aside:?}");
    night.world.remove_file(&aside.name);
    let told = night.rollback(None).await;
    let question = told.ending.question().unwrap_or_else(|| panic!("{:?}", told.ending));
    assert!(question.found[0].contains(&aside.name), "{question:?}");
    let told = night.rollback(Some("without-files")).await;
    let Ending::RolledBack { left } = &told.ending else { panic!("{:?}", told.ending) };
    assert!(left.iter().any(|line| line.contains("not all uploaded files of before came back")), "{left:?}");
    assert_eq!((night.runs().as_str(), night.world.lost_orders()), ("1.1.0 1.1.0", 0));
    assert!(night.unfinished().await.is_none());
}

/// Half a configuration would be taken for a site.
#[tokio::test]
async fn a_configuration_is_written_whole_or_not_at_all() {
    let (night, set) = with_a_set().await;
    let path = night.set(&set);
    night.world.lose_everything();
    let files = night.world.site().project.config_files();
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        for n in 1..=2 {
            night.world.fault(n, fault);
            assert!(night.settle(&path).await.is_err(), "{fault:?} at write {n}");
            let left: Vec<_> = files.iter().filter(|path| night.world.file(path).is_some()).collect();
            assert!(left.is_empty(), "{fault:?} at write {n}: {left:?}");
        }
    }
    assert_eq!(night.settle(&path).await.unwrap().written.len(), 2);
}
