#[cfg(feature = "docker")]
mod children;

use std::collections::BTreeMap;

use crate::{ports::secrets::Variables, site::Secret};

/// The variables that uplift itself was started with: where Docker keeps its configuration, how a proxy is called.
///
/// Read once, so that two clients never see two answers, and so that a caller can say others.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// This process's own. A variable that is not text is as good as none.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The same with one variable set otherwise.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Variables for Environment {
    fn variable(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }
}
