//! What of it our children get.

use std::{collections::BTreeMap, path::PathBuf};

use super::Environment;

/// Variables that a child gets whatever it is: to be found, to find its files, and to speak English to us.
const FOR_ALL: [&str; 3] = ["PATH", "HOME", "USER"];
/// Variables that change how a registry is reached, in both spellings.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

impl Environment {
    pub(in crate::clients) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// The folder of Docker's own configuration.
    pub(in crate::clients) fn docker_config(&self) -> Option<PathBuf> {
        let named = self.get("DOCKER_CONFIG").map(PathBuf::from);
        named.or_else(|| Some(self.home()?.join(".docker")))
    }

    /// What every child gets.
    pub(in crate::clients) fn plain(&self) -> BTreeMap<String, String> {
        let mut kept = self.only(&FOR_ALL);
        kept.insert("LC_ALL".to_owned(), "C".to_owned());
        kept
    }

    /// What a child that may speak to a registry gets besides.
    pub(in crate::clients) fn proxies(&self) -> BTreeMap<String, String> {
        self.only(&PROXIES)
    }

    /// Everything: for the user's own helper programs, which nobody else can know the needs of.
    pub(in crate::clients) fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    fn only(&self, names: &[&str]) -> BTreeMap<String, String> {
        let known = names.iter().filter_map(|name| Some(((*name).to_owned(), self.get(name)?.to_owned())));
        known.collect()
    }
}
