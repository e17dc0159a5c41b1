//! Bundles of runbooks that the vendor ships, as they are shown: types only.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

/// Which bundle it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    pub name: String,
    pub version: Version,
    /// The id of the key that has signed it, as `minisign` names it.
    pub key: String,
}

impl fmt::Display for Shipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.name, self.version)
    }
}

/// What a file is beside the one that had its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileIs {
    New,
    Changed,
    Gone,
}

/// How one file differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// e.g. `compose/upgrade`.
    pub name: String,
    pub is: FileIs,
    /// Unified.
    pub diff: String,
    /// Steps that were not there before.
    pub came: Vec<String>,
    pub went: Vec<String>,
    /// Steps that have another name now: the old one first.
    pub renamed: Vec<(String, String)>,
}

/// A change of the site's in a step of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookPlace {
    pub runbook: String,
    pub step: String,
    /// `before`, `replace` or `after`.
    pub part: String,
    pub function: String,
    /// From the site folder.
    pub file: String,
    pub line: usize,
    /// The lines of the step itself are others than before.
    pub step_changed: bool,
}

/// One bundle in the place of another, or of what ships with uplift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// `None`: what ships with uplift.
    pub from: Option<Shipped>,
    pub to: Option<Shipped>,
    pub summary: String,
    pub files: Vec<FileChange>,
    /// The site's own changes in runbooks that become others.
    pub hooks: Vec<HookPlace>,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
}

/// A script of the site's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnScript {
    /// From the site folder.
    pub file: String,
    /// The runbook whose place it takes, with how it differs from what ships with uplift.
    pub instead: Option<String>,
    pub diff: String,
    /// What it was copied from, where that is no longer what ships.
    pub outdated: Option<String>,
}

/// All in which a site differs from what ships with uplift.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Deviations {
    pub bundle: Option<Shipped>,
    /// The files of the bundle.
    pub bundled: Vec<FileChange>,
    pub own: Vec<OwnScript>,
    pub hooks: Vec<HookPlace>,
    /// What `uplift.toml` says: name and value.
    pub settings: Vec<(String, String)>,
    /// What cannot be read, or would be refused, a sentence each.
    pub wrong: Vec<String>,
}

impl Deviations {
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
