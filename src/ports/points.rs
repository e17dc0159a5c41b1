//! What earlier runs of the site have left to return to: the host answers from its record.

use super::Port;
use crate::{event::Failure, site::Point};

/// The record of upgrades that can be returned from, reached as `site.port::<Points>()`. Nothing is ever written through it.
pub struct Points;

impl Port for Points {
    type Read = dyn PointsRead;
    type Write = dyn PointsRead;
}

pub trait PointsRead: Send + Sync {
    /// Finished upgrades of this site, and those whose code went back without the data; newest first.
    fn points(&self) -> Result<Vec<Point>, Failure>;
}
