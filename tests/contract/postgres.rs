use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uplift::{
    event::Teller,
    ports::{
        files::{MakeFolder, Remove},
        postgres::{Dump, DumpReport, Query, There, Way},
    },
    site::Endpoint,
};

use super::{Fixture, code};

pub(super) async fn the_server_says_what_it_is(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let server = postgres.server(&databases.endpoint, databases.primary()).await.unwrap();
    assert!(server.major() >= 10 && server.version.starts_with(&server.major().to_string()), "{server:?}");
    assert!(!server.in_recovery);
    let missing = postgres.server(&databases.endpoint, "no_such_database").await;
    assert_eq!(code(missing), "database_missing");
}

pub(super) async fn a_missing_database_is_left_out(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let mut names: Vec<_> = databases.all.iter().map(|database| database.name.clone()).collect();
    names.reverse();
    let expected = names.clone();
    names.insert(1, "no_such_database".to_owned());
    let found = postgres.databases(&databases.endpoint, &names).await.unwrap();
    let found_names: Vec<_> = found.iter().map(|facts| facts.name.clone()).collect();
    assert_eq!(found_names, expected);
    assert!(found.iter().all(|facts| facts.size > 0 && facts.owner == databases.endpoint.user), "{found:?}");
    for name in &expected {
        assert!(postgres.unreadable(&databases.endpoint, name).await.unwrap().is_empty());
    }
}

pub(super) async fn schema_versions_are_sorted(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let versions = postgres.schema_versions(&databases.endpoint, databases.primary()).await.unwrap().unwrap();
    assert!(!versions.is_empty() && versions.is_sorted(), "{versions:?}");
    assert_eq!(postgres.schema_versions(&databases.endpoint, "postgres").await.unwrap(), None);
}

pub(super) async fn a_server_that_is_not_there_is_unreachable(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let mut nowhere = databases.endpoint.clone();
    (nowhere.host, nowhere.port) = ("127.0.0.1".to_owned(), 1);
    let failure = postgres.server(&nowhere, databases.primary()).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("database_unreachable", true));
}

pub(super) async fn the_dump_client_must_match(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let server = postgres.server(&databases.endpoint, databases.primary()).await.unwrap();
    let client = postgres.dump_client(server.major()).await.unwrap();
    assert_eq!(client.major, server.major());
    assert_eq!(code(postgres.dump_client(9).await), "dump_client_missing");
}

pub(super) async fn dump(fixture: &dyn Fixture) -> (DumpReport, std::path::PathBuf) {
    dump_without(fixture, &[]).await
}

/// The same without the rows of these.
pub(super) async fn dump_without(
    fixture: &dyn Fixture,
    left_out: &[&str],
) -> (DumpReport, std::path::PathBuf) {
    let (ports, databases) = (fixture.ports(), fixture.site().databases);
    let folder = fixture.scratch().join("dumps");
    let what = "dumps".to_owned();
    ports.files.remove(&Remove { path: folder.clone(), what: what.clone() }).await.unwrap();
    ports.files.make_folder(&MakeFolder { path: folder.clone(), what }).await.unwrap();
    let server = ports.postgres.server(&databases.endpoint, databases.primary()).await.unwrap();
    let request = Dump {
        blobs_of: None,
        expected: BTreeMap::new(),
        without_rows: BTreeSet::new(),
        endpoint: databases.endpoint.clone(),
        client: ports.postgres.dump_client(server.major()).await.unwrap(),
        databases: databases.all.iter().map(|database| database.name.clone()).collect(),
        folder: folder.clone(),
    };
    let request = Dump { without_rows: left_out.iter().map(|&name| name.to_owned()).collect(), ..request };
    (ports.postgres.dump(&request, &Teller::silent()).await.unwrap(), folder)
}

pub(super) async fn dumps_hash_to_their_report(fixture: &dyn Fixture) {
    let (report, folder) = dump(fixture).await;
    let files = fixture.ports().files;
    let names: Vec<_> = report.databases.iter().map(|one| one.name.clone()).collect();
    let wanted: Vec<_> = fixture.site().databases.all.into_iter().map(|one| one.name).collect();
    assert_eq!(names, wanted);
    for one in &report.databases {
        assert_eq!(one.file, format!("{}.dump.zst", one.name));
        let path = folder.join(&one.file);
        assert_eq!(files.hash(&path).await.unwrap().as_ref(), Some(&one.blake3));
        assert_eq!(files.size(&path).await.unwrap(), Some(one.bytes));
    }
    let mut written: Vec<_> = report.databases.iter().map(|one| one.file.clone()).collect();
    written.sort();
    assert_eq!(files.list(&folder).await.unwrap(), written, "nothing else is left");
}

pub(super) async fn dumps_count_rows(fixture: &dyn Fixture) {
    let (report, folder) = dump(fixture).await;
    for one in &report.databases {
        assert!(!one.tables.is_empty(), "{one:?}");
        let file = fixture.ports().files.read(&folder.join(&one.file)).await.unwrap().unwrap();
        let plain = zstd::decode_all(file.bytes.as_slice()).unwrap();
        assert_eq!(plain.len() as u64, one.uncompressed_bytes);
        assert_eq!(blake3::hash(&plain).to_hex().to_string(), one.uncompressed_blake3);
        assert_eq!(file.mode, 0o600);
    }
}

pub(super) async fn a_wrong_password_is_refused(fixture: &dyn Fixture) {
    let databases = fixture.site().databases;
    let postgres = fixture.with_wrong_password().postgres;
    let failure = postgres.server(&databases.endpoint, databases.primary()).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("password_refused", false));
    assert!(failure.message.contains(&databases.endpoint.user), "{failure:?}");
}

async fn broken_dump(fixture: &dyn Fixture, change: impl FnOnce(&mut Dump)) -> String {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let server = postgres.server(&databases.endpoint, databases.primary()).await.unwrap();
    let mut request = Dump {
        blobs_of: None,
        expected: BTreeMap::new(),
        without_rows: BTreeSet::new(),
        endpoint: databases.endpoint.clone(),
        client: postgres.dump_client(server.major()).await.unwrap(),
        databases: vec![databases.primary().to_owned()],
        folder: fixture.scratch(),
    };
    change(&mut request);
    let before = fixture.ports().files.list(&fixture.scratch()).await.unwrap();
    let result = postgres.dump(&request, &Teller::silent()).await;
    assert_eq!(fixture.ports().files.list(&fixture.scratch()).await.unwrap(), before, "nothing is left");
    code(result)
}

pub(super) async fn a_dump_of_a_missing_database_fails(fixture: &dyn Fixture) {
    let missing = vec!["no_such_database".to_owned()];
    assert_eq!(broken_dump(fixture, |dump| dump.databases = missing).await, "database_missing");
}

pub(super) async fn a_dump_into_a_missing_folder_fails(fixture: &dyn Fixture) {
    let code = broken_dump(fixture, |dump| dump.folder = dump.folder.join("no").join("folder")).await;
    assert_eq!(code, "folder_missing");
}

pub(super) async fn a_server_without_a_pooler_is_asked_directly(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    postgres.direct(&databases.endpoint, databases.primary()).await.unwrap();
    postgres.lockable(&databases.endpoint).await.unwrap();
    assert_eq!(code(postgres.direct(&databases.endpoint, "no_such_database").await), "database_missing");
    let nowhere = Endpoint { host: "127.0.0.1".to_owned(), port: 1, ..databases.endpoint.clone() };
    assert_eq!(code(postgres.direct(&nowhere, databases.primary()).await), "database_unreachable");
}

/// The containers know it by a name that means nothing on this host.
pub(super) async fn a_server_is_reached_by_the_way_that_was_found(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let inside = Endpoint { host: "db.inside.invalid".to_owned(), port: 6000, ..databases.endpoint.clone() };
    let way = |endpoint: &Endpoint, there: Result<There, String>| Way {
        host: endpoint.host.clone(),
        port: endpoint.port,
        there,
        words: "tried".to_owned(),
        roots: None,
    };
    let asked = async || postgres.server(&inside, databases.primary()).await;
    assert_eq!(code(asked().await), "database_unreachable");
    let there = There::of(&databases.endpoint);
    postgres.go_by(&way(&inside, Ok(there.clone())));
    asked().await.expect("the way leads to it");
    postgres.server(&databases.endpoint, databases.primary()).await.expect("others go their own way");
    postgres.go_by(&way(&inside, Err("it does not run".to_owned())));
    let failure = asked().await.unwrap_err();
    let told = (failure.code.as_str(), failure.retryable, failure.evidence);
    assert_eq!(told, ("database_unreachable", true, vec!["it does not run".to_owned()]));
    postgres.go_by(&way(&databases.endpoint, Ok(there)));
    postgres.server(&databases.endpoint, databases.primary()).await.unwrap();
}

pub(super) async fn uploads_are_listed_where_the_product_lists_them(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let listed = postgres.listed_uploads(&databases.endpoint, databases.primary()).await.unwrap();
    let held = postgres.contents(&databases.endpoint, databases.primary()).await.unwrap();
    let rows = held.tables.iter().find(|table| table.name == "active_storage_blobs").map(|table| table.rows);
    assert_eq!(Some(listed), rows, "on both sides all of them lie on a disk");
    for database in &databases.all[1..] {
        assert_eq!(postgres.listed_uploads(&databases.endpoint, &database.name).await.unwrap(), 0);
    }
    let missing = postgres.listed_uploads(&databases.endpoint, "no_such_database").await;
    assert_eq!(code(missing), "database_missing");
}

pub(super) async fn a_question_changes_nothing(fixture: &dyn Fixture) {
    let (postgres, site) = (fixture.ports().postgres, fixture.site());
    let (endpoint, database) = (site.databases.endpoint.clone(), site.databases.primary().to_owned());
    let query = |sql: &str| Query {
        endpoint: endpoint.clone(),
        database: database.clone(),
        sql: sql.to_owned(),
        limit: 5,
        timeout: Duration::from_secs(10),
    };
    let contents = postgres.contents(&endpoint, &database).await.unwrap();
    let orders = contents.tables.iter().find(|table| table.name == "orders").unwrap().rows;
    let rows = postgres.query(&query("select count(*) as orders from orders")).await.unwrap();
    assert_eq!((rows.rows, rows.more), (vec![serde_json::json!({ "orders": orders })], false));
    for sql in [
        "select nothing from nowhere",
        "delete from orders",
        "with gone as (delete from orders returning 1) select count(*) as gone from gone",
        "select 1 as one) as asked; delete from orders; select * from (select 1 as one",
        "select nextval('orders_id_seq') as next",
    ] {
        let failure = postgres.query(&query(sql)).await.unwrap_err();
        assert_eq!(failure.code, "query_failed", "{sql}: {failure:?}");
        assert!(failure.hint.is_some() && failure.message.contains("is not answered"), "{failure:?}");
    }
    assert_eq!(postgres.contents(&endpoint, &database).await.unwrap(), contents);
}
