//! Files of a rehearsal, above the live ones.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{ports::files::File, sim::disk::moved};

/// What a rehearsal put at a path, or what a path leads to.
#[derive(Clone)]
pub(super) enum Node {
    File(File),
    /// A file whose content only the run will know; length and hash are placeholders.
    Assumed {
        bytes: u64,
        blake3: String,
    },
    /// What lies at another path on the live site, copied or renamed; a copy has its own mode.
    Live {
        path: PathBuf,
        mode: Option<u32>,
    },
    Folder,
    Gone,
}

#[derive(Default, Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    /// Bytes that the rehearsal added, by file system.
    pub used: BTreeMap<u64, u64>,
}

impl Tree {
    /// What a path leads to; the live site itself where the rehearsal did nothing.
    pub(super) fn resolve(&self, path: &Path) -> Node {
        self.nodes.get(path).cloned().unwrap_or_else(|| self.inside(path))
    }

    /// Where the live part of a folder's content lies; `None` if nothing live is in it.
    pub(super) fn below(&self, folder: &Path) -> Option<PathBuf> {
        match self.inside(&folder.join("any")) {
            Node::Live { path, .. } => path.parent().map(Path::to_owned),
            _ => None,
        }
    }

    /// Decided by the nearest folder above that the rehearsal moved or removed.
    fn inside(&self, path: &Path) -> Node {
        for above in path.ancestors().skip(1) {
            match self.nodes.get(above) {
                Some(Node::Gone) => return Node::Gone,
                Some(Node::Live { path: live, .. }) => {
                    let rest = path.strip_prefix(above).unwrap_or(path);
                    return Node::Live { path: live.join(rest), mode: None };
                }
                _ => {}
            }
        }
        Node::Live { path: path.to_owned(), mode: None }
    }

    /// Whether the rehearsal did anything below a path.
    pub(super) fn touched_below(&self, path: &Path) -> bool {
        self.nodes.keys().any(|known| known != path && known.starts_with(path))
    }

    pub(super) fn put(&mut self, path: &Path, node: Node) {
        self.nodes.insert(path.to_owned(), node);
    }

    /// Removes a path with all below it.
    pub(super) fn remove(&mut self, path: &Path) {
        self.nodes.retain(|known, _| !known.starts_with(path));
        self.put(path, Node::Gone);
    }

    /// Renames what the rehearsal made, and what was live under the old name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let live = Some(self.resolve(from)).filter(|node| matches!(node, Node::Live { .. }));
        for (path, node) in std::mem::take(&mut self.nodes) {
            self.nodes.insert(moved(path, from, to), node);
        }
        if let Some(live) = live {
            self.put(to, live);
        }
        self.put(from, Node::Gone);
    }

    /// Names that the rehearsal put directly into a folder, and whether each is still there.
    pub(super) fn children(&self, folder: &Path) -> impl Iterator<Item = (String, bool)> {
        let own = self.nodes.iter().filter(move |(path, _)| path.parent() == Some(folder));
        own.filter_map(|(path, node)| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some((name, !matches!(node, Node::Gone)))
        })
    }
}
