use std::{
    fmt,
    sync::{Arc, RwLock},
};

use base64::{Engine as _, engine::general_purpose};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A value that must never be seen: no `Display`, no serialisation, and a `Debug` that says only that it is there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Every caller is a place to review: it may go to a socket, a 0600 file or a child's
    /// environment, and nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Takes known secrets out of text, as the last line of defence on every output, log, journal and report.
///
/// Finds a value as it is, in base64 (both alphabets, at any offset that base64 can have inside a longer text)
/// and URL-encoded. Values shorter than [`Scrubber::SHORTEST`] bytes are left alone: replacing every `1` in a
/// screen would make it lie.
#[derive(Clone, Default)]
pub struct Scrubber {
    needles: Arc<RwLock<Vec<String>>>,
}

impl Scrubber {
    /// Bytes below which a value is not searched for.
    pub const SHORTEST: usize = 6;
    const MASK: &'static str = "[secret]";

    /// From now on `secret` is taken out, wherever this scrubber or a clone of it stands.
    pub fn learn(&self, secret: &Secret) {
        let raw = secret.reveal().trim();
        if raw.len() < Self::SHORTEST {
            return;
        }
        let mut needles = self.needles.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for form in Self::forms(raw) {
            if !needles.contains(&form) {
                needles.push(form);
            }
        }
        // Longest first: a value that contains another must go as a whole.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// `text` without any known secret.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let needles = self.needles.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut clean = text.to_owned();
        for needle in needles.iter() {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), Self::MASK);
            }
        }
        clean
    }

    /// The same of a text that was cut off somewhere: also where it ends in the beginning of a secret.
    #[must_use]
    pub fn scrub_cut(&self, text: &str) -> String {
        let mut clean = self.scrub(text);
        let needles = self.needles.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let begun = |needle: &String| {
            let ends = needle.char_indices().map(|(at, _)| at).skip(1);
            ends.filter(|end| clean.ends_with(&needle[..*end])).max()
        };
        if let Some(longest) = needles.iter().filter_map(begun).max() {
            clean.truncate(clean.len() - longest);
            clean.push_str(Self::MASK);
        }
        clean
    }

    /// `value` with every string in it scrubbed, keys included.
    #[must_use]
    pub fn scrub_json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.scrub(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.scrub_json(item)).collect()),
            Value::Object(map) => Value::Object(
                map.iter().map(|(key, item)| (self.scrub(key), self.scrub_json(item))).collect(),
            ),
            other => other.clone(),
        }
    }

    fn forms(raw: &str) -> Vec<String> {
        let mut forms = vec![raw.to_owned()];
        for set in [NON_ALPHANUMERIC, UNRESERVED, COMPONENT] {
            let url = utf8_percent_encode(raw, set).to_string();
            forms.push(url.replace("%20", "+"));
            forms.push(url);
        }
        // JSON and shell quoting change how a value with quotes or backslashes looks.
        if let Ok(quoted) = serde_json::to_string(raw) {
            forms.push(quoted[1..quoted.len() - 1].to_owned());
        }
        forms.push(raw.replace('\'', r"'\''"));
        forms.push(raw.replace('$', "$$"));
        for engine in [&general_purpose::STANDARD_NO_PAD, &general_purpose::URL_SAFE_NO_PAD] {
            for offset in 0..3_usize {
                let mut bytes = vec![0_u8; offset];
                bytes.extend_from_slice(raw.as_bytes());
                let text = engine.encode(&bytes);
                // The characters at both ends also hold bits of the neighbours: only those between are certain.
                let first = (offset * 8).div_ceil(6);
                let last = (bytes.len() * 8) / 6;
                if last > first + Self::SHORTEST {
                    forms.push(text[first..last].to_owned());
                }
            }
        }
        forms.retain(|form| form.len() >= Self::SHORTEST);
        forms
    }
}

/// What RFC 3986 encodes in a part of a URL, and what browsers do. Whoever wrote the URL chose the encoder.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "pa'ss w$rd#\"1";

    #[test]
    fn a_secret_is_taken_out_in_every_form() {
        let scrubber = Scrubber::default();
        scrubber.learn(&Secret::new(CANARY));
        let url: String = utf8_percent_encode(CANARY, NON_ALPHANUMERIC).to_string();
        for prefix in ["", "a", "ab", "user:"] {
            let encoded = general_purpose::STANDARD.encode(format!("{prefix}{CANARY}:after"));
            let clean = scrubber.scrub(&format!("x {encoded} y"));
            assert!(clean.contains("[secret]"), "{prefix}: {clean}");
        }
        for text in [CANARY.to_owned(), url, serde_json::to_string(CANARY).unwrap()] {
            assert!(scrubber.scrub(&text).contains("[secret]"), "{text}");
        }
    }

    #[test]
    fn of_a_text_that_was_cut_no_half_of_a_secret_is_left() {
        let scrubber = Scrubber::default();
        scrubber.learn(&Secret::new("hunter-of-the-snark"));
        assert_eq!(scrubber.scrub_cut("it is hunter-of"), "it is [secret]");
        assert_eq!(scrubber.scrub_cut("it is hunter-of-the-snark"), "it is [secret]");
        assert_eq!(scrubber.scrub_cut("it is a hound"), "it is a hound");
    }

    #[test]
    fn a_secret_is_taken_out_however_its_url_was_encoded() {
        let scrubber = Scrubber::default();
        scrubber.learn(&Secret::new("p@ss-w rd's"));
        for text in ["p%40ss%2Dw%20rd%27s", "p%40ss-w%20rd%27s", "p%40ss-w%20rd's", "p%40ss-w+rd%27s"] {
            assert_eq!(scrubber.scrub(&format!("://u:{text}@db")), "://u:[secret]@db", "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_it() {
        assert_eq!(format!("{:?}", Secret::new(CANARY)), "Secret(..)");
    }
}
