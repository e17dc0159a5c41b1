//! The way to the database server: what the containers name it is not always what this host can use.

use uplift::{Ending, World, event::ExitClass, ports::postgres::There, sim::Shape, site::Endpoint};

use super::night::Night;

/// A site whose server is a container that only its network knows.
fn hidden() -> Night {
    Night::of(World::shaped(&Shape { database: Some("db".to_owned()), ..Shape::default() }))
}

/// The address that a look at the site finds, and the route in words.
async fn found(night: &Night) -> (Result<There, String>, String) {
    let route = night.host().await.site().databases.endpoint.route.clone();
    (night.world.way().expect("a way was looked for").there, route)
}

fn at(host: &str, port: u16) -> There {
    There { host: host.to_owned(), port }
}

#[tokio::test]
async fn a_name_on_the_projects_network_leads_to_its_container() {
    let night = hidden();
    let (there, route) = found(&night).await;
    assert_eq!(there, Ok(at("172.18.0.2", 5432)));
    assert_eq!(route, "`db` is the container `strata-db-1` on `strata_default`, at 172.18.0.2");
    assert_eq!(night.plan("1.1.0").await.route, Some(route.clone()));
    let status = night.host().await.status().await;
    assert!(status.database.as_ref().is_some_and(|text| text.contains(&route)), "{status:?}");
    let told = night.upgrade("1.1.0").await;
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.1.0 1.1.0");
}

#[tokio::test]
async fn a_server_that_has_moved_is_found_again_whatever_the_journal_says() {
    let night = hidden();
    let before = night.world.running();
    assert_eq!(night.upgrade("1.8.0").await.ending.exit(), ExitClass::NeedsPerson);
    night.world.stop_database();
    night.world.start_database_elsewhere();
    let (there, _) = found(&night).await;
    assert!(there != Ok(at("172.18.0.2", 5432)) && there.is_ok(), "{there:?}");
    let told = night.rollback(Some("restore-data")).await;
    assert!(matches!(told.ending, Ending::RolledBack { .. }), "{:?}", told.ending);
    assert_eq!(night.world.running().databases, before.databases);
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
}

#[tokio::test]
async fn a_server_that_does_not_run_is_told_by_its_container() {
    let night = hidden();
    night.world.stop_database();
    let (there, route) = found(&night).await;
    assert_eq!(there, Err(route.clone()));
    assert_eq!(route, "`db` is the container `strata-db-1`, which does not run");
    let unread = night.host().await.status().await.unread;
    let [failure] = unread.as_slice() else { panic!("{unread:?}") };
    assert_eq!((failure.code.as_str(), &failure.evidence), ("database_unreachable", &vec![route]));
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("`[database]` in `uplift.toml`")));
}

#[tokio::test]
async fn names_of_other_projects_and_of_several_containers_lead_nowhere() {
    let night = hidden();
    night.world.put_container("other-db-1", "postgres:15", |one| {
        one.networks = [("other_default".to_owned(), "172.19.0.2".to_owned())].into();
        one.aliases = [("other_default".to_owned(), vec!["db".to_owned()])].into();
    });
    assert_eq!(found(&night).await.0, Ok(at("172.18.0.2", 5432)), "it is on no network of ours");
    night.world.put_container("second-db", "postgres:15", |one| {
        one.networks = [("strata_default".to_owned(), "172.18.0.77".to_owned())].into();
        one.aliases = [("strata_default".to_owned(), vec!["DB".to_owned()])].into();
    });
    let (there, route) = found(&night).await;
    assert!(there.is_err() && route.contains("`second-db`") && route.contains("`strata-db-1`"), "{route}");
}

#[tokio::test]
async fn what_a_container_was_told_itself_goes_before_the_networks() {
    let night = hidden();
    for (line, host, words) in [
        ("db:10.9.8.7", "10.9.8.7", "`extra_hosts` of `web` lead `db` to 10.9.8.7"),
        ("DB:host-gateway", "172.17.0.1", "`extra_hosts` of `web` lead `db` to this host, at 172.17.0.1"),
    ] {
        night.world.edit_container("strata-web-1", |web| web.extra_hosts = vec![line.to_owned()]);
        assert_eq!(found(&night).await, (Ok(at(host, 5432)), words.to_owned()));
    }
}

#[tokio::test]
async fn an_address_that_everybody_reaches_is_taken_as_it_is() {
    let night = Night::of(World::strata());
    assert_eq!(found(&night).await, (Ok(at("db.example", 5432)), Endpoint::AS_IT_IS.to_owned()));
    assert_eq!(night.plan("1.1.0").await.route, None);
    night.world.set("DB_HOST", "host.docker.internal");
    let (there, route) = found(&night).await;
    assert!(there.is_err() && route.contains("`extra_hosts` of `web`"), "{route}");
}

#[tokio::test]
async fn an_operators_own_word_goes_before_everything() {
    let night = hidden();
    let file = "/srv/strata/uplift.toml";
    night.world.put_file(file, "[database]\nhost = \"10.0.0.9\"\nport = 6543\n", 0o644);
    let (there, route) = found(&night).await;
    assert_eq!(there, Ok(at("10.0.0.9", 6543)));
    assert!(route.contains("uplift.toml") && route.contains("10.0.0.9") && route.contains("6543"), "{route}");
    night.world.put_file(file, "[database]\nport = 6543\n", 0o644);
    assert_eq!(found(&night).await.0, Ok(at("172.18.0.2", 6543)));
    night.world.put_file(file, "[database]\nhots = \"10.0.0.9\"\n", 0o644);
    let error = night.try_host().await.err().expect("refused");
    assert_eq!(
        (error.exit(), error.failure().hint.as_deref()),
        (ExitClass::Invalid, Some("did you mean `host`?"))
    );
    assert!(error.failure().message.contains(file), "{error}");
}

#[tokio::test]
async fn certificates_that_only_a_container_has_are_taken_from_it() {
    let night = hidden();
    let pem = "-----BEGIN CERTIFICATE-----\n";
    night.world.put_in_container("strata-web-1", "/certs/ca.pem", pem);
    night.world.set("DB_SSLROOTCERT", "/certs/ca.pem");
    let _site = found(&night).await;
    assert_eq!(night.world.way().unwrap().roots, None, "nobody asked for proof");
    night.world.set("DB_SSLMODE", "verify-full");
    let _site = found(&night).await;
    assert_eq!(night.world.way().unwrap().roots.as_deref(), Some(pem));
}

/// Runs that were recorded before there were routes can still be taken back.
#[test]
fn an_endpoint_without_a_route_is_readable() {
    let old = serde_json::json!({ "host": "10.0.0.5", "port": 5432, "user": "strata", "ssl": "prefer" });
    let endpoint: Endpoint = serde_json::from_value(old).unwrap();
    assert_eq!((endpoint.route.as_str(), endpoint.detour()), ("", None));
}

/// The host has lost everything but the server's container, which is of another project.
#[tokio::test]
async fn a_server_is_found_for_a_host_that_has_lost_its_containers() {
    let night = hidden();
    assert_eq!(night.upgrade("1.1.0").await.ending, Ending::Done);
    let set = night.set(&night.newest().await.0.id);
    night.world.lose_everything();
    night.settle(&set).await.unwrap();
    let (there, route) = found(&night).await;
    assert_eq!(there, Ok(at("db", 5432)));
    assert_eq!(route, "`db` as it is: no container has that name on `strata_default`");
    night.world.start_database_elsewhere();
    assert!(found(&night).await.0.is_ok_and(|there| there.host.starts_with("172.18.")));
    let told = night.try_restore(&set.display().to_string(), &[]).await.unwrap();
    assert_eq!(told.ending, Ending::Done);
    assert_eq!(night.runs(), "1.0.0 1.0.0");
}
