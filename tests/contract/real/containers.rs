//! Containers made again, and what the operator's own commands find afterwards.

use std::time::{Duration, Instant};

use serde_json::Value;
use uplift::{
    event::Teller,
    ports::{
        compose::Up,
        docker::{Pull, Recreate, RemoveContainer, Snapshot, Start, Stop, Tag},
    },
};

use super::{Fixture as _, Real};
use crate::contract::reference;

#[tokio::test(flavor = "multi_thread")]
async fn containers_come_back_as_they_were() {
    let real = Real::start().await;
    let rich = Rich::make(&real);
    let before = rich.inspected(&real);
    let snapshot = made_again(&real, &rich).await;
    let after = rich.inspected(&real);
    assert_eq!(before, after);
    assert_eq!(real.docker(&format!("exec {} cat /anonymous/kept", rich.name)), "kept");
    real.docker(&format!("exec {} ln -s ../anonymous/./kept /anonymous/link", rich.name));
    let linked = real.ports().docker.file(&rich.id(&real), "/anonymous/link").await.unwrap();
    assert_eq!(linked.as_deref(), Some(&b"kept"[..]), "a link is followed");
    a_moved_tag_changes_nothing(&real, &rich, snapshot).await;
    drop(rich);
    a_stop_is_never_shorter_than_the_container_s_own(&real).await;
    the_next_up_leaves_everything_alone(&real).await;
    an_exchange_that_was_broken_off_ends_with_the_usual_name(&real).await;
}

/// A container with all that a definition may hold.
struct Rich {
    name: String,
    tools: crate::lab::Tools,
}

impl Rich {
    fn make(real: &Real) -> Self {
        let project = real.stack.project();
        let name = format!("{project}-rich");
        let rich = Self { name: name.clone(), tools: real.stack.tools().clone() };
        real.docker(&format!("network create --subnet 10.213.7.0/24 {project}_a"));
        real.docker(&format!("network create {project}_b"));
        let image = reference(&real.site(), "1.0.0");
        let run = format!(
            "create --name {name} --network {project}_a --ip 10.213.7.9 --network-alias one --network-alias two \
             -v /anonymous -v {project}_named:/named:ro --tmpfs /scratch:size=1m --cap-add NET_ADMIN \
             --cap-drop MKNOD --ulimit nofile=1000:2000 --memory 256m --cpus 0.5 --pids-limit 77 \
             --security-opt no-new-privileges --add-host elsewhere:10.0.0.1 --dns 10.0.0.2 --sysctl net.core.somaxconn=99 \
             --log-opt max-size=1m --restart on-failure:3 --stop-timeout 3 --stop-signal INT --user 0:0 -w /tmp \
             --init --read-only --shm-size 8m --label a.label=x --env PLAIN=1 -p 127.0.0.1::99 -p 98/udp \
             --health-cmd true --health-interval 7s --oom-score-adj 10 --ipc shareable"
        );
        let docker = rich.tools.docker().args(&run);
        let docker = docker.arg("--env").arg("UGLY=pa\"ss $w '#\\ü").arg("--label").arg("b=a b=c");
        docker
            .arg("--entrypoint")
            .arg("/bin/sh")
            .arg(image)
            .arg("-c")
            .arg("sleep 600 & wait")
            .output()
            .unwrap();
        real.docker(&format!("network connect --alias three {project}_b {name}"));
        real.docker(&format!("start {name}"));
        let write = "echo -n kept > /anonymous/kept";
        rich.tools.docker().arg("exec").arg(&name).arg("sh").arg("-c").arg(write).output().unwrap();
        rich
    }

    fn id(&self, real: &Real) -> String {
        real.docker(&format!("inspect -f {{{{.Id}}}} {}", self.name))
    }

    /// What `docker inspect` shows, without what time did to it.
    fn inspected(&self, real: &Real) -> Value {
        let text = real.docker(&format!("inspect {}", self.name));
        let id = self.id(real);
        let text = text.replace(&id, "ID").replace(&id[..12], "SHORT");
        let mut shown: Value = serde_json::from_str::<Vec<Value>>(&text).unwrap().remove(0);
        // Not a part of what it is: how far it has come, and which numbers the engine drew for it.
        for gone in ["Created", "State", "LogPath", "GraphDriver", "ExecIDs"] {
            shown.as_object_mut().unwrap().remove(gone);
        }
        let binds = shown["HostConfig"]["Binds"].as_array_mut().unwrap();
        // An anonymous volume comes back by its name.
        binds.retain(|bind| !bind.as_str().unwrap().contains(":/anonymous"));
        let mounts = shown["Mounts"].as_array_mut().unwrap();
        mounts.sort_by_key(|mount| mount["Destination"].to_string());
        for mount in mounts {
            // `z` and `rw` are words of the command line: what counts stands in `RW`.
            mount.as_object_mut().unwrap().remove("Mode");
        }
        drawn(&mut shown["NetworkSettings"]);
        shown
    }
}

fn drawn(settings: &mut Value) {
    let Some(map) = settings.as_object_mut() else { return };
    for name in
        ["SandboxID", "SandboxKey", "EndpointID", "MacAddress", "IPAddress", "Ports", "GlobalIPv6Address"]
    {
        map.remove(name);
    }
    for network in
        map.get_mut("Networks").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut())
    {
        drawn(network);
        // Nothing asked for is written in two ways.
        for name in ["DriverOpts", "IPAMConfig"] {
            if network[name].as_object().is_some_and(serde_json::Map::is_empty) {
                network[name] = Value::Null;
            }
        }
        if let Some(aliases) = network["Aliases"].as_array_mut() {
            aliases.sort_by_key(ToString::to_string);
        }
    }
}

impl Drop for Rich {
    fn drop(&mut self) {
        // What was made again has its anonymous volume by a name: it does not go with the container.
        let mounted = self.tools.docker().args("inspect -f").arg("{{range .Mounts}}{{.Name}} {{end}}");
        let volumes = mounted.arg(&self.name).output().unwrap_or_default();
        let _removed = self.tools.docker().args("rm -f -v").arg(&self.name).output();
        for volume in volumes.split_whitespace().filter(|name| name.len() == 64) {
            let _removed = self.tools.docker().args("volume rm -f").arg(volume).output();
        }
    }
}

async fn made_again(real: &Real, rich: &Rich) -> Snapshot {
    let docker = real.ports().docker;
    let id = rich.id(real);
    let snapshot = docker.snapshot(&id).await.unwrap();
    let service = "rich".to_owned();
    let recreate = Recreate { snapshot: snapshot.clone(), service: service.clone(), image: String::new() };
    assert_eq!(docker.recreate(&recreate).await.unwrap(), id, "it is there");
    docker.stop(&Stop { id: id.clone(), service: service.clone(), timeout: None }).await.unwrap();
    docker.remove(&RemoveContainer { id: id.clone(), service: service.clone() }).await.unwrap();
    let made = docker.recreate(&recreate).await.unwrap();
    assert_ne!(made, id);
    assert_eq!(docker.recreate(&recreate).await.unwrap(), made, "twice is once");
    docker.start(&Start { id: made, service, image: String::new() }).await.unwrap();
    snapshot
}

/// The name of its image means another one now: it still runs what it ran.
async fn a_moved_tag_changes_nothing(real: &Real, rich: &Rich, snapshot: Snapshot) {
    let docker = real.ports().docker;
    let name = reference(&real.site(), "1.0.0");
    let ran = docker.image(&name).await.unwrap().unwrap().id;
    let other = reference(&real.site(), "1.1.0");
    let digest = docker.remote_digest(&other).await.unwrap();
    let other = docker.pull(&Pull { reference: other, digest }, &Teller::silent()).await.unwrap().id;
    docker.tag(&Tag { image_id: other, reference: name.clone() }).await.unwrap();
    real.docker(&format!("rm -f {}", rich.name));
    let recreate = Recreate { snapshot, service: "rich".to_owned(), image: String::new() };
    let made = docker.recreate(&recreate).await.unwrap();
    assert_eq!(docker.container(&made).await.unwrap().unwrap().image_id, ran);
    assert_eq!(docker.recreate(&recreate).await.unwrap(), made, "twice is once");
    docker.tag(&Tag { image_id: ran, reference: name }).await.unwrap();
}

async fn a_stop_is_never_shorter_than_the_container_s_own(real: &Real) {
    let image = reference(&real.site(), "1.0.0");
    let name = format!("{}-deaf", real.stack.project());
    let run =
        real.stack.tools().docker().args("run -d --stop-timeout 2 --entrypoint /bin/sh --name").arg(&name);
    let id = run
        .arg(image)
        .arg("-c")
        .arg("trap '' TERM; echo deaf; while true; do sleep 1; done")
        .output()
        .unwrap();
    // Before its first line it is not deaf yet.
    while !real.docker(&format!("logs {name}")).contains("deaf") {}
    let started = Instant::now();
    let stop = Stop { id, service: "deaf".to_owned(), timeout: Some(Duration::from_millis(100)) };
    real.ports().docker.stop(&stop).await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(9), "{took:?}");
    real.docker(&format!("rm -f {name}"));
}

/// After both services went to another release one by one, compose finds nothing to do.
async fn the_next_up_leaves_everything_alone(real: &Real) {
    let env = real.site().project.env_file();
    let text = std::fs::read_to_string(&env).unwrap();
    std::fs::write(&env, text.replace("STRATA_VERSION=1.0.0", "STRATA_VERSION=1.1.0")).unwrap();
    let compose = real.ports().compose;
    for service in ["web", "job"] {
        let services = vec![service.to_owned()];
        compose.up(&Up { project: real.site().project, services }).await.unwrap();
    }
    let dry = real.stack.tools().docker().args("compose --dry-run up -d").folder(real.stack.dir());
    let said = dry.run().unwrap();
    for made in ["Recreate", "Creating"] {
        assert!(!said.stderr.contains(made), "{}", said.stderr);
    }
    assert!(said.stderr.contains("Running"), "{}", said.stderr);
}

/// Compose was killed after it had removed the old container and before it had given the new one its name.
///
/// The container is one that was exchanged before, by the same words: compose makes any other again.
async fn an_exchange_that_was_broken_off_ends_with_the_usual_name(real: &Real) {
    let project = real.stack.project();
    let (usual, found) = (format!("{project}-job-1"), format!("0123456789ab_{project}-job-1"));
    let container = real.docker(&format!("inspect -f {{{{.Id}}}} {usual}"));
    real.docker(&format!("stop -t 1 {usual}"));
    real.docker(&format!("rename {usual} {found}"));
    let up = Up { project: real.site().project, services: vec!["job".to_owned()] };
    let report = real.ports().compose.up(&up).await.unwrap();
    assert_eq!(report.containers["job"], [container.as_str()], "the very same");
    assert_eq!(real.docker(&format!("inspect -f {{{{.State.Running}}}} {usual}")), "true");
}
