//! Who is told of runs. The real client needs no engine for it, so it is tried with the fast tests too.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use uplift::{
    ports::notices::{GiveNotice, Notice},
    sim::Notifier,
    site::{Notify, Occasion},
};

use super::{Fixture, code, here::Here};

fn given(fixture: &dyn Fixture, to: Notify, message: &str) -> GiveNotice {
    let at = "2026-11-24T03:15:00Z".parse().unwrap();
    let notice = Notice {
        notice: Notice::FORMAT,
        event: Occasion::End,
        at,
        site: "strata".to_owned(),
        folder: fixture.scratch(),
        host: "app1".to_owned(),
        run: "20261124-031500-7f3a".to_owned(),
        runbook: "compose/upgrade".to_owned(),
        command: "uplift upgrade --to 1.1.0".to_owned(),
        by: "alice@app1".to_owned(),
        started: at,
        again: false,
        result: Some("done".to_owned()),
        exit: Some(0),
        code: None,
        message: message.to_owned(),
        away_ms: [("web".to_owned(), 8700)].into(),
        away_since: [].into(),
        next: vec!["uplift status".to_owned()],
    };
    GiveNotice { to, notice }
}

fn calling(command: &[&str]) -> Notify {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    Notify { command, webhook: None, on: Occasion::ALL.to_vec(), timeout: Duration::from_secs(1) }
}

pub(super) async fn a_command_that_is_missing_is_named(fixture: &dyn Fixture) {
    let (notices, folder) = (fixture.ports().notices, fixture.scratch());
    for program in ["/none/tell-the-team", "./none/tell-the-team", "no-such-program-of-ours"] {
        let to = calling(&[program]);
        let failure = notices.ready(&to, &folder).await.unwrap_err();
        assert_eq!(failure.code, "notifier_missing");
        assert!(failure.message.contains(program) && failure.hint.is_some(), "{failure}");
    }
}

pub(super) async fn a_file_that_is_no_program_is_named(fixture: &dyn Fixture) {
    let (notices, folder) = (fixture.ports().notices, fixture.scratch());
    let to = fixture.notifier(Notifier::Takes);
    notices.ready(&to, &folder).await.unwrap();
    let program = Path::new(to.program());
    let relative = calling(&[&format!("./{}", program.file_name().unwrap().to_str().unwrap())]);
    let found = notices.ready(&relative, program.parent().unwrap()).await;
    found.expect("a path is one from the site's folder");
    let failure = notices.ready(&calling(&[folder.to_str().unwrap()]), &folder).await.unwrap_err();
    assert_eq!(failure.code, "notifier_not_executable", "a folder is none");
}

pub(super) async fn a_command_takes_what_it_is_told(fixture: &dyn Fixture) {
    let notices = fixture.ports().notices;
    let request = given(fixture, fixture.notifier(Notifier::Takes), "done: `a` \"b\" $HOME\\");
    notices.give(&request).await.unwrap();
    assert_eq!(fixture.told().last(), Some(&request.notice));
}

pub(super) async fn a_command_that_fails_is_a_failure(fixture: &dyn Fixture) {
    let notices = fixture.ports().notices;
    let to = fixture.notifier(Notifier::Fails);
    let failure = notices.give(&given(fixture, to, "x")).await.unwrap_err();
    assert_eq!(failure.code, "notifier_failed");
    assert!(failure.message.contains("exit code 3"), "{failure}");
    assert_eq!(failure.evidence, ["the room is closed"]);
    assert_eq!(code(notices.give(&given(fixture, calling(&["/none/tell"]), "x")).await), "notifier_missing");
}

pub(super) async fn a_command_that_hangs_is_given_up(fixture: &dyn Fixture) {
    let notices = fixture.ports().notices;
    let to = Notify { timeout: Duration::from_secs(1), ..fixture.notifier(Notifier::Hangs) };
    let failure = notices.give(&given(fixture, to, "x")).await.unwrap_err();
    assert_eq!(failure.code, "notifier_hangs");
    assert!(failure.message.contains("after 1s"), "{failure}");
}

/// A command in a folder of this host.
pub(super) fn on_disk(folder: &Path, does: Notifier) -> Notify {
    let script = match does {
        Notifier::Takes => format!("cat >> {}", folder.join("told.jsonl").display()),
        Notifier::Fails => "cat > /dev/null; echo; echo 'the room is closed' >&2; exit 3".to_owned(),
        Notifier::Hangs => "exec sleep 600".to_owned(),
    };
    program(folder, "tell", &script)
}

fn program(folder: &Path, name: &str, script: &str) -> Notify {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    calling(&[path.to_str().unwrap()])
}

pub(super) fn told_on_disk(folder: &Path) -> Vec<Notice> {
    let text = fs::read_to_string(folder.join("told.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn gives(here: &Here, script: &str) -> Result<(), uplift::Failure> {
    let to = program(&here.scratch(), "tell", script);
    here.ports().notices.give(&given(here, to, "done\0 well")).await
}

#[tokio::test]
async fn commands_of_this_host_behave_as_the_world() {
    let here = Here::new();
    a_command_that_is_missing_is_named(&here).await;
    a_file_that_is_no_program_is_named(&here).await;
    a_command_takes_what_it_is_told(&here).await;
    a_command_that_fails_is_a_failure(&here).await;
    a_command_that_hangs_is_given_up(&here).await;
}

#[tokio::test]
async fn a_command_sees_the_notice_and_nothing_of_ours() {
    let here = Here::new();
    let folder = here.scratch().display().to_string();
    gives(&here, &format!("env > {folder}/env; pwd > {folder}/pwd")).await.unwrap();
    let all = here.text("env");
    let names: Vec<_> = all.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in ["NOTICE_EVENT", "NOTICE_SITE", "NOTICE_RUN", "NOTICE_EXIT", "NOTICE_TEXT", "PATH"] {
        assert!(names.contains(&name), "{name}: {all}");
    }
    assert!(all.contains("NOTICE_TEXT=done  well\n") && all.contains("NOTICE_RESULT=done\n"), "{all}");
    assert!(!all.contains("UPLIFT_") && !all.contains("canary"), "{all}");
    assert_eq!(Path::new(here.text("pwd").trim()), here.scratch().canonicalize().unwrap());
}

/// A child that held a part of the site's lock would keep the next run out for as long as it lives.
#[tokio::test]
async fn a_command_holds_nothing_of_the_lock() {
    let here = Here::new();
    let lock = fs::File::create(here.path("children.lock")).unwrap();
    here.hands.lend(lock.into());
    gives(&here, &format!("ls -l /proc/self/fd > {}", here.path("open").display())).await.unwrap();
    here.hands.take_back();
    let open = here.text("open");
    assert!(!open.contains("children.lock") && open.contains("/open"), "{open}");
}

#[tokio::test]
async fn what_hangs_goes_with_all_that_it_has_started() {
    let here = Here::new();
    let pid = here.path("pid");
    let script = format!("sleep 471 & echo $! > {}; wait", pid.display());
    assert_eq!(code(gives(&here, &script).await), "notifier_hangs");
    let stat = PathBuf::from("/proc").join(here.text("pid").trim()).join("stat");
    for _ in 0..200 {
        if fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it still runs");
}

/// A command that leaves the sending to another in the background has done its part.
#[tokio::test]
async fn what_goes_on_in_the_background_is_not_waited_for() {
    let here = Here::new();
    let pid = here.path("pid");
    let started = std::time::Instant::now();
    gives(&here, &format!("sleep 472 & echo $! > {}", pid.display())).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    let process = PathBuf::from("/proc").join(here.text("pid").trim());
    assert!(process.exists(), "nor is it ended");
    let number = here.text("pid").trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
}

/// What it reads and writes is its own business.
#[tokio::test]
async fn a_command_may_read_nothing_and_write_much() {
    let here = Here::new();
    gives(&here, "exec < /dev/null; head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2").await.unwrap();
}
