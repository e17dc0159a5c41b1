//! A vendor with a key, and a site that trusts it.

use std::io::Cursor;

use minisign::KeyPair;
use serde_json::{Value, json};
use uplift::{Bundles, Failure, Host, HostError, Start, World};

use crate::runbooks::night::Night;

/// What `minisign` writes above a signature.
const COMMENT: &str = "signature from minisign secret key";

pub(super) const BUNDLE: &str = "/vendor/patch.bundle";

pub(super) struct Vendor(KeyPair);

impl Vendor {
    pub(super) fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    /// The line of its `.pub` file.
    pub(super) fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    pub(super) fn secret(&self) -> String {
        self.0.sk.to_box(None).unwrap().into_string()
    }

    /// Signs whatever this is.
    pub(super) fn signed(&self, content: &str) -> Vec<u8> {
        let made = minisign::sign(None, &self.0.sk, Cursor::new(content), Some("about it"), Some(COMMENT));
        format!("{content}{}", made.unwrap().into_string()).into_bytes()
    }

    /// A bundle that nobody has checked, as another vendor's tools could have made it.
    pub(super) fn unchecked(&self, manifest: &Value, files: &[(&str, &str)]) -> Vec<u8> {
        let files: Vec<_> = files.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
        let content = json!({ "manifest": manifest, "uplift": "7.7.7", "files": files });
        self.signed(&format!("uplift bundle of runbooks, format 1\n{content}\n"))
    }

    /// Packs these files as `version`, on the disk of `world`; gives the bundle.
    pub(super) async fn pack(&self, world: &World, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
        self.try_pack(world, &manifest(version), files).await.unwrap()
    }

    pub(super) async fn try_pack(
        &self,
        world: &World,
        manifest: &str,
        files: &[(&str, &str)],
    ) -> Result<Vec<u8>, HostError> {
        let dir = format!("/vendor/{}", blake3::hash(format!("{manifest}{files:?}").as_bytes()).to_hex());
        world.put_file(format!("{dir}/manifest.toml"), manifest, 0o644);
        for (name, text) in files {
            world.put_file(format!("{dir}/{name}"), text, 0o644);
        }
        world.put_file("/vendor/key", self.secret(), 0o600);
        let host = Host::at(Start::default()).ports(world.ports());
        let packed = host.packed(dir.as_ref()).await?;
        let key = host.key("/vendor/key".as_ref()).await?.open().unwrap();
        let path = packed.write(Some(&key), BUNDLE.as_ref()).await?;
        Ok(world.file(path).unwrap().bytes)
    }
}

pub(super) fn manifest(version: &str) -> String {
    format!(
        "name = \"patch\"\nversion = \"{version}\"\napi = 1\nproduct = \"strata\"\nserves = \">=1.0, <2.0\"\n\
         summary = \"waits longer\"\n"
    )
}

/// The stock upgrade, which also says that it is the vendor's.
pub(super) fn patched() -> String {
    let stock = uplift::stock_named("compose/upgrade").unwrap().text;
    let text = stock.replace("step \"verify\" {", "step \"verify\" {\n    print(\"the vendor's own\");");
    assert_ne!(text, stock);
    text
}

/// The same with another name for a step.
pub(super) fn renamed() -> String {
    let text = patched().replace("step \"verify\" {", "step \"prove\" {");
    text.replacen("api: 1,", "api: 1,\n    renamed: #{ \"verify\": \"prove\" },", 1)
}

/// A site that trusts this vendor.
pub(super) fn site(vendor: &Vendor) -> Night {
    let night = Night::of(World::strata());
    night.settings(&format!("[trust]\nkeys = [\"{}\"]\n", vendor.public()));
    night
}

pub(super) async fn bundles(night: &Night) -> Bundles {
    night.host().await.bundles()
}

/// Installs what these bytes are.
pub(super) async fn install(night: &Night, bytes: &[u8]) -> Result<(), Failure> {
    put(night, bytes);
    let bundles = bundles(night).await;
    let offer = bundles.offer(BUNDLE).await.map_err(|error| error.failure())?;
    assert!(offer.exchange.is_some(), "it is there already");
    bundles.take(&offer, "uplift runbook install").await.map_err(|error| error.failure())
}

pub(super) fn put(night: &Night, bytes: &[u8]) {
    night.world.put_file(BUNDLE, bytes, 0o644);
}

pub(super) async fn revert(night: &Night, to_stock: bool) -> Result<(), Failure> {
    let bundles = bundles(night).await;
    let offer = bundles.back(to_stock).await.map_err(|error| error.failure())?;
    bundles.take(&offer, "uplift runbook revert").await.map_err(|error| error.failure())
}

/// The version that is installed.
pub(super) async fn version(night: &Night) -> Option<String> {
    let installed = bundles(night).await.installed().await.unwrap();
    installed.map(|(shipped, _)| shipped.version.to_string())
}
