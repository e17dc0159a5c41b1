use std::collections::BTreeMap;

use crate::site::{Secret, is_secret};

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
