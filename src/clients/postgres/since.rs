//! What was written after a moment, counted.

use std::collections::BTreeMap;

use super::session::Session;
use crate::{event::Failure, ports::postgres::WrittenRows};

/// `pg_current_snapshot()` under its older name, which every server knows.
pub(super) async fn snapshot(session: &Session) -> Result<String, Failure> {
    let row = session.row("SELECT txid_current_snapshot()::text").await?;
    session.column(&row, 0)
}

/// A snapshot as text: `xmin:xmax:xip,xip`, numbers with their epoch.
struct Moment {
    next: u64,
    running: Vec<u64>,
}

fn moment(text: &str) -> Option<Moment> {
    let mut parts = text.split(':');
    let (_, next, running) = (parts.next()?, parts.next()?, parts.next()?);
    let running = running.split(',').filter(|one| !one.is_empty()).map(str::parse);
    Some(Moment { next: next.parse().ok()?, running: running.collect::<Result<_, _>>().ok()? })
}

/// Rows whose transaction `snapshot` does not see, per table that has any.
///
/// A row carries the low 32 bits of its transaction's number. `age` tells how far that is behind the next one, which
/// is known with its epoch: so rows from before the last wrap are not taken for new ones. What a subtransaction of a
/// transaction that was at work at the moment wrote before it may be missed.
///
/// A row that was changed looks like one that was added. What tells them apart is the number that the table's own
/// sequence had come to: the product numbers its rows.
pub(super) async fn written(
    session: &Session,
    snapshot: &str,
    sequences: &BTreeMap<String, i64>,
) -> Result<Vec<WrittenRows>, Failure> {
    let moment = moment(snapshot).ok_or_else(|| {
        Failure::new("bad_snapshot", format!("`{snapshot}` is no moment that this server could have given"))
            .hint("take another set: `uplift backup list`")
    })?;
    session.simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let row =
        session.row("SELECT txid_snapshot_xmax(txid_current_snapshot()), age('3'::xid)::int8 + 3").await?;
    let (seen, low): (i64, i64) = (session.column(&row, 0)?, session.column(&row, 1)?);
    let next = with_epoch(seen.unsigned_abs(), low);
    if moment.next > next {
        let text = "the moment lies in the future of this server: it is of another one";
        return Err(
            Failure::new("other_server", text).hint("see whether `DB_HOST` names the server that you mean")
        );
    }
    let behind = i64::try_from(next - moment.next).unwrap_or(i64::MAX);
    let running: Vec<_> = moment.running.iter().map(|xid| (xid & 0xffff_ffff).to_string()).collect();
    let running = if running.is_empty() { "NULL".to_owned() } else { running.join(", ") };
    let newer =
        format!("age(xmin) BETWEEN 0 AND {behind} OR (age(xmin) >= 0 AND xmin::text::int8 IN ({running}))");
    let mut written = Vec::new();
    for table in session.rows(TABLES, &[]).await? {
        let (from, number): (String, Option<String>) =
            (session.column(&table, 2)?, session.column(&table, 3)?);
        let sequence: Option<String> = session.column(&table, 4)?;
        let last = sequence.map(|name| sequences.get(&name).copied().unwrap_or(0));
        let known = number.zip(last).filter(|_| !sequences.is_empty());
        let is_new = known.as_ref().map_or("false".to_owned(), |(number, last)| format!("{number} > {last}"));
        let counted = format!("SELECT count(*), count(*) FILTER (WHERE {is_new}) {from} WHERE {newer}");
        let counted = session.row(&counted).await?;
        let (rows, added): (i64, i64) = (session.column(&counted, 0)?, session.column(&counted, 1)?);
        if rows > 0 {
            written.push(WrittenRows {
                schema: session.column(&table, 0)?,
                name: session.column(&table, 1)?,
                rows: rows.unsigned_abs(),
                added: known.map(|_| added.unsigned_abs()),
            });
        }
    }
    session.simple("COMMIT").await?;
    Ok(written)
}

/// Tables with the column that numbers their rows, where that is the whole primary key and has a sequence of its own.
const TABLES: &str = "SELECT n.nspname::text, c.relname::text, format('FROM ONLY %I.%I', n.nspname, c.relname), \
    k.number, k.sequence \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN LATERAL (SELECT format('%I', a.attname) AS number, m.nspname::text || '.' || s.relname::text AS sequence \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] \
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid \
    AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') \
    JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
    JOIN pg_catalog.pg_namespace m ON m.oid = s.relnamespace \
    WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1 LIMIT 1) k ON true \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
    AND n.nspname <> 'information_schema' \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass \
    AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2";

/// The first number from `seen` on whose low 32 bits are `low`.
fn with_epoch(seen: u64, low: i64) -> u64 {
    let low = low.rem_euclid(1 << 32).unsigned_abs();
    let next = (seen & !0xffff_ffff) | low;
    if next < seen { next + (1 << 32) } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let read = moment("730:745:731,740").unwrap();
        assert_eq!((read.next, read.running), (745, vec![731, 740]));
        assert_eq!(moment("730:745:").unwrap().running, Vec::<u64>::new());
        assert!(moment("planned").is_none());
    }

    #[test]
    fn the_epoch_is_found_again() {
        assert_eq!(with_epoch(745, 747), 747);
        assert_eq!(with_epoch((1 << 32) + 5, 7), (1 << 32) + 7);
        // The counter went round between the two looks.
        assert_eq!(with_epoch(0xffff_fffe, 3), (1 << 32) + 3);
    }
}
