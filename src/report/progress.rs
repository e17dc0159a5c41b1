use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::words::{millis_between, minute, size, span};
use crate::event::{Progress, Unit};

/// The newest progress, and where it was when this thing began to move.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) progress: Progress,
    pub(super) first: (Timestamp, u64),
    /// When it was told.
    pub(super) at: Timestamp,
}

/// A rate is none before this, in milliseconds.
const RATED: u64 = 1_000;
/// Nor does it say for how long yet.
const FORESEEN: u64 = 10_000;

/// How far something has come, and until when it may go on: `dump of ...: 120.0 MiB of 412.0 MiB, 24.0 MiB per second, at
/// this rate 12 s more, until 03:15 UTC`.
pub(super) fn in_words(seen: &Seen, now: Timestamp) -> String {
    let progress = &seen.progress;
    let amount = match progress.unit {
        Unit::Bytes => size,
        Unit::Milliseconds => span,
        Unit::Items => |n: u64| n.to_string(),
    };
    let mut text = match (progress.unit, progress.total) {
        // How long a wait without an end has lasted stands at the end of its line.
        (Unit::Milliseconds, None) => return progress.what.clone(),
        (_, Some(total)) => format!("{}: {} of {}", progress.what, amount(progress.done), amount(total)),
        (_, None) => format!("{}: {}", progress.what, amount(progress.done)),
    };
    let (since, from) = seen.first;
    let passed = millis_between(since, seen.at);
    if progress.unit == Unit::Milliseconds || passed < RATED || progress.done <= from {
        return text;
    }
    let moved = progress.done - from;
    if progress.unit == Unit::Bytes {
        let _ = write!(text, ", {} per second", size(scaled(moved, 1000, passed)));
    }
    let rest = progress.total.map_or(0, |total| total.saturating_sub(progress.done));
    if passed >= FORESEEN && rest > 0 {
        let rest = scaled(passed, rest, moved);
        let until = seen.at.checked_add(SignedDuration::from_millis(i64::try_from(rest).unwrap_or(i64::MAX)));
        let until = until.map(|until| format!(", until {}", minute(until, now))).unwrap_or_default();
        let _ = write!(text, ", at this rate {} more{until}", span(rest));
    }
    text
}

/// `value * by / per`, which may be more than a number holds in between.
fn scaled(value: u64, by: u64, per: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(by) / u128::from(per.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_for_hours_says_until_when_at_its_rate() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let gib = 1_u64 << 30;
        let mut seen = Seen {
            progress: Progress {
                what: "dump of `a`".to_owned(),
                done: 100 * gib,
                total: Some(900 * gib),
                unit: Unit::Bytes,
            },
            first: (at("2026-11-24T20:00:00Z"), 0),
            at: at("2026-11-24T21:00:00Z"),
        };
        let now = at("2026-11-24T21:00:05Z");
        assert_eq!(
            in_words(&seen, now),
            "dump of `a`: 100.0 GiB of 900.0 GiB, 28.4 MiB per second, at this rate 8 h 0 min more, until \
             2026-11-25 05:00 UTC"
        );
        seen.progress.total = None;
        assert_eq!(in_words(&seen, now), "dump of `a`: 100.0 GiB, 28.4 MiB per second", "no end is known");
        seen.progress = Progress { what: "tables".to_owned(), done: 30, total: Some(40), unit: Unit::Items };
        assert_eq!(in_words(&seen, now), "tables: 30 of 40, at this rate 20 min 0 s more, until 21:20 UTC");
    }
}
