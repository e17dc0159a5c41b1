use jiff::Timestamp;

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
