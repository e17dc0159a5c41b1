//! A canary in every secret, each with what breaks careless quoting: in no output at any verbosity, no log, no journal,
//! and in no argument of any program that is started on the way.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{Field, secrets};
use crate::lab::{CANARY, Server, Shape, Shell};

/// As compose reads them from single quotes: a quote, a space, `$` and `#` in each.
fn settings() -> String {
    let mut text = String::new();
    for name in [
        "STRATA_SECRET_KEY_BASE",
        "STRATA_ENCRYPTION_PRIMARY_KEY",
        "STRATA_ENCRYPTION_DETERMINISTIC_KEY",
        "STRATA_ENCRYPTION_KEY_DERIVATION_SALT",
        "LICENSE_KEY",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        let _ = writeln!(text, "{name}='{CANARY} {name} a\"b $c #d'");
    }
    text
}

#[test]
fn no_secret_is_seen_anywhere() {
    let field = Field::with(Server::Published, Shape::Present, "1.0.0", &settings());
    let needles = secrets::needles(&field.secrets());
    assert_eq!(needles.iter().filter(|(_, text)| text == CANARY.as_bytes()).count(), 7, "a canary in each");
    let trace = field.dir().with_extension("execve");
    let team = tempfile::tempdir().unwrap();
    let told = tells(&field, team.path());
    let over = AtomicBool::new(false);
    let seen = std::thread::scope(|threads| {
        let seen = threads.spawn(|| inspected(&field, &over));
        everything(&field, &trace.display().to_string());
        over.store(true, Ordering::Relaxed);
        seen.join().unwrap()
    });
    let started = fs::read(&trace).unwrap();
    let count = started
        .split(|byte| *byte == b'\n')
        .filter(|line| line.windows(7).any(|at| at == b"execve("))
        .count();
    assert!(count > 40, "only {count} programs were seen to be started");
    assert!(started.windows(7).any(|at| at == b"pg_dump"), "the dump was not seen to be started");
    secrets::assert_absent(&needles, &started, "an argument of a program");
    fs::remove_file(trace).unwrap();
    let told = fs::read(told).unwrap();
    assert!(told.windows(13).any(|at| at == b"NOTICE_EVENT="), "nobody was told");
    secrets::assert_absent(&needles, &told, "what a notification command gets");
    assert!(seen.len() > 2, "{seen:?}");
    secrets::assert_absent(&needles, format!("{seen:?}").as_bytes(), "a container's arguments or labels");
    for set in field.backups() {
        for file in fs::read_dir(set).unwrap().filter_map(Result::ok) {
            let name = file.file_name().to_string_lossy().into_owned();
            // What holds the site's own data and configuration.
            if file.path().is_dir() || name.starts_with("config-") || name.contains(".zst") {
                continue;
            }
            secrets::assert_absent(
                &needles,
                &fs::read(file.path()).unwrap(),
                &file.path().display().to_string(),
            );
        }
    }
    eprintln!("{count} programs started, {} containers: no canary", seen.len());
    field.end();
}

/// Lets a command write down all that it gets of every run.
fn tells(field: &Field, folder: &Path) -> PathBuf {
    let (tell, told) = (folder.join("tell"), folder.join("told"));
    fs::write(&tell, format!("#!/bin/sh\nenv >> {0}\ncat >> {0}\n", told.display())).unwrap();
    fs::set_permissions(&tell, fs::Permissions::from_mode(0o755)).unwrap();
    let settings = format!("[notify]\ncommand = [\"{}\"]\n", tell.display());
    fs::write(field.dir().join("uplift.toml"), settings).unwrap();
    told
}

/// What an operator does in a bad week, at every verbosity, with each program that is started on the way written down.
fn everything(field: &Field, trace: &str) {
    let port = field.stack.compose("exec -T web printenv DB_PORT").unwrap();
    let host = field.stack.compose("exec -T web printenv DB_HOST").unwrap();
    let admin = format!("postgres://postgres:admin-{CANARY}@{host}:{port}/postgres");
    for (words, exit) in [
        ("init", 0),
        ("status -o json", 0),
        ("upgrade --to 1.7.1 -y -v --settle 1s --patience 10s", 6),
        ("upgrade --to 1.1.0 -y --settle 1s -o json", 0),
        ("rollback --restore-data always --jobs run -y -q --settle 1s", 0),
        ("upgrade --to 1.8.0 -y --settle 4s", 7),
        ("show -o json", 0),
        ("rollback --choose restore-data --reason canary -v", 0),
        ("backup create -y -v", 0),
        ("backup verify --restore", 0),
        ("backup list -o json", 0),
        ("history -o json", 0),
        ("upgrade --to 1.1.0 --dry-run -o json", 0),
        ("upgrade --to 1.1.0 --dry-run -v", 0),
    ] {
        let strace = format!("-f --seccomp-bpf -qq -A -s 100000 -e trace=execve,execveat -o {trace}");
        let shell = field.wrapped("strace", &strace).arg(env!("CARGO_BIN_EXE_uplift"));
        let shell = words.split_whitespace().fold(shell, Shell::arg);
        let shell = shell.env("UPLIFT_DB_ADMIN_URL", admin.clone());
        field.run(&shell, words).ends(exit);
    }
}

/// Names, arguments and labels of all containers that are there for a moment or longer, until it is over.
fn inspected(field: &Field, over: &AtomicBool) -> BTreeSet<String> {
    let docker = || field.stack.tools().docker();
    let filter = format!("label=com.docker.compose.project={}", field.stack.project());
    let format = "{{.Id}} {{.Name}} {{.Path}} {{json .Args}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{json .Config.Labels}}";
    let (mut known, mut seen) = (BTreeSet::new(), BTreeSet::new());
    while !over.load(Ordering::Relaxed) {
        let ids =
            docker().args("ps -aq --no-trunc --filter").arg(filter.clone()).output().unwrap_or_default();
        for id in ids.lines().filter(|id| !known.contains(*id)).map(str::to_owned).collect::<Vec<_>>() {
            if let Ok(shown) = docker().args("inspect -f").arg(format).arg(id.clone()).output() {
                seen.insert(shown);
                known.insert(id);
            }
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    seen
}
