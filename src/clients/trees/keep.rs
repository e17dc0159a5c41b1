//! Lines of an earlier index that stay although their files are gone.

use std::collections::{BTreeMap, HashMap, hash_map::Entry as MapEntry};

use super::{
    entry::{Entry, Kind, Stored},
    index::{Index, folder_of},
    tar::BLOCK,
};

/// What stays, and paths that cannot.
pub(super) struct Kept {
    pub(super) entries: Vec<Entry>,
    pub(super) lost: Vec<Vec<u8>>,
}

/// What a file takes of its pack, with its header.
pub(super) fn weight(stored: &Stored) -> u64 {
    BLOCK + stored.length().next_multiple_of(BLOCK)
}

/// Files of `earlier` that are not in `now`, with the folders above them. Both are in the order of paths.
pub(super) fn vanished(earlier: &Index, now: &[Entry]) -> Kept {
    let there = |path: &[u8]| {
        let at = now.binary_search_by(|entry| (*entry.path).cmp(path)).ok()?;
        now.get(at)
    };
    let mut kept = Kept { entries: Vec::new(), lost: Vec::new() };
    let mut folders = BTreeMap::new();
    // A content has one line; its other names are links to that.
    let mut places: Option<HashMap<(u32, u64), Vec<u8>>> = None;
    for entry in &earlier.entries {
        if matches!(entry.is, Kind::Folder | Kind::Symlink { .. }) || there(&entry.path).is_some() {
            continue;
        }
        let Some((content, stored)) = earlier.content(&entry.path) else { continue };
        if !above(earlier, &entry.path, &there, &mut folders) {
            kept.lost.push(entry.path.clone());
            continue;
        }
        let places = places.get_or_insert_with(|| places_of(now));
        let is = match places.entry((stored.pack, stored.at)) {
            MapEntry::Occupied(first) => Kind::Link { to: first.get().clone() },
            MapEntry::Vacant(place) => {
                place.insert(entry.path.clone());
                Kind::File(stored.clone())
            }
        };
        kept.entries.push(Entry { path: entry.path.clone(), is, ..content.clone() });
    }
    kept.entries.extend(folders.into_values());
    kept
}

fn places_of(entries: &[Entry]) -> HashMap<(u32, u64), Vec<u8>> {
    let files = entries.iter().filter_map(|entry| match &entry.is {
        Kind::File(stored) => Some(((stored.pack, stored.at), entry.path.clone())),
        _ => None,
    });
    files.collect()
}

/// Gathers the folders above a path that are there no more; false if one of them is something else now.
fn above<'a>(
    earlier: &Index,
    path: &[u8],
    there: &impl Fn(&[u8]) -> Option<&'a Entry>,
    folders: &mut BTreeMap<Vec<u8>, Entry>,
) -> bool {
    let mut gone = Vec::new();
    let mut folder = folder_of(path);
    loop {
        match there(folder) {
            Some(entry) if entry.is == Kind::Folder => break,
            Some(_) => return false,
            None => gone.extend(earlier.find(folder).cloned()),
        }
        folder = folder_of(folder);
    }
    folders.extend(gone.into_iter().map(|entry| (entry.path.clone(), entry)));
    true
}
