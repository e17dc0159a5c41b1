use std::collections::BTreeMap;

use super::Secret;

/// Keys that must stay the same for the life of a site: lose or change one and encrypted columns cannot be read.
pub const KEYS: [&str; 4] = [
    "STRATA_SECRET_KEY_BASE",
    "STRATA_ENCRYPTION_PRIMARY_KEY",
    "STRATA_ENCRYPTION_DETERMINISTIC_KEY",
    "STRATA_ENCRYPTION_KEY_DERIVATION_SALT",
];

/// Short marks of a site's keys, by name: equal marks mean equal keys.
///
/// The keys are 128 bits and more of randomness, so that nobody finds a key by trying; a mark keeps 64 bits of a
/// hash made for this purpose only, which tells nothing about the rest.
#[must_use]
pub fn fingerprints(secrets: &BTreeMap<String, Secret>) -> BTreeMap<String, String> {
    KEYS.iter()
        .filter_map(|name| {
            let secret = secrets.get(*name)?;
            let context = format!("uplift 2026 fingerprint of {name}");
            let hash = blake3::derive_key(&context, secret.reveal().as_bytes());
            Some(((*name).to_owned(), blake3::Hash::from(hash).to_hex()[..16].to_owned()))
        })
        .collect()
}
