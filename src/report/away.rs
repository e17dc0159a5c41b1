use super::words::{hour, millis_between, span};
use crate::run::Away;

/// One service's time away.
pub(super) fn in_words(away: &Away) -> String {
    let again = if away.again { "again " } else { "" };
    match away.until {
        Some(until) => {
            let most = if away.at_most { "up to " } else { "" };
            format!("`{}` {again}{most}{}", away.service, span(millis_between(away.from, until)))
        }
        None if away.in_doubt => {
            format!("`{}` {again}since {}, if it was stopped", away.service, hour(away.from))
        }
        None => format!("`{}` {again}since {}", away.service, hour(away.from)),
    }
}
