use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

/// A minisign public key, in the form in which it is published: `RW...`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicKey(String);

/// What the bytes of a key are: two of the algorithm, eight of the id, thirty-two of the key itself.
const LENGTH: usize = 42;

impl PublicKey {
    /// `None` if this is no such key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        (bytes.len() == LENGTH && bytes.starts_with(b"Ed")).then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As `minisign` names it: up to 16 hex digits.
    #[must_use]
    pub fn id(&self) -> String {
        let bytes = STANDARD.decode(&self.0).unwrap_or_default();
        bytes.get(2..10).and_then(key_id).unwrap_or_default()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The eight bytes of a key's id, as `minisign` shows them; `None` if there are more or fewer.
#[must_use]
pub fn key_id(bytes: &[u8]) -> Option<String> {
    Some(format!("{:X}", u64::from_le_bytes(bytes.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_form_and_named_by_its_id() {
        // The key of minisign's own releases; its page names this id.
        let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        assert_eq!(key.id(), "E7620F1842B4E81F");
        for wrong in ["", "RWQf6LRC", "not a key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_eq!(PublicKey::parse(wrong), None, "{wrong}");
        }
    }
}
