use std::collections::BTreeMap;

use super::session::Session;
use crate::{event::Failure, ports::postgres::TableRows};

/// Rows of every table that a dump holds the data of, and the number of large objects, as this session sees them.
/// Extensions bring their own tables: those are not in a dump. Of tables in `left_out` it holds no data.
pub(super) async fn all(session: &Session, left_out: &[Table]) -> Result<(Vec<TableRows>, u64), Failure> {
    let mut rows = Vec::new();
    for table in tables(session).await?.into_iter().filter(|table| !left_out.contains(table)) {
        let count = number(session, &table.count).await?;
        rows.push(TableRows { schema: table.schema, name: table.name, rows: count });
    }
    let objects = number(session, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata").await?;
    Ok((rows, objects))
}

/// A table that a dump holds the data of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    /// The query that counts its rows.
    count: String,
}

/// All of them, as this session sees them.
pub(super) async fn tables(session: &Session) -> Result<Vec<Table>, Failure> {
    let tables = session
        .rows(
            "SELECT n.nspname::text, c.relname::text, format('SELECT count(*) FROM ONLY %I.%I', n.nspname, c.relname) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
             AND n.nspname <> 'information_schema' \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass \
             AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2",
            &[],
        )
        .await?;
    let table = |row| {
        Ok(Table {
            schema: session.column(row, 0)?,
            name: session.column(row, 1)?,
            count: session.column(row, 2)?,
        })
    };
    tables.iter().map(table).collect()
}

/// The last value that every sequence has given, by `schema.name`; those that have given none are left out. A sequence
/// belongs to no moment: it may be ahead of the rows, never behind them.
pub(super) async fn sequences(session: &Session) -> Result<BTreeMap<String, i64>, Failure> {
    let rows = session
        .rows(
            "SELECT schemaname::text || '.' || sequencename::text, last_value FROM pg_catalog.pg_sequences \
             WHERE last_value IS NOT NULL AND schemaname !~ '^pg_'",
            &[],
        )
        .await?;
    rows.iter().map(|row| Ok((session.column(row, 0)?, session.column(row, 1)?))).collect()
}

pub(super) async fn number(session: &Session, query: &str) -> Result<u64, Failure> {
    let row = session.row(query).await?;
    let number: i64 = session.column(&row, 0)?;
    Ok(u64::try_from(number).unwrap_or_default())
}
