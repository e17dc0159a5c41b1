//! What an upgrade refuses before it stops anything.

use uplift::{
    Ending, HostError, World,
    ports::{compose::Up, docker::State, postgres::Session},
    run::PlanEnd,
    sim::Manner,
};

use super::night::Night;

/// The reason with its evidence; nothing was changed.
async fn refused(night: &Night) -> (String, String) {
    let before = night.world.running();
    let told = night.upgrade("1.1.0").await;
    let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(night.world.running(), before);
    (failure.code.clone(), format!("{failure} {}", failure.evidence.join(" ")))
}

#[tokio::test]
async fn an_edit_that_nobody_has_applied_is_named_without_its_value() {
    let night = Night::of(World::strata());
    night.world.set("LICENSE_KEY", "another-licence");
    let (code, text) = refused(&night).await;
    assert_eq!(code, "drift");
    assert!(text.contains("`LICENSE_KEY`") && !text.contains("another-licence"), "{text}");
}

/// Made anew, the container would lose it.
#[tokio::test]
async fn a_variable_that_no_file_gives_any_more_is_named() {
    let night = Night::of(World::strata());
    night.world.edit_environment("strata-web-1", |set| {
        set.insert("FROM_A_SHELL".to_owned(), "once exported".to_owned());
        set.insert("HTTPS_PROXY".to_owned(), "http://proxy.example:3128".to_owned());
    });
    let (code, text) = refused(&night).await;
    assert_eq!(code, "drift");
    assert!(text.contains("`FROM_A_SHELL`, which the files do not give"), "{text}");
    assert!(!text.contains("once exported") && !text.contains("PROXY"), "{text}");
    let applied = night.run("compose/upgrade", &[("to", "1.1.0"), ("edits", "apply")]).await;
    assert_eq!(applied.ending, Ending::Done);
}

/// What goes back is what ran, with the values that it had.
#[tokio::test]
async fn an_edit_is_applied_with_the_release_where_a_person_says_so() {
    let night = Night::of(World::strata());
    night.world.set("WEB_CONCURRENCY", "7");
    let edits = [("edits", "apply")];
    let told = night.run("compose/upgrade", &[("to", "1.7.0"), edits[0]]).await;
    assert!(matches!(told.ending, Ending::TakenBack { .. }), "{:?}", told.ending);
    assert_eq!(refused(&night).await.0, "drift", "the old containers have the old value");
    let told = night.run("compose/upgrade", &[("to", "1.1.0"), edits[0]]).await;
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.host().await.status().await.differs, Vec::<String>::new(), "it is applied now");
    // Where no release is brought nothing would apply it.
    night.world.set("WEB_CONCURRENCY", "8");
    let told = night.run("compose/upgrade", &[("to", "1.1.0"), edits[0]]).await;
    let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
    assert!(failure.code == "drift" && !failure.hint.unwrap().contains("--edits"));
    // With other keys nothing could be read any more, and half a release is none.
    for (name, value) in [("STRATA_ENCRYPTION_PRIMARY_KEY", "other"), ("STRATA_VERSION", "1.1.0")] {
        let night = Night::of(World::strata());
        night.world.set(name, value);
        let told = night.run("compose/upgrade", &[("to", "1.1.1"), edits[0]]).await;
        let Ending::Refused { failure } = told.ending else { panic!("{name}: {:?}", told.ending) };
        assert_eq!(failure.code, "drift", "{name}: {failure}");
    }
}

/// Another release in the files is brought by an upgrade, which makes a backup: nothing that is told to type starts it,
/// whatever else stands still.
#[tokio::test]
async fn no_advice_starts_another_release_without_a_backup() {
    for worker in [State::Running, State::Exited] {
        let night = Night::of(World::strata());
        night.world.edit_container("strata-job-1", |job| {
            job.state = worker;
            job.exit_code = (worker == State::Exited).then_some(0);
        });
        night.world.set("STRATA_VERSION", "1.1.0");
        let told = night.run("compose/upgrade", &[("to", "1.1.0")]).await;
        let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
        let status = night.host().await.status().await;
        for way in [failure.hint, status.way] {
            let way = way.unwrap();
            assert!(way.contains("STRATA_VERSION=1.0.0") && !way.contains("up -d"), "{worker:?}: {way}");
        }
        assert!(status.services.iter().all(|one| one.next.is_none()), "{worker:?}: {:?}", status.services);
    }
}

/// What somebody has begun by hand is finished, and a worker that stands still is not started by the way.
#[tokio::test]
async fn a_release_that_was_begun_by_hand_is_finished() {
    for (worker, expected) in
        [(State::Running, "up -d --no-deps job"), (State::Exited, "up --no-start --no-deps job")]
    {
        let night = Night::of(World::strata());
        night.world.set("STRATA_VERSION", "1.1.0");
        night.world.pulled("1.1.0");
        let up = Up { project: night.world.site().project, services: vec!["web".to_owned()] };
        night.world.ports().compose.up(&up).await.unwrap();
        night.world.edit_container("strata-job-1", |job| {
            job.state = worker;
            job.exit_code = (worker == State::Exited).then_some(0);
        });
        let told = night.run("compose/upgrade", &[("to", "1.1.1")]).await;
        let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
        let way = failure.hint.unwrap();
        assert!(way.contains(expected), "{worker:?}: {way}");
        // A stopped worker of the older release is not told to be started beside the newer web.
        let status = night.host().await.status().await;
        let job = status.services.iter().find(|one| one.service == "job").unwrap();
        if worker == State::Exited {
            assert!(job.next.as_ref().is_some_and(|next| next.contains("up -d --no-deps job")), "{job:?}");
        }
    }
}

/// The site's databases are those that its containers use: a backup of what somebody has typed into the env file for
/// tomorrow would be none of them, and a restore would go there.
#[tokio::test]
async fn a_server_that_nobody_uses_yet_is_neither_backed_up_nor_restored_to() {
    let night = Night::at_1_1_0().await;
    let set = night.newest().await.0.id;
    night
        .world
        .edit_environment("strata-web-1", |web| drop(web.insert("DB_HOST".into(), "old.example".into())));
    let failure =
        night.try_restore(&set, &[("restore_data", "always"), ("jobs", "run")]).await.err().unwrap();
    assert_eq!(failure.code, "drift");
    assert!(failure.evidence.join(" ").contains("`DB_HOST`"), "{failure:?}");
    assert!(failure.hint.unwrap().contains("docker compose stop"));
    let told = night.run("compose/backup", &[]).await;
    let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(failure.code, "drift");
    // Other settings do not keep anybody from a backup.
    let night = Night::of(World::strata());
    night.world.set("WEB_CONCURRENCY", "7");
    assert_eq!(night.run("compose/backup", &[]).await.ending, Ending::Done);
}

/// Where nothing runs, the files alone say where a restore goes.
#[tokio::test]
async fn a_stopped_site_is_restored_to_where_its_files_point() {
    let night = Night::at_1_1_0().await;
    let set = night.newest().await.0.id;
    for one in night.world.containers() {
        night
            .world
            .edit_environment(&one.name, |made| drop(made.insert("DB_HOST".into(), "old.example".into())));
        night.world.edit_container(&one.name, |one| (one.state, one.exit_code) = (State::Exited, Some(0)));
    }
    let told = night.run("compose/backup", &[]).await;
    assert!(
        matches!(&told.ending, Ending::Refused { failure } if failure.code == "drift"),
        "{:?}",
        told.ending
    );
    let told = night.try_restore(&set, &[("restore_data", "always"), ("jobs", "run")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
}

/// Without a volume the files of users lie in the container that an upgrade replaces.
#[tokio::test]
async fn uploaded_files_that_would_go_with_their_container_are_not_lost() {
    let night = Night::of(World::strata());
    night.world.unmount_storage();
    assert_eq!(refused(&night).await.0, "storage_not_mounted");
    let told = night.run("compose/backup", &[]).await;
    let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
    let hint = failure.hint.unwrap();
    assert!(hint.contains("docker compose cp") && !hint.contains("--storage none"), "{hint}");
    // The files mount it, and what runs was made without.
    let night = Night::of(World::strata());
    night.world.edit_container("strata-web-1", |web| web.mounts.clear());
    let error = night.try_host().await.err().expect("refused");
    assert_eq!(error.failure().code, "storage_differs", "{error}");
}

#[tokio::test]
async fn a_port_that_nobody_has_applied_is_named() {
    let night = Night::of(World::strata());
    night.world.edit_container("strata-web-1", |web| web.ports.clear());
    let (code, text) = refused(&night).await;
    assert!(code == "drift" && text.contains("3000"), "{text}");
}

#[tokio::test]
async fn a_service_that_keeps_dying_is_told_from_one_that_is_stopped() {
    for (state, expected) in [(State::Restarting, "service_dying"), (State::Exited, "service_down")] {
        let night = Night::of(World::strata());
        night.world.edit_container("strata-job-1", |job| (job.state, job.restarts) = (state, 5));
        assert_eq!(refused(&night).await.0, expected);
    }
    // At this moment it runs. One that has died twice may have waited for its database.
    for (restarts, dies) in [(3, true), (2, false)] {
        let night = Night::of(World::strata());
        let now = night.world.ports().clock.now();
        night.world.edit_container("strata-job-1", |job| (job.started, job.restarts) = (Some(now), restarts));
        let told = night.run("compose/upgrade", &[("to", "1.1.0")]).await;
        let refused = matches!(&told.ending, Ending::Refused { failure } if failure.code == "service_dying");
        assert_eq!(refused, dies, "{restarts}: {:?}", told.ending);
    }
}

/// Where a worker writes its files is where the data is, and what it runs is an edit like others.
#[tokio::test]
async fn another_command_and_another_place_for_files_are_seen() {
    let night = Night::of(World::strata());
    night.world.edit_container("strata-job-1", |job| job.command = vec!["./bin/old".to_owned()]);
    let (code, text) = refused(&night).await;
    assert!(code == "drift" && text.contains("another `command`"), "{code}: {text}");
    let applied = [("to", "1.1.0"), ("edits", "apply")];
    assert_eq!(night.run("compose/upgrade", &applied).await.ending, Ending::Done);
    let night = Night::of(World::strata());
    night.world.edit_container("strata-job-1", |job| job.mounts.clear());
    let told = night.run("compose/upgrade", &applied).await;
    assert!(
        matches!(&told.ending, Ending::Refused { failure } if failure.code == "drift"),
        "{:?}",
        told.ending
    );
}

#[tokio::test]
async fn a_second_worker_that_would_go_on_with_the_old_code_is_named() {
    let world = World::strata();
    world.put_service("mailer", "job");
    let image = format!("{}:1.0.0", world.site().web.repository);
    world.put_container("strata-mailer-1", &image, |one| {
        let labels = [("com.docker.compose.project", "strata"), ("com.docker.compose.service", "mailer")];
        one.labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    });
    let night = Night::of(world);
    let (code, text) = refused(&night).await;
    assert!(code == "more_services" && text.contains("`mailer`"), "{code}: {text}");
    night.world.edit_container("strata-mailer-1", |mailer| mailer.state = State::Exited);
    assert_eq!(
        night.upgrade("1.1.0").await.ending,
        Ending::Done,
        "one that stands still is nobody's business"
    );
}

/// A copy of the site folder that somebody has started beside the site.
#[tokio::test]
async fn another_project_on_the_same_databases_is_named() {
    let world = World::strata();
    let image = format!("{}:1.0.0", world.site().web.repository);
    world.put_container("copy-web-1", &image, |one| {
        one.labels = [("com.docker.compose.project".to_owned(), "copy".to_owned())].into();
    });
    let settings = world.site().settings;
    world.edit_environment("copy-web-1", |environment| environment.extend(settings));
    let (code, text) = refused(&Night::of(world)).await;
    assert!(code == "databases_shared" && text.contains("`copy-web-1`"), "{code}: {text}");
}

/// Another site whose server has the same name on its own network.
#[tokio::test]
async fn another_site_with_a_server_of_the_same_name_is_nobodys_business() {
    let world = World::strata();
    let (site, image) = (world.site(), format!("{}:1.0.0", world.site().web.repository));
    let beside = |name: &str, image: &str, alias: &str| {
        world.put_container(name, image, |one| {
            one.labels = [("com.docker.compose.project".to_owned(), "other".to_owned())].into();
            one.networks = [("other_default".to_owned(), "172.30.0.9".to_owned())].into();
            one.aliases = [("other_default".to_owned(), vec![alias.to_owned()])].into();
        });
    };
    beside("other-db-1", "postgres:15", &site.databases.endpoint.host);
    beside("other-web-1", &image, "web");
    world.edit_environment("other-web-1", |environment| environment.extend(site.settings));
    assert_eq!(Night::of(world).run("compose/backup", &[]).await.ending, Ending::Done);
}

/// While the site still runs: at the trial itself it would be down.
#[tokio::test]
async fn a_compose_that_cannot_try_a_release_in_the_dark_is_found_by_the_plan() {
    let night = Night::of(World::strata());
    night.world.set_compose_version(semver::Version::new(2, 23, 3));
    let PlanEnd::Fails { failure, .. } = night.plan("1.1.0").await.end else { panic!("it is planned") };
    assert_eq!(failure.code, "compose_too_old");
}

fn session(application: &str, quiet_ms: u64) -> Session {
    Session {
        pid: 77,
        database: "strata_production".to_owned(),
        user: "strata".to_owned(),
        application: application.to_owned(),
        client: "192.0.2.7".to_owned(),
        state: "idle".to_owned(),
        query: "SELECT 1".to_owned(),
        seconds: 600,
        quiet_ms,
    }
}

/// What another host writes while this one's site is down would be put aside with the databases.
#[tokio::test]
async fn a_host_that_works_on_the_same_databases_is_found_before_they_are_copied() {
    for (application, quiet_ms, is_found) in
        [("puma: cluster worker 0", 20, true), ("puma: cluster worker 0", 60_000, false), ("psql", 20, false)]
    {
        let night = Night::of(World::strata());
        night.world.put_session(session(application, quiet_ms), Manner::ComesBack);
        let before = night.world.running();
        let told = night.upgrade("1.1.0").await;
        if !is_found {
            assert_eq!(told.ending, Ending::Done, "`{application}`, quiet for {quiet_ms} ms");
            continue;
        }
        let Ending::TakenBack { failure, .. } = told.ending else { panic!("{:?}", told.ending) };
        assert_eq!(failure.code, "works_elsewhere");
        assert!(failure.evidence.join(" ").contains("192.0.2.7"), "{failure:?}");
        assert_eq!(night.world.running(), before);
    }
}

#[tokio::test]
async fn somebody_who_would_not_leave_a_database_is_named_while_the_site_still_runs() {
    for (manner, refused) in [(Manner::Superuser, true), (Manner::ComesBack, false)] {
        let night = Night::of(World::strata());
        let exporter = Session {
            pid: 4711,
            database: "strata_production_queue".to_owned(),
            user: "postgres".to_owned(),
            application: "exporter".to_owned(),
            client: "10.0.0.9".to_owned(),
            state: "idle".to_owned(),
            query: "SELECT ?".to_owned(),
            seconds: 60,
            quiet_ms: 60_000,
        };
        night.world.put_session(exporter, manner);
        let plan = night.plan("1.1.0").await;
        match plan.end {
            PlanEnd::Fails { failure, .. } if refused => {
                let text = format!("{failure} {}", failure.evidence.join(" "));
                assert_eq!(failure.code, "sessions_remain");
                assert!(text.contains("application `exporter`") && text.contains("4711"), "{text}");
            }
            PlanEnd::Complete | PlanEnd::Unknown { .. } if !refused => {}
            end => panic!("{manner:?}: {end:?}"),
        }
    }
}

/// What the settings file says of a parameter is so unless somebody types otherwise.
#[tokio::test]
async fn parameters_are_what_the_settings_say_where_nobody_says_otherwise() {
    let night = Night::of(World::strata());
    night.settings("[params.\"compose/upgrade\"]\nsettle = \"45s\"\n[params.\"compose/prune\"]\nkeep = 5\n");
    let params = async |name: &str, given: &[(&str, &str)]| {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let runbook = night.host().await.runbook(name, &given).await?;
        Ok::<_, HostError>(runbook.plan().await.params)
    };
    assert_eq!(params("compose/upgrade", &[("to", "1.1.0")]).await.unwrap()["settle"], "45s");
    assert_eq!(
        params("compose/upgrade", &[("to", "1.1.0"), ("settle", "5s")]).await.unwrap()["settle"],
        "5s"
    );
    assert_eq!(params("compose/prune", &[]).await.unwrap()["keep"], 5);
    for (text, why, hint) in [
        ("[params.\"compose/prune\"]\nkep = 5", "there is no such parameter", "did you mean `keep`?"),
        ("[params.\"compose/prune\"]\nkeep = \"many\"", "`many` is no whole number", "e.g. `3`"),
        (
            "[params.\"compose/prun\"]\nkeep = 5",
            "a runbook that is not there",
            "did you mean `compose/prune`?",
        ),
    ] {
        night.settings(text);
        let failure = params("compose/prune", &[]).await.unwrap_err().failure();
        assert_eq!(failure.code, "settings_invalid", "{text}");
        assert!(failure.message.contains(why) && failure.hint.unwrap().contains(hint), "{text}");
    }
}
