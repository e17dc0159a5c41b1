//! Engines and composes that uplift has not been tried on, or that are not there.

use super::Table;
use crate::lab::{Disguise, Edit};

const UPGRADE: &str = "upgrade --to 1.1.1 -y";

/// As such an engine answers where it is asked what it is.
const PODMAN: &[Edit] = &[("\"Name\":\"Engine\"", "\"Name\":\"Podman Engine\"")];
const DESKTOP: &[Edit] = &[("\"OperatingSystem\":\"", "\"OperatingSystem\":\"Docker Desktop on ")];
const ROOTLESS: &[Edit] = &[("\"SecurityOptions\":[", "\"SecurityOptions\":[\"name=rootless\",")];
const OLD: &[Edit] = &[("\"Version\":\"20.10.", "\"Version\":\"19.03.")];

#[test]
fn of_engines() {
    let table = Table::new();
    for (what, edits, code, says) in [
        ("Podman", PODMAN, "podman", "Podman"),
        ("Docker Desktop", DESKTOP, "docker_desktop", "Docker Desktop"),
        ("a rootless engine", ROOTLESS, "engine_rootless", "rootless"),
        ("an old engine", OLD, "engine_old", "older than 20.10"),
    ] {
        let engine = Disguise::start(edits).unwrap();
        table.row(what, UPGRADE).env("DOCKER_HOST", engine.address()).refused(1, code, &[says]);
    }
    table.row("an engine on another machine", UPGRADE).env("DOCKER_HOST", "tcp://127.0.0.1:2375").refused(
        1,
        "engine_remote",
        &["DOCKER_HOST"],
    );
    table.row("an engine over ssh", UPGRADE).env("DOCKER_HOST", "ssh://root@127.0.0.1").refused(
        1,
        "engine_remote",
        &["DOCKER_HOST"],
    );
    table.row("no engine", UPGRADE).env("DOCKER_HOST", "unix:///nowhere/docker.sock").refused(
        1,
        "engine_unreachable",
        &["docker"],
    );
    let nowhere = table.path("nowhere").display().to_string();
    table.row("only the old compose", UPGRADE).env("DOCKER_CONFIG", &nowhere).refused(
        1,
        "compose_v1",
        &["docker-compose-plugin"],
    );
    table.row("no compose", UPGRADE).env("PATH", "/nowhere").refused(
        1,
        "compose_missing",
        &["docker-compose-plugin"],
    );
    table
        .row("a user who may not use docker", UPGRADE)
        .within(&["setpriv", "--reuid", "nobody", "--clear-groups", "sh", "-c"], "exec")
        .refused(1, "engine_unreachable", &["sudo"]);
    table.end();
}
