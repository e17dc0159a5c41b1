//! Database servers that do not let uplift do its work.

use std::{fs, time::Duration};

use super::Table;
use crate::lab::{free_port, wait_until};

const UPGRADE: &str = "upgrade --to 1.1.1 -y";

#[test]
fn of_servers() {
    let table = Table::new();
    let stack = &table.field.stack;
    let password = table.field.secret("DB_PASSWORD").replace('\'', "''");
    // Sessions that are open stay open, so that web and job do not notice.
    let cases: Vec<(&str, String, String, &str, Vec<&str>)> = vec![
        ("another password", "ALTER ROLE strata PASSWORD 'another'".to_owned(), format!("ALTER ROLE strata PASSWORD '{password}'"), "password_refused", vec!["DB_PASSWORD"]),
        ("a database that is missing", "ALTER DATABASE strata_production_cache RENAME TO elsewhere".to_owned(), "ALTER DATABASE elsewhere RENAME TO strata_production_cache".to_owned(), "database_missing", vec!["strata_production_cache"]),
        ("a database that lets nobody in", "ALTER DATABASE strata_production ALLOW_CONNECTIONS false".to_owned(), "ALTER DATABASE strata_production ALLOW_CONNECTIONS true".to_owned(), "database_closed", vec!["ALLOW_CONNECTIONS true"]),
        ("no connection is left", "ALTER ROLE strata CONNECTION LIMIT 1".to_owned(), "ALTER ROLE strata CONNECTION LIMIT -1".to_owned(), "database_unreachable", vec!["answers, but refuses `strata`", "max_connections"]),
        ("a table that may not be read", "GRANT SELECT ON pg_class TO strata; REVOKE CONNECT ON DATABASE strata_production FROM PUBLIC; REVOKE CONNECT ON DATABASE strata_production FROM strata".to_owned(), "GRANT CONNECT ON DATABASE strata_production TO PUBLIC; GRANT CONNECT ON DATABASE strata_production TO strata".to_owned(), "database_denied", vec!["GRANT CONNECT"]),
        ("no right to connect to `postgres`", "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC".to_owned(), "GRANT CONNECT ON DATABASE postgres TO PUBLIC".to_owned(), "lock_denied", vec!["UPLIFT_DB_ADMIN_URL"]),
    ];
    for (what, make, undo, code, says) in cases {
        stack.psql("postgres", &make).unwrap();
        // The judge could not look at all databases either.
        table.row_unseen(what, UPGRADE).refused(1, code, &says);
        stack.psql("postgres", &undo).unwrap();
    }
    stack
        .psql("strata_production", "CREATE TABLE secretive (id int); REVOKE ALL ON secretive FROM PUBLIC")
        .unwrap();
    table.row("a table that may not be read", UPGRADE).refused(
        1,
        "not_readable",
        &["secretive", "grant `SELECT`"],
    );
    stack.psql("strata_production", "DROP TABLE secretive").unwrap();
    clients(&table);
    pooler(&table);
    stopped(&table);
    table.end();
}

/// Clients of another version only: what they would write could not be trusted, or not be made.
fn clients(table: &Table) {
    const OTHER: &[&str] = &["unshare", "-m", "sh", "-c"];
    let fake = "#!/bin/sh\\necho 'pg_dump (PostgreSQL) 14.11'\\n";
    let line = format!(
        "mount -t tmpfs none /usr/lib/postgresql && mkdir -p /usr/lib/postgresql/14/bin && \
         printf \"{fake}\" >/usr/lib/postgresql/14/bin/pg_dump && chmod +x /usr/lib/postgresql/14/bin/pg_dump && \
         mount --bind /usr/lib/postgresql/14/bin/pg_dump /usr/bin/pg_dump && exec"
    );
    table.row("`pg_dump` of another version", UPGRADE).within(OTHER, &line).refused(
        1,
        "dump_client_missing",
        &["pg_dump", "15", "14"],
    );
    let none = "mount -t tmpfs none /usr/lib/postgresql && mount --bind /dev/null /usr/bin/pg_dump && exec";
    table.row("no `pg_dump`", UPGRADE).within(OTHER, none).refused(
        1,
        "dump_client_missing",
        &["postgresql-client-15"],
    );
}

/// A pooler between the site and its server: recognised, and named with what to set.
fn pooler(table: &Table) {
    let stack = &table.field.stack;
    let setting = |name: &str| stack.compose(&format!("exec -T web printenv {name}")).unwrap();
    let (host, real, port) = (setting("DB_HOST"), setting("DB_PORT"), free_port().unwrap());
    let folder = std::env::temp_dir().join(format!("{}-pooler", stack.project()));
    for mode in ["transaction", "session"] {
        fs::create_dir_all(&folder).unwrap();
        let at = folder.display();
        let text = format!(
            "[databases]\n* = host={host} port={real}\n[pgbouncer]\nlisten_addr = 0.0.0.0\nlisten_port = {port}\nauth_type = plain\n\
             auth_file = {at}/users\npool_mode = {mode}\nunix_socket_dir =\n"
        );
        fs::write(folder.join("ini"), text).unwrap();
        let password = table.field.secret("DB_PASSWORD").replace('"', "\"\"");
        fs::write(folder.join("users"), format!("\"strata\" \"{password}\"\n")).unwrap();
        let name = format!("{}-pooler", stack.project());
        let image = super::super::field::lab().images.postgres();
        table.docker(&format!(
            "run -d --name {name} --network host --user postgres -v {at}:{at}:ro --entrypoint /usr/sbin/pgbouncer {image} {at}/ini"
        ));
        wait_until("the pooler", Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .unwrap();
        let what = format!("a pooler ({mode}) between the site and its server");
        let at = |port: &str| format!("[database]\nhost = \"{host}\"\nport = {port}\n");
        // One that pools by transactions breaks the migrations' own lock: only uplift is sent through it.
        if mode == "transaction" {
            table.with("uplift.toml", |_| at(&port.to_string()), || refused_behind(table, &what));
        } else {
            let behind = |text: String| text.replace(&format!("DB_PORT={real}"), &format!("DB_PORT={port}"));
            table.applied(".env", behind, || {
                refused_behind(table, &what);
                table.with(
                    "uplift.toml",
                    |_| at(&real),
                    || {
                        table
                            .row("the same, and the server is named", "backup create --dry-run")
                            .goes(&["back up 4 databases"]);
                    },
                );
            });
        }
        table.docker(&format!("rm -f {name}"));
        fs::remove_dir_all(&folder).unwrap();
    }
}

fn refused_behind(table: &Table, what: &str) {
    table
        .row(what, "upgrade --to 1.1.1 --dry-run")
        .refused_in_plan("pooled", &["connection pooler", "under `[database]`"]);
    table.row(what, UPGRADE).refused(1, "pooled", &["connection pooler", "`host` and `port`"]);
}

fn stopped(table: &Table) {
    let (stack, pg) = (&table.field.stack, table.field.stack.postgres().to_owned());
    table.docker(&format!("pause {pg}"));
    table.row_unseen("a server that hangs", UPGRADE).refused(1, "database_unreachable", &["nothing within"]);
    table.docker(&format!("unpause {pg}"));
    table.docker(&format!("stop -t 2 {pg}"));
    table.row_unseen("a server that is down", UPGRADE).refused(1, "database_unreachable", &["DB_HOST"]);
    table.row_unseen("the same, looked at", "status").goes(&[
        "UNREAD",
        "no database server answers",
        "`/up` answers 200",
    ]);
    table.docker(&format!("start {pg}"));
    stack.wait_up().unwrap();
}
