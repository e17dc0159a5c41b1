//! What goes wrong while a backup is made: a clear end, nothing that is listed as good and is not, nothing left over.

use uplift::{
    Ending, World,
    backups::Standing,
    event::{ExitClass, Teller},
    journal::{Folder, Holder, Lock},
    primitives::contract::{Back, Catalogue},
    sim::Fault,
};

use super::site::{RUN, Site, intended};

const FAULTS: [Fault; 4] = [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter, Fault::Lose];

/// `pg_dump` that is killed, a file that cannot be written, an answer that never comes: at every single write.
#[tokio::test]
async fn a_fault_at_every_write() {
    let good = Site::new();
    let first = good.backup().await;
    let before = good.world.fork();
    good.world.advance(std::time::Duration::from_hours(24));
    let writes = good.world.writes();
    good.backup().await;
    let writes = good.world.writes() - writes;
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for n in 1..=writes {
        for fault in FAULTS {
            let site = Site::new();
            let running = site.world.running();
            site.world.fault(n, fault);
            let ending = site.run("compose/backup", &[]).await;
            site.world.clear_faults();
            let when = format!("{fault:?} at write {n}");
            let exit = ending.as_ref().map_or_else(uplift::HostError::exit, Ending::exit);
            *ends.entry(format!("{exit:?}")).or_default() += 1;
            assert!(
                matches!(exit, ExitClass::Done | ExitClass::Refused | ExitClass::Unfinished),
                "{when}: {ending:?}"
            );
            assert_eq!(site.world.running(), running, "{when}");
            // What is listed as good is good, and an end that says so has one.
            let listed = site.good().await;
            for set in &listed {
                let set = site.sets().one(set).await.unwrap();
                assert!(site.sets().verify(&set).await.is_ok(), "{when}: {:?}", set.standing);
            }
            assert!(exit != ExitClass::Done || listed.len() == 1, "{when}: {listed:?}");
            if exit == ExitClass::Refused {
                // Where only the last answer was lost, it is whole; nothing unfinished is left.
                let all = site.all().await;
                assert!(all.iter().all(|set| set.standing.is_verified()), "{when}: {all:?}");
            }
        }
    }
    println!("{} faults: {ends:?}", writes * FAULTS.len());
    assert!(writes > 8, "only {writes} writes");
    // None of it concerns the set that was there.
    let sets = good.sets_of(&before);
    assert!(sets.one(&first).await.unwrap().standing.is_verified());
}

/// The disk fills up after there was room: at every point of the way.
#[tokio::test]
async fn a_disk_that_is_full_in_the_middle() {
    let (mut full, mut whole) = (0, 0);
    for free in (0..).map(|n| n * 400) {
        let world = World::strata();
        let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
        let catalogue = Catalogue::stock();
        let verb = catalogue.get("backup").unwrap();
        let (kept, intent) = (verb.kept().unwrap(), intended(&world, "backup").await);
        world.set_free("/srv/strata", free);
        let operate = || ports.operate(&site, RUN, &tell);
        let done = kept.execute(verb.version, intent.clone(), operate()).await;
        let sets = uplift::backups::list(&*ports.files, &uplift::backups::folder(&site)).await.unwrap();
        match done {
            Ok(_) => {
                assert!(sets[0].standing.is_verified());
                whole += 1;
                break;
            }
            Err(failure) => {
                assert_eq!(failure.code, "no_room", "{free} free: {failure}");
                assert!(sets.iter().all(|set| set.standing == Standing::Incomplete), "{free} free: {sets:?}");
                kept.undo(verb.version, intent, &Back::default(), operate()).await.unwrap();
                assert!(world.files_in(&site.state).is_empty(), "{free} free: something is left");
                full += 1;
            }
        }
    }
    println!("full at {full} points");
    assert!(full > 10 && whole == 1, "{full}");
}

/// A dump that ends well and lacks rows is no backup: what it holds is compared with what the moment held.
#[tokio::test]
async fn a_dump_that_lacks_rows_is_found_before_it_counts() {
    let site = Site::new();
    let mut database = site.world.database("strata_production").unwrap();
    database.lost_by_dumps = Some("orders".to_owned());
    site.world.put_database(database);
    let ending = site.run("compose/backup", &[]).await.unwrap();
    let (Ending::Refused { failure } | Ending::TakenBack { failure, .. }) = ending else {
        panic!("{ending:?}")
    };
    assert!(failure.message.contains("orders"), "{failure:?}");
    assert_eq!(site.good().await, Vec::<String>::new());
}

/// Without a `pg_restore` nothing is proved: it is said before anything is dumped, and what loses it meanwhile is no backup.
#[tokio::test]
async fn a_backup_that_cannot_be_proved_is_none() {
    let site = Site::new();
    site.world.set_dump_clients(&["17.2"]);
    let ending = site.run("compose/backup", &[]).await.unwrap();
    let Ending::Refused { failure } = ending else { panic!("{ending:?}") };
    assert_eq!(failure.code, "dump_client_missing");
    let world = World::strata();
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("backup").unwrap();
    let (kept, intent) = (verb.kept().unwrap(), intended(&world, "backup").await);
    world.set_dump_clients(&[]);
    let failure = kept.execute(verb.version, intent, ports.operate(&site, RUN, &tell)).await.unwrap_err();
    assert_eq!(failure.code, "not_proved", "{failure}");
    let sets = uplift::backups::list(&*ports.files, &uplift::backups::folder(&site)).await.unwrap();
    assert!(sets.iter().all(|set| set.standing == Standing::Incomplete), "{sets:?}");
}

/// Calls of one block are decided on before any of them has made anything.
#[tokio::test]
async fn sets_of_one_block_have_names_of_their_own() {
    let site = Site::new();
    let book = r#"
        const RUNBOOK = #{ api: 1, summary: "three at once", on_failure: "undo", params: #{} };
        step "copy" {
            together {
                backup(#{});
                backup(#{ storage: "none" });
                pg_dump(#{});
            }
        }
        step "again" { backup(#{}); }
    "#;
    site.world.put_file("/srv/strata/three.rhai", book, 0o644);
    assert_eq!(site.run("/srv/strata/three.rhai", &[]).await.unwrap(), Ending::Done);
    let mut names = site.good().await;
    let run = site.host().await.history().unwrap()[0].id.clone();
    names.sort();
    assert_eq!(names, ["", "-2", "-backup2", "-pg-dump"].map(|end| format!("{run}{end}")));
    for set in site.all().await {
        assert!(site.sets().verify(&set).await.is_ok(), "{set:?}");
        let whole = set.set == run || set.set.ends_with("-2");
        assert_eq!(set.parts.len() == 3, whole, "{set:?}");
    }
}

#[tokio::test]
async fn two_backups_at_once_do_not_meet() {
    let site = Site::new();
    let folder = Folder::prepare(&site.state()).unwrap();
    let holder = Holder {
        run: "20261124-031500-7f3a".to_owned(),
        command: "uplift backup create".to_owned(),
        user: "ann".to_owned(),
        host: "app1".to_owned(),
        since: "2026-11-24T03:15:00Z".parse().unwrap(),
        pid: 0,
        space: String::new(),
    };
    let lock = Lock::take(&folder, holder).unwrap();
    for runbook in ["compose/backup", "compose/prune"] {
        let error = site.run(runbook, &[]).await.unwrap_err();
        assert_eq!(error.exit(), ExitClass::Held, "{error}");
    }
    assert!(site.all().await.is_empty());
    drop(lock);
    site.backup().await;
}

/// A backup of tomorrow lies in the folder: the clock was put back.
#[tokio::test]
async fn a_clock_that_was_put_back() {
    let site = Site::new();
    let earlier = site.world.fork();
    site.world.advance(std::time::Duration::from_hours(40 * 24));
    let tomorrow = site.backup().await;
    for path in site.world.files_in(site.folder()) {
        earlier.put_file(&path, site.world.file(&path).unwrap().bytes, 0o600);
    }
    let site = site.on(earlier);
    let now = site.backup_of_now(&tomorrow).await;
    assert_ne!(now, tomorrow);
    assert!(matches!(site.prune().await, Ending::NothingNeeded { .. }));
    assert_eq!(site.good().await, [tomorrow, now]);
}

impl Site {
    /// A good backup that is not the newest by its date.
    async fn backup_of_now(&self, other: &str) -> String {
        assert_eq!(self.run("compose/backup", &[]).await.unwrap(), Ending::Done);
        self.good().await.into_iter().find(|set| set != other).expect("it is listed as good")
    }
}

#[tokio::test]
async fn parts_of_a_site_can_be_copied_alone() {
    for (verb, lacks) in [
        ("pg_dump", vec!["uploaded files", "configuration"]),
        ("storage_copy", vec!["databases", "configuration"]),
        ("config_copy", vec!["databases", "uploaded files"]),
    ] {
        let site = Site::new();
        let book = format!(
            "const RUNBOOK = #{{ api: 1, summary: \"one part\", on_failure: \"undo\", params: #{{}} }};\n\
             step \"copy\" {{ {verb}(#{{}}); }}\n"
        );
        site.world.put_file("/srv/strata/part.rhai", book, 0o644);
        assert_eq!(site.run("/srv/strata/part.rhai", &[]).await.unwrap(), Ending::Done, "{verb}");
        let set = site.all().await.pop().unwrap();
        assert!(set.standing.is_verified(), "{verb}: {:?}", set.standing);
        assert_eq!(set.manifest.as_ref().unwrap().left_out, lacks, "{verb}");
        assert!(site.sets().verify(&set).await.is_ok(), "{verb}");
    }
}
