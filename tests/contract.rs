//! contract

use std::time::Duration;

use uplift::{
    event::Teller,
    ports::{compose::Up, docker::Pull, http::Probe},
    sim::World,
};

#[tokio::test]
async fn a_world_upgrades() {
    let world = World::strata();
    let (ports, site) = (world.ports(), world.site());
    let tell = Teller::silent();
    let reference = format!("{}:1.1.0", site.web.repository);
    let digest = ports.docker.remote_digest(&reference).await.unwrap();
    ports.docker.pull(&Pull { reference, digest }, &tell).await.unwrap();
    world.set("STRATA_VERSION", "1.1.0");
    let services = vec!["web".to_owned(), "job".to_owned()];
    let before = world.running();
    let report = ports.compose.up(&Up { project: site.project.clone(), services }).await.unwrap();
    let web = ports.docker.container(&report.containers["web"][0]).await.unwrap().unwrap();
    assert!(web.image.ends_with(":1.1.0"), "{web:?}");
    let probe = Probe::up(&site, &web).unwrap();
    assert_eq!(ports.http.probe(&probe).await.unwrap_err().code, "no_answer");
    ports.clock.sleep(Duration::from_secs(10)).await;
    assert_eq!(ports.http.probe(&probe).await.unwrap().status, 200);
    let after = world.running();
    assert_eq!(after.databases["strata_production"].versions.as_ref().unwrap().len(), 5);
    assert_ne!(before, after);
    assert_eq!(world.writes(), 8, "{:#?}", world.log());
}
