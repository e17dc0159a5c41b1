//! What can be pulled, and how it behaves once it runs.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::state::hex;
use crate::ports::docker::Image;

/// Whether web ever answers well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebHealth {
    /// `/up` answers 200 once it has booted.
    Healthy,
    /// It boots, migrates, and answers 500 for ever.
    Never,
}

/// A process that ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub code: i64,
    /// What it says before it goes.
    pub lines: Vec<String>,
    /// Counted from its start.
    pub after: Duration,
}

/// One release of the product: what its image holds and how it behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub tag: String,
    /// File names in `/rails/db/migrate`, sorted.
    pub migrations: Vec<String>,
    /// From the start of web to its first answer. Migrations run at half of it; slow ones put the rest off.
    pub boot: Duration,
    pub web: WebHealth,
    /// Every process ends, before web could migrate.
    pub exits: Option<Exit>,
    /// The worker ends.
    pub job_exits: Option<Exit>,
    /// Web ends, counted from its first answer.
    pub web_exits: Option<Exit>,
    /// The migration that raises, by its file name; what went through before it stays.
    pub raises: Option<String>,
    /// The migration that takes time, by its file name.
    pub slow: Option<(String, Duration)>,
    /// It deletes the oldest uploaded file once it has migrated.
    pub purges: bool,
    /// The slow one is a single statement, which goes on in the server when its client is gone; else many short ones.
    pub one_statement: bool,
    pub size: u64,
}

impl Release {
    /// A release that boots in 9 s and is healthy.
    #[must_use]
    pub fn new(tag: &str, migrations: &[&str]) -> Self {
        Self {
            tag: tag.to_owned(),
            migrations: migrations.iter().map(|&name| name.to_owned()).collect(),
            boot: Duration::from_secs(9),
            web: WebHealth::Healthy,
            exits: None,
            job_exits: None,
            web_exits: None,
            raises: None,
            slow: None,
            one_statement: false,
            purges: false,
            size: 412 << 20,
        }
    }
}

/// An image with what it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Built {
    pub image: Image,
    /// `None` for what is not the product.
    pub release: Option<Release>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Registry {
    /// By `repository:tag`.
    pub tags: BTreeMap<String, (String, Built)>,
    pub reachable: bool,
    pub denied: bool,
}

impl Registry {
    /// Puts a release under its tag; `edition` tells two pushes of one tag apart.
    pub(super) fn push(&mut self, repository: &str, release: Release, edition: u32) -> &Built {
        let reference = format!("{repository}:{}", release.tag);
        let digest = format!("sha256:{}", hex(&format!("digest {reference} {edition}")));
        let image = Image {
            id: format!("sha256:{}", hex(&format!("image {reference} {edition}"))),
            tags: vec![reference.clone()],
            digests: vec![format!("{repository}@{digest}")],
            size: release.size,
        };
        let built = Built { image, release: Some(release) };
        &self.tags.entry(reference).insert_entry((digest, built)).into_mut().1
    }
}
