//! The changes of `examples/changes` on a real site: a real balancer, real containers, a real copy. Names of hosts, images and
//! programs are those of this machine; all else is as it lies there.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::{Field, every};
use crate::lab::{Shape, free_port};

/// Puts a change into the site's folder, with `here` in the places of what is elsewhere.
fn change(field: &Field, name: &str, here: &[(&str, &str)]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/changes").join(name);
    let _ = fs::remove_dir_all(field.dir().join("uplift"));
    let _ = fs::remove_file(field.dir().join("uplift.toml"));
    for file in ["uplift.toml", "uplift/hooks/compose/upgrade.rhai", "uplift/page/index.html"] {
        let Ok(mut text) = fs::read_to_string(from.join(file)) else { continue };
        for (there, here) in here {
            text = text.replace(there, here);
        }
        let to = field.dir().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }
}

/// A program of the site's own.
fn script(field: &Field, name: &str, text: &str) -> String {
    let path = field.dir().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn back(field: &Field) {
    field.uplift("rollback --restore-data always --jobs run -y").ends(0);
    field.assert_runs("1.0.0");
}

/// A balancer before web; ends with the test.
struct Proxy(Child, PathBuf);

impl Proxy {
    fn before(field: &Field) -> Self {
        let (socket, port) = (field.dir().join("ha.sock"), free_port().unwrap());
        let config = field.dir().join("haproxy.cfg");
        let text = format!(
            "global\n  stats socket {} level admin\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 9s\n  timeout server 9s\n\
             frontend front\n  bind 127.0.0.1:{port}\n  default_backend strata\nbackend strata\n  server web {}\n",
            socket.display(),
            field.stack.address()
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("/usr/sbin/haproxy").arg("-f").arg(&config).spawn().unwrap();
        let proxy = Self(child, socket);
        for _ in 0..50 {
            if proxy.1.exists() {
                return proxy;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("HAProxy does not come");
    }

    /// Administrative state of the server: 0 is ready, 8 and more drained.
    fn state(&self) -> String {
        let command = format!("echo show servers state strata | socat stdio {}", self.1.display());
        let output = Command::new("/bin/sh").args(["-c", &command]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line =
            text.lines().find(|line| line.contains(" web ")).unwrap_or_else(|| panic!("{text}")).to_owned();
        line.split(' ').nth(6).unwrap().to_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Drained by the first call and ready after the last, where all is well and where the release dies.
fn drain(field: &Field) {
    let proxy = Proxy::before(field);
    let log = field.dir().join("drained.log");
    let socket = proxy.1.display().to_string();
    change(field, "drain-haproxy", &[("/run/haproxy/admin.sock", &socket)]);
    let seen = |words: &str, code: i32| {
        let _ = fs::remove_file(&log);
        let run = field.start(words);
        super::told::until_it_begins(&run, "migrate in the dark/pg_savepoint#1");
        assert_ne!(proxy.state(), "0", "nobody is to be sent to web");
        field.ended(run, words).ends(code);
        assert_eq!(proxy.state(), "0", "{words}");
    };
    seen("upgrade --to 1.3.0 -y -o json", 6);
    field.assert_runs("1.0.0");
    seen("upgrade --to 1.1.0 -y -o json", 0);
    back(field);
}

/// A page answers on web's port while web is away.
fn page(field: &Field) {
    let port = field.stack.address().rsplit(':').next().unwrap().to_owned();
    let image = field.stack.compose("images -q web").unwrap().trim().to_owned();
    let name = format!("{}-page:1", field.stack.project());
    field.stack.tools().docker().args("tag").arg(&image).arg(&name).output().unwrap();
    let serves = "[\"python3\", \"-m\", \"http.server\", \"80\", \"--directory\", \"/srv\"], entrypoint: [\"/usr/bin/env\"], user: \"0\"";
    change(
        field,
        "maintenance-page",
        &[
            ("caddy:2", &name),
            ("[\"caddy\", \"file-server\", \"--root\", \"/srv\"]", serves),
            ("3000:80", &format!("{port}:80")),
        ],
    );
    for (words, code) in [("upgrade --to 1.3.0 -y -o json", 6), ("upgrade --to 1.1.0 -y -o json", 0)] {
        let run = field.start(words);
        super::told::until_it_begins(&run, "migrate in the dark/compose_trial#1");
        let seen = Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/index.html")]).output();
        let seen = String::from_utf8(seen.unwrap().stdout).unwrap();
        assert!(seen.contains("is being upgraded"), "{seen}");
        field.ended(run, words).ends(code);
        field.assert_up();
        let left = field
            .stack
            .tools()
            .docker()
            .args("ps -a --format {{.Names}} --filter name=maintenance")
            .output()
            .unwrap();
        assert_eq!(left.trim(), "");
    }
    back(field);
    field.stack.tools().docker().args("rmi").arg(&name).output().unwrap();
}

/// The set that was proved lies elsewhere, or nothing stops.
fn copy(field: &Field) {
    let elsewhere = field.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let to = format!("{}/", elsewhere.display());
    change(field, "offsite-copy", &[("backup@nas.internal:/strata/", &to)]);
    field.uplift("upgrade --to 1.1.0 -y").ends(0);
    let sets: Vec<_> = fs::read_dir(&elsewhere).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(sets.len(), 1);
    field.uplift(&format!("backup verify {}", sets[0].display())).ends(0);
    back(field);
    change(field, "offsite-copy", &[("backup@nas.internal:/strata/", "/proc/nowhere/")]);
    field.uplift("upgrade --to 1.1.0 -y").ends(1).shows(&["rsync", "REFUSED: nothing of"]);
    field.assert_runs("1.0.0");
}

/// Somebody elsewhere who takes what is posted, and says what it was.
fn listener() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let to = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                text.extend_from_slice(&buffer[..read]);
                if text.ends_with(b"}") {
                    break;
                }
            }
            to.lock().unwrap().push(String::from_utf8_lossy(&text).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    (port, heard)
}

fn posted(field: &Field) {
    let (port, heard) = listener();
    let words = "upgrade --to 1.1.0 -y";
    change(
        field,
        "purge-cdn",
        &[
            ("https://api.cdn.example", &format!("http://127.0.0.1:{port}")),
            ("api.cdn.example", &format!("127.0.0.1:{port}")),
        ],
    );
    field.run(&field.shell(words).env("CDN_TOKEN", "token-of-many-letters"), words).ends(0);
    let all = heard.lock().unwrap().join("\n");
    assert!(
        all.contains("POST /v1/purge") && all.to_lowercase().contains("authorization: bearer token-of-many"),
        "{all}"
    );
    heard.lock().unwrap().clear();
    change(field, "slack", &[]);
    let hook = format!("http://127.0.0.1:{port}/services/of-many-letters");
    let words = "rollback --restore-data always --jobs run -y";
    field.run(&field.shell(words).env("SLACK_WEBHOOK", &hook), words).ends(0);
    let words = "upgrade --to 1.3.0 -y";
    field.run(&field.shell(words).env("SLACK_WEBHOOK", &hook), words).ends(6);
    let all = heard.lock().unwrap().join("\n");
    assert!(all.contains("is down for the upgrade") && all.contains("taken back"), "{all}");
}

fn decided(field: &Field) {
    let yes =
        script(field, "smoke-yes", "curl -fsS \"http://$WHERE/up\" > /dev/null && echo \"$RELEASE is fine\"");
    let no = script(field, "smoke-no", "echo the login page of $1 is broken >&2; exit 1");
    let place = format!("WHERE: \"{}\", RELEASE", field.stack.address());
    change(field, "smoke-test", &[("/usr/local/bin/smoke", &yes), ("RELEASE", &place)]);
    field.uplift("upgrade --to 1.1.0 -y").ends(0);
    back(field);
    change(field, "smoke-test", &[("/usr/local/bin/smoke", &no)]);
    field.uplift("upgrade --to 1.1.0 -y").ends(7).shows(&["the login page of web is broken"]);
    field.uplift("rollback --choose restore-data --reason broken -y").ends(0);
    change(field, "approval", &[]);
    field.uplift("upgrade --to 1.1.0 -y").ends(7).shows(&["may", "go down for 1.1.0 now?", "resume"]);
    field.assert_up();
    field.uplift("resume --choose go --reason tested -y").ends(0);
    field.assert_runs("1.1.0");
    back(field);
}

fn waited(field: &Field) {
    let queue = "CREATE VIEW solid_queue_claimed_executions AS SELECT job_id, process AS process_id FROM solid_queue_claimed; GRANT SELECT ON solid_queue_claimed_executions TO PUBLIC";
    field.stack.psql("strata_production_queue", queue).unwrap();
    change(field, "quiet-jobs", &[]);
    field.uplift("upgrade --to 1.1.0 -y").ends(0);
    field.stack.psql("strata_production_queue", "DROP VIEW solid_queue_claimed_executions").unwrap();
    back(field);
    change(field, "night-only", &[]);
    let hour = "SELECT localtime between time '01:00' and time '05:00'";
    let by_day = field.stack.psql("strata_production", hour).unwrap() != "t";
    field.uplift("upgrade --to 1.1.0 -y --dry-run").ends(i32::from(by_day));
    change(
        field,
        "rake-task",
        &[("\"bin/rails\", \"reports:rebuild\"", "\"python3\", \"-c\", \"print('rebuilt')\"")],
    );
    field.uplift("upgrade --to 1.1.0 -y").ends(0).shows(&["rebuilt"]);
    back(field);
    change(
        field,
        "rake-task",
        &[("\"bin/rails\", \"reports:rebuild\"", "\"python3\", \"-c\", \"raise SystemExit(3)\"")],
    );
    field.uplift("upgrade --to 1.1.0 -y").ends(6);
    field.assert_runs("1.0.0");
}

#[test]
fn what_sites_ask_for_is_ten_lines_and_works() {
    let field = Field::quick(Shape::Present, "1.0.0");
    drain(&field);
    page(&field);
    copy(&field);
    field.assert_up();
    field.end();
}

/// The rest of them, which takes minutes.
#[test]
fn and_so_are_the_others() {
    if every() {
        let field = Field::quick(Shape::Present, "1.0.0");
        posted(&field);
        decided(&field);
        field.assert_up();
        field.end();
    }
}

#[test]
fn what_waits_and_what_the_release_does_itself() {
    if every() {
        let field = Field::quick(Shape::Present, "1.0.0");
        waited(&field);
        field.assert_up();
        field.end();
    }
}
