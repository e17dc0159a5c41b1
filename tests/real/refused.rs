//! What is refused before anything is changed, with what to do about it on the screen.

use std::{fs, time::Duration};

use super::{Field, screen::Screen};
use crate::lab::{Shape, SiteState, wait_until};

/// A site to be refused on: nothing of it may change.
struct Refusing {
    field: Field,
    before: SiteState,
    ids: String,
}

impl Refusing {
    fn new() -> Self {
        let field = Field::quick(Shape::Present, "1.1.0");
        field.stack.settle().unwrap();
        let (before, ids) = (field.stack.state().unwrap(), field.stack.container_ids().unwrap());
        Self { field, before, ids }
    }

    #[track_caller]
    fn refused(&self, screen: Screen, exit: i32, texts: &[&str]) {
        let _shown = screen.ends(exit).shows(texts);
        assert_eq!(self.field.stack.container_ids().unwrap(), self.ids);
    }

    #[track_caller]
    fn refuses(&self, words: &str, exit: i32, texts: &[&str]) {
        self.refused(self.field.uplift(words), exit, texts);
    }

    fn end(self) {
        // A worker that could not reach its database is started again after a while.
        let as_before = || self.field.stack.state().is_ok_and(|now| now.differences(&self.before).is_empty());
        let _waited = wait_until("the site as before", Duration::from_mins(2), as_before);
        assert_eq!(self.field.stack.state().unwrap().differences(&self.before), Vec::<String>::new());
        self.field.end();
    }
}

#[test]
fn a_release_that_cannot_be_meant_is_refused() {
    let site = Refusing::new();
    for tag in ["latest", "stable", "1", "1.1"] {
        site.refuses(&format!("upgrade --to {tag} -y"), 1, &["moving tag", "1.1.0"]);
    }
    site.refuses("upgrade --to 9.9.9 -y", 1, &["9.9.9"]);
    site.refuses("upgrade --to 1.0.0 -y", 1, &["`1.0.0` is older than `1.1.0`"]);
    site.refuses("upgrade -y", 2, &["--to"]);
    site.refuses("upgrade --to 1.1.1 --sort-of -y", 2, &["--sort-of"]);
    site.refuses("upgrade --to 1.1.1 --settle soon -y", 2, &["settle", "soon"]);
    // Without a terminal nobody can be asked, and nobody has said yes.
    site.refuses("upgrade --to 1.1.1", 2, &["-y"]);
    site.end();
}

#[test]
fn a_runbook_that_is_wrong_is_refused_with_its_line() {
    let site = Refusing::new();
    let header = "const RUNBOOK = #{ api: 1, summary: \"a test\", on_failure: \"undo\", params: #{} };\n";
    let wrong = [
        ("misspelt", "step \"stop\" { compose_stopp(#{ services: [site::web] }); }", "compose_stop"),
        ("option", "step \"stop\" { compose_stop(#{ servicess: [site::web] }); }", "services"),
        ("shadowed", "fn backup(x) { }\nstep \"prepare\" { backup(#{ config: true }); }", "backup"),
    ];
    for (name, body, hint) in wrong {
        let path = site.field.dir().join(format!("../{}-{name}.rhai", site.field.stack.project()));
        fs::write(&path, format!("{header}{body}\n")).unwrap();
        let words = format!("run {} -y", path.display());
        site.refuses(&words, 2, &[hint, &format!("{name}.rhai")]);
        fs::remove_file(path).unwrap();
    }
    let path = site.field.dir().join(format!("../{}-endless.rhai", site.field.stack.project()));
    fs::write(&path, format!("{header}loop {{ }}\n")).unwrap();
    let screen = site.field.uplift(&format!("run {} -y", path.display()));
    assert!(screen.seconds() < 90.0, "{screen}");
    site.refused(screen, 1, &["a loop that never stops", "endless.rhai"]);
    fs::remove_file(path).unwrap();
    site.end();
}

#[test]
fn a_site_that_cannot_be_worked_on_is_refused() {
    let site = Refusing::new();
    let words = "upgrade --to 1.1.1 -y";
    compose(&site, words);
    settings(&site, words);
    room(&site, words);
    dump_client(&site, words);
    database(&site, words);
    site.end();
}

/// What somebody wrote into the settings and never applied would ride along, and be taken for the release's doing.
#[test]
fn an_edit_that_was_never_applied_is_refused() {
    let site = Refusing::new();
    let (env, text) = (site.field.dir().join(".env"), site.field.stack.env_text().unwrap());
    fs::write(&env, text.replace("STRATA_LOG_LEVEL=info", "STRATA_LOG_LEVEL=debug")).unwrap();
    let screen = site.field.uplift("upgrade --to 1.1.1 -y --settle 1s");
    fs::write(&env, text).unwrap();
    site.refused(screen, 1, &["docker compose up -d"]);
    site.end();
}

/// No plugin folder: `docker compose` is not there, and an old `docker-compose` is no help.
fn compose(site: &Refusing, words: &str) {
    let nowhere = site.field.dir().join("nowhere").display().to_string();
    let shell = site.field.shell(words).env("DOCKER_CONFIG", nowhere);
    site.refused(site.field.run(&shell, words), 1, &["compose", "docker-compose-plugin"]);
    let shell = site.field.shell(words).env("PATH", "/nowhere");
    site.refused(site.field.run(&shell, words), 1, &["docker"]);
}

fn settings(site: &Refusing, words: &str) {
    let (env, away) = (site.field.dir().join(".env"), site.field.dir().join("away"));
    fs::rename(&env, &away).unwrap();
    let screen = site.field.uplift(words);
    fs::rename(&away, &env).unwrap();
    site.refused(screen, 1, &[".env"]);
}

/// A small file system for the state folder.
fn room(site: &Refusing, words: &str) {
    let small = site.field.dir().join("small").display().to_string();
    fs::create_dir_all(&small).unwrap();
    let line = format!(
        "mount -t tmpfs -o size=64m none {small} && exec {} {words} --state {small}/uplift",
        env!("CARGO_BIN_EXE_uplift")
    );
    let shell = site.field.wrapped("unshare", "-m sh -c").arg(line);
    site.refused(site.field.run(&shell, words), 1, &[&small, "free"]);
    fs::remove_dir_all(small).unwrap();
}

/// Clients of another version only: what they would write could not be trusted, or not be made.
fn dump_client(site: &Refusing, words: &str) {
    let fake = "#!/bin/sh\\necho 'pg_dump (PostgreSQL) 14.11'\\n";
    let line = format!(
        "mount -t tmpfs none /usr/lib/postgresql && mkdir -p /usr/lib/postgresql/14/bin && \
         printf \"{fake}\" >/usr/lib/postgresql/14/bin/pg_dump && chmod +x /usr/lib/postgresql/14/bin/pg_dump && \
         mount --bind /usr/lib/postgresql/14/bin/pg_dump /usr/bin/pg_dump && exec {} {words}",
        env!("CARGO_BIN_EXE_uplift")
    );
    let shell = site.field.wrapped("unshare", "-m sh -c").arg(line);
    site.refused(site.field.run(&shell, words), 1, &["pg_dump", "15", "14"]);
    let none = format!(
        "mount -t tmpfs none /usr/lib/postgresql && mount --bind /dev/null /usr/bin/pg_dump && exec {} {words}",
        env!("CARGO_BIN_EXE_uplift")
    );
    let shell = site.field.wrapped("unshare", "-m sh -c").arg(none);
    site.refused(site.field.run(&shell, words), 1, &["pg_dump", "15", "postgresql-client-15"]);
}

fn database(site: &Refusing, words: &str) {
    let stack = &site.field.stack;
    // Sessions that are open stay open, so that web and job do not notice.
    stack.psql("postgres", "ALTER ROLE strata PASSWORD 'another'").unwrap();
    let screen = site.field.uplift(words);
    let password = site.field.secret("DB_PASSWORD").replace('\'', "''");
    stack.psql("postgres", &format!("ALTER ROLE strata PASSWORD '{password}'")).unwrap();
    site.refused(screen, 1, &["password", "DB_PASSWORD"]);
    stack.psql("postgres", "ALTER DATABASE strata_production_cache RENAME TO elsewhere").unwrap();
    let screen = site.field.uplift(words);
    stack.psql("postgres", "ALTER DATABASE elsewhere RENAME TO strata_production_cache").unwrap();
    site.refused(screen, 1, &["strata_production_cache"]);
    let docker = &stack.tools().docker();
    docker.clone().args("stop -t 2").arg(stack.postgres()).output().unwrap();
    let screen = site.field.uplift(words);
    docker.clone().arg("start").arg(stack.postgres()).output().unwrap();
    stack.wait_up().unwrap();
    site.refused(screen, 1, &["DB_HOST"]);
}
