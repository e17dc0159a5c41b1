//! What users and the server do to the data of the simulated world.

use std::{collections::BTreeMap, time::Duration};

use uplift::{
    event::Teller,
    ports::{
        compose::{RunAside, Up},
        docker::{State, Stop},
        postgres::{Admit, CopyDatabase, EndSessions, Kept, Mark, Renaming, Session, Swap, WrittenRows},
    },
    sim::{Manner, World},
};

use super::super::code;

const PRIMARY: &str = "strata_production";
const QUEUE: &str = "strata_production_queue";

fn rows(name: &str, rows: u64, added: impl Into<Option<u64>>) -> WrittenRows {
    WrittenRows { schema: "public".to_owned(), name: name.to_owned(), rows, added: added.into() }
}

async fn stop(world: &World, name: &str) {
    let all = world.containers();
    let one = all.iter().find(|one| one.name == name).unwrap();
    let stop = Stop { id: one.id.clone(), service: name.to_owned(), timeout: None };
    world.ports().docker.stop(&stop).await.unwrap();
}

async fn rest(world: &World) {
    stop(world, "strata-job-1").await;
    stop(world, "strata-web-1").await;
}

async fn aside(world: &World, tag: &str) -> String {
    world.pulled(tag);
    let request = RunAside {
        project: world.site().project,
        service: "web".to_owned(),
        name: "strata-trial".to_owned(),
        overrides: [("STRATA_VERSION".to_owned(), tag.to_owned())].into(),
    };
    world.ports().compose.run_aside(&request).await.unwrap()
}

async fn end(world: &World, names: &[&str]) -> Result<u64, uplift::event::Failure> {
    let request = EndSessions {
        endpoint: world.site().databases.endpoint,
        databases: names.iter().map(|&name| name.to_owned()).collect(),
        patience: Duration::from_secs(5),
    };
    world.ports().postgres.end_sessions(&request).await
}

async fn admit(world: &World, names: &[&str], open: bool) {
    let databases = names.iter().map(|&name| name.to_owned()).collect();
    let request = Admit { endpoint: world.site().databases.endpoint, databases, open };
    world.ports().postgres.admit(&request).await.unwrap();
}

fn versions(world: &World) -> Vec<String> {
    world.database(PRIMARY).unwrap().versions.unwrap()
}

#[tokio::test]
async fn what_was_written_since_a_moment_is_exact() {
    let world = World::strata();
    let (postgres, endpoint) = (world.ports().postgres, world.site().databases.endpoint);
    world.place_orders(3);
    let moment = postgres.snapshot(&endpoint, PRIMARY).await.unwrap();
    let sequences = postgres.sequences(&endpoint, PRIMARY).await.unwrap();
    world.place_orders(7);
    world.put_job("ExportJob", Some("worker 1"));
    world.upload("zz99file", b"new");
    let new = postgres.written_since(&endpoint, PRIMARY, &moment, &sequences).await.unwrap();
    assert_eq!(new, [rows("active_storage_blobs", 1, 1), rows("orders", 7, 7)]);
    let new = postgres.written_since(&endpoint, QUEUE, &moment, &BTreeMap::new()).await.unwrap();
    assert_eq!(new, [rows("solid_queue_jobs", 8, None)], "whether they were there before is not known");
    let jobs = postgres.jobs(&endpoint, QUEUE, None, 2).await.unwrap();
    assert_eq!((jobs.waiting, jobs.claimed, jobs.oldest.len()), (11, 1, 2));
    assert_eq!(jobs.oldest[0].claimed_by.as_deref(), Some("worker 1"));
    let earlier = postgres.jobs(&endpoint, QUEUE, Some(jobs.newest - 1), 2).await.unwrap();
    assert_eq!((earlier.waiting, earlier.claimed), (10, 0), "without the newest, which was taken");
}

#[tokio::test]
async fn users_write_while_they_reach_web_and_know_what_is_lost() {
    let world = World::strata();
    let (postgres, site) = (world.ports().postgres, world.site());
    world.write_steadily(50);
    world.advance(Duration::from_secs(10));
    assert_eq!((world.acknowledged(), world.lost_orders()), (500, 0));
    rest(&world).await;
    let told = world.acknowledged();
    aside(&world, "1.1.1").await;
    world.advance(Duration::from_mins(1));
    assert_eq!(world.acknowledged(), told, "no user reaches a trial");
    stop(&world, "strata-trial").await;
    let names = [PRIMARY.to_owned()];
    let from = postgres.databases(&site.databases.endpoint, &names).await.unwrap().remove(0);
    let to = Kept::Savepoint.name(PRIMARY, "20261124-031500-7f3a");
    let mark = Mark {
        kind: Kept::Savepoint,
        of: PRIMARY.to_owned(),
        run: "20261124-031500-7f3a".to_owned(),
        made: String::new(),
        expires: String::new(),
        snapshot: String::new(),
    };
    let endpoint = site.databases.endpoint.clone();
    let copy = CopyDatabase { endpoint: endpoint.clone(), from: from.clone(), to: to.clone(), mark };
    postgres.copy_database(&copy, &Teller::silent()).await.unwrap();
    world.place_orders(12);
    let oid = postgres.databases(&endpoint, std::slice::from_ref(&to)).await.unwrap()[0].oid;
    let renames = vec![
        Renaming { oid: from.oid, from: PRIMARY.to_owned(), to: "aside".to_owned() },
        Renaming { oid, from: to, to: PRIMARY.to_owned() },
    ];
    postgres.swap(&Swap { endpoint, renames, schemas: BTreeMap::new() }).await.unwrap();
    assert_eq!((world.acknowledged(), world.lost_orders()), (told + 12, 12));
}

#[tokio::test]
async fn nobody_boots_on_a_database_that_lets_nobody_in() {
    let world = World::strata();
    rest(&world).await;
    admit(&world, &[QUEUE], false).await;
    let id = aside(&world, "1.1.0").await;
    world.advance(Duration::from_secs(20));
    let trial = world.ports().docker.container(&id).await.unwrap().unwrap();
    assert_eq!((trial.state, trial.exit_code, trial.restarts), (State::Exited, Some(1), 0));
    let logs = world.ports().docker.logs(&id, Some(1)).await.unwrap();
    assert!(logs[0].text.contains("not currently accepting connections"), "{logs:?}");
    assert_eq!(versions(&world).len(), 3);
}

#[tokio::test]
async fn a_slow_migration_shows_at_work_and_goes_through() {
    let world = World::strata();
    let (postgres, endpoint) = (world.ports().postgres, world.site().databases.endpoint);
    let sequences = postgres.sequences(&endpoint, PRIMARY).await.unwrap();
    aside(&world, "1.4.0").await;
    world.advance(Duration::from_mins(1));
    let seen = postgres.activity(&endpoint, &[PRIMARY.to_owned()]).await.unwrap();
    assert!(seen.len() == 1 && seen[0].migrating, "{seen:?}");
    assert_eq!(versions(&world).len(), 5, "those before it are through");
    world.advance(Duration::from_mins(1));
    assert_eq!(postgres.activity(&endpoint, &[PRIMARY.to_owned()]).await.unwrap(), []);
    assert_eq!(versions(&world).len(), 6);
    let new = postgres.written_since(&endpoint, PRIMARY, "1:7301:", &sequences).await.unwrap();
    assert!(new.contains(&rows("orders", 1_192, 0)), "all of them were there: {new:?}");
}

#[tokio::test]
async fn a_long_statement_goes_on_when_its_container_is_gone() {
    let world = World::strata();
    rest(&world).await;
    let before = world.database(PRIMARY).unwrap();
    aside(&world, "1.9.0").await;
    world.advance(Duration::from_mins(1));
    stop(&world, "strata-trial").await;
    world.advance(Duration::from_mins(20));
    let after = world.database(PRIMARY).unwrap();
    assert_ne!(after.table("projects"), before.table("projects"), "it was committed");
    assert_eq!(versions(&world).len(), 5, "and nobody wrote its version down");
}

#[tokio::test]
async fn a_long_statement_ends_when_it_is_ended() {
    let world = World::strata();
    rest(&world).await;
    let before = world.database(PRIMARY).unwrap();
    aside(&world, "1.9.0").await;
    world.advance(Duration::from_mins(1));
    stop(&world, "strata-trial").await;
    let (postgres, endpoint) = (world.ports().postgres, world.site().databases.endpoint);
    let sessions = postgres.sessions(&endpoint, &[PRIMARY.to_owned()]).await.unwrap();
    assert!(sessions.len() == 1 && sessions[0].state == "active", "{sessions:?}");
    assert_eq!(end(&world, &[PRIMARY]).await.unwrap(), 1);
    world.advance(Duration::from_mins(20));
    assert_eq!(world.database(PRIMARY).unwrap().table("projects"), before.table("projects"));
}

fn session(user: &str, application: &str) -> Session {
    Session {
        pid: 77,
        database: QUEUE.to_owned(),
        user: user.to_owned(),
        application: application.to_owned(),
        client: "10.0.0.9".to_owned(),
        state: "idle".to_owned(),
        query: "SELECT 1".to_owned(),
        seconds: 60,
        quiet_ms: 0,
    }
}

#[tokio::test]
async fn sessions_of_others_go_come_back_or_stay() {
    for (manner, open, closed) in [
        (Manner::Goes, "no failure", "no failure"),
        (Manner::ComesBack, "sessions_remain", "no failure"),
        (Manner::Superuser, "sessions_remain", "sessions_remain"),
    ] {
        let world = World::strata();
        rest(&world).await;
        world.put_session(session("grafana", "exporter"), manner);
        assert_eq!(code(end(&world, &[QUEUE]).await), open, "{manner:?} of an open database");
        admit(&world, &[QUEUE], false).await;
        assert_eq!(code(end(&world, &[QUEUE]).await), closed, "{manner:?} of a closed one");
        admit(&world, &[QUEUE], true).await;
        let names = [QUEUE.to_owned()];
        let left = world.ports().postgres.sessions(&world.site().databases.endpoint, &names).await.unwrap();
        assert_eq!(left.is_empty(), manner == Manner::Goes, "{manner:?} once it is open again");
    }
}

#[tokio::test]
async fn a_web_that_dies_late_was_healthy_before() {
    let world = World::strata();
    world.pulled("1.5.0");
    world.set("STRATA_VERSION", "1.5.0");
    world.write_steadily(10);
    let up = Up { project: world.site().project, services: vec!["web".to_owned()] };
    world.ports().compose.up(&up).await.unwrap();
    world.advance(Duration::from_secs(11));
    let served = world.acknowledged();
    assert!(served > 0 && versions(&world).len() == 6, "it was there: {served}");
    world.advance(Duration::from_secs(5));
    let web = world.containers().into_iter().find(|one| one.service() == Some("web")).unwrap();
    assert!(web.restarts > 0 || web.state == State::Restarting, "{web:?}");
}
