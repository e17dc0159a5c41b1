//! Databases copied, moved, loaded and counted on a real server.

use std::{collections::BTreeMap, time::Duration};

use uplift::{
    event::Teller,
    ports::{
        Ports,
        postgres::{
            Admit, CopyDatabase, DatabaseFacts, DropDatabase, EndSessions, Kept, LoadDump, LockSite, Mark,
            Renaming, Swap,
        },
    },
    site::Endpoint,
};

use super::{Fixture as _, Real, dumps};
use crate::{
    contract::code,
    lab::{CANARY, Shell},
};

const PRIMARY: &str = "strata_production";
const RUN: &str = "20261124-031500-7f3a";

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_moved_and_nothing_of_them_is_lost() {
    let real = Real::start().await;
    what_a_copy_would_lose(&real);
    what_was_written_is_counted(&real).await;
    one_lock_for_all(&real).await;
    the_lock_needs_the_maintenance_database(&real).await;
    an_administrator_is_one_of_the_sites_own_server(&real).await;
    who_does_not_go_is_named(&real);
    what_is_still_being_made_is_ended(&real).await;
    a_dump_is_read_and_loaded(&real).await;
    a_copy_is_equal_and_takes_the_place(&real).await;
}

/// Everything that `CREATE DATABASE ... TEMPLATE` and a rename leave behind.
fn what_a_copy_would_lose(real: &Real) {
    let statements = "CREATE ROLE reporter LOGIN; CREATE ROLE \"odd role\"; \
        ALTER DATABASE strata_production SET work_mem = '13MB'; \
        ALTER DATABASE strata_production SET search_path = \"$user\", public; \
        ALTER ROLE strata IN DATABASE strata_production SET lock_timeout = '7s'; \
        ALTER DATABASE strata_production CONNECTION LIMIT 77; \
        COMMENT ON DATABASE strata_production IS 'it''s the \\ primary';";
    real.stack.psql("postgres", statements).unwrap();
    // Rights are the owner's to give: what a superuser gives counts as the owner's.
    let rights = "REVOKE CONNECT ON DATABASE strata_production FROM PUBLIC; \
        GRANT CONNECT ON DATABASE strata_production TO reporter WITH GRANT OPTION; \
        GRANT TEMP ON DATABASE strata_production TO \"odd role\";";
    real.stack.psql("postgres", rights).unwrap();
}

fn endpoint(real: &Real) -> Endpoint {
    real.site().databases.endpoint
}

async fn facts(ports: &Ports, at: &Endpoint, name: &str) -> DatabaseFacts {
    ports.postgres.databases(at, &[name.to_owned()]).await.unwrap().pop().unwrap()
}

fn mark(kind: Kept, of: &str) -> Mark {
    Mark {
        kind,
        of: of.to_owned(),
        run: RUN.to_owned(),
        made: "2026-11-24T03:15:00Z".to_owned(),
        expires: "2026-12-01T03:15:00Z".to_owned(),
        snapshot: "1:1:".to_owned(),
    }
}

async fn what_was_written_is_counted(real: &Real) {
    let (ports, at) = (real.ports(), endpoint(real));
    let insert = |key: &str| {
        let text =
            format!("INSERT INTO orders (key, note) SELECT '{key}-' || n, 'x' FROM generate_series(1, 17) n");
        real.stack.psql(PRIMARY, &text).unwrap();
    };
    insert("before");
    let sequences = ports.postgres.sequences(&at, PRIMARY).await.unwrap();
    let snapshot = ports.postgres.snapshot(&at, PRIMARY).await.unwrap();
    insert("after");
    real.stack.psql(PRIMARY, "UPDATE orders SET note = 'y' WHERE key IN ('before-1', 'before-2')").unwrap();
    real.stack.psql(PRIMARY, "VACUUM FREEZE orders").unwrap();
    // A key that nothing numbers.
    real.stack.psql(PRIMARY, "INSERT INTO schema_migrations VALUES ('20991231235959')").unwrap();
    let written = ports.postgres.written_since(&at, PRIMARY, &snapshot, &sequences).await.unwrap();
    let counted = |name: &str| {
        let table = written.iter().find(|table| table.name == name).unwrap();
        (table.rows, table.added)
    };
    assert_eq!(counted("orders"), (19, Some(17)), "two were changed: {written:?}");
    assert_eq!(counted("schema_migrations"), (1, None), "{written:?}");
    assert_eq!(written.len(), 2, "{written:?}");
    let none = BTreeMap::new();
    let written = ports.postgres.written_since(&at, PRIMARY, &snapshot, &none).await.unwrap();
    assert!(written.iter().all(|table| table.added.is_none()), "{written:?}");
    let later = ports.postgres.snapshot(&at, PRIMARY).await.unwrap();
    assert_eq!(ports.postgres.written_since(&at, PRIMARY, &later, &none).await.unwrap(), []);
    let future = "1:999999999999:";
    assert_eq!(code(ports.postgres.written_since(&at, PRIMARY, future, &none).await), "other_server");
    real.stack.psql(PRIMARY, "DELETE FROM schema_migrations WHERE version = '20991231235959'").unwrap();
}

async fn one_lock_for_all(real: &Real) {
    let (ports, at) = (real.ports(), endpoint(real));
    let ask = |holder: &str| LockSite {
        endpoint: at.clone(),
        primary: PRIMARY.to_owned(),
        holder: holder.to_owned(),
    };
    let first = ports.postgres.lock(&ask("uplift 1 ann@web1")).await.unwrap();
    assert!(first.is_held().await);
    let other = real.ports_in(real.environment.clone());
    let Err(refused) = other.postgres.lock(&ask("uplift 2 bob@web2")).await else { panic!("two have it") };
    assert_eq!(refused.code, "site_held");
    assert!(refused.message.contains("uplift 1 ann@web1"), "{refused:?}");
    // Another site on the same server is another lock.
    let elsewhere = LockSite { primary: "other_production".to_owned(), ..ask("uplift 3 eve@web3") };
    drop(ports.postgres.lock(&elsewhere).await.unwrap());
    real.stack
        .psql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'uplift 1%'",
        )
        .unwrap();
    assert!(!first.is_held().await, "its session was ended");
    drop(first);
    let again = other.postgres.lock(&ask("uplift 2 bob@web2")).await.unwrap();
    assert!(again.is_held().await);
    drop(again);
    dumps::until("the lock is free", || {
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        real.stack.psql("postgres", held).unwrap() == "0"
    })
    .await;
}

async fn the_lock_needs_the_maintenance_database(real: &Real) {
    let (ports, at) = (real.ports(), endpoint(real));
    let ask = LockSite { endpoint: at.clone(), primary: PRIMARY.to_owned(), holder: "uplift 4".to_owned() };
    real.stack.psql("postgres", "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC").unwrap();
    assert_eq!(code(ports.postgres.lock(&ask).await.map(|_| ())), "lock_denied");
    assert_eq!(code(ports.postgres.lockable(&at).await), "lock_denied");
    let url = format!("postgres://postgres:admin-{CANARY}@{}:{}/postgres", at.host, at.port);
    let admin = real.ports_in(real.environment.clone().with("UPLIFT_DB_ADMIN_URL", url));
    let held = admin.postgres.lock(&ask).await.unwrap();
    assert!(held.is_held().await, "as the hint says");
    drop(held);
    real.stack.psql("postgres", "GRANT CONNECT ON DATABASE postgres TO PUBLIC").unwrap();
}

/// What an administrator may do counts, and only on the server that the site is on.
async fn an_administrator_is_one_of_the_sites_own_server(real: &Real) {
    let at = endpoint(real);
    let as_admin = |host: &str, port: u16| {
        let url = format!("postgres://postgres:admin-{CANARY}@{host}:{port}/postgres");
        real.ports_in(real.environment.clone().with("UPLIFT_DB_ADMIN_URL", url))
    };
    real.stack.psql("postgres", "ALTER ROLE strata NOCREATEDB").unwrap();
    let ports = real.ports();
    assert!(!ports.postgres.server(&at, PRIMARY).await.unwrap().may_create);
    let admin = as_admin(&at.host, at.port);
    assert!(admin.postgres.server(&at, PRIMARY).await.unwrap().may_create);
    real.stack.psql("postgres", "ALTER ROLE strata CREATEDB").unwrap();

    let image = real.docker(&format!("inspect -f {{{{.Config.Image}}}} {}", real.stack.postgres()));
    let name = format!("{}-other", real.stack.postgres());
    let run = format!("run -d --name {name} -e ADMIN_PASSWORD=admin-{CANARY} -e APP_PASSWORD=x {image}");
    real.docker(&run);
    let address = real.docker(&format!("inspect -f {{{{.NetworkSettings.IPAddress}}}} {name}"));
    dumps::until("the other server", || std::net::TcpStream::connect((address.as_str(), 5432)).is_ok()).await;
    let stray = as_admin(&address, 5432);
    let mut answer = String::new();
    for _ in 0..100 {
        answer = code(stray.postgres.kept(&at, &[PRIMARY.to_owned()]).await);
        if answer != "database_unreachable" {
            break;
        }
        // It answers before it lets anybody in.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(answer, "admin_elsewhere");
    real.docker(&format!("rm -f -v {name}"));
}

/// The product's user may not end a superuser's session, nor see what kind it is.
fn who_does_not_go_is_named(real: &Real) {
    let (ports, at) = (real.ports(), endpoint(real));
    let cable = format!("{PRIMARY}_cable");
    let end = EndSessions { endpoint: at, databases: vec![cable.clone()], patience: Duration::from_secs(1) };
    let asleep = "datname = 'strata_production_cable' AND usename = 'postgres'";
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE {asleep}");
    let stop = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {asleep}");
    std::thread::scope(|scope| {
        scope.spawn(|| real.stack.psql(&cable, "SELECT pg_sleep(60)"));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let inside = || real.stack.psql("postgres", &count).unwrap() == "1";
                dumps::until("the administrator is in", inside).await;
                let ended = ports.postgres.end_sessions(&end).await;
                real.stack.psql("postgres", &stop).unwrap();
                let failure = ended.unwrap_err();
                assert_eq!(failure.code, "sessions_remain", "{failure:?}");
                let named = failure
                    .evidence
                    .iter()
                    .any(|line| line.contains("user `postgres`") && line.contains("application `psql`"));
                assert!(named, "{failure:?}");
            });
        });
    });
}

/// The server goes on with a copy whose uplift was killed, and such a copy cannot be seen yet.
async fn what_is_still_being_made_is_ended(real: &Real) {
    let (ports, at) = (real.ports(), endpoint(real));
    let name = Kept::Savepoint.name(PRIMARY, RUN);
    let secrets = real.stack.secrets().unwrap();
    let password = secrets.iter().find(|(name, _)| *name == "DB_PASSWORD").unwrap().1.clone();
    let psql = Shell::new("/usr/lib/postgresql/15/bin/psql").env("PGPASSWORD", password);
    let psql = psql.env("PGAPPNAME", format!("uplift makes {name}")).args("-U strata -d postgres -h");
    let psql = psql.arg(&at.host).args("-p").arg(at.port.to_string()).args("-c").arg("SELECT pg_sleep(60)");
    let at_work = psql.start().unwrap();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'uplift makes%'";
    dumps::until("it is at work", || real.stack.psql("postgres", count).unwrap() == "1").await;
    let end = EndSessions { endpoint: at, databases: vec![name], patience: Duration::from_secs(10) };
    assert_eq!(ports.postgres.end_sessions(&end).await.unwrap(), 1);
    assert_ne!(at_work.wait(Duration::from_secs(10)).unwrap().code, Some(0));
}

async fn a_dump_is_read_and_loaded(real: &Real) {
    let (ports, at, tell) = (real.ports(), endpoint(real), Teller::silent());
    real.stack.psql(PRIMARY, "SELECT lo_from_bytea(0, 'large')").unwrap();
    let owned = "DO $$ DECLARE one oid; BEGIN FOR one IN SELECT oid FROM pg_largeobject_metadata LOOP \
        EXECUTE format('ALTER LARGE OBJECT %s OWNER TO strata', one); END LOOP; END $$";
    real.stack.psql(PRIMARY, owned).unwrap();
    let request = dumps::request(real, "whole").await;
    let before = facts(&ports, &at, PRIMARY).await;
    let report = ports.postgres.dump(&request, &tell).await.unwrap();
    for one in &report.databases {
        let file = request.folder.join(&one.file);
        let decoded = ports.postgres.decode(15, &file, &tell).await.unwrap();
        assert_eq!((decoded.bytes, &decoded.blake3), (one.bytes, &one.blake3));
        assert_eq!(decoded.uncompressed_blake3, one.uncompressed_blake3);
        let contents = decoded.contents.unwrap();
        assert_eq!((contents.tables, contents.large_objects), (one.tables.clone(), one.large_objects));
    }
    // Without a `pg_restore` of that major the hashes are all that can be said.
    let file = request.folder.join("strata_production.dump.zst");
    assert!(ports.postgres.decode(9, &file, &tell).await.unwrap().contents.is_none());
    let primary = report.databases.iter().find(|one| one.name == PRIMARY).unwrap();
    assert!(primary.large_objects > 0);
    let to = Kept::Restoring.name(PRIMARY, RUN);
    let load = LoadDump {
        endpoint: at.clone(),
        client: request.client.clone(),
        file: file.clone(),
        facts: before.clone(),
        to: to.clone(),
        mark: mark(Kept::Restoring, PRIMARY),
    };
    for _ in 0..2 {
        let contents = ports.postgres.load_dump(&load, &tell).await.unwrap();
        assert_eq!(
            (contents.tables, contents.large_objects),
            (primary.tables.clone(), primary.large_objects)
        );
    }
    same_but_for_names(&facts(&ports, &at, &to).await, &before);
    let drop = DropDatabase { endpoint: at.clone(), name: to.clone(), oid: 0 };
    a_vacuum_is_at_work_in(real, &to).await;
    assert_eq!(ports.postgres.sessions(&at, std::slice::from_ref(&to)).await.unwrap(), [], "nobody is in it");
    ports.postgres.drop_database(&drop).await.unwrap();
    ports.postgres.drop_database(&drop).await.unwrap();
    assert_eq!(ports.postgres.kept(&at, &[PRIMARY.to_owned()]).await.unwrap(), []);
    let theirs = DropDatabase { name: PRIMARY.to_owned(), ..drop };
    assert_eq!(code(ports.postgres.drop_database(&theirs).await), "not_ours");
    damaged_dumps_are_found(real, &file).await;
}

/// Comes back while the server vacuums a table there, as slowly as it can; only a superuser may end that.
async fn a_vacuum_is_at_work_in(real: &Real, database: &str) {
    let psql = |database: &str, statement: &str| real.stack.psql(database, statement).unwrap();
    psql("postgres", &format!("ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS true"));
    psql(database, "CREATE TABLE busy AS SELECT generate_series(1, 100000) AS n");
    psql(
        database,
        "ALTER TABLE busy SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, \
         autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)",
    );
    psql(database, "DELETE FROM busy");
    psql("postgres", "ALTER SYSTEM SET autovacuum_naptime = '1s'");
    psql("postgres", "SELECT pg_reload_conf()");
    let at_work = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = '{database}'"
    );
    dumps::until("the server vacuums", || psql("postgres", &at_work) != "0").await;
    psql("postgres", "ALTER SYSTEM RESET autovacuum_naptime");
    psql("postgres", "SELECT pg_reload_conf()");
}

async fn damaged_dumps_are_found(real: &Real, file: &std::path::Path) {
    let (ports, tell) = (real.ports(), Teller::silent());
    let whole = std::fs::read(file).unwrap();
    let sum = ports.postgres.decode(15, file, &tell).await.unwrap();
    let damaged = file.with_file_name("damaged.dump.zst");
    for flip in 0..60 {
        let mut bytes = whole.clone();
        let at = flip * bytes.len() / 60;
        bytes[at] ^= 1 << (flip % 8);
        std::fs::write(&damaged, &bytes).unwrap();
        let found = ports.postgres.decode(15, &damaged, &tell).await;
        assert!(
            found.is_err() || found.is_ok_and(|found| found.blake3 != sum.blake3),
            "flip {flip} at byte {at}"
        );
    }
    for part in [0, 10, 50, 90, 99] {
        std::fs::write(&damaged, &whole[..whole.len() * part / 100]).unwrap();
        let found = ports.postgres.decode(15, &damaged, &tell).await;
        assert!(found.is_err() || found.is_ok_and(|found| found.bytes != sum.bytes), "{part} % of it");
    }
}

fn same_but_for_names(one: &DatabaseFacts, other: &DatabaseFacts) {
    let bare = |facts: &DatabaseFacts| DatabaseFacts {
        name: String::new(),
        oid: 0,
        size: 0,
        open: true,
        comment: None,
        acl: {
            let mut acl = facts.acl.clone();
            acl.sort();
            acl
        },
        ..facts.clone()
    };
    assert_eq!(bare(one), bare(other));
}

async fn a_copy_is_equal_and_takes_the_place(real: &Real) {
    let (ports, at, tell) = (real.ports(), endpoint(real), Teller::silent());
    let names = vec![PRIMARY.to_owned()];
    let before = facts(&ports, &at, PRIMARY).await;
    let copy = CopyDatabase {
        endpoint: at.clone(),
        from: before.clone(),
        to: Kept::Savepoint.name(PRIMARY, RUN),
        mark: mark(Kept::Savepoint, PRIMARY),
    };
    // The application is in it.
    assert_eq!(code(ports.postgres.copy_database(&copy, &tell).await), "sessions_remain");
    let admit = |open| Admit { endpoint: at.clone(), databases: names.clone(), open };
    ports.postgres.admit(&admit(false)).await.unwrap();
    let end =
        EndSessions { endpoint: at.clone(), databases: names.clone(), patience: Duration::from_secs(10) };
    assert!(ports.postgres.end_sessions(&end).await.unwrap() > 0);
    assert_eq!(ports.postgres.end_sessions(&end).await.unwrap(), 0, "nobody comes back");
    for _ in 0..2 {
        ports.postgres.copy_database(&copy, &tell).await.unwrap();
    }
    let kept = ports.postgres.kept(&at, &names).await.unwrap();
    let [saved] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(saved.mark, Some(copy.mark.clone()));
    let saved_facts = facts(&ports, &at, &copy.to).await;
    assert!(!saved_facts.open, "nobody writes into a savepoint");
    let closed = facts(&ports, &at, PRIMARY).await;
    assert_eq!(closed.oid, before.oid);
    let renames = vec![
        Renaming { oid: before.oid, from: PRIMARY.to_owned(), to: Kept::Failed.name(PRIMARY, RUN) },
        Renaming { oid: saved.oid, from: copy.to.clone(), to: PRIMARY.to_owned() },
    ];
    let swap = Swap { endpoint: at.clone(), renames, schemas: BTreeMap::new() };
    let mut taken = swap.clone();
    "postgres".clone_into(&mut taken.renames[1].to);
    assert!(ports.postgres.swap(&taken).await.is_err(), "the second half cannot be");
    assert_eq!(facts(&ports, &at, PRIMARY).await.oid, before.oid, "so the first half was not");
    for _ in 0..2 {
        ports.postgres.swap(&swap).await.unwrap();
    }
    let equip = uplift::ports::postgres::Equip {
        endpoint: at.clone(),
        database: PRIMARY.to_owned(),
        facts: before.clone(),
        mark: None,
    };
    ports.postgres.equip(&equip).await.unwrap();
    ports.postgres.admit(&admit(true)).await.unwrap();
    let now = facts(&ports, &at, PRIMARY).await;
    assert_eq!((now.oid, &now.comment), (saved.oid, &before.comment));
    same_but_for_names(&now, &before);
    what_was_put_aside_is_dropped(&ports, equip, before.oid).await;
    real.stack.wait_up().unwrap();
}

async fn what_was_put_aside_is_dropped(ports: &Ports, equip: uplift::ports::postgres::Equip, oid: u32) {
    let at = equip.endpoint.clone();
    let failed = Kept::Failed.name(PRIMARY, RUN);
    let marked = uplift::ports::postgres::Equip {
        database: failed.clone(),
        mark: Some(mark(Kept::Failed, PRIMARY)),
        ..equip
    };
    ports.postgres.equip(&marked).await.unwrap();
    let drop = DropDatabase { endpoint: at, name: failed, oid };
    ports.postgres.drop_database(&drop).await.unwrap();
}
