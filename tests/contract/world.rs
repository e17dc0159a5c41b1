mod data;

use std::path::PathBuf;

use uplift::{
    ports::{Ports, notices::Notice},
    sim::{Answers, Does, Notifier, World},
    site::{Notify, Occasion, Site},
};

use super::{
    Fixture,
    beside::SCRIPT,
    requests::{self, Service},
};

/// The simulated world.
pub(super) struct Simulated(pub World);

impl Simulated {
    pub(super) fn new() -> Self {
        let world = World::strata();
        world.put_file("/srv/strata/scratch/.keep", "", 0o600);
        let args = ["/bin/sh", "-c", SCRIPT].map(str::to_owned).to_vec();
        let (stdout, stderr) = ("one\n".to_owned(), "two\n".to_owned());
        let task = Does { args: Some(args), code: 3, stdout, stderr, ..Does::default() };
        world.put_tasks("registry.example/strata/server", &[task]);
        Self(world)
    }
}

impl Fixture for Simulated {
    fn ports(&self) -> Ports {
        self.0.ports()
    }

    fn site(&self) -> Site {
        self.0.site()
    }

    fn scratch(&self) -> PathBuf {
        "/srv/strata/scratch".into()
    }

    fn other_tag(&self) -> String {
        "1.1.0".to_owned()
    }

    fn owner(&self) -> (u32, u32) {
        (1000, 1000)
    }

    fn with_wrong_password(&self) -> Ports {
        self.0.set_server_password("another");
        self.0.ports()
    }

    fn notifier(&self, does: Notifier) -> Notify {
        let path = "/srv/strata/tell";
        self.0.put_notifier(path, does);
        Notify {
            command: vec![path.to_owned()],
            webhook: None,
            on: Occasion::ALL.to_vec(),
            timeout: Notify::TIMEOUT,
        }
    }

    fn program(&self, does: &Does) -> PathBuf {
        let path = PathBuf::from("/srv/strata/tool");
        self.0.put_program(&path, std::slice::from_ref(does));
        path
    }

    fn service(&self, answers: &[Answers]) -> Service {
        requests::simulated(&self.0, answers)
    }

    fn told(&self) -> Vec<Notice> {
        self.0.notices()
    }
}

/// What releases of the simulated registry do, once they run.
mod releases {
    use std::time::Duration;

    use uplift::{
        ports::{compose::Up, docker::State, http::Probe},
        sim::{Fault, World},
    };

    async fn upped(tag: &str) -> World {
        let world = World::strata();
        world.pulled(tag);
        world.set("STRATA_VERSION", tag);
        let services = vec!["web".to_owned(), "job".to_owned()];
        world.ports().compose.up(&Up { project: world.site().project, services }).await.unwrap();
        world
    }

    async fn status(world: &World) -> Option<u16> {
        let web = world.containers().into_iter().find(|one| one.service() == Some("web"))?;
        let probe = Probe::up(&world.site(), &web)?;
        world.ports().http.probe(&probe).await.ok().map(|answer| answer.status)
    }

    fn migrations(world: &World) -> usize {
        world.database("strata_production").unwrap().versions.unwrap().len()
    }

    #[tokio::test]
    async fn a_good_release_migrates_then_answers() {
        let world = upped("1.1.0").await;
        assert_eq!((migrations(&world), status(&world).await), (3, None));
        world.advance(Duration::from_secs(5));
        assert_eq!((migrations(&world), status(&world).await), (5, None));
        world.advance(Duration::from_secs(5));
        assert_eq!(status(&world).await, Some(200));
        assert_eq!(world.containers()[1].health.as_deref(), Some("starting"), "the engine has not asked yet");
        world.advance(Duration::from_secs(25));
        assert_eq!(world.containers()[1].health.as_deref(), Some("healthy"));
        let tables = world.database("strata_production").unwrap().tables;
        assert!(tables.iter().any(|table| table.name == "webhooks"), "{tables:?}");
    }

    #[tokio::test]
    async fn a_sick_release_migrates_and_never_answers_well() {
        let world = upped("1.2.0").await;
        world.advance(Duration::from_mins(10));
        assert_eq!((migrations(&world), status(&world).await), (5, Some(500)));
        assert_eq!(world.containers()[1].health.as_deref(), Some("unhealthy"));
    }

    #[tokio::test]
    async fn a_worker_that_ends_is_started_again_and_again() {
        let world = upped("1.6.0").await;
        let job = || world.containers().remove(0);
        assert_eq!((job().state, job().restarts), (State::Running, 0));
        world.advance(Duration::from_millis(1_750));
        assert_eq!((job().state, job().exit_code), (State::Restarting, Some(1)));
        world.advance(Duration::from_secs(30));
        assert!(job().restarts > 2, "{:?}", job());
        let logs = world.ports().docker.logs(&job().id, None).await.unwrap();
        assert!(logs.iter().any(|line| line.text.contains("NameError")), "{logs:?}");
    }

    #[tokio::test]
    async fn a_release_that_ends_at_once_never_migrates() {
        let world = upped("1.7.0").await;
        world.advance(Duration::from_mins(10));
        assert_eq!((migrations(&world), status(&world).await), (3, None));
        assert!(world.containers().iter().all(|one| one.restarts > 3), "{:?}", world.containers());
    }

    #[tokio::test]
    async fn a_missing_database_is_made_anew_in_silence() {
        let world = World::strata();
        world.drop_database("strata_production_queue");
        world.set("WEB_CONCURRENCY", "4");
        let services = vec!["web".to_owned()];
        world.ports().compose.up(&Up { project: world.site().project, services }).await.unwrap();
        world.advance(Duration::from_secs(10));
        assert!(world.database("strata_production_queue").unwrap().tables.is_empty());
        assert_eq!(status(&world).await, Some(200));
    }

    #[tokio::test]
    async fn a_fault_stands_at_one_write() {
        for (fault, happened, unknown) in [
            (Fault::FailBefore, false, false),
            (Fault::FailAfter, true, false),
            (Fault::TimeoutAfter, true, true),
        ] {
            let world = World::strata();
            world.set("PORT", "3001");
            // The call itself is the first write; then the old web is removed, the new one made, and started.
            world.fault(3, fault);
            let up = Up { project: world.site().project, services: vec!["web".to_owned()] };
            let failure = world.ports().compose.up(&up).await.unwrap_err();
            assert_eq!((failure.code.as_str(), failure.unknown), ("fault", unknown));
            let web = world.containers().into_iter().find(|one| one.service() == Some("web"));
            assert_eq!(web.is_some(), happened, "{fault:?}");
            world.ports().compose.up(&up).await.expect("only one write was to fail");
        }
    }
}

/// Sites that differ from the newest shape.
mod shapes {
    use std::time::Duration;

    use uplift::{
        ports::{compose::Up, docker::State, http::Probe},
        sim::{Release, Shape, World},
    };

    #[tokio::test]
    async fn an_older_site_has_a_worker_and_no_health_check() {
        let shape =
            Shape { job: Some("worker".to_owned()), health_check: false, published: false, database: None };
        let world = World::shaped(&shape);
        let site = world.site();
        assert_eq!(site.job.as_ref().map(|job| job.name.as_str()), Some("worker"));
        assert_eq!(site.web.url, None);
        let web = world.containers().remove(0);
        assert_eq!((web.health.as_ref(), web.state), (None, State::Running));
        let probe = Probe::up(&site, &web).expect("it has an address on its network");
        assert_eq!(world.ports().http.probe(&probe).await.unwrap().status, 200);
    }

    #[tokio::test]
    async fn what_went_through_before_a_migration_raised_stays() {
        let world = World::strata();
        let names = ["20260901000000_create_exports.rb", "20260902000000_add_kind_to_exports.rb"];
        world.push(Release { raises: Some(names[1].to_owned()), ..Release::new("1.3.0", &names) });
        world.pulled("1.3.0");
        world.set("STRATA_VERSION", "1.3.0");
        let services = vec!["web".to_owned()];
        world.ports().compose.up(&Up { project: world.site().project, services }).await.unwrap();
        world.advance(Duration::from_mins(2));
        let versions = world.database("strata_production").unwrap().versions.unwrap();
        assert_eq!(versions.last().map(String::as_str), Some("20260901000000"));
        assert!(world.containers()[1].restarts > 0);
    }
}
