use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::{Component, Path},
};

use tar::{Archive, EntryType};

/// Marks a name that the layers below have and this one has not.
const GONE: &str = ".wh.";
/// Marks a folder of which nothing below counts.
const OPAQUE: &str = ".wh..wh..opq";

/// What one layer says about one folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layer {
    /// Nothing that the layers below have in the folder counts.
    clears: bool,
    gone: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Layer {
    /// Goes once through the layer's archive.
    pub(super) fn read(archive: impl Read, folder: &[String]) -> io::Result<Self> {
        let mut layer = Self::default();
        let mut archive = Archive::new(archive);
        for entry in archive.entries()? {
            let entry = entry?;
            let kind = entry.header().entry_type();
            layer.note(&parts(&entry.path()?), kind, folder);
        }
        Ok(layer)
    }

    fn note(&mut self, path: &[String], kind: EntryType, folder: &[String]) {
        let Some((name, above)) = path.split_last() else { return };
        if above == folder {
            if name == OPAQUE {
                self.clears = true;
            } else if let Some(gone) = name.strip_prefix(GONE) {
                self.gone.insert(gone.to_owned());
            } else if kind == EntryType::Directory {
                self.gone.insert(name.clone());
            } else {
                self.files.insert(name.clone());
            }
            return;
        }
        // The folder itself, or one above it.
        if folder.starts_with(path) {
            self.clears |= kind != EntryType::Directory;
        } else if folder.starts_with(above) {
            let next = &folder[above.len()];
            self.clears |= name == OPAQUE || name.strip_prefix(GONE) == Some(next);
        }
    }
}

/// What is there once every layer, lowest first, has had its say.
pub(super) fn merged(layers: &[&Layer]) -> Vec<String> {
    let mut files: BTreeSet<&String> = BTreeSet::new();
    for layer in layers {
        if layer.clears {
            files.clear();
        }
        files.retain(|name| !layer.gone.contains(*name));
        files.extend(&layer.files);
    }
    files.into_iter().cloned().collect()
}

/// The names that a path is made of; `.` and `..` are followed as text.
pub(super) fn parts(path: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[&str]) -> Layer {
        let folder = parts(Path::new("/rails/db/migrate"));
        let mut layer = Layer::default();
        for entry in entries {
            let kind = if entry.ends_with('/') { EntryType::Directory } else { EntryType::Regular };
            layer.note(&parts(Path::new(entry)), kind, &folder);
        }
        layer
    }

    #[test]
    fn later_layers_add_and_take_away() {
        let base =
            layer(&["rails/", "rails/db/migrate/", "./rails/db/migrate/1.rb", "rails/db/migrate/2.rb"]);
        for (entries, expected) in [
            (vec![], vec!["1.rb", "2.rb"]),
            (vec!["rails/db/migrate/3.rb"], vec!["1.rb", "2.rb", "3.rb"]),
            (vec!["rails/db/migrate/.wh.1.rb"], vec!["2.rb"]),
            (vec!["rails/db/migrate/4.rb", "rails/db/migrate/.wh..wh..opq"], vec!["4.rb"]),
            (vec!["rails/.wh.db", "rails/db/migrate/5.rb"], vec!["5.rb"]),
            (vec!["rails/.wh.dbx"], vec!["1.rb", "2.rb"]),
            (vec!["rails/db/.wh..wh..opq"], vec![]),
            (vec!["rails/db/migrate/1.rb/"], vec!["2.rb"]),
            (vec!["rails/db"], vec![]),
            (vec!["rails/db/migrate/deeper/6.rb"], vec!["1.rb", "2.rb"]),
            (vec![".wh.rails"], vec![]),
        ] {
            assert_eq!(merged(&[&base, &layer(&entries)]), expected, "{entries:?}");
        }
    }

    #[test]
    fn a_whiteout_is_about_the_layers_below() {
        let both = layer(&["rails/db/migrate/.wh.1.rb", "rails/db/migrate/1.rb"]);
        assert_eq!(merged(&[&both]), ["1.rb"]);
    }
}
