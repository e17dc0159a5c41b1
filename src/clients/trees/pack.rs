//! A pass over a tree: what is unchanged keeps its place in an earlier pack, the rest goes into new ones.
#![expect(clippy::disallowed_methods, reason = "the clients write files")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    path::Path,
};

use rustix::fs::FileType;

use super::{
    content::{Outcome, Reader},
    desk::Desk,
    earlier::Earlier,
    entry::{Entry, Kind, shown},
    index::{INDEX, Index, KnownPack, is_pack, pack_name, tree_hash},
    keep,
    walk::{About, Found, Root, Walk},
    writer::Writer,
};
use crate::{
    clients::files::{not_made, writing},
    event::{Failure, Teller, Unit},
    ports::trees::{PackTree, Packed},
};

/// Bytes between two words about progress, and things found.
const STRIDE: u64 = 16 << 20;
const FOUND: usize = 10_000;
/// A set of more packs than this reads what is in the small ones again, into one.
const MANY: usize = 32;
const LITTLE: u64 = 64 << 20;

/// One pass.
struct Pass<'a> {
    request: &'a PackTree,
    desk: &'a Desk,
    tell: &'a Teller,
    earlier: Option<Earlier>,
    /// Packs of the earlier pass that are in the set.
    brought: BTreeSet<u32>,
    walk: Walk,
    changed: Vec<Vec<u8>>,
    read: (u64, u64),
}

pub(super) fn pack(request: &PackTree, desk: &Desk, tell: &Teller) -> Result<Packed, Failure> {
    let root = Root::open(&request.from)?;
    let index = request.into.join(INDEX);
    let into = File::open(&request.into).map_err(|error| not_made(&index, &error))?;
    let mut walk = Walk::default();
    // A set that lies in the tree is no part of it.
    for folder in [Some(&request.into), request.previous.as_ref()].into_iter().flatten() {
        let about = File::open(folder).and_then(About::of_open);
        walk.not_into.extend(about.map(|about| about.identity()));
    }
    let earlier = Earlier::find(request, desk, tell)?;
    sweep(&request.into, earlier.as_ref().filter(|earlier| earlier.own))?;
    let (brought, changed, read) = (BTreeSet::new(), Vec::new(), (0, 0));
    let mut pass = Pass { request, desk, tell, earlier, brought, walk, changed, read };
    let found = pass.look(&root)?;
    pass.bring(&found)?;
    let (mut entries, fresh) = pass.read(&root, found)?;
    if request.keep_vanished {
        pass.keep(&mut entries)?;
    }
    pass.finish(entries, fresh, &into)
}

/// Removes what a pass left behind that did not come to its end.
fn sweep(into: &Path, own: Option<&Earlier>) -> Result<(), Failure> {
    let named =
        |name: &str| own.is_some_and(|own| own.index.packs.iter().any(|one| one.pack.file.file == name));
    for name in names(into)? {
        let left = name.strip_suffix(".partial").is_some_and(|name| is_pack(name) || name == INDEX);
        if left || (is_pack(&name) && !named(&name)) {
            let path = into.join(name);
            fs::remove_file(&path).map_err(|error| writing(&path, &error))?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| writing(folder, &error))?;
    Ok(entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

impl Pass<'_> {
    /// Everything in the tree in the order of the paths.
    fn look(&mut self, root: &Root) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        let tell = self.tell;
        root.walk(&mut self.walk, self.desk, &mut |one| {
            found.push(one);
            if found.len() % FOUND == 0 {
                tell.progress("looking at uploaded files", found.len() as u64, None, Unit::Items);
            }
            Ok(())
        })?;
        found.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        Ok(found)
    }

    /// Has those earlier packs in the set that are worth it.
    fn bring(&mut self, found: &[Found]) -> Result<(), Failure> {
        let Some(earlier) = &self.earlier else { return Ok(()) };
        let mut needed: BTreeMap<u32, u64> = BTreeMap::new();
        let mut must = BTreeSet::new();
        for one in found.iter().filter(|one| one.about.kind == FileType::RegularFile) {
            if let Some((_, stored)) = earlier.unchanged(&one.path, &one.about) {
                // With its header, as what was written into the pack is counted.
                *needed.entry(stored.pack).or_default() += keep::weight(stored);
            }
        }
        if self.request.keep_vanished {
            let there = |path: &Vec<u8>| found.binary_search_by(|one| one.path.cmp(path)).is_ok();
            let gone = earlier.index.entries.iter().filter(|entry| !there(&entry.path));
            must.extend(gone.filter_map(|entry| Some(earlier.index.content(&entry.path)?.1.pack)));
        }
        let many = needed.len() > MANY;
        for (number, weight) in &needed {
            let Some(known) = earlier.index.pack(*number) else { continue };
            // The set's own packs are there anyway.
            let spared = earlier.own || must.contains(number);
            let poor = weight * 2 < known.stored || (many && known.pack.uncompressed_bytes < LITTLE);
            if (spared || !poor) && earlier.bring(known, &self.request.into, self.desk, self.tell)? {
                self.brought.insert(*number);
            }
        }
        Ok(())
    }

    /// A line for everything that was found, with what has changed read into new packs.
    fn read(&mut self, root: &Root, found: Vec<Found>) -> Result<(Vec<Entry>, Vec<KnownPack>), Failure> {
        let total = found.iter().filter(|one| one.about.kind == FileType::RegularFile);
        let total: u64 = total.filter(|one| self.known(one).is_none()).map(|one| one.about.size).sum();
        let (tell, mut done, mut said) = (self.tell, 0, 0);
        let mut told = |bytes: u64| {
            done += bytes;
            if done >= said + STRIDE {
                said = done;
                tell.progress("uploaded files", done, Some(total.max(done)), Unit::Bytes);
            }
        };
        let writer = Writer::new(self.desk, &self.request.into, self.next_pack()?);
        let mut reader = Reader { root, writer, told: &mut told, buffer: Vec::new() };
        let mut entries = Vec::with_capacity(found.len());
        let mut firsts = HashMap::new();
        for one in found {
            if let Some(entry) = self.one(one, &mut reader, &mut firsts)? {
                entries.push(entry);
            }
        }
        let fresh = reader.writer.finish()?;
        self.tell.progress("uploaded files", self.read.1, Some(self.read.1), Unit::Bytes);
        Ok((entries, fresh))
    }

    /// The line of one thing; `None` if it went away.
    fn one(
        &mut self,
        one: Found,
        reader: &mut Reader<'_, '_>,
        firsts: &mut HashMap<((u32, u32), u64), Vec<u8>>,
    ) -> Result<Option<Entry>, Failure> {
        let is = match one.about.kind {
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Symlink { to: one.to.clone() },
            _ => match firsts.get(&one.about.identity()).filter(|_| one.about.links > 1) {
                Some(first) => Kind::Link { to: first.clone() },
                None => return self.file(one, reader, firsts),
            },
        };
        let entry = one.entry(is);
        let earlier = self.earlier.as_ref().and_then(|earlier| earlier.index.find(&entry.path));
        let same = |earlier: &Entry| {
            (earlier.mode, earlier.uid, earlier.gid, &earlier.is)
                == (entry.mode, entry.uid, entry.gid, &entry.is)
        };
        if !earlier.is_some_and(same) {
            reader.writer.bare(&entry)?;
        }
        Ok(Some(entry))
    }

    fn file(
        &mut self,
        one: Found,
        reader: &mut Reader<'_, '_>,
        firsts: &mut HashMap<((u32, u32), u64), Vec<u8>>,
    ) -> Result<Option<Entry>, Failure> {
        let (entry, about) = match self.known(&one) {
            Some(entry) => (Entry { path: one.path, ..entry.clone() }, one.about),
            None => match reader.store(&one.path)? {
                None => {
                    self.walk.vanished.push(one.path);
                    return Ok(None);
                }
                Some(Outcome { entry, about, tries }) => {
                    self.read = (self.read.0 + 1, self.read.1 + about.size);
                    if tries > 1 {
                        self.changed.push(one.path);
                    }
                    (entry, about)
                }
            },
        };
        if about.links > 1 {
            firsts.insert(about.identity(), entry.path.clone());
        }
        Ok(Some(entry))
    }

    /// The earlier line of a file that need not be read again, whichever of its names it was under.
    fn known(&self, one: &Found) -> Option<&Entry> {
        let (entry, stored) = self.earlier.as_ref()?.unchanged(&one.path, &one.about)?;
        self.brought.contains(&stored.pack).then_some(entry)
    }

    /// A number that no pack of these folders has.
    fn next_pack(&self) -> Result<u32, Failure> {
        let known = self.earlier.iter().flat_map(|earlier| &earlier.index.packs).map(|pack| pack.number);
        let mut number = known.max().unwrap_or(0) + 1;
        let there = names(&self.request.into)?;
        while there.contains(&pack_name(number)) {
            number += 1;
        }
        Ok(number)
    }

    /// Lines of files that are in the tree no more.
    fn keep(&mut self, entries: &mut Vec<Entry>) -> Result<(), Failure> {
        let Some(earlier) = &self.earlier else { return Ok(()) };
        let kept = keep::vanished(&earlier.index, entries);
        for entry in kept.lost {
            self.tell
                .warn(format!("`{}` is there no more, and something else is in its place", shown(&entry)));
            self.walk.vanished.push(entry);
        }
        let (mut whole, mut dropped) = (Vec::new(), BTreeSet::new());
        for entry in kept.entries {
            if matches!(&entry.is, Kind::Link { to } if dropped.contains(to)) {
                self.walk.vanished.push(entry.path);
                continue;
            }
            if let Kind::File(stored) = &entry.is
                && !self.brought.contains(&stored.pack)
            {
                let known = earlier.index.pack(stored.pack);
                let here = match known {
                    Some(known) => earlier.bring(known, &self.request.into, self.desk, self.tell)?,
                    None => false,
                };
                if !here {
                    dropped.insert(entry.path.clone());
                    self.walk.vanished.push(entry.path);
                    continue;
                }
                self.brought.insert(stored.pack);
            }
            whole.push(entry);
        }
        entries.extend(whole);
        entries.sort_unstable_by(|left, right| left.path.cmp(&right.path));
        Ok(())
    }

    fn finish(self, entries: Vec<Entry>, fresh: Vec<KnownPack>, into: &File) -> Result<Packed, Failure> {
        let folder = &self.request.into;
        let mut packs = fresh;
        if let Some(earlier) = &self.earlier {
            let brought = earlier.index.packs.iter().filter(|pack| self.brought.contains(&pack.number));
            packs.extend(brought.cloned().map(|mut known| {
                known.pack.linked |= !earlier.own;
                known
            }));
        }
        packs.sort_by_key(|known| known.number);
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for entry in &entries {
            if let Kind::File(stored) = &entry.is {
                *counts.entry(stored.pack).or_default() += 1;
            }
        }
        for known in &mut packs {
            known.pack.files = counts.get(&known.number).copied().unwrap_or(0);
        }
        packs.retain(|known| known.pack.files > 0);
        let tree_blake3 = tree_hash(&entries);
        let index = Index { packs, entries, tree_blake3 };
        let (partial, stored) = index.write(folder, self.desk)?;
        // The packs' names first: an index never names what is not there.
        let synced = into.sync_all().and_then(|()| self.desk.finish(&partial, &folder.join(INDEX)));
        let synced = synced.and_then(|()| into.sync_all());
        synced.map_err(|error| writing(&folder.join(INDEX), &error))?;
        let named: BTreeSet<_> = index.packs.iter().map(|known| &known.pack.file.file).collect();
        for name in names(folder)?.iter().filter(|name| is_pack(name) && !named.contains(name)) {
            // It is only room that it takes.
            let _left = fs::remove_file(folder.join(name));
        }
        let (files, bytes) = index.count();
        let texts = |paths: &[Vec<u8>]| paths.iter().map(|path| shown(path)).collect();
        Ok(Packed {
            files,
            bytes,
            read_files: self.read.0,
            read_bytes: self.read.1,
            packs: index.packs.into_iter().map(|known| known.pack).collect(),
            index: stored,
            tree_blake3: index.tree_blake3,
            changed: texts(&self.changed),
            vanished: texts(&self.walk.vanished),
            skipped: texts(&self.walk.skipped),
        })
    }
}
