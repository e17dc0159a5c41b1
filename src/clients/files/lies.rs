use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{failed::reading, is_absent};
use crate::{event::Failure, ports::files::Lies};

/// Looks at the names alone. What goes while it is looked at is not there.
pub(super) fn lies(path: &Path) -> Result<Option<Lies>, Failure> {
    let top = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(reading(path, &error)),
    };
    let mut found = Lies { owner: (top.uid(), top.gid()), ..Lies::default() };
    let mut walk = Walk { device: top.dev(), folders: Vec::new(), linked: BTreeSet::new() };
    walk.one(path.to_owned(), &top, &mut found);
    while let Some(folder) = walk.folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(reading(&folder, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| reading(&folder, &error))?;
            match entry.metadata() {
                Ok(about) => walk.one(entry.path(), &about, &mut found),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(reading(&entry.path(), &error)),
            }
        }
    }
    found.strange.sort();
    Ok(Some(found))
}

struct Walk {
    device: u64,
    folders: Vec<PathBuf>,
    /// Files of several names, which count once: backups share what has not changed.
    linked: BTreeSet<u64>,
}

impl Walk {
    fn one(&mut self, path: PathBuf, about: &fs::Metadata, found: &mut Lies) {
        if about.is_file() {
            let is_new = about.nlink() < 2 || self.linked.insert(about.ino());
            found.bytes += if is_new { about.len() } else { 0 };
        } else if about.is_dir() && about.dev() == self.device {
            self.folders.push(path);
        } else {
            found.strange.push(path);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "writes the files under test")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_named_and_not_followed_and_a_second_name_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let (large, tree) = (folder.path().join("large"), folder.path().join("tree"));
        fs::write(&large, [0; 5000]).unwrap();
        fs::create_dir_all(tree.join("deep")).unwrap();
        fs::write(tree.join("deep/a"), "abc").unwrap();
        fs::write(tree.join("b"), "12").unwrap();
        fs::hard_link(tree.join("b"), tree.join("deep/b")).unwrap();
        symlink(&large, tree.join("deep/link")).unwrap();
        symlink(folder.path(), tree.join("up")).unwrap();
        let found = lies(&tree).unwrap().unwrap();
        assert_eq!((found.bytes, found.strange), (5, vec![tree.join("deep/link"), tree.join("up")]));
        let link = lies(&tree.join("up")).unwrap().unwrap();
        assert_eq!((link.bytes, link.strange), (0, vec![tree.join("up")]));
        assert_eq!(lies(&tree.join("no/where")).unwrap(), None);
    }
}
