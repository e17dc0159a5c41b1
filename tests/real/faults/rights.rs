//! Rights, owners, extensions and passwords that are not what a fresh installation has.

use super::table::row;
use crate::{
    lab::{CANARY, Shape},
    real::Field,
};

const PRIMARY: &str = "strata_production";
const CREATE: &str = "backup create -y";

#[test]
#[ignore = "a minute and more, and the contract of the databases' port has the short form of it"]
fn a_site_with_rights_of_its_own_is_backed_up_and_restored() {
    let field = Field::quick(Shape::Present, "1.1.0");
    let psql = |query: &str| field.stack.psql(PRIMARY, query).unwrap();
    for statement in ODD.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        psql(statement);
    }
    let screen = field.uplift(CREATE).ends(1).shows(&["public.reports"]);
    row("table that the product's user may not read", &screen);
    psql("GRANT SELECT ON reports TO strata");
    let screen = field.uplift(CREATE).ends(0).shows(&["rows, as in the databases"]);
    row("table of another role, readable", &screen);
    let set = super::table::good(&field).remove(0);
    let before = rights(&field);
    let ids = field.stack.container_ids().unwrap();
    let words = format!("restore {set} --restore-data always --jobs run -y --settle 1s");
    let screen = field.uplift(&words).ends(1).shows(&["pageinspect", "UPLIFT_DB_ADMIN_URL"]);
    row("extension that only a superuser may make", &screen);
    psql("ALTER ROLE strata NOCREATEDB");
    let screen = field.uplift(&words).ends(1).shows(&["CREATEDB"]);
    row("restore without the right to make databases", &screen);
    psql("ALTER ROLE strata CREATEDB");
    assert_eq!((rights(&field), field.stack.container_ids().unwrap()), (before.clone(), ids));
    let shell = field.shell(&words).env("UPLIFT_DB_ADMIN_URL", administrator(&field));
    let screen = field.run(&shell, &words).ends(0);
    row("all of that, by an administrator", &screen);
    assert_eq!(rights(&field), before);
    field.assert_up();
    password(&field);
    field.end();
}

/// What somebody may have done to a database, and a dump does not hold.
const ODD: &str = "CREATE ROLE reporter LOGIN; CREATE ROLE \"odd role\"; \
    CREATE EXTENSION pageinspect; CREATE TABLE reports (id int PRIMARY KEY); INSERT INTO reports VALUES (1); \
    ALTER TABLE reports OWNER TO reporter; \
    ALTER DATABASE strata_production SET work_mem = '13MB'; \
    ALTER ROLE strata IN DATABASE strata_production SET idle_session_timeout = '7h'; \
    ALTER DATABASE strata_production CONNECTION LIMIT 77; \
    COMMENT ON DATABASE strata_production IS 'it''s the \\ primary'; \
    REVOKE CONNECT ON DATABASE strata_production FROM PUBLIC; \
    GRANT CONNECT ON DATABASE strata_production TO reporter WITH GRANT OPTION; \
    GRANT TEMP ON DATABASE strata_production TO \"odd role\"";

/// Owners, rights, settings, comments and extensions, as the server has them.
fn rights(field: &Field) -> String {
    let database = "SELECT datname, pg_get_userbyid(datdba), datconnlimit, datallowconn, shobj_description(oid, 'pg_database'), \
         (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(datacl) a), \
         (SELECT string_agg(setrole::regrole || array_to_string(setconfig, ' '), ' ' ORDER BY setrole) \
         FROM pg_db_role_setting WHERE setdatabase = d.oid) \
         FROM pg_database d WHERE datname LIKE 'strata%' AND datname NOT LIKE '%\\_\\_%' ORDER BY 1";
    let inside = "SELECT string_agg(extname || extversion, ' ' ORDER BY extname) FROM pg_extension \
         UNION ALL SELECT string_agg(relname || pg_get_userbyid(relowner) || coalesce(relacl::text, ''), ' ' ORDER BY relname) \
         FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace";
    let psql = |database: &str, query: &str| field.stack.psql(database, query).unwrap();
    format!("{}\n{}", psql("postgres", database), psql(PRIMARY, inside))
}

fn administrator(field: &Field) -> String {
    let env = field.stack.env_text().unwrap();
    let value = |name: &str| env.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    format!("postgres://postgres:admin-{CANARY}@{}:{}/postgres", value("DB_HOST="), value("DB_PORT="))
}

/// Everything that a shell, compose and libpq each take for something else.
fn password(field: &Field) {
    let ugly = format!("{CANARY} it's $HOME \"q\" #1 b");
    let sql = ugly.replace('\'', "''");
    field.stack.psql("postgres", &format!("ALTER ROLE strata PASSWORD '{sql}'")).unwrap();
    let quoted = ugly.replace('"', "\\\"").replace('$', "\\$");
    field.stack.set("DB_PASSWORD", &format!("\"{quoted}\"")).unwrap();
    field.stack.compose("up -d --no-deps --force-recreate -t 1 web job").unwrap();
    field.assert_up();
    assert_eq!(field.stack.compose("exec -T web printenv DB_PASSWORD").unwrap(), ugly, "as compose reads it");
    let screen = field.uplift(CREATE).ends(0).shows(&["rows, as in the databases"]);
    assert!(!screen.everything().contains(CANARY));
    row("password with quotes, `$`, `#` and blanks", &screen);
    field.uplift("status").ends(0);
}
