use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use super::is_plain;
use crate::{event::Failure, script::API};

/// The product whose sites this uplift operates.
const PRODUCT: &str = "strata";

/// `manifest.toml` of a folder that becomes a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::host) struct Manifest {
    pub(in crate::host) name: String,
    pub(in crate::host) version: Version,
    /// The API level that its runbooks are written for.
    pub(in crate::host) api: u32,
    pub(in crate::host) product: String,
    /// Releases of the product that it is made for.
    pub(in crate::host) serves: VersionReq,
    /// Releases that no upgrade may jump over.
    #[serde(default)]
    pub(in crate::host) stops: Vec<Version>,
    pub(in crate::host) summary: String,
}

impl Manifest {
    /// The text of `manifest.toml`.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let text = format!("`manifest.toml`, line {line}: {}", error.message().trim());
            Failure::new("manifest_invalid", text).hint(LIKE)
        })
    }

    /// Whether this uplift can work with it. `made_by` is the uplift that has packed it.
    pub(super) fn fits(&self, made_by: &Version) -> Result<(), Failure> {
        let Self { name, version, .. } = self;
        if !is_plain(name) {
            let text = format!("`{name}` cannot be the name of a bundle");
            return Err(Failure::new("manifest_invalid", text).hint("use letters, digits, `-` and `_`"));
        }
        if self.summary.trim().is_empty() || self.summary.contains('\n') {
            let text = format!("the `summary` of `{name}` says nothing, or more than a line");
            return Err(Failure::new("manifest_invalid", text).hint("say in a line what it is for"));
        }
        if self.product != PRODUCT {
            let text = format!("`{name}` {version} is for another product, `{}`", self.product);
            let hint = format!("this uplift operates `{PRODUCT}`: ask for the bundle that is made for it");
            return Err(Failure::new("bundle_product", text).hint(hint));
        }
        if self.api != API {
            let text =
                format!("`{name}` {version} is written for API level {}; this uplift speaks {API}", self.api);
            let hint = if self.api > API {
                format!("install uplift {made_by} first: that one has packed it")
            } else {
                "ask for a newer one, or use the uplift that it was made for".to_owned()
            };
            return Err(Failure::new("bundle_api", text).hint(hint));
        }
        Ok(())
    }
}

const LIKE: &str = "e.g. `name = \"strata-runbooks\"`, `version = \"1.2.0\"`, `api = 1`, `product = \"strata\"`, \
                    `serves = \">=1.0, <2.0\"`, `stops = [\"1.3.0\"]`, `summary = \"what it is for\"`";
