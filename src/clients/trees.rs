use crate::ports::trees::{Trees, TreesRead};

/// Trees of files on this host.
pub(super) struct HostTrees;

impl TreesRead for HostTrees {}
impl Trees for HostTrees {}
