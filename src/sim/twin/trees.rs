use super::Twin;
use crate::ports::trees::{Trees, TreesRead};

impl TreesRead for Twin {}
impl Trees for Twin {}
