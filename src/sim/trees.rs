use super::world::World;
use crate::ports::trees::{Trees, TreesRead};

impl TreesRead for World {}
impl Trees for World {}
