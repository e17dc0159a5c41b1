//! One line of the index: what is at a path, and where its content lies.

use serde::{Deserialize, Serialize};

/// Seconds and nanoseconds.
pub(super) type Moment = (i64, u32);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// From the tree's folder on; empty for that folder itself.
    #[serde(with = "name")]
    pub(super) path: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Moment,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) xattrs: Vec<Attribute>,
    pub(super) is: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    File(Stored),
    Folder,
    Symlink {
        #[serde(with = "name")]
        to: Vec<u8>,
    },
    /// Another name of the file at `to`.
    Link {
        #[serde(with = "name")]
        to: Vec<u8>,
    },
}

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) bytes: u64,
    #[serde(with = "hex")]
    pub(super) blake3: blake3::Hash,
    pub(super) pack: u32,
    /// Where it begins in the pack's uncompressed stream.
    pub(super) at: u64,
    /// Offset and length of what is no hole; `None` if there is no hole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Vec<(u64, u64)>>,
    pub(super) seen: Seen,
}

/// By what an unchanged file is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) inode: u64,
    pub(super) ctime: Moment,
    /// False if it was changed so shortly before it was read that one more change might have got the same time.
    pub(super) still: bool,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attribute {
    #[serde(with = "name")]
    pub(super) name: Vec<u8>,
    #[serde(with = "base64")]
    pub(super) value: Vec<u8>,
}

impl Stored {
    /// Its pieces in the order of the pack: all of it, where there is no hole.
    pub(super) fn pieces(&self) -> Vec<(u64, u64)> {
        self.data.clone().unwrap_or_else(|| vec![(0, self.bytes)])
    }

    /// Bytes that it takes in its pack.
    pub(super) fn length(&self) -> u64 {
        self.data.as_ref().map_or(self.bytes, |data| data.iter().map(|(_, length)| length).sum())
    }
}

impl Entry {
    /// What the hash over the tree sees of it.
    pub(super) fn line(&self) -> String {
        let (letter, content) = match &self.is {
            Kind::File(stored) => ('f', stored.blake3.to_hex().to_string()),
            Kind::Folder => ('d', "-".to_owned()),
            Kind::Symlink { to } => ('l', shown(to)),
            Kind::Link { to } => ('h', shown(to)),
        };
        let path = shown(&self.path);
        format!("{path} {letter} {:o} {} {} {content}\n", self.mode, self.uid, self.gid)
    }
}

/// A name in letters: what is no UTF-8 as `\xFF`, a backslash doubled, so that it can be read back.
pub(super) fn shown(name: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for (at, part) in chunk.valid().split('\\').enumerate() {
            text.push_str(if at == 0 { "" } else { r"\\" });
            text.push_str(part);
        }
        for byte in chunk.invalid() {
            let _never = write!(text, r"\x{byte:02X}");
        }
    }
    text
}

/// The name that [`shown`] made a text of.
pub(super) fn unshown(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('\\') {
            name.push(b'\\');
            rest = after;
        } else {
            let digits = after.strip_prefix('x')?.get(..2)?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[3..];
        }
    }
    name.extend_from_slice(rest.as_bytes());
    Some(name)
}

mod name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(name: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::shown(name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        super::unshown(&text).ok_or_else(|| D::Error::custom("a name with a broken escape"))
    }
}

mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(hash: &blake3::Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hash.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<blake3::Hash, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        blake3::Hash::from_hex(text.as_bytes()).map_err(D::Error::custom)
    }
}

mod base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_written_and_read_back() {
        let all: Vec<u8> = (1..=255).collect();
        let names: [&[u8]; 6] =
            [b"plain", b"back\\slash\\", b"a\nb\xff\xfe\\x41", b"", "größe".as_bytes(), &all];
        for name in names {
            assert_eq!(unshown(&shown(name)).as_deref(), Some(name), "{}", shown(name));
        }
        assert_eq!(shown(b"a\\\xff"), r"a\\\xFF");
        for broken in [r"\", r"\x4", r"\q", r"a\xZZ"] {
            assert_eq!(unshown(broken), None, "{broken}");
        }
    }
}
