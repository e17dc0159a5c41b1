//! Databases that uplift makes: copies, what they must be given, and their end.

use std::time::Duration;

use super::{
    PostgresClient,
    admin::{ident, literal, may_not},
    equip,
    failed::IN_USE,
    moves::{self, maker_of},
    session::Session,
};
use crate::{
    event::Failure,
    ports::postgres::{CopyDatabase, DatabaseFacts, DropDatabase, Equip, Kept, KeptDatabase, Mark},
    site::Endpoint,
};

/// How long those who are in a database have to leave it before it is dropped.
const LEAVING: Duration = Duration::from_secs(10);

pub(super) async fn kept(
    client: &PostgresClient,
    endpoint: &Endpoint,
    databases: &[String],
) -> Result<Vec<KeptDatabase>, Failure> {
    let session = client.maintain(endpoint).await?;
    let found = all_kept(&session).await;
    session.close().await;
    let of_these = |one: &KeptDatabase| match &one.mark {
        Some(mark) => databases.contains(&mark.of),
        None => databases.iter().any(|name| one.name.starts_with(&format!("{name}__"))),
    };
    Ok(found?.into_iter().filter(of_these).collect())
}

async fn all_kept(session: &Session) -> Result<Vec<KeptDatabase>, Failure> {
    let rows = session
        .rows(
            "SELECT d.datname::text, pg_get_userbyid(d.datdba)::text, d.oid, \
             CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) ELSE 0 END, \
             shobj_description(d.oid, 'pg_database') FROM pg_catalog.pg_database d ORDER BY 1",
            &[],
        )
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        let name: String = session.column(row, 0)?;
        if Kept::of_name(&name).is_none() {
            continue;
        }
        let (size, comment): (i64, Option<String>) = (session.column(row, 3)?, session.column(row, 4)?);
        found.push(KeptDatabase {
            name,
            owner: session.column(row, 1)?,
            oid: session.column(row, 2)?,
            size: size.unsigned_abs(),
            mark: comment.as_deref().and_then(Mark::read),
        });
    }
    Ok(found)
}

pub(super) async fn one_kept(session: &Session, name: &str) -> Result<Option<KeptDatabase>, Failure> {
    Ok(all_kept(session).await?.into_iter().find(|one| one.name == name))
}

pub(super) async fn copy(client: &PostgresClient, request: &CopyDatabase) -> Result<(), Failure> {
    let session = client.maintain(&request.endpoint).await?;
    let done = copied(&session, request).await;
    session.close().await;
    done.map_err(|failure| may_not(failure, &request.endpoint.user))
}

/// Lets the session be known as the one that makes this database.
pub(super) async fn makes(session: &Session, name: &str) -> Result<(), Failure> {
    session.simple(&format!("SET application_name = {}", literal(&maker_of(name)))).await.map(|_| ())
}

async fn copied(session: &Session, request: &CopyDatabase) -> Result<(), Failure> {
    let is_ours = |one: &KeptDatabase| {
        one.mark.as_ref().is_some_and(|mark| mark.run == request.mark.run && mark.kind == request.mark.kind)
    };
    match one_kept(session, &request.to).await? {
        // The mark is the last thing that a copy gets.
        Some(there) if is_ours(&there) => return Ok(()),
        // Made, and killed before it was marked: nobody knows whether it is whole.
        Some(there) if there.mark.is_none() => drop_it(session, &there.name).await?,
        Some(_) => return Err(taken(&request.to)),
        None => {}
    }
    let strategy = if version(session).await? >= 150_000 { " STRATEGY file_copy" } else { "" };
    // Closed from the start: what comes back must be what was copied.
    let statement = format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE {}{strategy} ALLOW_CONNECTIONS false",
        ident(&request.to),
        ident(&request.from.owner),
        ident(&request.from.name)
    );
    makes(session, &request.to).await?;
    session.simple(&statement).await.map_err(|failure| in_use(failure, &request.from))?;
    equip::give(session, &request.to, &request.from, Some(&request.mark.comment())).await
}

pub(super) fn taken(name: &str) -> Failure {
    Failure::new("name_taken", format!("there is already a database `{name}`, and it is not this run's"))
        .hint("look at it with `psql -l+`, and rename it if it is needed")
}

fn in_use(failure: Failure, from: &DatabaseFacts) -> Failure {
    if failure.code != IN_USE {
        return failure;
    }
    Failure::new("sessions_remain", format!("`{}` cannot be copied: somebody is in it", from.name))
        .hint("end these sessions, then type the command again")
        .evidence([failure.message])
        .retryable()
}

async fn version(session: &Session) -> Result<i32, Failure> {
    let row = session.row("SELECT current_setting('server_version_num')::int4").await?;
    session.column(&row, 0)
}

pub(super) async fn equip(client: &PostgresClient, request: &Equip) -> Result<(), Failure> {
    let session = client.maintain(&request.endpoint).await?;
    let comment = request.mark.as_ref().map(Mark::comment);
    let done = equip::give(&session, &request.database, &request.facts, comment.as_deref()).await;
    session.close().await;
    done.map_err(|failure| may_not(failure, &request.endpoint.user))
}

pub(super) async fn drop_database(client: &PostgresClient, request: &DropDatabase) -> Result<(), Failure> {
    let session = client.maintain(&request.endpoint).await?;
    let done = async {
        let Some(there) = one_kept(&session, &request.name).await? else {
            // A name that is not of ours is never dropped, also when it is gone.
            return if Kept::of_name(&request.name).is_some() {
                Ok(())
            } else {
                Err(not_ours(&request.name))
            };
        };
        if there.mark.is_none() || (request.oid != 0 && there.oid != request.oid) {
            return Err(not_ours(&request.name));
        }
        drop_it(&session, &request.name).await
    };
    let done = done.await;
    session.close().await;
    done.map_err(|failure| may_not(failure, &request.endpoint.user))
}

fn not_ours(name: &str) -> Failure {
    Failure::new("not_ours", format!("`{name}` is not a database that uplift has made; it stays"))
        .hint(format!("if it is not needed: `DROP DATABASE {}`", ident(name)))
}

pub(super) async fn drop_it(session: &Session, name: &str) -> Result<(), Failure> {
    session.simple(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", ident(name))).await?;
    // Whatever the server does there by itself, its vacuum above all, gives way to the drop; only a superuser may end it.
    moves::ended(session, &[name.to_owned()], LEAVING).await?;
    session.simple(&format!("DROP DATABASE {}", ident(name))).await.map(|_| ())
}
