//! Whether a connection pooler stands before the server. Behind one two sessions share one of the server's: a lock belongs
//! to whoever has that at the moment, and what a pooler keeps open cannot be moved.

use super::{PostgresClient, failed::pooled, session::Session};
use crate::{event::Failure, site::Endpoint};

/// What `PgBouncer` calls its own console, as a database.
const CONSOLE: &str = "pgbouncer";

/// Fails with `pooled` if a pooler answers for `database`.
pub(super) async fn none(
    client: &PostgresClient,
    endpoint: &Endpoint,
    database: &str,
) -> Result<(), Failure> {
    let session = client.connect(endpoint, database).await?;
    let pooled = asked(client, endpoint, (&session, database)).await;
    session.close().await;
    if pooled? { Err(refused(endpoint)) } else { Ok(()) }
}

async fn asked(
    client: &PostgresClient,
    endpoint: &Endpoint,
    (session, database): (&Session, &str),
) -> Result<bool, Failure> {
    let pid = own_pid(session).await?;
    let second = client.connect(endpoint, database).await?;
    let shared = shares(&second, pid).await;
    second.close().await;
    Ok(shared? || is_console(client, endpoint).await)
}

/// The same for a session that is there: whether `other` is given the very process that serves it.
pub(super) async fn shares(other: &Session, pid: i32) -> Result<bool, Failure> {
    let mut same = false;
    for _ in 0..3 {
        other.simple("BEGIN").await?;
        same |= own_pid(other).await? == pid;
        other.simple("ROLLBACK").await?;
    }
    Ok(same)
}

pub(super) async fn own_pid(session: &Session) -> Result<i32, Failure> {
    let row = session.row("SELECT pg_backend_pid()").await?;
    session.column(&row, 0)
}

/// A server knows no such database, or does not say. `PgBouncer` either shows its version or says in its own way that the
/// user may not look.
async fn is_console(client: &PostgresClient, endpoint: &Endpoint) -> bool {
    match client.connect(endpoint, CONSOLE).await {
        Ok(session) => {
            let shown = session.simple("SHOW VERSION").await.is_ok();
            session.close().await;
            shown
        }
        Err(failure) => failure.message.ends_with("not allowed"),
    }
}

pub(super) fn refused(endpoint: &Endpoint) -> Failure {
    pooled(&format!("{}:{}", endpoint.host, endpoint.port))
}
