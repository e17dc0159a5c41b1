//! What was written after a moment, counted.

use super::{count, session::Session};
use crate::{event::Failure, ports::postgres::TableRows};

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
pub(super) async fn written(session: &Session, snapshot: &str) -> Result<Vec<TableRows>, Failure> {
    let moment = moment(snapshot).ok_or_else(|| {
        Failure::new("bad_snapshot", format!("`{snapshot}` is no moment that this server could have given"))
    })?;
    session.simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let row =
        session.row("SELECT txid_snapshot_xmax(txid_current_snapshot()), age('3'::xid)::int8 + 3").await?;
    let (seen, low): (i64, i64) = (session.column(&row, 0)?, session.column(&row, 1)?);
    let next = with_epoch(seen.unsigned_abs(), low);
    if moment.next > next {
        let text = "the moment lies in the future of this server: it is of another one";
        return Err(Failure::new("other_server", text));
    }
    let behind = i64::try_from(next - moment.next).unwrap_or(i64::MAX);
    let running: Vec<_> = moment.running.iter().map(|xid| (xid & 0xffff_ffff).to_string()).collect();
    let running = if running.is_empty() { "NULL".to_owned() } else { running.join(", ") };
    let newer = format!(
        "WHERE (age(xmin) BETWEEN 0 AND {behind} OR (age(xmin) >= 0 AND xmin::text::int8 IN ({running})))"
    );
    let written = count::tables(session, &newer).await?;
    session.simple("COMMIT").await?;
    Ok(written.into_iter().filter(|table| table.rows > 0).collect())
}

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
