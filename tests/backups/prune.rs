//! Removing what is old, as operators do it.

use std::{collections::BTreeSet, time::Duration};

use uplift::{
    Ending, World,
    event::{ExitClass, Teller},
    primitives::contract::Catalogue,
    run::PlanEnd,
    sim::Fault,
};

use super::site::{RUN, Site};

/// A site with `count` backups, two days apart.
async fn with_backups(count: usize) -> Site {
    let site = Site::new();
    for n in 0..count {
        site.backup().await;
        site.world.upload(&format!("k{n}x9x8c7v6b5n4"), format!("file {n}"));
        site.world.advance(Duration::from_hours(48));
    }
    site
}

async fn all_are_whole(site: &Site, when: &str) {
    for set in site.all().await {
        assert!(set.standing.is_verified(), "{when}: {} {:?}", set.set, set.standing);
        assert!(site.sets().verify(&set).await.is_ok(), "{when}: {}", set.set);
    }
}

#[tokio::test]
async fn what_is_old_goes_and_the_rest_stays_whole() {
    let site = with_backups(7).await;
    let before = site.good().await;
    assert_eq!(site.prune().await, Ending::Done);
    // Made 2, 4, 6, 8, 10, 12 and 14 days ago.
    assert_eq!(site.good().await, before[..3]);
    all_are_whole(&site, "pruned").await;
    let again = site.prune().await;
    assert!(matches!(again, Ending::NothingNeeded { .. }), "{again:?}");
    assert_eq!(again.exit(), ExitClass::Done);
}

#[tokio::test]
async fn a_fault_at_every_removal_leaves_no_half_set_under_a_good_name() {
    let site = with_backups(6).await;
    let (before, stays) = (site.world.fork(), site.good().await[..3].to_vec());
    let writes = site.world.writes();
    site.prune().await;
    let writes = site.world.writes() - writes;
    let mut half_way = 0;
    for n in 1..=writes {
        for fault in [Fault::FailBefore, Fault::FailAfter, Fault::TimeoutAfter, Fault::Lose] {
            let when = format!("{fault:?} at write {n}");
            let site = Site::of(before.fork());
            copy_sets(&before, &site);
            let all = site.good().await;
            site.world.fault(n, fault);
            let ended = site.run("compose/prune", &[]).await;
            site.world.clear_faults();
            all_are_whole(&site, &when).await;
            // What was removed is removed: no ending says that nothing was changed.
            let gone = site.good().await != all;
            match &ended {
                Ok(Ending::TakenBack { left, .. }) => {
                    assert_eq!(
                        gone,
                        left.iter().any(|line| line.contains("does not come back")),
                        "{when}: {ended:?}"
                    );
                    half_way += usize::from(gone);
                }
                Ok(Ending::Refused { .. } | Ending::Interrupted) | Err(_) => {
                    assert!(!gone, "{when}: {ended:?}");
                }
                Ok(_) => {}
            }
            // Once more, and it is done.
            let host = site.host().await;
            if host.unfinished().unwrap().is_some() {
                let mut run = host.resume(None, None, "uplift resume").await.unwrap();
                while run.next().await.is_some() {}
            }
            site.run("compose/prune", &[]).await.unwrap();
            assert_eq!(site.good().await, stays, "{when}");
            let names: BTreeSet<_> = site.world.files_in(site.folder());
            assert!(names.iter().all(|path| !path.display().to_string().contains(".deleting-")), "{when}");
        }
    }
    assert!(writes >= 6 && half_way > 3, "only {writes} writes, {half_way} half way");
}

/// The folder of another site's sets, under this one's name.
fn copy_sets(world: &World, site: &Site) {
    let found: Vec<_> = world.files_in("/").into_iter().collect();
    for path in found {
        let Some(at) = path.iter().position(|part| part == "backups") else { continue };
        let below: std::path::PathBuf = path.iter().skip(at + 1).collect();
        let file = world.file(&path).unwrap();
        site.world.put_file(site.folder().join(below), file.bytes, file.mode);
    }
}

#[tokio::test]
async fn nothing_goes_while_the_newest_backup_is_rotten() {
    let site = with_backups(6).await;
    let before = site.good().await;
    let rest = site.folder().join(".deleting-20261001-031500-aaaa/config-0-env");
    site.world.put_file(&rest, "A=1", 0o600);
    spoil(&site, &before[0], "strata_production.dump.zst");
    refused(&site).await;
    assert_eq!(site.good().await, before);
    assert!(site.world.file(&rest).is_some(), "what an earlier removal has left may be the last whole one");
}

/// One bit of one file is another.
fn spoil(site: &Site, set: &str, file: &str) {
    let path = site.folder().join(set).join(file);
    let mut file = site.world.file(&path).unwrap();
    file.bytes[100] ^= 4;
    site.world.put_file(&path, &file.bytes, file.mode);
}

async fn refused(site: &Site) {
    let ending = site.prune().await;
    let Ending::Refused { failure } = ending else { panic!("{ending:?}") };
    assert_eq!(failure.code, "set_damaged");
}

/// Most uploaded files are lost: the last set that has them stays, and older ones go only if it is whole.
#[tokio::test]
async fn the_last_set_with_the_files_stays_and_must_be_whole() {
    let site = with_backups(7).await;
    let before = site.good().await;
    let volume = site.world.uploaded("k0x9x8c7v6b5n4").ancestors().nth(3).unwrap().to_owned();
    for path in site.world.files_in(&volume).iter().skip(1) {
        site.world.remove_file(path);
    }
    for _ in 0..4 {
        site.backup().await;
        site.world.advance(Duration::from_hours(48));
    }
    // Made 2, 4, 6 and 8 days ago.
    let lacking = site.good().await[..3].to_vec();
    let pack = site.world.files_in(site.folder().join(&before[0]));
    let pack = pack.iter().find(|path| path.to_string_lossy().ends_with(".tar.zst")).unwrap();
    let whole = site.world.fork();
    spoil(&site, &before[0], &pack.file_name().unwrap().to_string_lossy());
    refused(&site).await;
    let site = site.on(whole);
    assert_eq!(site.prune().await, Ending::Done);
    let stay: Vec<_> = lacking.into_iter().chain([before[0].clone()]).collect();
    assert_eq!(site.good().await, stay);
}

/// The newest backup has no uploaded files: older ones may go only if the newest that has them is whole.
#[tokio::test]
async fn nothing_goes_while_the_newest_with_its_part_is_rotten() {
    let site = with_backups(7).await;
    let before = site.good().await;
    assert_eq!(site.run("compose/backup", &[("storage", "none")]).await.unwrap(), Ending::Done);
    let pack = site.world.files_in(site.folder().join(&before[0]));
    let pack = pack.iter().find(|path| path.to_string_lossy().ends_with(".tar.zst")).unwrap();
    spoil(&site, &before[0], &pack.file_name().unwrap().to_string_lossy());
    refused(&site).await;
    assert_eq!(site.good().await.len(), before.len() + 1);
}

/// Nobody can say of a set whether it is pinned if its manifest is not what was written.
#[tokio::test]
async fn a_set_whose_manifest_is_rotten_or_lost_stays() {
    let site = with_backups(8).await;
    let before = site.good().await;
    spoil(&site, &before[6], "manifest.json");
    site.world.remove_file(site.folder().join(&before[7]).join("manifest.json"));
    let files = |set: &String| site.world.files_in(site.folder().join(set));
    let (rotten, lost) = (files(&before[6]), files(&before[7]));
    assert_eq!(site.prune().await, Ending::Done);
    assert_eq!(site.good().await, before[..3]);
    assert_eq!((files(&before[6]), files(&before[7])), (rotten, lost));
    let plan = site.plan("compose/prune").await;
    assert!(matches!(plan.end, PlanEnd::NothingNeeded { .. }), "{:?}", plan.end);
}

#[tokio::test]
async fn nothing_goes_where_all_sets_are_bad() {
    let site = with_backups(5).await;
    for set in site.good().await {
        site.world.remove_file(site.folder().join(set).join("strata_production.dump.zst"));
    }
    site.world.put_file(site.folder().join("20261001-031500-aaaa.partial/x"), "x", 0o600);
    let before = site.world.files_in(site.folder());
    let ending = site.prune().await;
    assert!(matches!(ending, Ending::NothingNeeded { .. }), "{ending:?}");
    assert_eq!(site.world.files_in(site.folder()), before);
}

#[tokio::test]
async fn a_pinned_backup_and_an_unfinished_one() {
    let site = Site::new();
    assert_eq!(site.run("compose/backup", &[("pin", "true")]).await.unwrap(), Ending::Done);
    let pinned = site.good().await;
    let half = site.folder().join("20261120-031500-aaaa.partial");
    site.world.put_file(half.join("strata_production.dump.zst"), "half", 0o600);
    for _ in 0..4 {
        site.world.advance(Duration::from_hours(10 * 24));
        site.backup().await;
    }
    assert_eq!(site.prune().await, Ending::Done);
    let left = site.good().await;
    assert_eq!((left.len(), &left[3]), (4, &pinned[0]));
    assert!(site.all().await.iter().all(|set| set.standing.is_verified()), "the unfinished one is gone");
}

/// Between the plan and the removal the newest one goes bad: what was to go is the one to keep now.
#[tokio::test]
async fn what_was_to_go_stays_if_it_is_needed_by_now() {
    let site = with_backups(4).await;
    let before = site.good().await;
    let (ports, of, tell) = (site.world.ports(), site.host().await.site().clone(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("backup_prune").unwrap();
    let call = verb.parse(verb.example.clone()).unwrap();
    let intent = call.intend(ports.observe(&of, RUN, &tell)).await.unwrap().0.unwrap();
    assert!(intent.to_string().contains(&before[3]), "{intent}");
    site.world.remove_file(site.folder().join(&before[0]).join("strata_production.dump.zst"));
    let operate = ports.operate(&of, RUN, &tell);
    verb.kept().unwrap().execute(verb.version, intent, operate).await.unwrap();
    assert_eq!(site.good().await, before[1..]);
}

#[tokio::test]
async fn savepoints_go_when_their_time_is_over_or_one_is_named() {
    let site = Site::new();
    let upgraded =
        site.run("compose/upgrade", &[("to", "1.1.0"), ("settle", "10s"), ("patience", "1m")]).await;
    assert_eq!(upgraded.unwrap(), Ending::Done);
    let kept = site.host().await.status().await.kept;
    assert_eq!(kept.len(), 4);
    assert!(matches!(site.prune().await, Ending::NothingNeeded { .. }), "their time is not over");
    let running = site.world.running();
    let error = site.run("compose/prune", &[("database", "strata_production")]).await.unwrap();
    let Ending::Refused { failure } = error else { panic!("{error:?}") };
    assert_eq!(failure.code, "not_ours");
    let named = [("database", kept[0].name.as_str())];
    assert_eq!(site.run("compose/prune", &named).await.unwrap(), Ending::Done);
    assert_eq!(site.host().await.status().await.kept.len(), 3);
    site.world.advance(Duration::from_hours(8 * 24));
    assert_eq!(site.prune().await, Ending::Done);
    assert!(site.host().await.status().await.kept.is_empty());
    let now = site.world.running();
    assert_eq!(now.databases.keys().collect::<Vec<_>>(), running.databases.keys().collect::<Vec<_>>());
}
