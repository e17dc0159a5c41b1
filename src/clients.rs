//! The ports on the real world. Only this module names an engine's library, starts processes, opens sockets and
//! writes files.

use std::{fmt, os::fd::OwnedFd, path::Path, sync::Arc};

use crate::{
    event::Failure,
    ports::{Ports, files::LineLog},
    site::Secret,
};

/// What the host does with the real world besides asking its ports.
#[derive(Clone)]
pub(crate) struct Hands {}

impl Hands {
    pub(crate) fn lend(&self, _lock: OwnedFd) {}
    pub(crate) fn take_back(&self) {}
    pub(crate) fn set_password(&self, _password: Secret) {}
    pub(crate) fn line_log(&self, _path: &Path) -> Option<Arc<dyn LineLog>> {
        None
    }
}

/// The real world.
pub(crate) fn real() -> Result<(Ports, Hands), Failure> {
    Err(Failure::new("built_without", "this uplift was built without `docker`"))
}

/// Who types: user and host.
pub(crate) struct Who {
    pub user: String,
    pub host: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

pub(crate) fn who() -> Who {
    Who { user: String::new(), host: String::new() }
}
