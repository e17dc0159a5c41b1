use std::os::fd::OwnedFd;

use super::{postgres::PostgresClient, process::Processes};
use crate::site::Secret;

/// What the host does with the real world besides asking its ports.
#[derive(Clone)]
pub struct Hands {
    processes: Processes,
    postgres: PostgresClient,
}

impl Hands {
    pub(super) fn new(processes: Processes, postgres: PostgresClient) -> Self {
        Self { processes, postgres }
    }

    /// From now on every program that is started inherits this descriptor of the site's lock: one that outlives a
    /// killed uplift keeps the next run out.
    pub fn lend(&self, lock: OwnedFd) {
        self.processes.lend(lock);
    }

    /// Programs inherit it no longer, and it is closed here.
    pub fn take_back(&self) {
        self.processes.take_back();
    }

    /// The password of the product's database user.
    pub fn set_password(&self, password: Secret) {
        self.postgres.set_password(password);
    }

    /// Secrets that uplift itself was started with.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        self.postgres.admin_secrets()
    }
}
