//! Services that are not as an upgrade should find them, and who else is about.

use std::fs;

use super::Table;

const UPGRADE: &str = "upgrade --to 1.1.1 -y";
const PLAN: &str = "upgrade --to 1.1.1 --dry-run";

#[test]
fn of_services() {
    let table = Table::new();
    let (stack, project) = (&table.field.stack, table.field.stack.project().to_owned());
    half(&table);
    stack.compose("stop -t 1 job").unwrap();
    table.row("a worker that is stopped", UPGRADE).refused(
        1,
        "service_down",
        &["`job` does not run", "start job"],
    );
    stack.compose("start job").unwrap();
    scaled(&table);
    table.docker(&format!("pause {project}-web-1"));
    table.row("a web that is frozen", UPGRADE).refused(
        1,
        "service_down",
        &["`web` is paused", "docker unpause"],
    );
    table.docker(&format!("unpause {project}-web-1"));
    table.applied(
        "docker-compose.yml",
        |text| text.replace("    command: ./bin/jobs", "    command: sh -c \"exit 3\""),
        || {
            table.row("a worker that keeps dying", UPGRADE).refused(
                1,
                "service_dying",
                &["keeps dying", "docker logs"],
            );
        },
    );
    watchers(&table);
    more(&table);
    down(&table);
    table.end();
}

/// Nothing runs: stopped, or with no container left. It is still known which project it is.
fn down(table: &Table) {
    let (stack, project) = (&table.field.stack, table.field.stack.project());
    stack.compose("stop -t 1").unwrap();
    table.row("a stack that is stopped", UPGRADE).refused(
        1,
        "service_down",
        &["`web` does not run", "start web"],
    );
    table.row("the same, looked at", "status").goes(&["stopped, exit code 0", "does not answer"]);
    stack.compose("down -t 1").unwrap();
    table.row("a stack that is down", UPGRADE).refused(
        1,
        "service_down",
        &["`web` has no container", "up -d --no-deps web"],
    );
    table
        .row("the same, looked at", "status")
        .goes(&["has no container", &format!("volume `{project}_strata_storage`")]);
    table.with(
        "docker-compose.yml",
        |text| format!("name: {project}\n{text}"),
        || {
            table
                .row("a stack that is down, named in its file", "status")
                .goes(&[&format!("volume `{project}_strata_storage`")]);
        },
    );
    table.with(
        ".env",
        |text| format!("{text}COMPOSE_PROJECT_NAME={project}-env\n"),
        || {
            table
                .row("a stack that is down, named in its settings", "status")
                .goes(&[&format!("volume `{project}-env_strata_storage`")]);
        },
    );
}

/// Somebody has updated one service by hand, and was called away.
fn half(table: &Table) {
    let stack = &table.field.stack;
    let old = stack.env_text().unwrap();
    fs::write(table.path(".env"), old.replace("STRATA_VERSION=1.1.0", "STRATA_VERSION=1.1.1")).unwrap();
    let image = table.docker(&format!("inspect -f {{{{.Config.Image}}}} {}-web-1", stack.project()));
    table.docker(&format!("pull -q {}", image.replace(":1.1.0", ":1.1.1")));
    stack.compose("up -d --no-deps -t 1 web").unwrap();
    stack.wait_web().unwrap();
    table.row("web is new and job is old", UPGRADE).refused(
        1,
        "drift",
        &["`job` runs", "docker compose up -d"],
    );
    table.row("the same, looked at", "status").goes(&["DIFFERS", "the files say", "`job` runs"]);
    fs::write(table.path(".env"), old).unwrap();
    stack.compose("up -d --no-deps -t 1 web").unwrap();
    table.field.assert_up();
}

/// Who starts or replaces containers by himself.
fn watchers(table: &Table) {
    let project = table.field.stack.project();
    let base = table.field.stack.tools().docker().args("image ls -q uplift-lab/base").output().unwrap();
    let image = format!("{project}/watchtower:1");
    table.docker(&format!("tag {base} {image}"));
    table.docker(&format!("run -d --init --name {project}-watch {image} sleep 600"));
    table
        .row("a watchtower", PLAN)
        .goes(&["planned to the end", &format!("`{project}-watch` may start or replace")]);
    table.docker(&format!("rm -f {project}-watch"));
    table.docker(&format!("rmi {image}"));
    let unit = std::path::PathBuf::from(format!("/etc/systemd/system/{project}.service"));
    let text = format!(
        "[Service]\nWorkingDirectory={}\nExecStart=/usr/bin/docker compose up\n",
        table.field.dir().display()
    );
    fs::write(&unit, text).unwrap();
    let removed = Removed(unit.clone());
    table
        .row("a unit that keeps the site up", PLAN)
        .goes(&["planned to the end", &unit.display().to_string()]);
    drop(removed);
}

/// Goes with the test, however that ends.
struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// Further services of the product's image.
fn more(table: &Table) {
    let more = "  mailer:\n    image: @IMAGE@\n    command: sleep 600\n    env_file: .env\n";
    let image =
        table.docker(&format!("inspect -f {{{{.Config.Image}}}} {}-web-1", table.field.stack.project()));
    let more = more.replace("@IMAGE@", &image);
    table.with(
        "docker-compose.yml",
        |text| text.replace("\nvolumes:\n", &format!("\n{more}\nvolumes:\n")),
        || {
            table.field.stack.compose("up -d --no-deps mailer").unwrap();
            table.row("a further service of the product's image", UPGRADE).refused(
                1,
                "more_services",
                &["mailer"],
            );
            table.field.stack.compose("rm -f -s mailer").unwrap();
        },
    );
    table.with(
        "docker-compose.yml",
        |text| text.replace("  job:\n", "  aaa:\n    image: nginx\n    profiles: [never]\n  job:\n"),
        || {
            table
                .row("a service behind a profile that nobody has chosen", PLAN)
                .goes(&["planned to the end"]);
        },
    );
}

/// Compose would make of them as many as the file says.
fn scaled(table: &Table) {
    let scale = |count: u32| {
        let words = format!("up -d --no-deps --no-recreate -t 1 --scale job={count} job");
        table.field.stack.compose(&words).unwrap();
    };
    scale(2);
    let says = "`job` has 2 containers, and the files say 1";
    table.row("a second worker by `--scale`", UPGRADE).refused(
        1,
        "drift",
        &[says, "replicas: 2", "--edits apply"],
    );
    table.row("the same, looked at", "status").goes(&["DIFFERS", says]);
    scale(1);
}
