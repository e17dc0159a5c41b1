//! Questions that change nothing.

mod mask;

use self::mask::masked;
use super::session::Session as Connection;
use crate::{
    event::Failure,
    ports::postgres::{DatabaseFacts, Extension, Server, Session},
};

pub(super) async fn server(session: &Connection) -> Result<Server, Failure> {
    let row = session
        .row(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
             pg_is_in_recovery(), rolsuper OR rolcreatedb, \
             CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE') \
             THEN (SELECT system_identifier::text FROM pg_control_system()) ELSE '' END, \
             rolsuper OR rolcreaterole \
             FROM pg_catalog.pg_roles WHERE rolname = current_user",
        )
        .await?;
    let version_num: i32 = session.column(&row, 0)?;
    Ok(Server {
        version_num: u32::try_from(version_num).unwrap_or_default(),
        version: session.column(&row, 1)?,
        in_recovery: session.column(&row, 2)?,
        may_create: session.column(&row, 3)?,
        system: session.column(&row, 4)?,
        may_set_roles: session.column(&row, 5)?,
        pooler: None,
    })
}

/// The database that the session is in.
pub(super) async fn database(session: &Connection) -> Result<DatabaseFacts, Failure> {
    let row = session.row("SELECT current_database()::text").await?;
    let name: String = session.column(&row, 0)?;
    let found = named(session, std::slice::from_ref(&name)).await?.pop();
    let facts = found.ok_or_else(|| {
        Failure::new("database_missing", format!("the database `{name}` does not exist any more"))
            .hint("see who has dropped or renamed it: `psql -l`")
    })?;
    Ok(DatabaseFacts { extensions: extensions(session).await?, ..facts })
}

/// Those of these databases that exist, without their extensions: only a session inside sees these.
pub(super) async fn named(session: &Connection, names: &[String]) -> Result<Vec<DatabaseFacts>, Failure> {
    // Columns about the locale have other names on other servers: as JSON each is there or is not.
    let rows = session
        .rows(
            "SELECT d.datname::text, pg_get_userbyid(d.datdba)::text, \
             CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END, \
             pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, d.datconnlimit, \
             coalesce(d.datacl::text[], '{}'), shobj_description(d.oid, 'pg_database'), \
             ARRAY(SELECT CASE WHEN s.setrole = 0 THEN '' ELSE s.setrole::regrole::text || ': ' END || item \
             FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) item \
             WHERE s.setdatabase = d.oid ORDER BY 1), d.oid, d.datallowconn, \
             coalesce(to_jsonb(d)->>'datlocprovider', ''), \
             coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale') \
             FROM pg_catalog.pg_database d WHERE d.datname = ANY($1) ORDER BY 1",
            &[&names],
        )
        .await?;
    let facts = |row: &tokio_postgres::Row| {
        let size: i64 = session.column(row, 2)?;
        Ok(DatabaseFacts {
            name: session.column(row, 0)?,
            owner: session.column(row, 1)?,
            size: u64::try_from(size).unwrap_or_default(),
            encoding: session.column(row, 3)?,
            collate: session.column(row, 4)?,
            ctype: session.column(row, 5)?,
            connection_limit: session.column(row, 6)?,
            acl: session.column(row, 7)?,
            comment: session.column(row, 8)?,
            settings: session.column(row, 9)?,
            oid: session.column(row, 10)?,
            open: session.column(row, 11)?,
            locale_provider: session.column(row, 12)?,
            icu_locale: session.column(row, 13)?,
            extensions: Vec::new(),
        })
    };
    rows.iter().map(facts).collect()
}

/// Extensions of the database that the session is in.
pub(super) async fn extensions(session: &Connection) -> Result<Vec<Extension>, Failure> {
    let rows = session
        .rows(
            "SELECT e.extname::text, e.extversion, n.nspname::text, coalesce((SELECT v.trusted \
             FROM pg_catalog.pg_available_extension_versions v \
             WHERE v.name = e.extname AND v.version = e.extversion), false) \
             FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY 1",
            &[],
        )
        .await?;
    let extension = |row: &tokio_postgres::Row| {
        Ok(Extension {
            name: session.column(row, 0)?,
            version: session.column(row, 1)?,
            schema: session.column(row, 2)?,
            trusted: session.column(row, 3)?,
        })
    };
    rows.iter().map(extension).collect()
}

pub(super) async fn schema_versions(session: &Connection) -> Result<Option<Vec<String>>, Failure> {
    let row = session.row("SELECT to_regclass('schema_migrations') IS NOT NULL").await?;
    if !session.column::<bool>(&row, 0)? {
        return Ok(None);
    }
    let query = "SELECT version::text FROM schema_migrations ORDER BY version::text COLLATE \"C\"";
    let rows = session.rows(query, &[]).await?;
    rows.iter().map(|row| session.column(row, 0)).collect::<Result<_, _>>().map(Some)
}

/// A statement as it may be shown: the first 200 characters, literals masked.
pub(super) fn masked_statement(query: &str) -> String {
    masked(query).chars().take(200).collect()
}

/// Who else is in these databases. `uplift`'s own sessions, and those of the `pg_dump` that it starts, carry its name.
/// What the server does by itself is nobody: it gives way by itself when a database is copied, renamed or dropped, and its
/// vacuum has no user. Of another user's session the product's own may not see the kind, so it counts all the same.
pub(super) const SOMEBODY: &str = "pid <> pg_backend_pid() AND usesysid IS NOT NULL \
    AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'parallel worker')";

pub(super) async fn sessions(session: &Connection, databases: &[String]) -> Result<Vec<Session>, Failure> {
    let rows = session
        .rows(
            &format!(
                "SELECT pid, datname::text, coalesce(usename::text, ''), coalesce(application_name, ''), \
             coalesce(host(client_addr), ''), coalesce(state, ''), coalesce(query, ''), \
             greatest(0, extract(epoch FROM now() - coalesce(backend_start, now())))::int8, \
             greatest(0, extract(epoch FROM now() - coalesce(state_change, backend_start, now())) * 1000)::int8 \
             FROM pg_catalog.pg_stat_activity \
             WHERE datname = ANY($1) AND {SOMEBODY} AND application_name IS DISTINCT FROM 'uplift' \
             ORDER BY datname, pid"
            ),
            &[&databases],
        )
        .await?;
    let shown = |row: &tokio_postgres::Row| {
        let (query, seconds): (String, i64) = (session.column(row, 6)?, session.column(row, 7)?);
        let quiet: i64 = session.column(row, 8)?;
        Ok(Session {
            pid: session.column(row, 0)?,
            database: session.column(row, 1)?,
            user: session.column(row, 2)?,
            application: session.column(row, 3)?,
            client: session.column(row, 4)?,
            state: session.column(row, 5)?,
            query: masked_statement(&query),
            seconds: u64::try_from(seconds).unwrap_or_default(),
            quiet_ms: quiet.unsigned_abs(),
        })
    };
    rows.iter().map(shown).collect()
}

/// What a dump by this user would stumble over: no right to read, or only to some rows of it.
pub(super) async fn unreadable(session: &Connection) -> Result<Vec<String>, Failure> {
    let tables = session
        .rows(
            "SELECT format('%I.%I', n.nspname, c.relname) || \
             CASE WHEN has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') \
             THEN ' (row-level security)' ELSE '' END \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
             AND (NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') \
             OR row_security_active(c.oid)) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass \
             AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1",
            &[],
        )
        .await?;
    // A predicate for it came with version 18 only.
    let objects = session
        .rows(
            "SELECT 'large object ' || m.oid FROM pg_catalog.pg_largeobject_metadata m \
             WHERE NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) \
             AND NOT pg_has_role(m.lomowner, 'USAGE') \
             AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT' \
             AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(a.grantee, 'USAGE') END) ORDER BY m.oid",
            &[],
        )
        .await?;
    tables.iter().chain(&objects).map(|row| session.column(row, 0)).collect()
}
