//! What keeps a backup set from being restored on a site, and what has to be known before: on simulated sites.

use uplift::{
    Ending, Event, Failure, Host, Start, World,
    event::ExitClass,
    ports::{
        compose::Up,
        docker::{Mount, State},
    },
    sim::Shape,
};

use super::{
    night::{Night, Told},
    restore::{ALWAYS, with_a_set},
};

const KEY: &str = "STRATA_ENCRYPTION_PRIMARY_KEY";
const WITH_CONFIG: [(&str, &str); 3] = [("restore_data", "always"), ("jobs", "run"), ("config", "true")];

/// The restore is refused, and nothing was touched.
async fn refused(night: &Night, set: &str, with: &[(&str, &str)]) -> Failure {
    let (before, writes) = (night.world.running(), night.world.writes());
    let failure = night.try_restore(set, with).await.err().expect("refused");
    assert_eq!((night.world.running(), night.world.writes()), (before, writes), "nothing was changed");
    failure
}

/// Changes a set as if it had been made so: its manifest and the hash of it.
fn remade(night: &Night, set: &str, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = night.set(set).join("manifest.json");
    let mut manifest = serde_json::from_slice(&night.world.file(&path).unwrap().bytes).unwrap();
    edit(&mut manifest);
    let text = serde_json::to_string(&manifest).unwrap();
    let hash = format!("{}\n", blake3::hash(text.as_bytes()).to_hex());
    night.world.put_file(&path, text, 0o600);
    night.world.put_file(night.set(set).join("manifest.b3"), hash, 0o600);
}

/// The same for the env file in it.
fn with_env(night: &Night, set: &str, edit: impl FnOnce(String) -> String) {
    let path = night.set(set).join("config-0-env");
    let text = edit(String::from_utf8(night.world.file(&path).unwrap().bytes).unwrap());
    remade(night, set, |manifest| {
        manifest["config"][0]["blake3"] = blake3::hash(text.as_bytes()).to_hex().as_str().into();
        manifest["config"][0]["bytes"] = text.len().into();
    });
    night.world.put_file(&path, text, 0o600);
}

fn warnings(told: &Told) -> String {
    let all = told.events.iter().filter_map(|event| match event {
        Event::Warning { text, .. } | Event::Note { text, .. } => Some(text.clone()),
        _ => None,
    });
    all.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_set_with_other_keys_is_refused_unless_its_keys_come_too() {
    let (night, set) = with_a_set().await;
    let then = night.world.setting(KEY);
    night.world.set(KEY, &"0".repeat(32));
    let failure = refused(&night, &set, &ALWAYS).await;
    assert_eq!(failure.code, "other_keys");
    assert!(failure.message.contains(&format!("`{KEY}`")), "{failure:?}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("`--config`") && hint.contains("config-0-env")));

    let told = night.try_restore(&set, &WITH_CONFIG).await.unwrap();
    assert_eq!(told.ending, Ending::Done, "the keys are proved against those of the set");
    assert_eq!(night.world.setting(KEY), then);
}

#[tokio::test]
async fn a_configuration_that_does_not_give_the_keys_of_its_set_is_refused() {
    let (night, set) = with_a_set().await;
    remade(&night, &set, |manifest| manifest["key_fingerprints"][KEY] = "0123456789abcdef".into());
    assert_eq!(refused(&night, &set, &WITH_CONFIG).await.code, "keys_changed");
}

#[tokio::test]
async fn a_configuration_that_leads_web_to_other_data_is_refused() {
    for (name, line) in [
        ("DB_HOST", "DB_HOST=old.example"),
        ("DB_NAME", "DB_NAME=strata_old"),
        ("DB_PASSWORD", "DB_PASSWORD=\"of last year\""),
        ("STORAGE_BACKEND", "STORAGE_BACKEND=amazon"),
    ] {
        let (night, set) = with_a_set().await;
        with_env(&night, &set, |text| format!("{text}{line}\n"));
        let failure = refused(&night, &set, &WITH_CONFIG).await;
        assert_eq!(failure.code, "config_elsewhere", "{failure:?}");
        assert!(failure.message.contains(&format!("another `{name}` than")), "{failure:?}");
        assert!(!format!("{failure:?}").contains("of last year"), "values may be secrets");
    }
    // The same written in another way is the same.
    let (night, set) = with_a_set().await;
    let same = |text: String| {
        text.replace("DB_PORT=5432\n", "").replace("DB_HOST=db.example", "DB_HOST='db.example'")
    };
    with_env(&night, &set, same);
    assert_eq!(night.try_restore(&set, &WITH_CONFIG).await.unwrap().ending, Ending::Done);
}

/// Its values may stand in a container's last lines once its configuration is back.
#[tokio::test]
async fn secrets_of_the_set_are_taken_out_of_everything_too() {
    let (night, set) = with_a_set().await;
    with_env(&night, &set, |text| format!("{text}SMTP_PASSWORD='swordfish of then'\n"));
    let given = [("set".to_owned(), set)].into();
    let host = night.host().await;
    host.runbook("compose/restore", &given).await.unwrap();
    assert_eq!(host.scrubber().scrub("535 swordfish of then refused"), "535 [secret] refused");
}

#[tokio::test]
async fn a_set_of_another_project_is_told() {
    let (night, set) = with_a_set().await;
    remade(&night, &set, |manifest| manifest["project"] = "staging".into());
    let told = night.try_restore(&set, &ALWAYS).await.unwrap();
    assert!(warnings(&told).contains("the set is of the project `staging`"), "{}", warnings(&told));
}

/// Two files of one name must not become one.
#[tokio::test]
async fn two_files_of_the_set_with_one_place_are_refused() {
    let (night, set) = with_a_set().await;
    remade(&night, &set, |manifest| {
        let mut second = manifest["config"][0].clone();
        for (at, path) in ["/etc/strata/a/extra.env", "/etc/strata/b/extra.env"].into_iter().enumerate() {
            second["path"] = path.into();
            manifest["config"].as_array_mut().unwrap().insert(at + 1, second.clone());
        }
        manifest["compose"]["dir"] = "/opt/elsewhere".into();
    });
    let failure = refused(&night, &set, &WITH_CONFIG).await;
    assert_eq!(failure.code, "config_ambiguous");
    assert!(
        failure.message.contains("`/etc/strata/a/extra.env` and `/etc/strata/b/extra.env`"),
        "{failure:?}"
    );
    let told = night.try_restore(&set, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done, "without the configuration nothing of it is used");
}

/// Where web works on jobs nothing can be held, so that somebody says so before anything is done.
#[tokio::test]
async fn jobs_that_web_would_run_are_decided_on_before_a_restore() {
    let worker = Shape { job: None, ..Shape::default() };
    for shape in [Shape::default(), worker] {
        let alone = shape.job.is_none();
        let world = World::shaped(&shape);
        world.put_job("SendInvoice", None);
        if !alone {
            world.set("HANDLE_JOBS_IN_WEB_SERVER", "true");
            let services = vec!["web".to_owned(), "job".to_owned()];
            let project = world.site().project;
            world.ports().compose.up(&Up { project, services }).await.unwrap();
            world.advance(std::time::Duration::from_mins(1));
        }
        let night = Night::of(world);
        assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
        let set = night.newest().await.0.id;
        for with in [&[("restore_data", "always")][..], &[("restore_data", "always"), ("jobs", "hold")]] {
            let question = refused(&night, &set, with).await.question.expect("a question");
            assert_eq!(question.flag.as_deref(), Some("jobs"));
            assert_eq!(question.choices.len(), 1, "they cannot be held: {question:?}");
            assert!(question.choices[0].costs.contains("up to 18 jobs"), "{question:?}");
        }
        // The same on the way back from the upgrade.
        let asked = night.try_return(&set, &[("restore_data", "always"), ("jobs", "hold")]).await;
        let question = asked.err().and_then(|failure| failure.question).expect("a question");
        assert_eq!(question.flag.as_deref(), Some("jobs"), "alone: {alone}");
        assert_eq!(night.try_restore(&set, &ALWAYS).await.unwrap().ending, Ending::Done);
    }
}

/// The container of the held worker is the very one from before: whoever starts it must find it as it was.
/// While databases are moved nothing may start them by itself; afterwards a reboot has to.
#[tokio::test]
async fn what_starts_again_has_its_restart_policy_back() {
    let (night, set) = with_a_set().await;
    night.try_restore(&set, &ALWAYS).await.unwrap();
    let running = || night.world.containers().into_iter().map(|one| (one.id, one.state, one.restart_policy));
    let before: Vec<_> = running().collect();
    assert!(before.iter().all(|(_, state, policy)| *state == State::Running && policy == "unless-stopped"));
    assert_eq!(night.try_restore(&set, &ALWAYS).await.unwrap().ending, Ending::Done);
    assert_eq!(running().collect::<Vec<_>>(), before, "the very same containers");
}

#[tokio::test]
async fn a_worker_that_stays_held_has_its_restart_policy_back() {
    let (night, set) = with_a_set().await;
    night.try_restore(&set, &ALWAYS).await.unwrap();
    let worker = || night.world.containers().into_iter().find(|one| one.service() == Some("job")).unwrap();
    let before = worker();
    let told = night.try_restore(&set, &[("restore_data", "always"), ("jobs", "hold")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    let held = worker();
    assert_eq!((held.id, held.state), (before.id, State::Exited), "the same one, stopped");
    assert_eq!(held.restart_policy, "unless-stopped");
    assert!(warnings(&told).contains("docker compose up -d --no-deps job"), "{}", warnings(&told));
}

/// Under `always` the daemon would start it by itself: so it stays held, and it is said how to mend that.
#[tokio::test]
async fn a_worker_that_would_start_by_itself_stays_held() {
    let (night, set) = with_a_set().await;
    night.try_restore(&set, &ALWAYS).await.unwrap();
    night.world.edit_container("strata-job-1", |one| one.restart_policy = "always".to_owned());
    let told = night.try_restore(&set, &[("restore_data", "always"), ("jobs", "hold")]).await.unwrap();
    let worker = night.world.containers().into_iter().find(|one| one.service() == Some("job")).unwrap();
    assert_eq!(worker.restart_policy, "no");
    assert!(warnings(&told).contains("docker update --restart always strata-job-1"), "{}", warnings(&told));
}

#[tokio::test]
async fn room_is_looked_for_before_anything_is_stopped() {
    let (night, set) = with_a_set().await;
    night.world.set_room(Some(1));
    assert!(refused(&night, &set, &ALWAYS).await.message.contains("the database server needs"));
    night.world.set_room(None);
    let told = night.fork().try_restore(&set, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done, "who has lost a server may restore on one that does not tell");
    assert!(warnings(&told).contains("how much room the database server has is not known"));
    // 30 GiB are free where the volumes lie.
    remade(&night, &set, |manifest| manifest["storage"]["packed"]["bytes"] = (50_u64 << 30).into());
    let failure = refused(&night, &set, &ALWAYS).await;
    assert_eq!(failure.code, "no_room");
    assert!(failure.message.contains("the uploaded files need"), "{failure:?}");
}

#[tokio::test]
async fn the_room_of_a_server_in_a_container_is_that_of_its_files() {
    let world = World::shaped(&Shape { database: Some("db".to_owned()), ..Shape::default() });
    let night = Night::of(world);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let set = night.newest().await.0.id;
    night.world.set_room(None);
    remade(&night, &set, |manifest| manifest["databases"][0]["size"] = (50_u64 << 30).into());
    let failure = refused(&night, &set, &ALWAYS).await;
    assert!(failure.message.contains("the database server needs"), "{failure:?}");
}

#[tokio::test]
async fn others_that_have_the_files_mounted_are_named() {
    let (night, set) = with_a_set().await;
    night.world.put_container("nginx-1", "nginx:1", |one| {
        let source = "strata_strata_storage".to_owned();
        one.mounts = vec![Mount { kind: "volume".to_owned(), source, target: "/files".to_owned() }];
    });
    let told = night.try_restore(&set, &ALWAYS).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    let warnings = warnings(&told);
    assert!(warnings.contains("`nginx-1` has the uploaded files mounted"), "{warnings}");
    assert!(warnings.contains("docker restart nginx-1"), "{warnings}");
    assert!(!warnings.contains("`strata-web-1` has"), "its own are started again: {warnings}");
}

/// How a site ran is in its set: name, files and profiles count until there is a container that tells them.
#[tokio::test]
async fn an_empty_host_runs_the_project_as_the_set_has_it() {
    let (night, set) = with_a_set().await;
    remade(&night, &set, |manifest| {
        manifest["compose"]["name"] = "strata-prod".into();
        manifest["compose"]["profiles"] = serde_json::json!(["proxy"]);
    });
    let path = night.set(&set);
    night.world.lose_everything();
    let settled = night.settle(&path).await.unwrap();
    let start = Start::in_folder("/srv/strata");
    let host = Host::at(start).ports(night.world.ports()).after(&settled).open().await.unwrap();
    let project = &host.site().project;
    assert_eq!(project.name, "strata-prod");
    assert_eq!(project.files, ["/srv/strata/docker-compose.yml".into()] as [std::path::PathBuf; 1]);
    let compose = settled.compose().expect("compose would choose another name");
    assert!(compose.starts_with("docker compose --project-name strata-prod "), "{compose}");
}

/// The database server is a container of the project itself, and the only one that is there.
#[tokio::test]
async fn a_set_comes_back_beside_a_database_of_the_project_itself() {
    let world = World::shaped(&Shape { database: Some("db".to_owned()), ..Shape::default() });
    let night = Night::of(world);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let path = night.set(&night.newest().await.0.id);
    night.world.lose_everything();
    night.settle(&path).await.unwrap();
    night.world.start_database_elsewhere();
    let told = night.try_restore(&path.display().to_string(), &[("jobs", "run")]).await.unwrap();
    assert_eq!(told.ending.exit(), ExitClass::Done, "{:?}", told.ending);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}
