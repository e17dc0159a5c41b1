//! Dumps that are broken off, watched, or made while others write.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use uplift::{
    event::{Event, Teller},
    ports::postgres::{Blob, Dump, DumpReport},
};

use super::{Fixture as _, Real, connections};
use crate::{contract::code, lab::Writer};

#[tokio::test(flavor = "multi_thread")]
async fn dumps_leave_nothing_behind_and_tell_nothing() {
    let real = Real::start().await;
    one_moment_for_all_databases(&real).await;
    uploads_are_listed_as_the_cut_has_them(&real).await;
    nobody_sees_the_password(&real).await;
    a_dropped_dump_leaves_nothing(&real).await;
    a_killed_dump_fails_cleanly(&real).await;
    the_lock_is_inherited(&real).await;
    a_full_disk_is_said(&real).await;
    connections::sessions_are_shown_without_values(&real).await;
    connections::every_sslmode_does_what_libpq_does(&real).await;
    connections::any_password_works(&real).await;
}

pub(super) async fn request(real: &Real, name: &str) -> Dump {
    let folder = real.scratch().join(name);
    fs::create_dir_all(&folder).unwrap();
    let databases = real.site().databases;
    let client = real.ports().postgres.dump_client(15).await.unwrap();
    let names = databases.all.into_iter().map(|one| one.name).collect();
    Dump {
        endpoint: databases.endpoint,
        client,
        databases: names,
        folder,
        blobs_of: None,
        expected: BTreeMap::new(),
        without_rows: BTreeSet::new(),
    }
}

/// A `pg_dump` of ours: says that it has begun, then does as the script says.
async fn scripted(real: &Real, name: &str, script: &str) -> Dump {
    let mut request = request(real, name).await;
    let path = real.scratch().join(format!("{name}.sh"));
    fs::write(&path, format!("#!/bin/sh\necho $$ > {}\n{script}\n", pid_file(&request).display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    request.client.path = path;
    request
}

fn pid_file(request: &Dump) -> PathBuf {
    request.folder.with_extension("pid")
}

async fn pid(request: &Dump) -> u32 {
    for _ in 0..1200 {
        if let Some(pid) =
            fs::read_to_string(pid_file(request)).ok().and_then(|text| text.trim().parse().ok())
        {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it never began");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn sessions_of_ours(real: &Real) -> String {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'uplift'";
    real.stack.psql("postgres", query).unwrap()
}

pub(super) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("in vain: {what}");
}

/// Rows of a table in a dump, as `pg_restore` reads it.
fn rows(file: &Path, table: &str) -> usize {
    let plain = zstd::decode_all(File::open(file).unwrap()).unwrap();
    let mut restore = Command::new("/usr/lib/postgresql/15/bin/pg_restore");
    restore.args(["--data-only", "-f", "-", "-t", table]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = restore.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&plain));
    let out = child.wait_with_output().unwrap();
    let _closed = feed.join().unwrap();
    assert!(out.status.success());
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let lines = text.lines().skip_while(|line| !line.starts_with("COPY ")).skip(1);
    lines.take_while(|line| *line != "\\.").count()
}

async fn one_moment_for_all_databases(real: &Real) {
    let request = request(real, "cut").await;
    let writer = Writer::start(&real.stack);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let tell = Teller::new(Arc::new(move |event| heard.lock().unwrap().push(event))).at("backup#1");
    let report: DumpReport = real.ports().postgres.dump(&request, &tell).await.unwrap();
    let ledger = tokio::task::spawn_blocking(move || writer.stop()).await.unwrap();
    assert!(ledger.acknowledged.len() > 10, "somebody wrote meanwhile");
    assert!(!report.snapshot.is_empty() && report.tries > 0 && !report.wal_lsn.is_empty(), "{report:?}");
    for one in &report.databases {
        for table in &one.tables {
            let found = rows(&request.folder.join(&one.file), &table.name);
            assert_eq!(found as u64, table.rows, "{} of {}", table.name, one.name);
        }
    }
    let orders = report.databases[0].tables.iter().find(|table| table.name == "orders");
    assert!(orders.is_some_and(|orders| orders.rows > 0), "{report:?}");
    let is_progress = |event: &Event| matches!(event, Event::CallProgress { .. });
    assert!(told.lock().unwrap().iter().filter(|event| is_progress(event)).count() >= 4);
    assert_eq!(sessions_of_ours(real), "0");
}

async fn uploads_are_listed_as_the_cut_has_them(real: &Real) {
    let primary = real.site().databases.all[0].name.clone();
    let insert = "INSERT INTO active_storage_blobs (key, filename, byte_size, checksum, service_name) \
         SELECT 'many-' || n, 'n', n, 'c' || n, CASE n WHEN 7 THEN 'amazon' ELSE 'local' END \
         FROM generate_series(1, 30000) AS n";
    real.stack.psql(&primary, insert).unwrap();
    let listed = Dump { blobs_of: Some(primary.clone()), ..request(real, "listed").await };
    let report = real.ports().postgres.dump(&listed, &Teller::silent()).await.unwrap();
    let blobs = report.blobs.expect("the primary has that table");
    let packed = fs::read(listed.folder.join(&blobs.file)).unwrap();
    assert_eq!(
        (blobs.bytes, &blobs.blake3),
        (packed.len() as u64, &blake3::hash(&packed).to_hex().to_string())
    );
    let text = String::from_utf8(zstd::decode_all(&*packed).unwrap()).unwrap();
    let all: Vec<Blob> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tables = &report.databases[0].tables;
    let rows = tables.iter().find(|table| table.name == "active_storage_blobs").unwrap().rows;
    assert_eq!(
        (blobs.count, all.len() as u64),
        (rows - 1, rows - 1),
        "what lies elsewhere is not in the tree"
    );
    let listed_now = real.ports().postgres.listed_uploads(&real.site().databases.endpoint, &primary).await;
    assert_eq!(listed_now.unwrap(), blobs.count);
    let one = Blob { key: "many-29999".to_owned(), byte_size: 29_999, checksum: Some("c29999".to_owned()) };
    assert!(all.contains(&one) && all.iter().all(|blob| blob.key != "many-7"));
    assert!(names(&listed.folder).iter().all(|name| !name.ends_with(".partial")));
    let of_cache = Some(real.site().databases.all[2].name.clone());
    let none = Dump { blobs_of: of_cache, ..request(real, "listed nothing").await };
    let report = real.ports().postgres.dump(&none, &Teller::silent()).await.unwrap();
    assert_eq!(report.blobs, None);
    real.stack.psql(&primary, "DELETE FROM active_storage_blobs WHERE key LIKE 'many-%'").unwrap();
}

/// Reads all command lines and environments of this machine while a dump runs.
async fn nobody_sees_the_password(real: &Real) {
    let mut slow = request(real, "watched").await;
    let path = real.scratch().join("slow.sh");
    let real_one = slow.client.path.display().to_string();
    fs::write(&path, format!("#!/bin/sh\nsleep 0.2\nexec {real_one} \"$@\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    slow.client.path = path;
    let over = Arc::new(AtomicBool::new(false));
    let (stop, password) = (Arc::clone(&over), real.site().secrets["DB_PASSWORD"].clone());
    let watch = std::thread::spawn(move || {
        let (mut seen, mut dumps) = (Vec::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                let of_ours = line.contains("--no-password");
                dumps += usize::from(of_ours);
                let environ = if of_ours {
                    fs::read(entry.path().join("environ")).unwrap_or_default()
                } else {
                    Vec::new()
                };
                if format!("{line}{}", String::from_utf8_lossy(&environ)).contains(password.reveal()) {
                    seen.push(line);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        (seen, dumps)
    });
    let report = real.ports().postgres.dump(&slow, &Teller::silent()).await.unwrap();
    over.store(true, Ordering::Relaxed);
    let (seen, dumps) = watch.join().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
    assert!(dumps > 3, "the dumps were seen at work");
    assert!(!format!("{report:?}").contains(real.site().secrets["DB_PASSWORD"].reveal()));
}

async fn a_dropped_dump_leaves_nothing(real: &Real) {
    let request = scripted(real, "dropped", "echo PGDMP; sleep 471 & sleep 471").await;
    let postgres = real.ports().postgres;
    let asked = request.clone();
    let task = tokio::spawn(async move { postgres.dump(&asked, &Teller::silent()).await.map(|_| ()) });
    let pid = pid(&request).await;
    assert!(names(&request.folder).iter().any(|name| name.ends_with(".partial")));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    until("the child and what it started are gone", || {
        let alive = |pid: u32| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        let left = Command::new("pgrep").args(["-f", "^sleep 471$"]).output().unwrap();
        !alive(pid) && left.stdout.is_empty()
    })
    .await;
    until("nothing lies in the folder", || names(&request.folder).is_empty()).await;
    until("no session of ours is left", || sessions_of_ours(real) == "0").await;
}

async fn a_killed_dump_fails_cleanly(real: &Real) {
    let request = scripted(real, "killed", "echo PGDMP; exec sleep 472").await;
    let postgres = real.ports().postgres;
    let asked = request.clone();
    let task = tokio::spawn(async move { postgres.dump(&asked, &Teller::silent()).await });
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid(&request).await).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let failure = task.await.unwrap().unwrap_err();
    assert_eq!(failure.code, "dump_failed", "{failure:?}");
    assert!(failure.message.contains("signal 9"), "{failure:?}");
    assert!(names(&request.folder).is_empty(), "{:?}", names(&request.folder));
    assert_eq!(sessions_of_ours(real), "0");
    // One that fails by itself says why.
    let request = scripted(
        real,
        "failing",
        "echo 'pg_dump: error: it hurts' >&2; echo 'pg_dump: detail: here' >&2; exit 1",
    )
    .await;
    let failure = real.ports().postgres.dump(&request, &Teller::silent()).await.unwrap_err();
    assert!(failure.message.contains("it hurts") && failure.evidence.len() == 2, "{failure:?}");
    assert!(names(&request.folder).is_empty());
}

async fn the_lock_is_inherited(real: &Real) {
    let lock = real.scratch().join("children.lock");
    let file = File::create(&lock).unwrap();
    let request = scripted(real, "lent", "ls -l /proc/$$/fd >&2; exit 1").await;
    let listed = async || {
        real.ports().postgres.dump(&request, &Teller::silent()).await.unwrap_err().evidence.join("\n")
    };
    assert!(!listed().await.contains("children.lock"));
    real.hands.lend(file.into());
    assert!(listed().await.contains("children.lock"));
    real.hands.take_back();
    assert!(!listed().await.contains("children.lock"));
}

async fn a_full_disk_is_said(real: &Real) {
    let mount = real.scratch().join("small");
    fs::create_dir_all(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&mount).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("contract: no right to mount, so no disk can be full");
        return;
    }
    let mut request = scripted(real, "full", "head -c 3000000 /dev/urandom").await;
    request.folder.clone_from(&mount);
    let failure = real.ports().postgres.dump(&request, &Teller::silent()).await;
    let left = names(&mount);
    let _unmounted = Command::new("umount").arg(&mount).status();
    assert_eq!(code(failure), "no_room");
    assert!(left.is_empty(), "{left:?}");
}
