//! What a host has that no compose file tells: more containers than it says, a file that nobody may replace, little room.

use uplift::{Ending, World, ports::docker::State, run::PlanEnd};

use super::night::Night;

/// The reason with its evidence and what to type; nothing was changed.
async fn refused(night: &Night) -> (String, String) {
    let before = night.world.running();
    let told = night.upgrade("1.1.0").await;
    let Ending::Refused { failure } = told.ending else { panic!("{:?}", told.ending) };
    assert_eq!(night.world.running(), before);
    let hint = failure.hint.clone().unwrap_or_default();
    (failure.code.clone(), format!("{failure} {} {hint}", failure.evidence.join(" ")))
}

/// Compose would make of them as many as the files say.
#[tokio::test]
async fn workers_that_no_file_tells_of_are_named() {
    let night = Night::of(World::strata());
    let image = format!("{}:1.0.0", night.world.site().web.repository);
    let settings = night.world.site().settings;
    night.world.put_container("strata-job-2", &image, |one| {
        let labels = [("com.docker.compose.project", "strata"), ("com.docker.compose.service", "job")];
        one.labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    });
    night.world.edit_environment("strata-job-2", |environment| environment.extend(settings));
    let (code, text) = refused(&night).await;
    assert!(
        code == "drift" && text.contains("`job` has 2 containers, and the files say 1"),
        "{code}: {text}"
    );
    let differs = night.host().await.status().await.differs;
    assert!(differs.iter().any(|one| one.contains("`job` has 2 containers")), "{differs:?}");
}

/// Found by the plan, and not when the site stands still.
#[tokio::test]
async fn settings_that_cannot_be_replaced_are_found_first() {
    let night = Night::of(World::strata());
    night.world.fix_file("/srv/strata/.env");
    let PlanEnd::Fails { failure, .. } = night.plan("1.1.0").await.end else { panic!("planned to the end") };
    assert!(
        failure.code == "not_replaceable" && failure.message.contains("`/srv/strata/.env`"),
        "{failure:?}"
    );
}

/// Whoever applies an edit does not start the worker by the way.
#[tokio::test]
async fn an_edit_is_applied_past_what_is_held() {
    let night = Night::of(World::strata());
    night.world.edit_container("strata-job-1", |job| job.state = State::Exited);
    night.world.set("WEB_CONCURRENCY", "7");
    let status = night.host().await.status().await;
    let way = status.way.expect("what to type");
    assert!(way.contains("`job` does not run") && way.contains("up -d --no-deps web`"), "{way}");
    assert!(!way.contains("up -d`, ") && !way.contains("&& docker compose up -d`"), "{way}");
    let (code, text) = refused(&night).await;
    assert!(code == "drift" && text.contains("up -d --no-deps web` and `"), "{code}: {text}");
    assert!(text.contains("up --no-start --no-deps job`"), "{text}");
}

/// `DB_DATABASE` is what `DB_NAME` was called.
#[tokio::test]
async fn a_database_that_is_named_otherwise_is_the_same() {
    for (name, value, same) in [
        ("DB_NAME", "strata_production", true),
        ("DB_DATABASE", "strata_production", true),
        ("DB_NAME", "strata_staging", false),
    ] {
        let night = Night::of(World::strata());
        night.world.set(name, value);
        let told = night.run("compose/backup", &[]).await;
        assert_eq!(told.ending == Ending::Done, same, "{name}={value}: {:?}", told.ending);
    }
}

/// The upgrade has taken what room there was: its way back must not want any.
#[tokio::test]
async fn a_return_needs_no_room_for_a_backup() {
    let night = Night::at_1_1_0().await;
    let run = night.newest().await.0.id;
    night.world.set_free("/", 64 << 20);
    let told = night.try_return(&run, &[("restore_data", "always"), ("jobs", "run")]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    let (code, text) = refused(&night).await;
    assert!(code == "no_room", "an upgrade makes one: {code}: {text}");
}
