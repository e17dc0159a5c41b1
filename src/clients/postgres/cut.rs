//! One moment for several databases of a server: sessions whose snapshots see the very same committed transactions.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::{PostgresClient, session::Session};
use crate::{event::Failure, site::Endpoint};

/// Tries until all snapshots are equal. Under 800 unthrottled writes a second the worst of ten cuts took 55.
const TRIES: u32 = 2000;
/// And no longer than this: each try holds a transaction open.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another moment has to be found.
pub(super) const REWRITTEN: &str = "table_rewritten";

/// Sessions that stand at one moment, one per database. While they are open, so does their moment.
pub(super) struct Cut {
    /// In the order of the databases.
    pub(super) sessions: Vec<Pinned>,
    /// What all of them see, as the server writes it.
    pub(super) snapshot: String,
    pub(super) tries: u32,
    pub(super) wal_lsn: String,
}

/// One session with the name under which others may see what it sees.
pub(super) struct Pinned {
    pub(super) session: Session,
    pub(super) exported: String,
}

impl Cut {
    pub(super) async fn make(
        client: &PostgresClient,
        endpoint: &Endpoint,
        databases: &[String],
    ) -> Result<Self, Failure> {
        let opened = databases.iter().map(|database| client.connect(endpoint, database));
        let sessions = try_join_all(opened).await?;
        try_join_all(sessions.iter().map(prepare)).await?;
        let found = tokio::time::timeout(PATIENCE, equal(&sessions)).await;
        let (exported, snapshot, tries) = match found {
            Ok(Ok(found)) => found,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Err(never_equal()),
        };
        let wal_lsn = match sessions.first() {
            Some(first) => wal_lsn(first).await?,
            None => String::new(),
        };
        let pinned = sessions.into_iter().zip(exported);
        let sessions = pinned.map(|(session, exported)| Pinned { session, exported }).collect();
        Ok(Self { sessions, snapshot, tries, wal_lsn })
    }

    /// Gives the moment free.
    pub(super) async fn close(self) {
        join_all(self.sessions.into_iter().map(|pinned| pinned.session.close())).await;
    }
}

impl Pinned {
    /// Whoever stands at an earlier moment finds a table empty that was truncated or written anew since: the dump has
    /// none of its rows then, and a count agrees. What this session has counted before, it has locked as well, so
    /// nothing of that happens afterwards.
    pub(super) async fn is_whole(&self, database: &str) -> Result<(), Failure> {
        // A query sees the tables as they were at the moment, the function as they are.
        let moved = "SELECT format('%I.%I', n.nspname, c.relname) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
             AND n.nspname <> 'information_schema' \
             AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode ORDER BY 1 LIMIT 1";
        let found = self.session.rows(moved, &[]).await?;
        let Some(table) = found.first() else { return Ok(()) };
        let table: String = self.session.column(table, 0)?;
        let text = format!(
            "the table {table} of `{database}` was emptied or written anew while it was dumped: its rows of that \
             moment are not there any more"
        );
        Err(Failure::new(REWRITTEN, text)
            .hint("let the migration or `TRUNCATE` that is at work end, and type the command again")
            .retryable())
    }
}

/// A server may be set to end sessions that wait, or that ask for long: these wait for as long as a dump takes.
async fn prepare(session: &Session) -> Result<(), Failure> {
    session
        .simple(
            "SELECT set_config(name, CASE name WHEN 'lock_timeout' THEN '60s' ELSE '0' END, false) \
             FROM pg_catalog.pg_settings WHERE name IN ('lock_timeout', 'statement_timeout', \
             'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout')",
        )
        .await
        .map(|_| ())
}

/// Begins everywhere at once until what is seen is equal everywhere.
async fn equal(sessions: &[Session]) -> Result<(Vec<String>, String, u32), Failure> {
    for tries in 1..=TRIES {
        let begun = sessions.iter().map(|session| {
            session.simple(
                // The older name of `pg_current_snapshot`, with the same text: every server knows it.
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                 SELECT pg_export_snapshot(), txid_current_snapshot()::text",
            )
        });
        let seen: Vec<(String, String)> = try_join_all(begun).await?.into_iter().filter_map(pair).collect();
        let (exported, texts): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
        let first = texts.first().cloned().unwrap_or_default();
        if exported.len() == sessions.len() && texts.iter().all(|text| *text == first) {
            return Ok((exported, first, tries));
        }
        try_join_all(sessions.iter().map(|session| session.simple("ROLLBACK"))).await?;
    }
    Err(never_equal())
}

fn pair(columns: Vec<String>) -> Option<(String, String)> {
    let mut columns = columns.into_iter();
    Some((columns.next()?, columns.next()?))
}

fn never_equal() -> Failure {
    let text = "the databases are written to so fast that no common moment could be caught";
    Failure::new("no_common_cut", text)
        .hint("try again at a quieter hour, or stop web and the worker first, not the database")
        .retryable()
}

async fn wal_lsn(session: &Session) -> Result<String, Failure> {
    let row = session
        .row(
            "SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn()::text, '') \
             ELSE pg_current_wal_lsn()::text END",
        )
        .await?;
    session.column(&row, 0)
}
