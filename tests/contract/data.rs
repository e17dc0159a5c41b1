//! Databases copied, loaded, closed, renamed and dropped.

use std::{collections::BTreeMap, time::Duration};

use uplift::{
    event::Teller,
    ports::{
        docker::{Start, Stop},
        files::WriteFile,
        postgres::{
            Admit, CopyDatabase, DatabaseFacts, DropDatabase, Dump, DumpReport, EndSessions, Equip, Kept,
            LoadDump, LockSite, Mark, Renaming, Swap,
        },
    },
};

use super::{
    Fixture, code, container,
    postgres::{dump, dump_without},
};

const RUN: &str = "20260101-000000-c0de";

/// The product's smallest database.
fn cable(fixture: &dyn Fixture) -> String {
    fixture.site().databases.all.last().unwrap().name.clone()
}

fn mark(kind: Kept, of: &str) -> Mark {
    Mark {
        kind,
        of: of.to_owned(),
        run: RUN.to_owned(),
        made: "2026-01-01T00:00:00Z".to_owned(),
        expires: "2026-01-08T00:00:00Z".to_owned(),
        snapshot: "1:1:".to_owned(),
    }
}

async fn facts(fixture: &dyn Fixture, name: &str) -> Option<DatabaseFacts> {
    let endpoint = fixture.site().databases.endpoint;
    fixture.ports().postgres.databases(&endpoint, &[name.to_owned()]).await.unwrap().pop()
}

/// Web and job stop, so that nobody is in the databases.
async fn rest(fixture: &dyn Fixture) {
    for service in ["job", "web"] {
        let id = container(fixture, service).await.id;
        let stop = Stop { id, service: service.to_owned(), timeout: None };
        fixture.ports().docker.stop(&stop).await.unwrap();
    }
}

async fn wake(fixture: &dyn Fixture) {
    for service in ["web", "job"] {
        let one = container(fixture, service).await;
        let start = Start { id: one.id, service: service.to_owned(), image: one.image };
        fixture.ports().docker.start(&start).await.unwrap();
    }
}

/// A copy of a database that nobody is in.
async fn copied(fixture: &dyn Fixture, of: &str) -> (DatabaseFacts, DatabaseFacts) {
    let before = facts(fixture, of).await.unwrap();
    let request = copy(fixture, &before);
    fixture.ports().postgres.copy_database(&request, &Teller::silent()).await.unwrap();
    (before, facts(fixture, &request.to).await.unwrap())
}

fn copy(fixture: &dyn Fixture, from: &DatabaseFacts) -> CopyDatabase {
    CopyDatabase {
        endpoint: fixture.site().databases.endpoint,
        from: from.clone(),
        to: Kept::Savepoint.name(&from.name, RUN),
        mark: mark(Kept::Savepoint, &from.name),
    }
}

async fn dropped(fixture: &dyn Fixture, name: &str, oid: u32) {
    let endpoint = fixture.site().databases.endpoint;
    let request = DropDatabase { endpoint, name: name.to_owned(), oid };
    fixture.ports().postgres.drop_database(&request).await.unwrap();
    assert_eq!(facts(fixture, name).await, None);
}

pub(super) async fn a_copy_has_what_its_original_had(fixture: &dyn Fixture) {
    let (postgres, endpoint) = (fixture.ports().postgres, fixture.site().databases.endpoint);
    let name = cable(fixture);
    rest(fixture).await;
    let (before, made) = copied(fixture, &name).await;
    assert_ne!(made.oid, before.oid);
    assert!(!made.open, "what comes back must be what was copied: nobody may write there");
    assert_eq!(before.unlike(&made), ["comment"]);
    assert_eq!(made.comment, Some(mark(Kept::Savepoint, &name).comment()));
    let kept = postgres.kept(&endpoint, std::slice::from_ref(&name)).await.unwrap();
    let kept: Vec<_> = kept.iter().filter(|one| one.name == made.name).collect();
    assert_eq!((kept.len(), kept[0].oid), (1, made.oid));
    assert_eq!(kept[0].mark, Some(mark(Kept::Savepoint, &name)));
    postgres.copy_database(&copy(fixture, &before), &Teller::silent()).await.unwrap();
    assert_eq!(facts(fixture, &made.name).await.map(|now| now.oid), Some(made.oid), "twice is once");
    dropped(fixture, &made.name, made.oid).await;
    wake(fixture).await;
}

pub(super) async fn a_copy_of_somebody_else_is_not_touched(fixture: &dyn Fixture) {
    let postgres = fixture.ports().postgres;
    rest(fixture).await;
    let (before, made) = copied(fixture, &cable(fixture)).await;
    let mut other = copy(fixture, &before);
    "20260101-000000-beef".clone_into(&mut other.mark.run);
    let again = postgres.copy_database(&other, &Teller::silent()).await;
    assert_eq!(code(again), "name_taken");
    assert_eq!(facts(fixture, &made.name).await.map(|now| now.oid), Some(made.oid));
    dropped(fixture, &made.name, made.oid).await;
    wake(fixture).await;
}

pub(super) async fn a_database_is_given_what_it_had(fixture: &dyn Fixture) {
    let (postgres, endpoint) = (fixture.ports().postgres, fixture.site().databases.endpoint);
    rest(fixture).await;
    let (before, made) = copied(fixture, &cable(fixture)).await;
    let wanted = DatabaseFacts {
        connection_limit: 7,
        settings: vec!["work_mem=64MB".to_owned()],
        comment: Some("somebody's word".to_owned()),
        ..before.clone()
    };
    let equip = |database: &str, facts: &DatabaseFacts, mark| Equip {
        endpoint: endpoint.clone(),
        database: database.to_owned(),
        facts: facts.clone(),
        mark,
    };
    for attempt in ["once", "twice is once"] {
        postgres.equip(&equip(&made.name, &wanted, None)).await.unwrap();
        let now = facts(fixture, &made.name).await.unwrap();
        assert_eq!(now.unlike(&wanted), Vec::<&str>::new(), "{attempt}");
        assert_eq!(now.comment, wanted.comment, "{attempt}");
        assert_eq!((now.oid, now.open), (made.oid, made.open), "{attempt}: nothing else");
    }
    let own = mark(Kept::Savepoint, &before.name);
    postgres.equip(&equip(&made.name, &before, Some(own.clone()))).await.unwrap();
    let now = facts(fixture, &made.name).await.unwrap();
    assert_eq!((before.unlike(&now), now.comment), (vec!["comment"], Some(own.comment())));
    let missing = postgres.equip(&equip("no_such_database", &before, None)).await;
    assert_eq!(code(missing), "database_missing");
    dropped(fixture, &made.name, made.oid).await;
    wake(fixture).await;
}

async fn admit(fixture: &dyn Fixture, name: &str, open: bool) {
    let endpoint = fixture.site().databases.endpoint;
    let request = Admit { endpoint, databases: vec![name.to_owned(), "no_such_database".to_owned()], open };
    fixture.ports().postgres.admit(&request).await.unwrap();
}

pub(super) async fn a_closed_database_lets_nobody_in(fixture: &dyn Fixture) {
    let (postgres, endpoint) = (fixture.ports().postgres, fixture.site().databases.endpoint);
    let name = cable(fixture);
    admit(fixture, &name, false).await;
    admit(fixture, &name, false).await;
    assert!(!facts(fixture, &name).await.unwrap().open);
    assert_eq!(code(postgres.server(&endpoint, &name).await), "database_closed");
    assert_eq!(code(postgres.contents(&endpoint, &name).await), "database_closed");
    admit(fixture, &name, true).await;
    assert!(facts(fixture, &name).await.unwrap().open);
    postgres.contents(&endpoint, &name).await.unwrap();
}

pub(super) async fn ended_sessions_stay_out_of_a_closed_database(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let queue = databases.all[1].name.clone();
    let names = std::slice::from_ref(&queue);
    // A worker that was started just now may take a while to come to its queue.
    let mut waited = 0;
    while postgres.sessions(&databases.endpoint, names).await.unwrap().is_empty() {
        waited += 1;
        assert!(waited < 120, "job is in its queue");
        fixture.ports().clock.sleep(Duration::from_millis(500)).await;
    }
    admit(fixture, &queue, false).await;
    let endpoint = databases.endpoint.clone();
    let request = EndSessions { endpoint, databases: names.to_vec(), patience: Duration::from_secs(10) };
    assert!(postgres.end_sessions(&request).await.unwrap() > 0);
    assert!(postgres.sessions(&databases.endpoint, names).await.unwrap().is_empty());
    assert_eq!(postgres.end_sessions(&request).await.unwrap(), 0);
    rest(fixture).await;
    admit(fixture, &queue, true).await;
    wake(fixture).await;
}

pub(super) async fn a_swap_is_all_or_nothing(fixture: &dyn Fixture) {
    let (postgres, endpoint) = (fixture.ports().postgres, fixture.site().databases.endpoint);
    let name = cable(fixture);
    rest(fixture).await;
    let (live, incoming) = copied(fixture, &name).await;
    let aside = Kept::Failed.name(&name, RUN);
    let step = |oid: u32, from: &str, to: &str| Renaming { oid, from: from.to_owned(), to: to.to_owned() };
    let there = step(live.oid, &name, &aside);
    let swap =
        |renames: Vec<Renaming>| Swap { endpoint: endpoint.clone(), renames, schemas: BTreeMap::new() };
    let half = swap(vec![there.clone(), step(live.oid, &incoming.name, &name)]);
    assert_eq!(code(postgres.swap(&half).await), "databases_moved");
    assert_eq!(facts(fixture, &name).await.map(|now| now.oid), Some(live.oid), "no name was changed");
    assert_eq!(facts(fixture, &aside).await, None);
    let whole = swap(vec![there, step(incoming.oid, &incoming.name, &name)]);
    postgres.swap(&whole).await.unwrap();
    postgres.swap(&whole).await.expect("and the second time it has nothing to do");
    assert_eq!(facts(fixture, &name).await.map(|now| now.oid), Some(incoming.oid));
    assert_eq!(facts(fixture, &aside).await.map(|now| now.oid), Some(live.oid));
    assert_eq!(facts(fixture, &incoming.name).await, None);
    let back = vec![step(incoming.oid, &name, &incoming.name), step(live.oid, &aside, &name)];
    postgres.swap(&swap(back)).await.unwrap();
    assert_eq!(facts(fixture, &name).await, Some(live));
    dropped(fixture, &incoming.name, incoming.oid).await;
    wake(fixture).await;
}

pub(super) async fn only_what_uplift_made_is_dropped(fixture: &dyn Fixture) {
    let (postgres, endpoint) = (fixture.ports().postgres, fixture.site().databases.endpoint);
    let name = cable(fixture);
    rest(fixture).await;
    let (live, made) = copied(fixture, &name).await;
    let drop = |name: &str, oid| DropDatabase { endpoint: endpoint.clone(), name: name.to_owned(), oid };
    assert_eq!(code(postgres.drop_database(&drop(&name, live.oid)).await), "not_ours");
    assert_eq!(code(postgres.drop_database(&drop(&made.name, live.oid)).await), "not_ours");
    assert_eq!(code(postgres.drop_database(&drop("no_such_database", 0)).await), "not_ours");
    dropped(fixture, &made.name, made.oid).await;
    postgres.drop_database(&drop(&made.name, made.oid)).await.expect("it is gone already");
    wake(fixture).await;
}

pub(super) async fn a_loaded_dump_counts_what_was_dumped(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let (report, folder) = dump(fixture).await;
    let name = databases.primary().to_owned();
    let before = facts(fixture, &name).await.unwrap();
    let server = postgres.server(&databases.endpoint, &name).await.unwrap();
    let request = LoadDump {
        endpoint: databases.endpoint.clone(),
        client: postgres.dump_client(server.major()).await.unwrap(),
        file: folder.join(&report.databases[0].file),
        facts: before.clone(),
        to: Kept::Restoring.name(&name, RUN),
        mark: mark(Kept::Restoring, &name),
    };
    for attempt in ["first", "second, over what the first left"] {
        let loaded = postgres.load_dump(&request, &Teller::silent()).await.unwrap();
        assert_eq!(loaded.tables, report.databases[0].tables, "{attempt}");
        assert_eq!(loaded.large_objects, report.databases[0].large_objects, "{attempt}");
    }
    let made = facts(fixture, &request.to).await.unwrap();
    assert_eq!(before.unlike(&made), ["comment"]);
    let versions = |database: String| {
        let (postgres, endpoint) = (fixture.ports().postgres, databases.endpoint.clone());
        async move { postgres.schema_versions(&endpoint, &database).await.unwrap() }
    };
    // A rehearsal knows them only where a manifest says them.
    let loaded = versions(request.to.clone()).await;
    assert!(loaded.is_none() || loaded == versions(name).await, "{loaded:?}");
    dropped(fixture, &request.to, made.oid).await;
}

/// Its structure is there, and what tells which migrations it has had.
pub(super) async fn rows_are_left_out_of_a_dump(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let (whole, _) = dump(fixture).await;
    let (bare, folder) = dump_without(fixture, &[databases.primary()]).await;
    let always = |whole: &DumpReport| -> Vec<_> {
        let of = whole.databases[0].tables.iter();
        of.filter(|table| Dump::ALWAYS.contains(&table.name.as_str())).cloned().collect()
    };
    assert_eq!(bare.databases[0].tables, always(&whole), "nothing else has rows in it");
    assert!(bare.databases[0].uncompressed_bytes < whole.databases[0].uncompressed_bytes);
    assert!(whole.databases[0].tables.iter().any(|table| table.rows > 0));
    let rows = |one: &DumpReport| -> Vec<_> {
        one.databases[1..].iter().map(|one| (one.name.clone(), one.tables.clone())).collect()
    };
    assert_eq!(rows(&bare), rows(&whole), "nothing is left out of the others");
    let major = postgres.server(&databases.endpoint, databases.primary()).await.unwrap().major();
    let read =
        postgres.decode(major, &folder.join(&bare.databases[0].file), &Teller::silent()).await.unwrap();
    assert_eq!(
        read.contents.unwrap().tables,
        bare.databases[0].tables,
        "it is in the dump as it was counted"
    );
}

pub(super) async fn a_dump_is_read_to_its_end(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let (report, folder) = dump(fixture).await;
    let major = postgres.server(&databases.endpoint, databases.primary()).await.unwrap().major();
    for one in &report.databases {
        let found = postgres.decode(major, &folder.join(&one.file), &Teller::silent()).await.unwrap();
        assert_eq!((found.bytes, &found.blake3), (one.bytes, &one.blake3));
        assert_eq!(
            (found.uncompressed_bytes, &found.uncompressed_blake3),
            (one.uncompressed_bytes, &one.uncompressed_blake3)
        );
        let contents = found.contents.expect("there is a client");
        assert_eq!((&contents.tables, contents.large_objects), (&one.tables, one.large_objects));
    }
}

pub(super) async fn a_damaged_dump_is_found(fixture: &dyn Fixture) {
    let (ports, databases) = (fixture.ports(), fixture.site().databases);
    let (report, folder) = dump(fixture).await;
    let major = ports.postgres.server(&databases.endpoint, databases.primary()).await.unwrap().major();
    let path = folder.join(&report.databases[0].file);
    let whole = ports.files.read(&path).await.unwrap().unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.bytes.len() / 2;
    flipped.bytes[middle] ^= 4;
    let mut short = whole.clone();
    short.bytes.truncate(middle);
    for damaged in [flipped, short] {
        let what = "damaged dump".to_owned();
        ports.files.write(&WriteFile { path: path.clone(), file: damaged, what }).await.unwrap();
        let found = ports.postgres.decode(major, &path, &Teller::silent()).await;
        assert_eq!(code(found), "set_damaged");
    }
}

pub(super) async fn what_is_new_is_counted_from_a_moment_on(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    rest(fixture).await;
    for database in &databases.all {
        let moment = postgres.snapshot(&databases.endpoint, &database.name).await.unwrap();
        let sequences = postgres.sequences(&databases.endpoint, &database.name).await.unwrap();
        let new = postgres.written_since(&databases.endpoint, &database.name, &moment, &sequences).await;
        assert_eq!(new.unwrap(), [], "nobody writes");
    }
    let (primary, none) = (databases.primary(), BTreeMap::new());
    let nonsense = postgres.written_since(&databases.endpoint, primary, "nonsense", &none).await;
    assert_eq!(code(nonsense), "bad_snapshot");
    wake(fixture).await;
}

pub(super) async fn the_lock_has_one_holder(fixture: &dyn Fixture) {
    let (ports, databases) = (fixture.ports(), fixture.site().databases);
    let request = |holder: &str| LockSite {
        endpoint: databases.endpoint.clone(),
        primary: databases.primary().to_owned(),
        holder: holder.to_owned(),
    };
    let first = ports.postgres.lock(&request("uplift one ann@web1")).await.unwrap();
    assert!(first.is_held().await);
    let Err(failure) = ports.postgres.lock(&request("uplift two bob@web2")).await else {
        panic!("two hold one lock")
    };
    assert_eq!(failure.code, "site_held");
    assert!(failure.message.contains("uplift one ann@web1"), "{failure}");
    drop(first);
    for _ in 0..50 {
        if ports.postgres.lock(&request("uplift two bob@web2")).await.is_ok() {
            return;
        }
        ports.clock.sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody holds it, and it is not to be had");
}

pub(super) async fn a_quiet_server_has_nothing_in_the_way(fixture: &dyn Fixture) {
    let (postgres, databases) = (fixture.ports().postgres, fixture.site().databases);
    let names: Vec<_> = databases.all.iter().map(|one| one.name.clone()).collect();
    let endpoint = &databases.endpoint;
    assert_eq!(postgres.obstacles(endpoint, &names).await.unwrap(), []);
    assert!(postgres.activity(endpoint, &names).await.unwrap().iter().all(|one| !one.migrating));
    let jobs = postgres.jobs(endpoint, &names[1], None, 1).await.unwrap();
    assert!(jobs.oldest.len() <= 1 && jobs.claimed <= jobs.waiting, "{jobs:?}");
    assert_eq!(jobs.newest > 0, jobs.waiting > 0, "{jobs:?}");
    let first = jobs.oldest.first().map_or(0, |job| job.id);
    let until = postgres.jobs(endpoint, &names[1], Some(first), 1).await.unwrap();
    assert!(until.newest <= first && until.waiting <= jobs.waiting, "{until:?} of {jobs:?}");
    let none = postgres.jobs(endpoint, &names[1], Some(0), 1).await.unwrap();
    assert_eq!((none.waiting, none.claimed, none.newest), (0, 0, 0), "nothing was enqueued before the first");
    assert_eq!(postgres.jobs(endpoint, &names[3], None, 1).await.unwrap().waiting, 0, "that is no queue");
    let room = postgres.room(endpoint).await.unwrap();
    assert!(room.is_none_or(|free| free > 0));
}
