use uplift::{
    event::Teller,
    ports::docker::{Pull, Recreate, RemoveContainer, Select, SetRestart, Snapshot, Start, State, Stop, Tag},
    site::Secret,
};

use super::{Fixture, code, container, pull, reference};

const NOBODY: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

fn stop(id: &str, service: &str) -> Stop {
    Stop { id: id.to_owned(), service: service.to_owned(), timeout: None }
}

fn start(id: &str, service: &str) -> Start {
    Start { id: id.to_owned(), service: service.to_owned(), image: String::new() }
}

pub(super) async fn containers_are_sorted_and_know_their_service(fixture: &dyn Fixture) {
    let (docker, site) = (fixture.ports().docker, fixture.site());
    let ours = docker.containers(&Select::Project(site.project.name.clone())).await.unwrap();
    let names: Vec<_> = ours.iter().map(|one| one.name.clone()).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
    let web = ours.iter().find(|one| one.service() == Some(&site.web.name)).unwrap();
    assert!(web.is_running() && web.started.is_some(), "{web:?}");
    assert_eq!(web.image, reference(&site, &site.version));
    let image = docker.image(&web.image).await.unwrap().unwrap();
    assert_eq!(web.image_id, image.id);
    assert_eq!(image.digest_in(&site.web.repository).map(str::to_owned), site.digest);
    let all = docker.containers(&Select::All).await.unwrap();
    assert!(names.iter().all(|name| all.iter().any(|one| one.name == *name)));
}

pub(super) async fn an_unknown_container_is_none(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    assert!(docker.container(NOBODY).await.unwrap().is_none());
    assert!(docker.image("registry.example/none:0").await.unwrap().is_none());
    assert!(docker.volume("no_such_volume").await.unwrap().is_none());
    assert_eq!(code(docker.snapshot(NOBODY).await), "container_missing");
    assert_eq!(code(docker.logs(NOBODY, None).await), "container_missing");
    assert_eq!(code(docker.stop(&stop(NOBODY, "web")).await), "container_missing");
    assert_eq!(code(docker.start(&start(NOBODY, "web")).await), "container_missing");
    let gone = RemoveContainer { id: NOBODY.to_owned(), service: "web".to_owned() };
    docker.remove(&gone).await.expect("it is gone already");
}

pub(super) async fn stopping_and_starting_twice_is_once(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let job = container(fixture, "job").await;
    docker.start(&start(&job.id, "job")).await.expect("it runs already");
    assert_eq!(container(fixture, "job").await.started, job.started);
    for _ in 0..2 {
        docker.stop(&stop(&job.id, "job")).await.unwrap();
        let stopped = container(fixture, "job").await;
        assert_eq!((stopped.state, stopped.id.as_str()), (State::Exited, job.id.as_str()));
    }
    docker.start(&start(&job.id, "job")).await.unwrap();
    assert!(container(fixture, "job").await.is_running());
}

pub(super) async fn a_running_container_is_not_removed(fixture: &dyn Fixture) {
    let job = container(fixture, "job").await;
    let remove = RemoveContainer { id: job.id.clone(), service: "job".to_owned() };
    assert_eq!(code(fixture.ports().docker.remove(&remove).await), "container_running");
    assert!(container(fixture, "job").await.is_running());
}

pub(super) async fn a_snapshot_makes_the_same_container(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let job = container(fixture, "job").await;
    let snapshot = docker.snapshot(&job.id).await.unwrap();
    let recreate = Recreate { snapshot, service: "job".to_owned(), image: job.image.clone() };
    assert_eq!(docker.recreate(&recreate).await.unwrap(), job.id, "it is there already");
    docker.stop(&stop(&job.id, "job")).await.unwrap();
    docker.remove(&RemoveContainer { id: job.id.clone(), service: "job".to_owned() }).await.unwrap();
    assert!(docker.container(&job.id).await.unwrap().is_none());
    let id = docker.recreate(&recreate).await.unwrap();
    assert_eq!(docker.recreate(&recreate).await.unwrap(), id, "twice is once");
    let made = container(fixture, "job").await;
    assert_ne!(made.id, job.id);
    assert_eq!(made.id, id);
    assert_eq!(
        (&made.name, &made.labels, &made.image_id, &made.image, &made.restart_policy, &made.mounts),
        (&job.name, &job.labels, &job.image_id, &job.image, &job.restart_policy, &job.mounts)
    );
    assert!(!made.is_running());
    docker.start(&start(&id, "job")).await.unwrap();
    assert!(container(fixture, "job").await.is_running());
}

pub(super) async fn a_restart_policy_is_set(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let job = container(fixture, "job").await;
    let set = |from: &str, to: &str| SetRestart {
        id: job.id.clone(),
        service: "job".to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
    };
    docker.set_restart(&set(&job.restart_policy, "no")).await.unwrap();
    assert_eq!(container(fixture, "job").await.restart_policy, "no");
    docker.set_restart(&set("no", &job.restart_policy)).await.unwrap();
    assert_eq!(container(fixture, "job").await.restart_policy, job.restart_policy);
}

pub(super) async fn an_unknown_tag_is_not_found(fixture: &dyn Fixture) {
    let (docker, site) = (fixture.ports().docker, fixture.site());
    let unknown = reference(&site, "0.0.0-none");
    assert_eq!(code(docker.remote_digest(&unknown).await), "tag_not_found");
    let digest = format!("sha256:{NOBODY}");
    let pulled = docker.pull(&Pull { reference: unknown, digest }, &Teller::silent()).await;
    assert_eq!(code(pulled), "tag_not_found");
}

pub(super) async fn a_pull_checks_the_digest(fixture: &dyn Fixture) {
    let (docker, site) = (fixture.ports().docker, fixture.site());
    let reference = reference(&site, &fixture.other_tag());
    let wrong = Pull { reference: reference.clone(), digest: format!("sha256:{NOBODY}") };
    assert_eq!(code(docker.pull(&wrong, &Teller::silent()).await), "tag_moved");
    let digest = docker.remote_digest(&reference).await.unwrap();
    let image = pull(fixture, &fixture.other_tag()).await;
    assert_eq!(image.digest_in(&site.web.repository), Some(digest.as_str()));
    assert!(image.tags.contains(&reference), "{image:?}");
    assert_eq!(pull(fixture, &fixture.other_tag()).await.id, image.id, "twice is once");
    for name in [&reference, &image.id, &format!("{}@{digest}", site.web.repository)] {
        assert_eq!(docker.image(name).await.unwrap().unwrap().id, image.id, "{name}");
    }
}

pub(super) async fn a_name_is_given_to_an_image(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let web = container(fixture, "web").await;
    let name = "uplift.local/kept:before";
    let tag = Tag { image_id: web.image_id.clone(), reference: name.to_owned() };
    docker.tag(&tag).await.unwrap();
    docker.tag(&tag).await.expect("it has the name already");
    let image = docker.image(name).await.unwrap().unwrap();
    assert_eq!(image.id, web.image_id);
    assert!(image.tags.contains(&name.to_owned()) && image.tags.contains(&web.image), "{image:?}");
    let unknown = Tag { image_id: format!("sha256:{NOBODY}"), reference: name.to_owned() };
    assert_eq!(code(docker.tag(&unknown).await), "not_on_host");
}

pub(super) async fn an_image_lists_its_files(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let web = container(fixture, "web").await;
    let files = docker.image_files(&web.image_id, "/rails/db/migrate").await.unwrap();
    assert!(!files.is_empty() && files.is_sorted(), "{files:?}");
    assert!(files.iter().all(|name| name.contains(".rb") && !name.contains('/')), "{files:?}");
    let unknown = docker.image_files(&format!("sha256:{NOBODY}"), "/rails/db/migrate").await;
    assert_eq!(code(unknown), "not_on_host");
}

pub(super) async fn logs_end_with_the_last_lines(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let web = container(fixture, "web").await;
    let all = docker.logs(&web.id, None).await.unwrap();
    let last = docker.logs(&web.id, Some(1)).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last.last(), all.last());
    assert!(!last[0].text.ends_with('\n'));
}

pub(super) async fn a_damaged_snapshot_is_refused(fixture: &dyn Fixture) {
    let snapshot = Snapshot { definition: Secret::new("{\"half\": of-it") };
    let recreate = Recreate { snapshot, service: "job".to_owned(), image: String::new() };
    let failure = fixture.ports().docker.recreate(&recreate).await.unwrap_err();
    assert_eq!(failure.code, "snapshot_unreadable");
}

pub(super) async fn a_file_is_read_out_of_a_container(fixture: &dyn Fixture) {
    let docker = fixture.ports().docker;
    let web = container(fixture, "web").await;
    let name = docker.file(&web.id, "/etc/hostname").await.unwrap().expect("every container has it");
    assert_eq!(String::from_utf8(name).unwrap().trim(), web.short_id());
    assert_eq!(docker.file(&web.id, "/etc/no/such/file").await.unwrap(), None);
    assert_eq!(docker.file(&web.id, "/etc").await.unwrap(), None, "a folder is no file");
    assert_eq!(code(docker.file(NOBODY, "/etc/hostname").await), "container_missing");
}

pub(super) async fn containers_know_their_names_on_networks(fixture: &dyn Fixture) {
    let web = container(fixture, "web").await;
    assert!(!web.networks.is_empty());
    for network in web.networks.keys() {
        let names = web.aliases.get(network).unwrap_or_else(|| panic!("none on `{network}`"));
        assert!(names.contains(&"web".to_owned()) && names.contains(&web.name), "{names:?}");
    }
    assert_eq!(web.extra_hosts, Vec::<String>::new());
    let gateway = fixture.ports().docker.gateway().await.unwrap().expect("a network `bridge`");
    assert!(gateway.parse::<std::net::IpAddr>().is_ok(), "{gateway}");
}

pub(super) async fn the_engine_says_what_it_is(fixture: &dyn Fixture) {
    let engine = fixture.ports().docker.engine().await.unwrap();
    assert!(engine.version.starts_with(|first: char| first.is_ascii_digit()), "{engine:?}");
    assert!(engine.api_version.split('.').all(|part| part.parse::<u32>().is_ok()), "{engine:?}");
    assert!(engine.local && !engine.rootless, "{engine:?}");
    assert_eq!(engine.kind, "Docker Engine");
    // Room for images is looked for there.
    let space = fixture.ports().files.space(engine.root.as_ref()).await.unwrap();
    assert!(engine.root.starts_with('/') && space.total > 0, "{engine:?}");
}

pub(super) async fn a_container_has_what_its_files_and_its_image_set(fixture: &dyn Fixture) {
    let (docker, site) = (fixture.ports().docker, fixture.site());
    let web = container(fixture, "web").await;
    let own = docker.environment(&web.id).await.unwrap();
    assert_eq!(own.get("DB_PASSWORD"), Some(&site.secrets["DB_PASSWORD"]));
    assert_eq!(own.get("STRATA_VERSION").map(Secret::reveal), Some(site.version.as_str()));
    let brought = docker.image_environment(&web.image_id).await.unwrap();
    let lost: Vec<_> = brought.keys().filter(|name| !own.contains_key(*name)).collect();
    assert!(lost.is_empty(), "what the image brings is in its container: {lost:?}");
    assert!(!brought.contains_key("DB_PASSWORD"), "that is the site's own");
    assert!(docker.environment(NOBODY).await.unwrap().is_empty());
    assert!(docker.image_environment(&format!("sha256:{NOBODY}")).await.unwrap().is_empty());
}
