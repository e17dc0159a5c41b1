use std::path::PathBuf;

use uplift::{
    ports::{Ports, notices::Notice},
    sim::{Answers, Does, Notifier, Twin},
    site::{Notify, Site},
};

use super::{ALL, Fixture, requests::Service, world::Simulated};

/// The twin above the simulated world.
struct Rehearsed {
    below: Simulated,
    twin: Twin,
}

impl Fixture for Rehearsed {
    fn ports(&self) -> Ports {
        self.twin.ports()
    }

    fn site(&self) -> Site {
        self.below.site()
    }

    fn scratch(&self) -> PathBuf {
        self.below.scratch()
    }

    fn other_tag(&self) -> String {
        self.below.other_tag()
    }

    fn owner(&self) -> (u32, u32) {
        self.below.owner()
    }

    fn with_wrong_password(&self) -> Ports {
        self.below.with_wrong_password();
        self.twin.ports()
    }

    fn notifier(&self, does: Notifier) -> Notify {
        self.below.notifier(does)
    }

    fn program(&self, does: &Does) -> PathBuf {
        self.below.program(does)
    }

    fn service(&self, answers: &[Answers]) -> Service {
        self.below.service(answers)
    }

    fn told(&self) -> Vec<Notice> {
        self.below.told()
    }
}

#[tokio::test]
async fn a_rehearsal_behaves_as_the_site_and_writes_nothing_to_it() {
    for behaviour in ALL.iter().filter(|behaviour| !behaviour.needs_a_site) {
        let below = Simulated::new();
        let twin = Twin::new(&below.ports(), &below.site());
        let before = below.0.running();
        let fixture = Rehearsed { below, twin };
        let attempt = tokio::spawn(async move {
            (behaviour.run)(&fixture).await;
            fixture
        });
        let fixture = attempt.await.unwrap_or_else(|panic| panic!("`{}`: {panic}", behaviour.name));
        assert_eq!(fixture.below.0.writes(), 0, "`{}`: {:?}", behaviour.name, fixture.below.0.log());
        assert_eq!(fixture.below.0.running(), before, "`{}`", behaviour.name);
    }
}

/// What a plan shows of an upgrade by hand.
mod plan {
    use uplift::{
        event::{Change, Teller, Write},
        ports::{
            Ports,
            compose::Up,
            docker::{Pull, Select, Stop},
            files::{File, WriteFile},
        },
        sim::{Twin, World},
        site::Site,
    };

    async fn write_settings(ports: &Ports, site: &Site, change: impl Fn(String) -> String) {
        let path = site.project.env_file();
        let file = ports.files.read(&path).await.unwrap().unwrap();
        let text = change(String::from_utf8(file.bytes.clone()).unwrap());
        let file = File { bytes: text.into_bytes(), ..file };
        ports.files.write(&WriteFile { path, file, what: "settings".to_owned() }).await.unwrap();
    }

    fn kinds(writes: &[Write]) -> Vec<&'static str> {
        let kind = |write: &Write| match write.change {
            Change::File { .. } => "file",
            Change::Image { .. } => "image",
            Change::ServiceDown { .. } => "down",
            Change::ServiceUp { .. } => "up",
            _ => "other",
        };
        writes.iter().map(kind).collect()
    }

    #[tokio::test]
    async fn it_sees_its_own_writes_and_lists_them() {
        let world = World::strata();
        let (site, twin) = (world.site(), Twin::new(&world.ports(), &world.site()));
        let (ports, tell) = (twin.ports(), Teller::silent());
        let reference = format!("{}:1.1.0", site.web.repository);
        let digest = ports.docker.remote_digest(&reference).await.unwrap();
        let image = ports.docker.pull(&Pull { reference: reference.clone(), digest }, &tell).await.unwrap();
        let hidden = ports.docker.image_files(&image.id, "/rails/db/migrate").await.unwrap_err();
        assert_eq!(hidden.code, "not_on_host");
        let all = ports.docker.containers(&Select::Project("strata".to_owned())).await.unwrap();
        let old = all.iter().find(|one| one.service() == Some("web")).unwrap();
        let stop = Stop { id: old.id.clone(), service: "web".to_owned(), timeout: None };
        ports.docker.stop(&stop).await.unwrap();
        write_settings(&ports, &site, |text| text.replace("VERSION=1.0.0", "VERSION=1.1.0")).await;
        let databases = [site.databases.primary().to_owned()];
        let sessions = ports.postgres.sessions(&site.databases.endpoint, &databases).await.unwrap();
        let applications: Vec<_> = sessions.iter().map(|session| session.application.as_str()).collect();
        assert_eq!(applications, ["solid-queue"], "those of web ended with it");
        let up = Up { project: site.project.clone(), services: vec!["web".to_owned()] };
        ports.compose.up(&up).await.unwrap();
        ports.compose.up(&up).await.expect("and the second time it has nothing to do");
        let writes = twin.take_writes();
        assert_eq!(kinds(&writes), ["image", "down", "file", "up"]);
        let Change::ServiceUp { image: shown, replaces, .. } = &writes[3].change else {
            panic!("{writes:?}")
        };
        assert_eq!((shown, replaces.as_ref()), (&reference, Some(&old.id)));
        assert!(twin.take_writes().is_empty());
        assert_eq!(world.writes(), 0);
    }

    #[tokio::test]
    async fn a_changed_setting_shows_without_any_secret() {
        let world = World::strata();
        let (site, twin) = (world.site(), Twin::new(&world.ports(), &world.site()));
        write_settings(&twin.ports(), &site, |text| {
            text.replace("VERSION=1.0.0", "VERSION=1.1.0").replace("#7 battery", "#8 battery")
        })
        .await;
        let writes = twin.take_writes();
        let Change::File { diff, .. } = &writes[0].change else { panic!("{writes:?}") };
        let expected = "--- /srv/strata/.env\n+++ /srv/strata/.env\n@@ -1,5 +1,5 @@\n \
            # Strata, see the vendor's guide\n-STRATA_VERSION=1.0.0\n+STRATA_VERSION=1.1.0\n PORT=3000\n \
            APP_HOST=strata.example\n APP_PROTOCOL=https\n@@ -10,7 +10,7 @@\n DB_HOST=db.example\n \
            DB_PORT=5432\n DB_USERNAME=strata\n-DB_PASSWORD=[secret]\n+DB_PASSWORD=[secret]\n \n \
            STRATA_SECRET_KEY_BASE=[secret]\n STRATA_ENCRYPTION_PRIMARY_KEY=[secret]\n";
        assert_eq!(diff, expected);
    }

    #[tokio::test]
    async fn no_line_of_a_secret_of_several_lines_is_shown() {
        let world = World::strata();
        world.set("TLS_KEY", "\"-----BEGIN\nAAAA=\nPORT=hidden\n-----END\"\nLOG=quiet");
        let (site, twin) = (world.site(), Twin::new(&world.ports(), &world.site()));
        write_settings(&twin.ports(), &site, |text| text.replace("LOG=quiet", "LOG=loud")).await;
        let writes = twin.take_writes();
        let Change::File { diff, .. } = &writes[0].change else { panic!("{writes:?}") };
        for hidden in ["BEGIN", "AAAA", "hidden", "END"] {
            assert!(!diff.contains(hidden), "{diff}");
        }
        assert!(diff.contains("+LOG=loud"), "{diff}");
    }

    #[tokio::test]
    async fn it_relies_on_what_it_read() {
        let world = World::strata();
        let read = || async {
            let (site, twin) = (world.site(), Twin::new(&world.ports(), &world.site()));
            let ports = twin.ports();
            let endpoint = &site.databases.endpoint;
            ports.postgres.schema_versions(endpoint, site.databases.primary()).await.unwrap();
            ports.docker.containers(&Select::All).await.unwrap();
            ports.docker.image(&format!("{}:1.0.0", site.web.repository)).await.unwrap();
            ports.compose.config(&site.project, &std::collections::BTreeMap::new()).await.unwrap();
            twin.take_relies_on()
        };
        let first = read().await;
        let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "compose configuration",
                "container `strata-job-1`",
                "container `strata-web-1`",
                "image `registry.example/strata/server:1.0.0`",
                "schema of `strata_production`",
            ]
        );
        world.advance(std::time::Duration::from_hours(1));
        assert_eq!(read().await, first, "time changes nothing that a plan relies on");
        world.set("WEB_CONCURRENCY", "3");
        assert_ne!(read().await, first);
    }
}
