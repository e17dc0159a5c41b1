use std::os::fd::OwnedFd;

use crate::{event::Failure, site::Secret};

/// Nothing in this build asks anybody.
pub async fn download(_address: &str, _largest: u64) -> Result<Vec<u8>, Failure> {
    Err(Failure::new("built_without", "this uplift was built without `docker`, and downloads nothing")
        .hint("bring the file yourself and name that, or build it with `--features docker`"))
}

/// Stands for what this build has not: there is no value of it.
#[derive(Clone)]
pub enum Hands {}

impl Hands {
    /// Never called.
    pub fn lend(&self, _lock: OwnedFd) {
        match *self {}
    }

    /// Never called.
    pub fn take_back(&self) {
        match *self {}
    }

    /// Never called.
    pub fn set_password(&self, _password: Secret) {
        match *self {}
    }

    /// Never called.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        match *self {}
    }
}
