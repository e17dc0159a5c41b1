//! What goes on in databases, and what stands in the way of moving them.

use super::{facts::masked_statement, session::Session};
use crate::{
    event::Failure,
    ports::postgres::{Activity, Job, Jobs, Obstacle},
};

/// Statements at work, and sessions that hold an advisory lock between two of them, as Rails does while it migrates.
pub(super) async fn activity(session: &Session, databases: &[String]) -> Result<Vec<Activity>, Failure> {
    let rows = session
        .rows(
            "SELECT a.pid, a.datname::text, coalesce(a.application_name, ''), coalesce(a.query, ''), \
             greatest(0, extract(epoch FROM now() - coalesce(a.query_start, now())))::int8, l.held, \
             p.phase || CASE WHEN p.blocks_total > 0 THEN format(', %s of %s blocks', p.blocks_done, p.blocks_total) \
             WHEN p.tuples_total > 0 THEN format(', %s of %s rows', p.tuples_done, p.tuples_total) ELSE '' END, \
             pg_blocking_pids(a.pid) \
             FROM pg_catalog.pg_stat_activity a \
             LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = a.pid \
             CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_locks k WHERE k.pid = a.pid \
             AND k.locktype = 'advisory' AND k.granted) AS held) l \
             WHERE a.datname = ANY($1) AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() \
             AND a.application_name NOT LIKE 'uplift%' AND (a.state = 'active' OR l.held) \
             ORDER BY a.query_start NULLS LAST, a.pid",
            &[&databases],
        )
        .await?;
    let shown = |row: &tokio_postgres::Row| {
        let (query, seconds): (String, i64) = (session.column(row, 3)?, session.column(row, 4)?);
        Ok(Activity {
            pid: session.column(row, 0)?,
            database: session.column(row, 1)?,
            application: session.column(row, 2)?,
            query: masked_statement(&query),
            seconds: seconds.unsigned_abs(),
            migrating: session.column(row, 5)?,
            progress: session.column(row, 6)?,
            blocked_by: session.column(row, 7)?,
        })
    };
    rows.iter().map(shown).collect()
}

pub(super) async fn obstacles(session: &Session, databases: &[String]) -> Result<Vec<Obstacle>, Failure> {
    let rows = session
        .rows(
            "SELECT database::text, 'replication_slot', slot_name::text FROM pg_catalog.pg_replication_slots \
             WHERE database = ANY($1) \
             UNION ALL SELECT database::text, 'prepared_transaction', gid FROM pg_catalog.pg_prepared_xacts \
             WHERE database = ANY($1) \
             UNION ALL SELECT d.datname::text, 'subscription', s.subname::text \
             FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid \
             WHERE d.datname = ANY($1) \
             UNION ALL SELECT n::text, 'standby', coalesce(nullif(r.application_name, ''), format('process %s', r.pid)) \
             FROM pg_catalog.pg_stat_replication r, unnest($1::text[]) n \
             UNION ALL SELECT a.datname::text, 'session', format('process %s, user `%s`, application `%s`', a.pid, \
             t.rolname, coalesce(a.application_name, '')) \
             FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_roles t ON t.oid = a.usesysid \
             JOIN pg_catalog.pg_roles own ON own.rolname = current_user \
             WHERE a.datname = ANY($1) AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'parallel worker') \
             AND NOT own.rolsuper AND (t.rolsuper \
             OR NOT (pg_has_role(t.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))) \
             ORDER BY 1, 2, 3",
            &[&databases],
        )
        .await?;
    let shown = |row: &tokio_postgres::Row| {
        Ok(Obstacle {
            database: session.column(row, 0)?,
            kind: session.column(row, 1)?,
            name: session.column(row, 2)?,
        })
    };
    rows.iter().map(shown).collect()
}

/// The tables in which a job that was taken is noted: Solid Queue's own, and its short form in older releases.
const CLAIMED: [(&str, &str); 2] =
    [("solid_queue_claimed_executions", "process_id"), ("solid_queue_claimed", "process")];

pub(super) async fn jobs(session: &Session, until: Option<i64>, limit: usize) -> Result<Jobs, Failure> {
    let there = async |table: &str| {
        let row = session.row(&format!("SELECT to_regclass('{table}') IS NOT NULL")).await?;
        session.column::<bool>(&row, 0)
    };
    if !there("solid_queue_jobs").await? {
        return Ok(Jobs::default());
    }
    let mut claims = "SELECT NULL::int8 AS job_id, NULL::text AS who WHERE false".to_owned();
    for (table, who) in CLAIMED {
        if there(table).await? {
            claims = format!("SELECT job_id, {who}::text AS who FROM {table}");
            break;
        }
    }
    let until = until.map(|until| format!(" AND j.id <= {until}")).unwrap_or_default();
    let open = format!(
        "FROM solid_queue_jobs j LEFT JOIN ({claims}) c ON c.job_id = j.id WHERE j.finished_at IS NULL{until}"
    );
    let counted = format!("SELECT count(*), count(c.job_id), coalesce(max(j.id), 0)::int8 {open}");
    let row = session.row(&counted).await?;
    let (waiting, claimed): (i64, i64) = (session.column(&row, 0)?, session.column(&row, 1)?);
    let newest = session.column(&row, 2)?;
    let oldest = format!(
        "SELECT j.id, j.class_name::text, c.who {open} ORDER BY c.job_id IS NULL, j.id LIMIT {limit}"
    );
    let job = |row: &tokio_postgres::Row| {
        Ok(Job {
            id: session.column(row, 0)?,
            class: session.column(row, 1)?,
            claimed_by: session.column(row, 2)?,
        })
    };
    let oldest = session.rows(&oldest, &[]).await?.iter().map(job).collect::<Result<_, Failure>>()?;
    Ok(Jobs { waiting: waiting.unsigned_abs(), claimed: claimed.unsigned_abs(), newest, oldest })
}
