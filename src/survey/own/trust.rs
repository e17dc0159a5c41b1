//! `[trust]`: whose bundles of runbooks a site takes.

use std::path::Path;

use toml::Table;

use super::{Own, Wrong, known, own, section, words};
use crate::{event::Failure, ports::files::FilesRead, site::PublicKey};

pub(super) fn keys(table: &Table) -> Result<Vec<PublicKey>, Wrong> {
    let Some(trust) = section(table, "trust")? else { return Ok(Vec::new()) };
    known(trust, "trust.", &["keys"])?;
    let like = "\"RWQ...\"";
    let keys = words(trust, "trust.keys", "list of public keys", like)?.unwrap_or_default();
    let key = |text: String| {
        PublicKey::parse(&text).ok_or_else(|| {
            (
                format!("`trust.keys` has `{text}`, which is no minisign public key"),
                "take the line of the `.pub` file that begins with `RW`".to_owned(),
            )
        })
    };
    keys.into_iter().map(key).collect()
}

/// The keys whose bundles the site in this folder takes.
pub async fn trusted(dir: &Path, files: &dyn FilesRead) -> Result<Vec<PublicKey>, Failure> {
    let Own { trust, .. } = own(dir, files).await?;
    Ok(trust)
}
