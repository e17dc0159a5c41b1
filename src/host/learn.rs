//! Secrets that are not in the settings of today, and may be seen all the same: those of a backup set that is restored.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::door::Host;
use crate::{
    backups,
    site::{Secret, is_secret},
};

impl Host {
    /// From now on the secrets of the set that a runbook was given are taken out of everything too: its configuration
    /// may take the place of today's. A set that cannot be read is told by whoever restores it.
    pub(super) async fn learn_from_set(&self, params: &Value) {
        let Some(set) = params.get("set").and_then(Value::as_str).filter(|set| !set.is_empty()) else {
            return;
        };
        let folder =
            if set.contains('/') { PathBuf::from(set) } else { backups::folder(&self.0.site).join(set) };
        let files = &*self.0.ports.files;
        let Ok(manifest) = backups::read(files, &folder).await else { return };
        for stored in &manifest.config {
            if let Ok(Some(file)) = files.read(&folder.join(Path::new(&stored.file))).await {
                for secret in secrets(&String::from_utf8_lossy(&file.bytes)) {
                    self.0.scrubber.learn(&secret);
                }
            }
        }
    }
}

/// Values of a configuration file that are secrets, by their names: `NAME=value` of env files, `NAME: value` and
/// `- NAME=value` of compose files. A value too many does no harm.
fn secrets(text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line =
            line.trim().trim_start_matches("- ").trim_start_matches("export ").trim_matches(['"', '\'']);
        let pairs = [line.split_once('='), line.split_once(':')];
        for (name, value) in pairs.into_iter().flatten() {
            let is_name = name.trim().chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            let value = value.trim();
            if !is_name || value.starts_with("${") || !is_secret(name.trim(), value) {
                continue;
            }
            let bare = value.split(" #").next().unwrap_or(value).trim();
            for one in [value, bare, bare.trim_matches('"'), bare.trim_matches('\'')] {
                found.push(Secret::new(one));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_however_they_are_written() {
        let text = "A=1\nexport DB_PASSWORD='of last # year' # note\nSMTP_PASS=plain-one # note\n  environment:\n    \
                    LICENSE_KEY: \"in-yaml\"\n    - API_TOKEN=in-a-list\nAPP_HOST=strata.example\nX_KEY=${KEY}\n";
        let found: Vec<_> = secrets(text).iter().map(|one| one.reveal().to_owned()).collect();
        for value in ["plain-one", "in-yaml", "in-a-list"] {
            assert!(found.iter().any(|one| one == value), "{value}: {found:?}");
        }
        assert!(found.iter().any(|one| one.contains("of last # year")), "{found:?}");
        assert!(!found.iter().any(|one| one.contains("strata.example") || one.contains("KEY}")), "{found:?}");
    }
}
