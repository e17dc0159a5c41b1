//! The site's lock in the maintenance database. Not in one of the product's: a session there would keep it from
//! being copied and renamed, and after a change of names the lock would be in the wrong one.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{
    PostgresClient,
    admin::{MAINTENANCE, literal, not_let_in},
    pooler,
    session::Session,
};
use crate::{
    event::Failure,
    ports::postgres::{LockSite, SiteLock},
    site::Endpoint,
};

/// How long a session that holds a lock may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(10);

/// The first eight bytes of a hash, the same for ever and on every machine: two of different versions must meet.
fn key(primary: &str) -> i64 {
    let hash = blake3::hash(format!("uplift/lock/1:{primary}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_be_bytes(bytes)
}

pub(super) async fn take(client: &PostgresClient, request: &LockSite) -> Result<Box<dyn SiteLock>, Failure> {
    // As the product's own user where it may: that needs no other rights.
    let session = open(client, &request.endpoint).await?;
    let pid = pooler::own_pid(&session).await?;
    let second = open(client, &request.endpoint).await?;
    let pooled = pooler::shares(&second, pid).await;
    second.close().await;
    if pooled? {
        return Err(pooler::refused(&request.endpoint));
    }
    // PostgreSQL cuts names at 63 bytes, in the middle of a letter if need be.
    let holder: String = request.holder.chars().filter(char::is_ascii).take(63).collect();
    session.simple(&format!("SET application_name = {}", literal(&holder))).await?;
    // A holder whose machine is gone must not keep the others out for hours, as the network's own patience would.
    let _not_here = session
        .simple(
            "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 4",
        )
        .await;
    // Servers before 14 have no such limit.
    let _unknown = session.simple("SET idle_session_timeout = 0").await;
    let key = key(&request.primary);
    let row = session.row(&format!("SELECT pg_try_advisory_lock({key})")).await?;
    if session.column::<bool>(&row, 0)? {
        return Ok(Box::new(Held { session, key }));
    }
    let who = holder_of(&session, key).await;
    session.close().await;
    let who = who?.unwrap_or_else(|| "somebody whose name cannot be read".to_owned());
    let at = &request.endpoint;
    let text = format!("another run holds this site's databases on `{}:{}`: {who}", at.host, at.port);
    Err(Failure::new("site_held", text)
        .hint("wait for it to end; it may run on another host that uses the same databases"))
}

/// A session where the lock is.
pub(super) async fn open(client: &PostgresClient, endpoint: &Endpoint) -> Result<Session, Failure> {
    let mut opened = client.connect(endpoint, MAINTENANCE).await;
    let denied = opened.as_ref().is_err_and(|failure| failure.code == "database_denied");
    if denied && client.has_admin() {
        opened = client.maintain(endpoint).await;
    }
    opened.map_err(|failure| {
        if failure.code != "database_denied" && failure.code != "database_missing" {
            return failure;
        }
        not_let_in(&endpoint.user, failure)
    })
}

async fn holder_of(session: &Session, key: i64) -> Result<Option<String>, Failure> {
    // A key of 64 bits is shown in two halves.
    let rows = session
        .rows(
            "SELECT format('`%s`, process %s, from %s, since %s', a.application_name, a.pid, \
             coalesce(host(a.client_addr), 'the server''s own host'), \
             to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')) \
             FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.classid::int8 = ($1::int8 >> 32) & 4294967295 AND l.objid::int8 = $1::int8 & 4294967295",
            &[&key],
        )
        .await?;
    rows.first().map(|row| session.column(row, 0)).transpose()
}

struct Held {
    session: Session,
    key: i64,
}

#[async_trait]
impl SiteLock for Held {
    async fn is_held(&self) -> bool {
        let question = format!(
            "SELECT count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
             AND pid = pg_backend_pid() AND classid::int8 = ({0} >> 32) & 4294967295 AND objid::int8 = {0} & 4294967295",
            self.key
        );
        let answer = timeout(ANSWER, self.session.row(&question)).await;
        let Ok(Ok(row)) = answer else { return false };
        self.session.column::<i64>(&row, 0).is_ok_and(|held| held == 1)
    }
}
