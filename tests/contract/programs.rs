//! Programs that runbooks start. The real client needs no engine for them, so it is tried with the fast tests too.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use uplift::{
    event::{Event, Failure, Teller},
    ports::{
        programs::{Ran, RunProgram, SAID},
        secrets::Lent,
    },
    sim::Does,
    site::{Reference, Secret},
};

use super::{Fixture, code, here::Here};

fn request(fixture: &dyn Fixture, program: &Path) -> RunProgram {
    RunProgram {
        program: program.to_owned(),
        arguments: vec!["drain".to_owned(), "a b".to_owned()],
        folder: fixture.scratch(),
        variables: BTreeMap::new(),
        secrets: BTreeMap::new(),
        input: String::new(),
        timeout: Duration::from_secs(1),
    }
}

async fn runs(fixture: &dyn Fixture, request: &RunProgram) -> Result<Ran, Failure> {
    fixture.ports().programs.run(request, &Teller::silent()).await
}

pub(super) async fn a_program_that_is_missing_is_refused(fixture: &dyn Fixture) {
    let path = fixture.scratch().join("none/tool");
    let failure = fixture.ports().programs.ready(&path).await.unwrap_err();
    assert_eq!(failure.code, "program_missing");
    assert!(failure.message.contains("none/tool") && failure.hint.is_some(), "{failure}");
    assert_eq!(code(runs(fixture, &request(fixture, &path)).await), "program_missing");
}

pub(super) async fn a_file_that_is_no_program_is_refused(fixture: &dyn Fixture) {
    let programs = fixture.ports().programs;
    programs.ready(&fixture.program(&Does::default())).await.unwrap();
    assert_eq!(code(programs.ready(&fixture.scratch()).await), "program_not_executable", "a folder is none");
}

pub(super) async fn a_program_says_how_it_ended(fixture: &dyn Fixture) {
    let does =
        Does { code: 3, stdout: "one\ntwo\n".to_owned(), stderr: "three\n".to_owned(), ..Does::default() };
    let path = fixture.program(&does);
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let tell = Teller::new(Arc::new(move |event| {
        if let Event::Note { text, .. } = event {
            sink.lock().unwrap().push(text);
        }
    }));
    let ran = fixture.ports().programs.run(&request(fixture, &path), &tell.at("a/exec#1")).await.unwrap();
    let said = (ran.code, ran.stdout.as_str(), ran.stderr.as_str());
    assert_eq!(said, (3, "one\ntwo\n", "three\n"));
    let mut told = told.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, ["tool: one", "tool: three", "tool: two"]);
}

pub(super) async fn a_program_that_hangs_is_ended(fixture: &dyn Fixture) {
    let does = Does { takes: "10m".parse().ok(), stderr: "waiting\n".to_owned(), ..Does::default() };
    let failure = runs(fixture, &request(fixture, &fixture.program(&does))).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.unknown), ("program_hangs", true));
    assert!(failure.message.contains("drain 'a b'` was still at work after 1s"), "{failure}");
    assert_eq!(failure.evidence, ["waiting"]);
}

pub(super) async fn a_program_that_only_looks_is_asked(fixture: &dyn Fixture) {
    let does = Does { code: 1, ..Does::default() };
    let asked = fixture.ports().programs.ask(&request(fixture, &fixture.program(&does))).await;
    assert_eq!(asked.unwrap().map(|ran| ran.code), Some(1));
}

/// A program in a folder of this host.
pub(super) fn on_disk(folder: &Path, does: &Does) -> PathBuf {
    let shown = |text: &str, to: &str| {
        text.lines().map(|line| format!("echo '{line}' >&{to}\n")).collect::<Vec<_>>().concat()
    };
    let sleeps = does.takes.map(|span| format!("sleep {}\n", span.0.as_secs())).unwrap_or_default();
    let script =
        format!("{}{}{sleeps}exit {}", shown(&does.stdout, "1"), shown(&does.stderr, "2"), does.code);
    program(folder, &script)
}

fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("tool");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn programs_of_this_host_behave_as_the_world() {
    let here = Here::new();
    a_program_that_is_missing_is_refused(&here).await;
    a_file_that_is_no_program_is_refused(&here).await;
    a_program_says_how_it_ended(&here).await;
    a_program_that_hangs_is_ended(&here).await;
    a_program_that_only_looks_is_asked(&here).await;
}

#[tokio::test]
async fn a_program_sees_what_it_is_given_and_nothing_else() {
    let here = Here::new();
    let script = "env > env; pwd > pwd; cat > input; cat /proc/$$/cmdline | tr '\\0' '|' > words";
    let lent = Lent { from: Reference::Variable("TOKEN".to_owned()), value: Secret::new("canary-8Q") };
    let request = RunProgram {
        variables: [("BACKEND".to_owned(), "a b".to_owned())].into(),
        secrets: [("TOKEN".to_owned(), lent)].into(),
        input: "in\nput".to_owned(),
        ..request(&here, &program(&here.scratch(), script))
    };
    assert_eq!(runs(&here, &request).await.unwrap(), Ran::default());
    let env = here.text("env");
    let shells = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: Vec<_> = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    let mut own: Vec<_> =
        names.into_iter().filter(|name| !shells.contains(name) && *name != "USER").collect();
    own.sort_unstable();
    assert_eq!(own, ["BACKEND", "HOME", "LC_ALL", "PATH", "TOKEN"]);
    assert!(env.contains("TOKEN=canary-8Q\n") && !here.text("words").contains("canary"), "{env}");
    assert!(here.text("words").ends_with("|drain|a b|"), "{}", here.text("words"));
    assert_eq!(here.text("input"), "in\nput");
    assert_eq!(Path::new(here.text("pwd").trim()), here.scratch().canonicalize().unwrap());
    assert!(!format!("{request:?} {:?}", request.change()).contains("canary"));
}

#[tokio::test]
async fn a_program_holds_a_part_of_the_lock() {
    let here = Here::new();
    here.hands.lend(fs::File::create(here.path("children.lock")).unwrap().into());
    runs(&here, &request(&here, &program(&here.scratch(), "ls -l /proc/self/fd > open"))).await.unwrap();
    here.hands.take_back();
    assert!(here.text("open").contains("children.lock"), "{}", here.text("open"));
}

#[tokio::test]
async fn a_program_that_is_killed_leaves_a_doubt() {
    let here = Here::new();
    let failure = runs(&here, &request(&here, &program(&here.scratch(), "echo half >&2; kill -9 $$"))).await;
    let failure = failure.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.unknown), ("program_killed", true));
    assert!(failure.message.contains("signal 9") && failure.evidence == ["half"], "{failure:?}");
}

/// Whether the process whose number a program has written is at work.
fn is_at_work(here: &Here) -> bool {
    let stat = PathBuf::from("/proc").join(here.text("pid").trim()).join("stat");
    fs::read_to_string(stat).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn is_ended(here: &Here) {
    for _ in 0..200 {
        if !is_at_work(here) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it still runs");
}

#[tokio::test]
async fn what_hangs_or_is_dropped_goes_with_all_that_it_has_started() {
    let here = Here::new();
    let path = program(&here.scratch(), "sleep 474 & echo $! > pid; wait");
    assert_eq!(code(runs(&here, &request(&here, &path)).await), "program_hangs");
    is_ended(&here).await;
    fs::remove_file(here.path("pid")).unwrap();
    let request = RunProgram { timeout: Duration::from_mins(1), ..request(&here, &path) };
    let mut running = Box::pin(runs(&here, &request));
    while here.text("pid").trim().is_empty() {
        let _still = tokio::time::timeout(Duration::from_millis(10), &mut running).await;
    }
    assert!(is_at_work(&here));
    drop(running);
    is_ended(&here).await;
}

/// A program that has left another at work has done its part.
#[tokio::test]
async fn what_a_program_leaves_at_work_is_not_waited_for() {
    let here = Here::new();
    let started = Instant::now();
    let path = program(&here.scratch(), "sleep 475 & echo $! > pid; echo done");
    assert_eq!(runs(&here, &request(&here, &path)).await.unwrap().stdout, "done\n");
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    assert!(is_at_work(&here));
    let number = here.text("pid").trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
}

/// Of one that never stops writing the end is kept, and no memory is filled.
#[tokio::test]
async fn only_the_end_of_what_a_program_writes_is_kept() {
    let here = Here::new();
    let path = program(&here.scratch(), "seq 1 20000; head -c 300000 /dev/zero; echo; echo last");
    let request = RunProgram { timeout: Duration::from_secs(20), ..request(&here, &path) };
    let ran = runs(&here, &request).await.unwrap();
    assert!(ran.stdout.len() <= SAID && ran.stdout.ends_with("\nlast\n"), "{}", ran.stdout.len());
    assert!(ran.stdout.contains("\n20000\n") && !ran.stdout.contains("\n1000\n"));
}

#[tokio::test]
async fn a_variable_of_uplifts_own_is_found() {
    let here = Here::new();
    let variables = here.ports().variables;
    assert_eq!(variables.variable("DB_PASSWORD"), Some(Secret::new("canary-7Q")));
    super::secrets::a_variable_that_is_not_set_is_none(&here).await;
}
