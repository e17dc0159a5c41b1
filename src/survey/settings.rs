use std::collections::BTreeMap;

use crate::site::Secret;

/// Names that look like secrets and are none.
const HARMLESS: [&str; 6] =
    ["S3_BUCKET", "AWS_REGION", "AWS_ACCESS_KEY_ID", "APP_HOST", "APP_INTERNAL_URL", "S3_ENDPOINT"];

/// Parts of a name that make its value a secret. In doubt it is one: a masked value hurts nobody.
const SECRET: [&str; 11] = [
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "KEY",
    "SALT",
    "CREDENTIAL",
    "PRIVATE",
    "LICENSE",
    "DSN",
    "AUTH",
];

/// Settings as the containers get them, parted into what may be shown and what may not.
pub(super) fn parted(
    environment: &BTreeMap<String, Secret>,
) -> (BTreeMap<String, String>, BTreeMap<String, Secret>) {
    let (mut settings, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in environment {
        if is_secret(name, value.reveal()) {
            secrets.insert(name.clone(), value.clone());
        } else {
            settings.insert(name.clone(), value.reveal().to_owned());
        }
    }
    (settings, secrets)
}

fn is_secret(name: &str, value: &str) -> bool {
    if value.contains("://") && value.contains('@') {
        // An address with a user in front of it.
        return true;
    }
    let upper = name.to_ascii_uppercase();
    !HARMLESS.contains(&upper.as_str()) && SECRET.iter().any(|part| upper.contains(part))
}
