//! How amounts, times and lists are written, so that every screen has one voice.

use jiff::Timestamp;

/// The time from `start` to `end`, in words.
#[must_use]
pub fn between(start: Timestamp, end: Timestamp) -> String {
    span(millis_between(start, end))
}

pub(super) fn millis_between(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.duration_since(start).as_millis()).unwrap_or(0)
}

/// `412.0 MiB`.
#[must_use]
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

pub use crate::event::{moment as time, span};

/// The hour alone, for what happened tonight.
pub(super) fn hour(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// The minute alone, with its day where that is another than `now`'s.
pub(super) fn minute(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let format = if day(at) == day(now) { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.strftime(format).to_string()
}

/// The run's name is not known before it begins.
pub(super) fn named(text: &str) -> String {
    let before = [
        "uplift-restore-",
        "backups/",
        "backups/.uploads-",
        "kept/",
        "-trial-",
        "-task-",
        "__pre_",
        "__failed_",
        "__restore_",
    ];
    before
        .iter()
        .fold(text.to_owned(), |text, begin| text.replace(&format!("{begin}plan"), &format!("{begin}RUN")))
}

/// `1 change`, `2 changes`.
pub(super) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The step that an address belongs to: `switch web` of `switch web/compose_up#1`.
pub(super) fn step_of(address: &str) -> &str {
    address.rsplit_once('/').map_or("", |(path, _)| path)
}

/// `text` in lines of at most `width` characters, broken between words. A word that is longer stays whole, so that
/// it can be copied.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let hang = if paragraph.starts_with("- ") { "  " } else { "" };
        for word in paragraph.split_whitespace() {
            let length = line.chars().count() + 1 + word.chars().count();
            let begun = !line.trim_start().is_empty();
            if begun && length > width {
                lines.push(std::mem::replace(&mut line, hang.to_owned()));
            } else if begun {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_at_a_glance() {
        let spans = [0, 850, 9_999, 10_000, 59_999, 60_000, 185_000, 7_800_000, 90_000_000].map(span);
        let words =
            ["0.0 s", "0.8 s", "9.9 s", "10 s", "59 s", "1 min 0 s", "3 min 5 s", "2 h 10 min", "1 d 1 h"];
        assert_eq!(spans, words);
    }

    #[test]
    fn long_words_stay_whole() {
        let path = "/srv/strata/.uplift/backups/20261124-031500-7f3a";
        assert_eq!(wrapped(&format!("back up to {path} now"), 20), ["back up to", path, "now"]);
    }
}
