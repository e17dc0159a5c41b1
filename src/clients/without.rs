use std::os::fd::OwnedFd;

use crate::site::Secret;

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
