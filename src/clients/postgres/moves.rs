//! Databases closed, emptied of sessions, and renamed: the moments in which they take each other's place.

use std::time::Duration;

use super::{
    PostgresClient,
    admin::{ident, may_not},
    facts::SOMEBODY,
    failed::IN_USE,
    session::Session,
};
use crate::{
    event::Failure,
    ports::postgres::{Admit, EndSessions, Renaming, Swap},
};

const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn admit(client: &PostgresClient, request: &Admit) -> Result<(), Failure> {
    let session = client.maintain(&request.endpoint).await?;
    let done = async {
        let there = "SELECT datname::text, datallowconn FROM pg_catalog.pg_database WHERE datname = ANY($1)";
        let found = session.rows(there, &[&request.databases]).await?;
        for row in &found {
            let (name, open): (String, bool) = (session.column(row, 0)?, session.column(row, 1)?);
            if open != request.open {
                let statement = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {}", ident(&name), request.open);
                let altered = session.simple(&statement).await;
                altered.map_err(|failure| may_not(failure, &request.endpoint.user))?;
            }
        }
        Ok(())
    };
    let done = done.await;
    session.close().await;
    done
}

/// The name of a session that makes a database. When its uplift is killed the server goes on with that: until then the
/// database cannot be seen, and is there a moment later.
pub(super) fn maker_of(name: &str) -> String {
    // As PostgreSQL cuts it.
    let mut maker = format!("uplift makes {name}");
    while maker.len() > 63 {
        maker.pop();
    }
    maker
}

/// Somebody who is in one of the databases or still makes it, in words.
async fn inside(session: &Session, databases: &[String]) -> Result<Vec<(i32, String)>, Failure> {
    let rows = session
        .rows(
            &format!("SELECT pid, format('process %s in `%s`: user `%s`, application `%s`, from %s', pid, datname, \
             coalesce(usename::text, '?'), coalesce(application_name, ''), \
             CASE WHEN backend_type IS NULL THEN 'an address that may not be seen' \
             ELSE coalesce(host(client_addr), 'the server''s own host') END) \
             FROM pg_catalog.pg_stat_activity WHERE (datname = ANY($1) OR application_name = ANY($2)) \
             AND {SOMEBODY} ORDER BY datname, pid"),
            &[&databases, &databases.iter().map(|name| maker_of(name)).collect::<Vec<_>>()],
        )
        .await?;
    rows.iter().map(|row| Ok((session.column(row, 0)?, session.column(row, 1)?))).collect()
}

pub(super) async fn end_sessions(client: &PostgresClient, request: &EndSessions) -> Result<u64, Failure> {
    let session = client.maintain(&request.endpoint).await?;
    let done = ended(&session, &request.databases, request.patience).await;
    session.close().await;
    done
}

/// Has everybody leave these databases; what the server does there by itself is left to it.
#[expect(
    clippy::disallowed_methods,
    reason = "a client has no clock, and the server is asked again and again"
)]
pub(super) async fn ended(
    session: &Session,
    databases: &[String],
    patience: Duration,
) -> Result<u64, Failure> {
    let mut waited = Duration::ZERO;
    let mut asked = std::collections::BTreeSet::new();
    let mut refused = None;
    loop {
        let left = inside(session, databases).await?;
        if left.is_empty() {
            return Ok(asked.len() as u64);
        }
        for (pid, _) in &left {
            let ended = session.simple(&format!("SELECT pg_terminate_backend({pid})")).await;
            asked.insert(*pid);
            refused = ended.err().or(refused);
        }
        if waited > patience {
            let who = left.into_iter().map(|(_, who)| who);
            let why = refused.map(|failure| failure.message);
            return Err(remain("the database is still in use by somebody who does not go", who.chain(why)));
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
}

fn remain(text: &str, who: impl IntoIterator<Item = String>) -> Failure {
    Failure::new("sessions_remain", text)
        .hint("end these sessions (stop the program behind them), then type the command again")
        .evidence(who)
        .retryable()
}

pub(super) async fn swap(client: &PostgresClient, request: &Swap) -> Result<(), Failure> {
    let session = client.maintain(&request.endpoint).await?;
    let done = renamed(&session, request).await;
    // Whatever was not committed is gone with the session.
    session.close().await;
    done
}

async fn renamed(session: &Session, request: &Swap) -> Result<(), Failure> {
    let oids: Vec<u32> = request.renames.iter().map(|one| one.oid).collect();
    session.simple("BEGIN").await?;
    let rows = session
        .rows("SELECT oid, datname::text FROM pg_catalog.pg_database WHERE oid = ANY($1)", &[&oids])
        .await?;
    let mut names = std::collections::BTreeMap::new();
    for row in &rows {
        names.insert(session.column::<u32>(row, 0)?, session.column::<String>(row, 1)?);
    }
    let called = |one: &Renaming, name: &str| names.get(&one.oid).is_some_and(|known| known == name);
    if request.renames.iter().all(|one| called(one, &one.to)) {
        return Ok(());
    }
    if let Some(wrong) = request.renames.iter().find(|one| !called(one, &one.from)) {
        let now = names.get(&wrong.oid).map_or("gone".to_owned(), |name| format!("called `{name}`"));
        let text = format!("the database that was `{}` is {now}", wrong.from);
        return Err(Failure::new("databases_moved", text)
            .hint("somebody else has renamed or dropped it: look with `psql -l` before anything else"));
    }
    let databases: Vec<_> = request.renames.iter().map(|one| one.from.clone()).collect();
    for one in &request.renames {
        let statement = format!("ALTER DATABASE {} RENAME TO {}", ident(&one.from), ident(&one.to));
        if let Err(failure) = session.simple(&statement).await {
            if failure.code != IN_USE {
                return Err(may_not(failure, &request.endpoint.user));
            }
            session.simple("ROLLBACK").await?;
            let who = inside(session, &databases).await?.into_iter().map(|(_, who)| who);
            return Err(remain(&format!("`{}` cannot be renamed: somebody is in it", one.from), who));
        }
    }
    session.simple("COMMIT").await.map(|_| ())
}
