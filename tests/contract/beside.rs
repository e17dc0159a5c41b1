//! Containers of a runbook's own, beside the site's.

use std::{collections::BTreeMap, time::Duration};

use uplift::{
    ports::{
        compose::PublishedPort,
        docker::{Container, RemoveContainer, RunContainer, RunMount, Said, Select, Stop},
        secrets::Lent,
    },
    site::{Reference, Secret, Storage},
};

use super::{Fixture, code, reference};

/// What the task says, and how it ends.
pub(super) const SCRIPT: &str = "echo one; echo two >&2; exit 3";

async fn wanted(fixture: &dyn Fixture, name: &str, script: &str) -> RunContainer {
    let site = fixture.site();
    let image = reference(&site, &site.version);
    let image_id = fixture.ports().docker.image(&image).await.unwrap().unwrap().id;
    RunContainer {
        name: format!("{}-{name}", site.project.name),
        image,
        image_id,
        entrypoint: vec!["/bin/sh".to_owned(), "-c".to_owned()],
        command: vec![script.to_owned()],
        variables: BTreeMap::from([("PLAIN".to_owned(), "a b".to_owned())]),
        secrets: BTreeMap::new(),
        settings: BTreeMap::new(),
        networks: Vec::new(),
        extra_hosts: Vec::new(),
        mounts: Vec::new(),
        ports: Vec::new(),
        user: None,
        workdir: None,
        stays: false,
        like: None,
    }
}

async fn looked(fixture: &dyn Fixture, id: &str) -> Container {
    fixture.ports().docker.container(id).await.unwrap().unwrap()
}

async fn take_away(fixture: &dyn Fixture, id: &str) {
    let (docker, service) = (fixture.ports().docker, "own".to_owned());
    docker.stop(&Stop { id: id.to_owned(), service: service.clone(), timeout: None }).await.unwrap();
    docker.remove(&RemoveContainer { id: id.to_owned(), service }).await.unwrap();
}

/// A port of the host that nobody listens at.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) async fn networks_are_known_by_their_names(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    assert!(docker.network(&format!("{}_default", fixture.site().project.name)).await.unwrap());
    assert!(!docker.network("no-such-network-of-ours").await.unwrap());
}

pub(super) async fn a_container_of_ones_own_stays(fixture: &dyn Fixture) {
    let (docker, project) = (fixture.ports().docker, fixture.site().project.name);
    let Storage::Local { volume, .. } = fixture.site().storage else { panic!("it has a volume") };
    let port = free_port();
    let lent = Lent { from: Reference::Variable("TOKEN".to_owned()), value: Secret::new("canary-9Q") };
    let request = RunContainer {
        secrets: [("TOKEN".to_owned(), lent)].into(),
        settings: [("PLAIN".to_owned(), Secret::new("of the files")), ("SET".to_owned(), Secret::new("yes"))]
            .into(),
        networks: vec![format!("{project}_default")],
        mounts: vec![RunMount { source: volume.clone(), target: "/kept".to_owned(), read_only: true }],
        ports: vec![PublishedPort { host_ip: "127.0.0.1".to_owned(), published: Some(port), target: 80 }],
        stays: true,
        ..wanted(fixture, "page", "sleep 600").await
    };
    let id = docker.run(&request).await.unwrap();
    assert_eq!(docker.run(&request).await.unwrap(), id, "twice is once");
    let there = looked(fixture, &id).await;
    assert!(
        there.is_running()
            && there.service().is_none()
            && there.labels.keys().all(|key| !key.contains("compose"))
    );
    assert_eq!((there.name.as_str(), there.restart_policy.as_str()), (request.name.as_str(), "no"));
    assert_eq!((&there.image, &there.image_id), (&request.image, &request.image_id));
    assert_eq!((there.ports[&80].host_port, there.ports[&80].host_ip.as_str()), (port, "127.0.0.1"));
    assert!(there.networks.keys().eq([&format!("{project}_default")]), "{:?}", there.networks);
    assert!(
        there.mounts.iter().any(|one| one.source == volume && one.target == "/kept"),
        "{:?}",
        there.mounts
    );
    let own = docker.containers(&Select::Project(project)).await.unwrap();
    assert!(own.iter().all(|one| one.id != id), "it is none of the project's");
    take_away(fixture, &id).await;
    assert!(docker.container(&id).await.unwrap().is_none());
    assert_eq!(docker.said(&id).await.unwrap(), Said::default(), "nothing of what is gone");
    assert!(!format!("{request:?} {:?}", request.change()).contains("canary"));
}

pub(super) async fn a_task_says_how_it_ended(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let request = wanted(fixture, "task", SCRIPT).await;
    let id = docker.run(&request).await.unwrap();
    for _ in 0..300 {
        if !looked(fixture, &id).await.is_up() {
            break;
        }
        fixture.ports().clock.sleep(Duration::from_millis(100)).await;
    }
    let ended = looked(fixture, &id).await;
    assert_eq!((ended.is_up(), ended.exit_code), (false, Some(3)));
    let said = docker.said(&id).await.unwrap();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("one\n", "two\n"));
    assert_eq!(docker.run(&request).await.unwrap(), id, "what has run is not run again");
    assert_eq!(looked(fixture, &id).await.started, ended.started);
    take_away(fixture, &id).await;
}

pub(super) async fn a_port_that_is_taken_starts_nothing(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let port = PublishedPort { host_ip: String::new(), published: Some(free_port()), target: 80 };
    let stays = |request: RunContainer| RunContainer { stays: true, ports: vec![port.clone()], ..request };
    let first = docker.run(&stays(wanted(fixture, "page", "sleep 600").await)).await.unwrap();
    let second = stays(wanted(fixture, "other-page", "sleep 600").await);
    assert_eq!(code(docker.run(&second).await), "port_taken");
    let all = docker.containers(&Select::All).await.unwrap();
    assert!(all.iter().all(|one| one.name != second.name), "nothing of it holds the name");
    take_away(fixture, &first).await;
    let missing =
        RunContainer { image_id: format!("sha256:{}", "0".repeat(64)), image: "none:0".to_owned(), ..second };
    assert_eq!(code(docker.run(&missing).await), "not_on_host");
}
