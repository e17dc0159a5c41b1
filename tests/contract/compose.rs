use std::collections::BTreeMap;

use uplift::{
    ports::{
        compose::{RunAside, Up, UpReport},
        docker::{Recreate, RemoveContainer, Select, Start, State, Stop},
        files::{File, WriteFile},
    },
    site::Secret,
};

use super::{Fixture, code, container, pull, reference};

fn up(fixture: &dyn Fixture, services: &[&str]) -> Up {
    let services = services.iter().map(|&service| service.to_owned()).collect();
    Up { project: fixture.site().project, services }
}

async fn upped(fixture: &dyn Fixture, services: &[&str]) -> UpReport {
    fixture.ports().compose.up(&up(fixture, services)).await.unwrap()
}

/// Sets the tag in the env file; gives the file as it was.
async fn set_tag(fixture: &dyn Fixture, tag: &str) -> File {
    edit(fixture, |line| {
        let is_tag = line.starts_with("STRATA_VERSION=");
        if is_tag { format!("STRATA_VERSION={tag}") } else { line.to_owned() }
    })
    .await
}

/// Changes the lines of the env file; gives the file as it was.
async fn edit(fixture: &dyn Fixture, change: impl Fn(&str) -> String) -> File {
    let (files, path) = (fixture.ports().files, fixture.site().project.env_file());
    let before = files.read(&path).await.unwrap().unwrap();
    let text = String::from_utf8(before.bytes.clone()).unwrap();
    let lines = text.lines().map(|line| change(line) + "\n");
    let file = File { bytes: lines.collect::<String>().into_bytes(), ..before.clone() };
    write_back(fixture, file).await;
    before
}

async fn write_back(fixture: &dyn Fixture, file: File) {
    let path = fixture.site().project.env_file();
    let request = WriteFile { path, file, what: "settings".to_owned() };
    fixture.ports().files.write(&request).await.unwrap();
}

async fn image_of(fixture: &dyn Fixture, overrides: &[(&str, &str)]) -> String {
    let overrides: BTreeMap<_, _> =
        overrides.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let config = fixture.ports().compose.config(&fixture.site().project, &overrides).await.unwrap();
    config.services["web"].image.clone().unwrap()
}

pub(super) async fn settings_fill_in_the_configuration(fixture: &dyn Fixture) {
    let (compose, site) = (fixture.ports().compose, fixture.site());
    assert!(compose.version().await.unwrap() >= semver::Version::new(2, 20, 0));
    let config = compose.config(&site.project, &BTreeMap::new()).await.unwrap();
    let (web, job) = (&config.services["web"], &config.services["job"]);
    assert_eq!(web.image, Some(reference(&site, &site.version)));
    assert_eq!(web.environment["STRATA_RUN_DB_PREPARE"].reveal(), "true");
    assert_eq!(job.environment["STRATA_RUN_DB_PREPARE"].reveal(), "false");
    assert_eq!(&web.environment["DB_PASSWORD"], &site.secrets["DB_PASSWORD"]);
    assert_eq!(job.command, ["./bin/jobs"]);
    assert!(job.depends_on.contains(&"web".to_owned()));
    assert!(web.has_healthcheck && !job.has_healthcheck);
    let tag = fixture.other_tag();
    let before = set_tag(fixture, &tag).await;
    assert_eq!(image_of(fixture, &[]).await, reference(&site, &tag));
    write_back(fixture, before).await;
    assert_eq!(image_of(fixture, &[]).await, reference(&site, &site.version));
}

pub(super) async fn overrides_win_over_the_env_file(fixture: &dyn Fixture) {
    let site = fixture.site();
    let image = image_of(fixture, &[("STRATA_VERSION", "9.9.9")]).await;
    assert_eq!(image, reference(&site, "9.9.9"));
}

pub(super) async fn up_leaves_what_is_current_alone(fixture: &dyn Fixture) {
    let (web, job) = (container(fixture, "web").await, container(fixture, "job").await);
    let report = upped(fixture, &["web", "job"]).await;
    assert_eq!(report.containers["web"], std::slice::from_ref(&web.id));
    assert_eq!(report.containers["job"], std::slice::from_ref(&job.id));
    assert_eq!(container(fixture, "web").await.started, web.started);
    assert_eq!(container(fixture, "job").await.started, job.started);
}

pub(super) async fn up_starts_what_was_stopped(fixture: &dyn Fixture) {
    let job = container(fixture, "job").await;
    let stop = Stop { id: job.id.clone(), service: "job".to_owned(), timeout: None };
    fixture.ports().docker.stop(&stop).await.unwrap();
    assert_eq!(container(fixture, "job").await.state, State::Exited);
    let report = upped(fixture, &["job"]).await;
    assert_eq!(report.containers["job"], std::slice::from_ref(&job.id));
    assert!(container(fixture, "job").await.is_running());
}

pub(super) async fn up_replaces_what_changed(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let (web, job) = (container(fixture, "web").await, container(fixture, "job").await);
    let image = pull(fixture, &fixture.other_tag()).await;
    let before = set_tag(fixture, &fixture.other_tag()).await;
    let report = upped(fixture, &["web"]).await;
    let new = container(fixture, "web").await;
    assert_eq!(report.containers["web"], std::slice::from_ref(&new.id));
    assert_ne!(new.id, web.id);
    assert!(docker.container(&web.id).await.unwrap().is_none(), "the old one is gone");
    assert_eq!((&new.image_id, &new.name), (&image.id, &web.name));
    assert!(new.is_running());
    assert_eq!(container(fixture, "job").await.id, job.id, "other services are left alone");
    write_back(fixture, before).await;
    upped(fixture, &["web"]).await;
    assert_eq!(container(fixture, "web").await.image_id, web.image_id);
}

pub(super) async fn up_replaces_what_has_other_settings(fixture: &dyn Fixture) {
    let job = container(fixture, "job").await;
    let last = |line: &str| {
        let is_backend = line.starts_with("STORAGE_BACKEND=");
        if is_backend { format!("{line}\nJOB_THREADS=7") } else { line.to_owned() }
    };
    let before = edit(fixture, last).await;
    upped(fixture, &["job"]).await;
    let new = container(fixture, "job").await;
    assert_ne!(new.id, job.id);
    assert_eq!(new.image_id, job.image_id);
    let config = fixture.ports().compose.config(&fixture.site().project, &BTreeMap::new()).await.unwrap();
    assert_eq!(config.services["job"].environment.get("JOB_THREADS").map(Secret::reveal), Some("7"));
    upped(fixture, &["job"]).await;
    assert_eq!(container(fixture, "job").await.id, new.id, "and then it is current");
    write_back(fixture, before).await;
    upped(fixture, &["job"]).await;
    assert_ne!(container(fixture, "job").await.id, new.id);
}

pub(super) async fn up_without_the_image_is_unknown(fixture: &dyn Fixture) {
    let web = container(fixture, "web").await;
    let before = set_tag(fixture, "9.9.9").await;
    let failure = fixture.ports().compose.up(&up(fixture, &["web"])).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.unknown), ("compose_failed", true));
    assert_eq!(container(fixture, "web").await.id, web.id);
    write_back(fixture, before).await;
}

pub(super) async fn up_of_an_unknown_service_fails(fixture: &dyn Fixture) {
    let result = fixture.ports().compose.up(&up(fixture, &["nobody"])).await;
    assert_eq!(code(result), "compose_failed");
}

pub(super) async fn a_missing_compose_file_fails(fixture: &dyn Fixture) {
    let mut project = fixture.site().project;
    project.files.push(project.dir.join("no-such.yml"));
    let failure = fixture.ports().compose.config(&project, &BTreeMap::new()).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.unknown), ("compose_failed", false));
    assert!(failure.message.contains("no-such.yml"), "{failure:?}");
}

pub(super) async fn a_service_runs_aside(fixture: &dyn Fixture) {
    let (ports, site) = (fixture.ports(), fixture.site());
    let web = container(fixture, "web").await;
    let request = RunAside {
        project: site.project.clone(),
        service: "web".to_owned(),
        name: format!("{}-contract-aside", site.project.name),
        overrides: [("STRATA_VERSION".to_owned(), site.version.clone())].into(),
    };
    let id = ports.compose.run_aside(&request).await.unwrap();
    let aside = ports.docker.container(&id).await.unwrap().unwrap();
    assert_eq!((&aside.name, &aside.image_id), (&request.name, &web.image_id));
    assert!(aside.is_running() && aside.ports.is_empty(), "{aside:?}");
    assert_eq!(aside.restart_policy, "no");
    assert!(aside.networks.values().any(|address| !address.is_empty()), "{:?}", aside.networks);
    let ours = ports.docker.containers(&Select::Project(site.project.name.clone())).await.unwrap();
    assert!(ours.iter().all(|one| one.id != id), "it is none of the project's own");
    assert_eq!(ports.compose.run_aside(&request).await.unwrap(), id, "and the second time it is there");
    assert_eq!(container(fixture, "web").await.started, web.started, "web was left alone");
    let service = "web".to_owned();
    ports.docker.stop(&Stop { id: id.clone(), service: service.clone(), timeout: None }).await.unwrap();
    ports.docker.remove(&RemoveContainer { id: id.clone(), service }).await.unwrap();
    assert!(ports.docker.container(&id).await.unwrap().is_none());
    let unknown = RunAside { service: "nobody".to_owned(), ..request };
    assert_eq!(code(ports.compose.run_aside(&unknown).await), "compose_failed");
}

pub(super) async fn containers_are_made_without_a_start(fixture: &dyn Fixture) {
    let (ports, request) = (fixture.ports(), up(fixture, &["job"]));
    let (web, job) = (container(fixture, "web").await, container(fixture, "job").await);
    ports.compose.create(&request).await.unwrap();
    assert_eq!(container(fixture, "job").await.started, job.started, "it is there, and runs on");
    let snapshot = ports.docker.snapshot(&job.id).await.unwrap();
    gone(fixture, &job.id).await;
    for attempt in ["made", "there already"] {
        ports.compose.create(&request).await.unwrap();
        let made = container(fixture, "job").await;
        assert_eq!((made.state, &made.image_id), (State::Created, &job.image_id), "{attempt}");
        assert!(made.started.is_none() && made.mounts == job.mounts, "{attempt}: {made:?}");
    }
    assert_eq!(container(fixture, "web").await.started, web.started, "web was left alone");
    gone(fixture, &container(fixture, "job").await.id).await;
    let service = "job".to_owned();
    let recreate = Recreate { snapshot, service: service.clone(), image: job.image.clone() };
    let id = ports.docker.recreate(&recreate).await.unwrap();
    ports.docker.start(&Start { id, service, image: job.image }).await.unwrap();
    assert_eq!(code(ports.compose.create(&up(fixture, &["nobody"])).await), "compose_failed");
}

/// The container of job is stopped and removed.
async fn gone(fixture: &dyn Fixture, id: &str) {
    let (docker, id, service) = (fixture.ports().docker, id.to_owned(), "job".to_owned());
    docker.stop(&Stop { id: id.clone(), service: service.clone(), timeout: None }).await.unwrap();
    docker.remove(&RemoveContainer { id, service }).await.unwrap();
}
