//! What lies in the folders that a run may write to, by looking at them again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{fact::Facts, names::Names};

/// A file or folder as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lying {
    is_folder: bool,
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    links: u64,
    content: Vec<u8>,
}

pub(super) type Tree = BTreeMap<PathBuf, Lying>;

/// Everything below the folder, each file with its content.
pub(super) fn look(folder: &Path) -> Tree {
    let mut found = Tree::new();
    walk(folder, &mut |path| {
        let Ok(meta) = fs::symlink_metadata(path) else { return };
        let content = if meta.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
        let owner = (meta.uid(), meta.gid());
        let (is_folder, mode, inode, links) = (meta.is_dir(), meta.mode(), meta.ino(), meta.nlink());
        found.insert(path.to_owned(), Lying { is_folder, mode, owner, inode, links, content });
    });
    found
}

/// What goes away while it is looked at is not there.
fn walk(folder: &Path, seen: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        seen(&path);
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, seen);
        }
    }
}

/// Names that were there at any moment.
#[derive(Debug)]
pub(super) struct Eye {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<PathBuf>>>,
    work: JoinHandle<()>,
}

const PAUSE: Duration = Duration::from_millis(15);

impl Eye {
    pub(super) fn open(folders: Vec<PathBuf>) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
        let (stopped, into) = (Arc::clone(&stop), Arc::clone(&seen));
        let work = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for folder in &folders {
                    walk(folder, &mut |path| {
                        into.lock().unwrap().insert(path.to_owned());
                    });
                }
                thread::sleep(PAUSE);
            }
        });
        Self { stop, seen, work }
    }

    pub(super) fn close(self) -> BTreeSet<PathBuf> {
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().unwrap();
        self.seen.lock().unwrap().clone()
    }
}

/// Folders and files of the run's record, which no plan tells of: they are made for every run alike.
const RECORD: [&str; 13] = [
    "./.uplift/journal.db",
    "./.uplift/journal.db-wal",
    "./.uplift/journal.db-shm",
    "./.uplift/journal.db-journal",
    "./.uplift/journal.mark",
    "./.uplift/backups/.journal.mark",
    "./.uplift/journal.reserve",
    "./.uplift/lock",
    "./.uplift/lock.json",
    "./.uplift/children.lock",
    "./.uplift/logs/plan.jsonl",
    "./.uplift/kept/plan/before",
    "./.uplift/kept/plan/never-begun",
];

fn is_record(name: &str) -> bool {
    RECORD
        .iter()
        .any(|record| name == *record || name.strip_prefix(record).is_some_and(|rest| rest.starts_with('/')))
}

/// Two folders of the volume that have changed places: the uploaded files, and what they were exchanged with.
pub(super) fn exchanged(before: &Tree, after: &Tree, names: &Names) -> Option<PathBuf> {
    let was = before.get(&names.uploads)?.inode;
    let now = after.iter().find(|(_, lying)| lying.is_folder && lying.inode == was)?.0;
    (*now != names.uploads).then(|| now.clone())
}

/// What became of the files: added, changed, removed. In the volume's folder a new folder counts as one.
pub(super) fn facts(before: &Tree, after: &Tree, names: &Names) -> Facts {
    let mut facts = Facts::default();
    let aside = exchanged(before, after, names);
    if let Some(aside) = &aside {
        let (live, other) = (names.plain_path(&names.uploads), names.plain_path(aside));
        facts.add(format!("{live} changes places with `{other}`"));
        // The folder that was made for it, and that has the live name now.
        facts.add(format!("{other} is added"));
        if below(after, aside) != below(before, &names.uploads) {
            facts.add(format!("what lies in {other} is not what was in {live}"));
        }
    }
    for path in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let name = names.plain_path(path);
        let moved =
            aside.as_ref().is_some_and(|aside| path.starts_with(aside) || path.starts_with(&names.uploads));
        if is_record(&name) || moved {
            continue;
        }
        match (before.get(path), after.get(path)) {
            (Some(_), None) => facts.add(format!("{name} is removed")),
            (None, Some(now)) if is_news(path, now, after, names) => facts.add(format!("{name} is added")),
            (Some(was), Some(now)) if !now.is_folder && !was.is_as(now) => {
                facts.add(format!("{name}: {}", lines(was, now)));
            }
            _ => {}
        }
    }
    facts
}

impl Lying {
    /// The same to whoever reads it; a file may have been replaced by one like it.
    fn is_as(&self, other: &Self) -> bool {
        (self.mode, self.owner, &self.content) == (other.mode, other.owner, &other.content)
    }
}

/// A folder is no news where something lies in it that is, nor is what lies in a new folder of the volume.
fn is_news(path: &Path, now: &Lying, after: &Tree, names: &Names) -> bool {
    let volume = names.uploads.parent().unwrap();
    if path.starts_with(volume) && !path.starts_with(&names.uploads) {
        return path.parent() == Some(volume);
    }
    !now.is_folder || below(after, path).is_empty()
}

fn below(tree: &Tree, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let inside = tree.iter().filter(|(path, _)| path.starts_with(folder) && *path != folder);
    inside
        .map(|(path, lying)| (path.strip_prefix(folder).unwrap().to_owned(), lying.content.clone()))
        .collect()
}

/// The lines that only one of the two has.
fn lines(was: &Lying, now: &Lying) -> String {
    let text = |lying: &Lying| {
        String::from_utf8_lossy(&lying.content).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (old, new) = (text(was), text(now));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}"));
    let came = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}"));
    gone.chain(came).collect::<Vec<_>>().join(" ")
}

/// It has another name too, and takes no room of its own.
pub(super) fn is_linked(tree: &Tree, path: &Path) -> bool {
    tree.get(path).is_some_and(|lying| !lying.is_folder && lying.links > 1)
}

/// How large what lies there is, all of it; `None` if nothing does.
pub(super) fn size(tree: &Tree, path: &Path) -> Option<u64> {
    tree.get(path)?;
    let inside = tree.iter().filter(|(below, _)| below.starts_with(path));
    Some(inside.map(|(_, lying)| lying.content.len() as u64).sum())
}

pub(super) fn is_folder(tree: &Tree, path: &Path) -> bool {
    tree.get(path).is_some_and(|lying| lying.is_folder)
}

/// Names that were there for a while only, as they would be called when they are whole.
pub(super) fn passing(
    seen: &BTreeSet<PathBuf>,
    before: &Tree,
    after: &Tree,
    names: &Names,
) -> BTreeSet<String> {
    let gone = seen.iter().filter(|path| !before.contains_key(*path) && !after.contains_key(*path));
    gone.map(|path| whole(&names.plain_path(path))).filter(|name| !is_record(name)).collect()
}

/// `NAME.partial` becomes `NAME`, and so does `.NAME.uplift-812-0`.
fn whole(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let hidden = name.strip_prefix('.').and_then(|rest| rest.rsplit_once(".uplift-")).map(|(name, _)| name);
    // A backup's folder is called so in the plan too.
    let half = name.strip_suffix(".partial").filter(|rest| *rest != "plan");
    format!("{folder}/{}", hidden.or(half).unwrap_or(name))
}
