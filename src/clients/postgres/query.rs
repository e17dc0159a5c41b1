use super::{PostgresClient, session::Session};
use crate::{
    event::Failure,
    ports::postgres::{Query, Rows},
};

/// Asks, in a transaction that may only read, and that is never committed.
pub(super) async fn ask(client: &PostgresClient, request: &Query) -> Result<Rows, Failure> {
    let session = client.connect(&request.endpoint, &request.database).await?;
    let answer = within(&session, request).await;
    session.close().await;
    answer
}

async fn within(session: &Session, request: &Query) -> Result<Rows, Failure> {
    let millis = request.timeout.as_millis().max(1);
    let begin = format!(
        "BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = {millis}; SET LOCAL lock_timeout = {millis}"
    );
    session.simple(&begin).await?;
    // What stands in brackets is a question and nothing else; a prepared statement holds one statement only. The line's end
    // closes a comment.
    let asked = format!(
        "SELECT pg_catalog.row_to_json(asked)::text FROM (\n{}\n) AS asked LIMIT {}",
        request.sql,
        request.limit + 1
    );
    let found = session.rows(&asked, &[]).await;
    let rows = found.map_err(|failure| refused(request, failure))?;
    let mut values = Vec::with_capacity(rows.len());
    for row in &rows {
        let text: String = session.column(row, 0)?;
        values.push(serde_json::from_str(&text).map_err(|error| {
            Failure::inside("query_failed", format!("the server's answer cannot be read: {error}"))
        })?);
    }
    let more = values.len() > request.limit;
    values.truncate(request.limit);
    session.simple("ROLLBACK").await?;
    Ok(Rows { rows: values, more })
}

fn refused(request: &Query, failure: Failure) -> Failure {
    if failure.code == "database_unreachable" {
        return failure;
    }
    let text = format!("`{}` is not answered by `{}`", request.sql.trim(), request.database);
    Failure { retryable: failure.retryable, ..Failure::new("query_failed", text) }
        .hint("mend it: it is one `SELECT` that changes nothing; `psql` tells more")
        .evidence([failure.message])
}
