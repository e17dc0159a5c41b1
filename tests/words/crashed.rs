//! What is said of a run whose process was killed, and of what goes on without it.

use uplift::{
    journal::{Folder, Holder, Lock, NewEntry, NewRun, Writer},
    ports::{compose::RunAside, docker::State, postgres::Admit},
    site::Scrubber,
};

use super::{desk::Desk, screen};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_has_ended() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    crashed(&desk, false);
    screen("crashed_status", &desk, "uplift status").await;
    screen("crashed_show", &desk, "uplift show").await;
    screen("crashed_history", &desk, "uplift history").await;
}

/// Somebody has removed what the way back needs: that is said before it fails somewhere on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_kept_copies_are_gone() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    crashed(&desk, false);
    desk.world.remove_file(desk.folder().join("kept"));
    desk.world.remove_file(desk.folder().join("logs"));
    screen("gone_show", &desk, "uplift show").await;
    screen("gone_rollback", &desk, "uplift rollback --dry-run").await;
}

/// From there only one way leads on, so only that is offered.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_has_ended_while_it_went_back() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    crashed(&desk, true);
    for line in ["uplift status", "uplift upgrade --to 1.1.0 -y"] {
        let page = desk.types(line).await.page();
        assert!(page.contains("uplift rollback") && !page.contains("uplift resume"), "{page}");
    }
}

/// Whether it has touched the site is the first that somebody wants to know after a reboot.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_has_ended_before_it_changed_anything() {
    let desk = Desk::new().wide(200);
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    let backup = NewEntry {
        address: "prepare/backup#1".to_owned(),
        path: "prepare".to_owned(),
        verb: "backup".to_owned(),
        summary: "back up 4 databases".to_owned(),
        ..stop()
    };
    killed_in(&desk, backup, false);
    let untouched = "it has changed nothing of the site";
    for line in ["uplift status", "uplift upgrade --to 1.1.0 -y", "uplift history"] {
        let page = desk.types(line).await.page();
        assert!(page.contains(untouched), "{page}");
    }
    let desk = Desk::new();
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    crashed(&desk, false);
    let page = desk.types("uplift status").await.page();
    assert!(!page.contains(untouched), "{page}");
}

/// Nobody knows how far the stop came, but that users reach nothing is plain.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_has_ended_while_it_stopped_the_site() {
    let desk = Desk::new().wide(200);
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    crashed(&desk, false);
    assert!(!desk.types("uplift status").await.out.contains("DOWN"), "web runs yet");
    for name in ["strata-web-1", "strata-job-1"] {
        desk.world.edit_container(name, |one| one.state = State::Exited);
    }
    let page = desk.types("uplift status").await.out;
    assert!(page.contains("DOWN") && page.contains("start nothing by hand"), "{page}");
    // A swap keeps everybody out for a moment; whoever opens the database then lets web into half of it.
    let endpoint = desk.world.site().databases.endpoint;
    let closes = Admit { endpoint, databases: vec!["strata_production".to_owned()], open: false };
    desk.world.ports().postgres.admit(&closes).await.unwrap();
    let page = desk.types("uplift status").await.out;
    assert!(page.contains("may be moving it: end that run first, and open nothing by hand"), "{page}");
    assert!(!page.contains("ALLOW_CONNECTIONS"), "{page}");
}

/// What a process that was killed in the middle leaves behind.
fn crashed(desk: &Desk, going_back: bool) {
    killed_in(desk, stop(), going_back);
}

fn stop() -> NewEntry {
    NewEntry {
        address: "stop/compose_stop#1".to_owned(),
        path: "stop".to_owned(),
        verb: "compose_stop".to_owned(),
        version: 1,
        effect: true,
        input: serde_json::json!({ "services": ["job", "web"] }),
        place: "compose/upgrade:54:5".to_owned(),
        summary: "stop `job`, then `web`".to_owned(),
        when_unknown: Some("repeat".to_owned()),
        intent: Some(serde_json::Value::Null),
        group: None,
    }
}

/// An upgrade whose process was killed in the middle of this call, or while it was taken back.
fn killed_in(desk: &Desk, call: NewEntry, going_back: bool) {
    let _gone = at_work(desk, call, going_back);
}

/// A run that is at this call, for as long as both are kept.
pub(super) fn at_work(desk: &Desk, call: NewEntry, going_back: bool) -> (Lock, Writer) {
    let folder = Folder::prepare(&desk.folder()).unwrap();
    let at: jiff::Timestamp = "2026-11-24T03:15:00Z".parse().unwrap();
    let id = CRASHED.to_owned();
    let (user, host) = ("you".to_owned(), "here".to_owned());
    let command = "uplift upgrade --to 1.1.0".to_owned();
    let run = id.clone();
    let holder =
        Holder { run, command: command.clone(), user, host, since: at, pid: 0, space: String::new() };
    let lock = Lock::take(&folder, holder).unwrap();
    let writer = Writer::open(&folder, &lock, Scrubber::default()).unwrap();
    writer
        .begin(NewRun {
            id: id.clone(),
            runbook: "compose/upgrade".to_owned(),
            command,
            by: "you@here".to_owned(),
            at,
            params: serde_json::json!({ "to": "1.1.0" }),
            on_failure: "undo".to_owned(),
            bundle: Vec::new(),
            before: serde_json::Value::Null,
            uplift: "0.1.0".to_owned(),
        })
        .unwrap();
    writer.intend(&id, vec![call], at).unwrap();
    desk.world.put_file(desk.folder().join("kept").join(&id).join("before/0-env"), "A=1", 0o600);
    desk.world.put_file(desk.folder().join("logs").join(format!("{id}.jsonl")), "", 0o600);
    if going_back {
        let stopped = serde_json::json!({ "stopped": ["job", "web"] });
        writer.outcome(&id, 1, Ok(stopped), at).unwrap();
        writer.undo_started(&id, 1, at).unwrap();
    }
    (lock, writer)
}

/// The name that runs of these sites have.
pub(super) const CRASHED: &str = "20261124-031500-7f3a";

/// Nobody has told the trial's container that its uplift is gone: it boots and migrates on.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_outlives_its_run_is_named() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.folder().parent().unwrap()).unwrap();
    desk.world.pulled("1.1.0");
    let site = desk.world.site();
    let aside = RunAside {
        name: format!("strata-trial-{CRASHED}"),
        service: "web".to_owned(),
        overrides: [("STRATA_VERSION".to_owned(), "1.1.0".to_owned())].into(),
        project: site.project.clone(),
    };
    let trial = NewEntry {
        address: "migrate in the dark/compose_trial#1".to_owned(),
        path: "migrate in the dark".to_owned(),
        verb: "compose_trial".to_owned(),
        version: 1,
        effect: true,
        input: serde_json::json!({ "tag": "1.1.0" }),
        place: "compose/upgrade:78:9".to_owned(),
        summary: "try 1.1.0 where no user reaches it".to_owned(),
        when_unknown: Some("repeat".to_owned()),
        intent: Some(serde_json::json!({ "aside": aside })),
        group: None,
    };
    killed_in(&desk, trial, false);
    desk.world.ports().compose.run_aside(&aside).await.unwrap();
    screen("trial_status", &desk, "uplift status").await;
    screen("trial_upgrade", &desk, "uplift upgrade --to 1.1.0 -y").await;
    screen("trial_show", &desk, "uplift show").await;
    desk.world.set_engine(false);
    let status = desk.types("uplift status").await.out;
    assert!(status.contains(&aside.name), "by the record, where nobody can look: {status}");
}
