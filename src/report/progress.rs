use std::fmt::Write as _;

use jiff::Timestamp;

use super::{
    live::Seen,
    words::{millis_between, size, span},
};
use crate::event::Unit;

/// How far something has come: `dump of ...: 120.0 MiB of 412.0 MiB, 24.0 MiB per second`.
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
    let passed = millis_between(since, now);
    if progress.unit == Unit::Bytes && passed >= 1000 && progress.done > from {
        let rate = (progress.done - from).saturating_mul(1000) / passed;
        let _ = write!(text, ", {} per second", size(rate));
    }
    text
}
