//! What old runs have left beside the record: what of it goes, and what stays whatever its age.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uplift::{
    Ending, World,
    backups::{RUNS, judge_run},
    event::Teller,
    journal::{Folder, Holder, Lock, NewRun, RunState, Writer},
    ports::{
        docker::Stop,
        points::PastRun,
        postgres::{CopyDatabase, Kept, Mark},
    },
    primitives::contract::Catalogue,
    run::PlanEnd,
    sim::Fault,
    site::Scrubber,
};

use super::site::{RUN, Site, names};
use crate::laws::record::{LONG_AGO, known};

/// Runs that ended a day apart, the newest now, each with a kept copy and a log; newest first.
async fn with_runs(count: usize) -> (Site, Vec<String>) {
    let site = Site::new();
    let now = site.host().await.now();
    let folder = Folder::prepare(&site.state()).unwrap();
    let holder = Holder {
        run: String::new(),
        command: "uplift".to_owned(),
        user: "op".to_owned(),
        host: "here".to_owned(),
        since: now,
        pid: 0,
        space: String::new(),
    };
    let lock = Lock::take(&folder, holder).unwrap();
    let writer = Writer::open(&folder, &lock, Scrubber::default()).unwrap();
    let mut ids = Vec::new();
    for n in (0..count).rev() {
        let at = now - SignedDuration::from_hours(24 * i64::try_from(n).unwrap());
        let id = format!("{}-{n:04x}", at.strftime("%Y%m%d-%H%M%S"));
        writer.begin(new_run(&id, at)).unwrap();
        writer.ended(&id, RunState::Done, &Ending::Done, at).unwrap();
        site.world.put_file(kept(&site, &id).join("before/0-env"), "DB_PASSWORD=hunter2", 0o600);
        site.world.put_file(log(&site, &id), "{}\n", 0o600);
        ids.insert(0, id);
    }
    (site, ids)
}

fn new_run(id: &str, at: Timestamp) -> NewRun {
    NewRun {
        id: id.to_owned(),
        runbook: "compose/backup".to_owned(),
        command: "uplift backup create -y".to_owned(),
        by: "op@here".to_owned(),
        at,
        params: json!({}),
        on_failure: "undo".to_owned(),
        bundle: Vec::new(),
        before: json!({}),
        uplift: "0.1.0".to_owned(),
    }
}

fn kept(site: &Site, run: &str) -> PathBuf {
    site.state().join("kept").join(run)
}

fn log(site: &Site, run: &str) -> PathBuf {
    site.state().join("logs").join(format!("{run}.jsonl"))
}

/// Whether the copies and the log of a run are there; never one without the other.
fn is_there(site: &Site, run: &str) -> bool {
    let kept = !site.world.files_in(kept(site, run)).is_empty();
    assert_eq!(kept, site.world.file(log(site, run)).is_some(), "{run}");
    kept
}

#[tokio::test]
async fn what_old_runs_left_goes_and_their_record_stays() {
    let (site, runs) = with_runs(RUNS + 9).await;
    let part = site.state().join("logs").join(format!("{}.jsonl.2.gz", runs[RUNS]));
    let other = site.state().join("logs").join(format!("{}.jsonl.bak", runs[RUNS]));
    site.world.put_file(&part, "rotated", 0o600);
    site.world.put_file(&other, "somebody's", 0o600);
    let runs_before = site.host().await.runs().unwrap().footprint().await.unwrap().runs;
    assert!(site.host().await.has_old(&[]).await.unwrap());
    let plan = site.plan("compose/prune").await;
    assert!(matches!(plan.end, PlanEnd::Complete), "{:?}", plan.end);
    assert_eq!(site.prune().await, Ending::Done);
    for (n, run) in runs.iter().enumerate() {
        assert_eq!(is_there(&site, run), n < RUNS, "{n}");
    }
    assert!(site.world.file(&part).is_none() && site.world.file(&other).is_some());
    let names = site.world.files_in(site.state());
    assert!(names.iter().all(|path| !path.display().to_string().contains(".deleting-")), "{names:?}");
    let host = site.host().await;
    assert!(!host.has_old(&[]).await.unwrap());
    assert!(
        host.runs().unwrap().footprint().await.unwrap().runs < runs_before + 20_000,
        "its own log is there"
    );
    // The record has all of them, and says what is gone.
    let told = host.runs().unwrap();
    assert_eq!(told.count().unwrap(), RUNS + 10);
    assert_eq!(told.show(Some(&runs[RUNS])).unwrap().run.state, RunState::Done);
    let left = told.left(&runs[RUNS]).await;
    assert!(left.kept_gone && left.log_gone);
    let left = told.left(&runs[0]).await;
    assert!(!left.kept_gone && !left.log_gone);
    // Removing is a run too, and makes no other one old.
    let again = site.prune().await;
    assert!(matches!(again, Ending::NothingNeeded { .. }), "{again:?}");
    site.backup().await;
    assert_eq!(site.prune().await, Ending::Done);
    assert!(!is_there(&site, &runs[RUNS - 1]) && is_there(&site, &runs[RUNS - 2]));
}

/// What is cut off half way is finished by the next.
#[tokio::test]
async fn the_rest_of_an_earlier_removal_goes() {
    let (site, runs) = with_runs(3).await;
    let rest = site.state().join("kept/.deleting-20261001-031500-aaaa/before/0-env");
    site.world.put_file(&rest, "A=1", 0o600);
    assert_eq!(site.prune().await, Ending::Done);
    assert!(site.world.file(&rest).is_none());
    let own = site.host().await.history().unwrap().remove(0).id;
    let told = String::from_utf8(site.world.file(log(&site, &own)).unwrap().bytes).unwrap();
    assert!(!told.contains("the record does not know"), "it is nobody's copy any more: {told}");
    assert!(runs.iter().all(|run| is_there(&site, run)));
}

#[tokio::test]
async fn nothing_goes_where_somebody_elses_file_or_a_link_lies() {
    let (site, runs) = with_runs(RUNS + 5).await;
    let notes = kept(&site, &runs[RUNS]).join("notes.txt");
    site.world.put_file(&notes, "mine", 0o600);
    let link = kept(&site, &runs[RUNS + 1]).join("env/1f");
    site.world.put_file(&link, "of another place", 0o600);
    site.world.link_file(&link);
    let rotated = site.state().join("logs").join(format!("{}.jsonl.1", runs[RUNS + 2]));
    site.world.put_file(&rotated, "of another place", 0o600);
    site.world.link_file(&rotated);
    assert_eq!(site.prune().await, Ending::Done);
    for (n, path) in [notes, link, rotated].iter().enumerate() {
        assert!(site.world.file(path).is_some() && is_there(&site, &runs[RUNS + n]), "{}", path.display());
    }
    assert!(!is_there(&site, &runs[RUNS + 3]) && !is_there(&site, &runs[RUNS + 4]));
    let plan = site.plan("compose/prune").await;
    let PlanEnd::NothingNeeded { why } = plan.end else { panic!("{:?}", plan.end) };
    assert!(why.contains("notes.txt` is not uplift's: move it away"), "{why}");
    assert!(why.contains("env/1f` is not uplift's") && why.contains(".jsonl.1` is not uplift's"), "{why}");
}

/// A folder that the record does not know is nobody's to judge.
#[tokio::test]
async fn what_the_record_does_not_know_stays() {
    let (site, _) = with_runs(2).await;
    let strange = ["20250101-031500-aaaa", "somebody"].map(|name| kept(&site, name).join("before/0-env"));
    for path in &strange {
        site.world.put_file(path, "A=1", 0o600);
    }
    let ended = site.prune().await;
    assert!(matches!(ended, Ending::NothingNeeded { .. }), "{ended:?}");
    assert!(strange.iter().all(|path| site.world.file(path).is_some()));
}

#[tokio::test]
async fn a_run_whose_backup_or_databases_are_there_stays() {
    let (site, runs) = with_runs(RUNS + 5).await;
    let (ports, tell) = (site.world.ports(), Teller::silent());
    let endpoint = site.world.site().databases.endpoint;
    let names = vec!["strata_production".to_owned()];
    let from = ports.postgres.databases(&endpoint, &names).await.unwrap().remove(0);
    let mark = Mark {
        kind: Kept::Savepoint,
        of: from.name.clone(),
        run: runs[RUNS + 1].clone(),
        made: "2026-11-01T03:20:00Z".to_owned(),
        expires: "2036-11-08T03:20:00Z".to_owned(),
        snapshot: ports.postgres.snapshot(&endpoint, &from.name).await.unwrap(),
    };
    let to = Kept::Savepoint.name(&from.name, &runs[RUNS + 1]);
    for one in site.world.containers() {
        let service = one.service().unwrap_or_default().to_owned();
        ports.docker.stop(&Stop { id: one.id, service, timeout: None }).await.unwrap();
    }
    let copy = CopyDatabase { endpoint, from, to, mark };
    ports.postgres.copy_database(&copy, &tell).await.unwrap();
    site.world.put_file(site.folder().join(&runs[RUNS + 2]).join("manifest.json"), "{}", 0o600);
    assert_eq!(site.prune().await, Ending::Done);
    let there: Vec<_> = runs[RUNS..].iter().map(|run| is_there(&site, run)).collect();
    assert_eq!(there, [false, true, true, false, false]);
}

/// Its savepoint, its backup and its databases are gone, and the settings say that the code alone may go back.
#[tokio::test]
async fn a_run_that_one_can_return_from_stays() {
    let settings = [("to", "1.1.0"), ("settle", "10s"), ("patience", "1m")];
    for compatible in [true, false] {
        let site = Site::new();
        assert_eq!(site.run("compose/upgrade", &settings).await.unwrap(), Ending::Done);
        let run = site.host().await.history().unwrap().remove(0).id;
        assert!(names(&site.world, &kept(&site, &run)).len() > 3);
        for _ in 0..=RUNS {
            site.world.advance(Duration::from_hours(24));
            site.backup().await;
        }
        site.world.remove_file(site.folder().join(&run));
        if compatible {
            site.world.put_file("/srv/strata/uplift.toml", "[rollback]\ncompatible = [\"1.1.0\"]\n", 0o644);
        }
        assert_eq!(site.host().await.places().await.unwrap().len(), 1, "it is listed either way");
        // The first takes away the databases whose time is over.
        site.prune().await;
        site.prune().await;
        let there = !site.world.files_in(kept(&site, &run)).is_empty();
        assert_eq!(there, compatible, "compatible: {compatible}");
        let host = site.host().await;
        assert_eq!(host.runs().unwrap().show(Some(&run)).unwrap().run.id, run);
    }
}

/// Between the plan and the removal somebody puts the backup of one back, and a note into the copies of another.
#[tokio::test]
async fn what_was_to_go_stays_if_it_is_needed_by_now() {
    let world = World::strata();
    let state = PathBuf::from("/srv/strata/.uplift");
    let copies = LONG_AGO.map(|run| state.join("kept").join(run).join("before/0-env"));
    for one in [true, false] {
        for path in &copies {
            world.put_file(path, "A=1", 0o600);
        }
        let (ports, site, tell) = (known(&world), world.site(), Teller::silent());
        let catalogue = Catalogue::stock();
        let verb = catalogue.get("runs_prune").unwrap();
        let call = verb.parse(verb.example.clone()).unwrap();
        let intent = call.intend(ports.observe(&site, RUN, &tell)).await.unwrap().0.unwrap();
        assert!(LONG_AGO.iter().all(|run| intent.to_string().contains(run)), "{intent}");
        let put =
            if one { state.join("backups").join(LONG_AGO[0]) } else { state.join("kept").join(LONG_AGO[0]) };
        world.put_file(put.join("manifest.json"), "{}", 0o600);
        verb.kept().unwrap().execute(verb.version, intent, ports.operate(&site, RUN, &tell)).await.unwrap();
        assert_eq!(copies.each_ref().map(|path| world.file(path).is_some()), [true, false]);
        world.remove_file(put.join("manifest.json"));
        world.remove_file(put);
    }
}

/// A removal that was answered and did not happen is no removal.
#[tokio::test]
async fn what_was_said_to_be_removed_is_looked_for() {
    let world = World::strata();
    for run in LONG_AGO {
        world.put_file(format!("/srv/strata/.uplift/kept/{run}/before/0-env"), "A=1", 0o600);
        world.put_file(format!("/srv/strata/.uplift/logs/{run}.jsonl"), "{}\n", 0o600);
    }
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("runs_prune").unwrap();
    for n in 1..=6 {
        let world = world.fork();
        let (ports, site, tell) = (known(&world), world.site(), Teller::silent());
        let call = verb.parse(verb.example.clone()).unwrap();
        let intent = call.intend(ports.observe(&site, RUN, &tell)).await.unwrap().0.unwrap();
        world.fault(n, Fault::Lose);
        let kept = verb.kept().unwrap();
        let done = kept.execute(verb.version, intent.clone(), ports.operate(&site, RUN, &tell)).await;
        assert_eq!(done.unwrap_err().code, "not_removed", "write {n}");
        world.clear_faults();
        kept.execute(verb.version, intent, ports.operate(&site, RUN, &tell)).await.unwrap();
        assert_eq!(world.files_in("/srv/strata/.uplift/kept").len(), 0);
        assert_eq!(world.files_in("/srv/strata/.uplift/logs").len(), 0);
    }
}

/// Whatever a stock primitive keeps is known as uplift's own: otherwise nothing of its runs would ever go.
#[test]
fn every_name_in_a_kept_folder_is_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known = std::fs::read_to_string(root.join("primitives/old_runs.rs")).unwrap();
    let (mut left, mut names) = (vec![root], BTreeSet::new());
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["kept().join(", "kept_of(run).join("] {
            for rest in text.split(call).skip(1) {
                let rest = rest.trim_start_matches("format!(");
                let word = rest.split([')', ',']).next().unwrap();
                let constant = text.split(&format!("const {word}: &str = ")).nth(1);
                let name = constant.unwrap_or(rest).split('"').nth(1).unwrap();
                names.insert(name.split('{').next().unwrap().to_owned());
            }
        }
    }
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(&format!("    \"{name}\","))).collect();
    assert!(
        unknown.is_empty() && names.len() > 8,
        "{unknown:?} of {names:?} is not in `OURS` of old_runs.rs"
    );
}

/// All rules that need only the record, each by itself.
#[test]
fn each_rule_keeps_what_a_run_has_left() {
    let now: Timestamp = "2026-11-24T03:15:00Z".parse().unwrap();
    let ago = |hours| Some(now - SignedDuration::from_hours(hours));
    let past =
        |over, ended| PastRun { run: "r".to_owned(), over, state: String::new(), ended, tidied: false };
    let old = ago(24 * 30);
    let mut wrong = Vec::new();
    for (what, run, newer, returns, goes) in [
        ("old", past(true, old), RUNS, None, true),
        ("just over a week old", past(true, ago(24 * 7 + 1)), RUNS, None, true),
        ("not over", past(false, old), RUNS, None, false),
        ("one of the newest", past(true, old), RUNS - 1, None, false),
        ("young", past(true, ago(24 * 7)), RUNS, None, false),
        ("of tomorrow", past(true, ago(-24)), RUNS, None, false),
        ("without an end", past(true, None), RUNS, None, false),
        ("one to return from", past(true, old), RUNS, Some("its backup is there"), false),
    ] {
        let judged = judge_run(&run, newer, now, returns);
        if judged.goes != goes {
            wrong.push(format!("{what}: {}", judged.why));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
