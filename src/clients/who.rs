use std::fmt;

use rustix::{process::getuid, system::uname};

/// Who types: user and host. Shown to others who find the site held, and kept with a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub user: String,
    pub host: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

/// The person, not the account that `sudo` lends: `root` tells nobody whom to ask.
#[must_use]
pub fn who() -> Who {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let uid = getuid();
    let behind = named("SUDO_USER").filter(|_| uid.is_root());
    let user = behind
        .or_else(|| named("USER"))
        .or_else(|| named("LOGNAME"))
        .unwrap_or_else(|| if uid.is_root() { "root".to_owned() } else { uid.as_raw().to_string() });
    let host = uname().nodename().to_string_lossy().into_owned();
    Who { user, host: if host.is_empty() { "localhost".to_owned() } else { host } }
}
