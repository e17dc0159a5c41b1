use jiff::Timestamp;

/// `0.8 s`, `12 s`, `3 min 5 s`, `2 h 10 min`.
#[must_use]
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A point in time as people are told it, in UTC and to the second: `2026-11-24 03:15:00 UTC`.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The same, of a time that is stored as RFC 3339; as it is, where it is none.
#[must_use]
pub fn moment_of(stored: &str) -> String {
    stored.parse().map_or_else(|_| stored.to_owned(), moment)
}
