//! What the record of the site's runs tells of earlier ones, and what they have left to return to: the host answers.

use jiff::Timestamp;

use super::Port;
use crate::{event::Failure, site::Point};

/// The record of the site's runs, reached as `site.port::<Points>()`. Nothing is ever written through it.
pub struct Points;

impl Port for Points {
    const NAME: &'static str = "record of runs";
    type Read = dyn PointsRead;
    type Write = dyn PointsRead;
}

/// A run as the record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    pub run: String,
    /// Neither `resume` nor `rollback` waits to be typed for it.
    pub over: bool,
    /// Where it stands, in a word.
    pub state: String,
    pub ended: Option<Timestamp>,
    /// It only removed what was old: it pushes no other run out of the newest.
    pub tidied: bool,
}

pub trait PointsRead: Send + Sync {
    /// Finished upgrades of this site, and those whose code went back without the data; newest first.
    fn points(&self) -> Result<Vec<Point>, Failure>;
    /// What one run has left to return to, if it is such an upgrade.
    fn point(&self, run: &str) -> Result<Option<Point>, Failure>;
    /// All runs of this site, newest first.
    fn runs(&self) -> Result<Vec<PastRun>, Failure>;
}
