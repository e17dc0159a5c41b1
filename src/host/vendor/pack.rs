//! A bundle as a file: a line that names the format, a line with all that is in it as JSON, and the signature of both.
//!
//! ```text
//! uplift bundle of runbooks, format 1
//! {"manifest":{...},"uplift":"0.1.0","files":[{"name":"compose/upgrade","text":"..."}]}
//! untrusted comment: signature from minisign secret key
//! RU...
//! trusted comment: strata-runbooks 1.2.0
//! ...
//! ```

use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    Manifest, is_room, place_of,
    signature::{SigningKey, proved},
};
use crate::{
    event::Failure,
    script::Source,
    site::{PublicKey, Shipped},
};

/// The most bytes that a bundle may have, and one file in it.
pub(in crate::host) const LARGEST: u64 = 4 << 20;
pub(super) const LARGEST_FILE: usize = 1 << 20;

/// What the first line begins with, and the format that is written and the newest that is read.
const MARK: &str = "uplift bundle of runbooks, format ";
const FORMAT: u32 = 1;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) manifest: Manifest,
    /// The uplift that has packed it.
    pub(super) uplift: Version,
    /// Sorted by name; names without `.rhai`.
    pub(super) files: Vec<Source>,
}

/// A bundle whose signature was proved.
#[derive(Debug, Clone)]
pub(in crate::host) struct Pack {
    pub(super) content: Content,
    pub(in crate::host) shipped: Shipped,
    /// BLAKE3 of what is signed, in hex.
    pub(super) hash: String,
}

impl Content {
    /// The bytes that are signed.
    pub(super) fn bytes(&self) -> Result<String, Failure> {
        let json = serde_json::to_string(self).map_err(|error| {
            Failure::inside("bundle_format", format!("the bundle cannot be written: {error}"))
        })?;
        let text = format!("{MARK}{FORMAT}\n{json}\n");
        // Room for the signature.
        if text.len() as u64 + 1024 > LARGEST {
            return Err(too_large("the bundle", "4 MiB"));
        }
        Ok(text)
    }

    pub(super) fn signed(&self, key: &SigningKey) -> Result<String, Failure> {
        let mut content = self.bytes()?;
        let about = format!("{} {}", self.manifest.name, self.manifest.version);
        let signature = key.sign(content.as_bytes(), &about)?;
        content.push_str(&signature);
        Ok(content)
    }

    /// Names, sizes, product and API level.
    pub(super) fn sound(&self) -> Result<(), Failure> {
        self.manifest.fits(&self.uplift)?;
        for (at, file) in self.files.iter().enumerate() {
            place_of(&file.name)?;
            if file.text.len() > LARGEST_FILE {
                return Err(too_large(&format!("`{}`", file.name), "1 MiB"));
            }
            if self.files[..at].iter().any(|other| other.name == file.name) {
                let text = format!("`{}` is in the bundle twice", file.name);
                return Err(Failure::new("bundle_format", text).hint("pack it anew"));
            }
        }
        Ok(())
    }
}

impl Pack {
    /// What is not signed yet, to be checked.
    pub(super) fn unsigned(content: Content) -> Self {
        let Manifest { name, version, .. } = content.manifest.clone();
        Self { content, shipped: Shipped { name, version, key: String::new() }, hash: String::new() }
    }

    /// Reads a bundle: first the signature, then what it says.
    pub(in crate::host) fn read(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, Failure> {
        if bytes.len() as u64 > LARGEST {
            return Err(too_large("the bundle", "4 MiB"));
        }
        let strange = || {
            Failure::new("bundle_format", "this is no bundle of runbooks")
                .hint("name a file that `uplift runbook pack` has made: its name ends in `.bundle`")
        };
        let text = std::str::from_utf8(bytes).map_err(|_| strange())?;
        let (mark, rest) = text.split_once('\n').ok_or_else(strange)?;
        let format: u32 =
            mark.strip_prefix(MARK).and_then(|format| format.parse().ok()).ok_or_else(strange)?;
        if format > FORMAT {
            let text = format!("this bundle has format {format}, and this uplift reads format {FORMAT}");
            return Err(Failure::new("bundle_newer", text).hint("install a newer uplift first"));
        }
        // The only way to write this one.
        if mark != format!("{MARK}{FORMAT}") {
            return Err(strange());
        }
        let (json, signature) = rest.split_once('\n').ok_or_else(strange)?;
        let (signed, signature) = text.split_at(text.len() - signature.len());
        let key = proved(signed.as_bytes(), signature, trusted)?;
        let content: Content = serde_json::from_str(json).map_err(|error| {
            let text = format!("what is signed in this bundle cannot be read: {error}");
            Failure::new("bundle_format", text).hint("a newer uplift may have packed it: install that first")
        })?;
        content.sound()?;
        let Manifest { name, version, .. } = content.manifest.clone();
        let hash = blake3::hash(signed.as_bytes()).to_hex().to_string();
        Ok(Self { content, shipped: Shipped { name, version, key }, hash })
    }

    pub(in crate::host) fn manifest(&self) -> &Manifest {
        &self.content.manifest
    }

    /// One of its runbooks, or a file of its library.
    pub(in crate::host) fn file(&self, name: &str) -> Option<&Source> {
        self.content.files.iter().find(|file| file.name == name)
    }

    /// Names of its runbooks, sorted.
    pub(in crate::host) fn runbooks(&self) -> impl Iterator<Item = &str> {
        self.content.files.iter().map(|file| file.name.as_str()).filter(|name| !is_room(name))
    }

    pub(in crate::host) fn library(&self) -> impl Iterator<Item = &Source> {
        self.content.files.iter().filter(|file| file.name.starts_with("lib/"))
    }

    pub(in crate::host) fn tests(&self) -> impl Iterator<Item = &Source> {
        self.content.files.iter().filter(|file| file.name.starts_with("tests/"))
    }
}

pub(super) fn too_large(what: &str, bound: &str) -> Failure {
    let text = format!("{what} is larger than {bound}");
    Failure::new("bundle_large", text)
        .hint("a bundle has procedures in it and nothing else: see what makes it so large")
}
