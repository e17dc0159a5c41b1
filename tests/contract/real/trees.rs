//! Trees on a real file system: what the simulated disk has not.

mod lost;
mod sets;
mod speed;
mod trouble;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uplift::{
    clients::{self, Environment},
    event::{Event, Failure, Teller},
    ports::{
        Ports,
        notices::Notice,
        trees::{CheckTree, ExchangeTrees, PackTree, Packed, UnpackTree},
    },
    sim::{Answers, Does, Notifier},
    site::{Notify, Site},
};

use crate::contract::{Fixture, requests::Service, trees as behaviours};

/// Trees and files of this host need no site.
struct Bare {
    ports: Ports,
    folder: TempDir,
}

impl Bare {
    fn new() -> Self {
        let (ports, _) = clients::real_in(Environment::of_process()).unwrap();
        // Not on a tmpfs: it has neither the attributes nor the rooms of a disk.
        Self { ports, folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }
}

impl Fixture for Bare {
    fn ports(&self) -> Ports {
        self.ports.clone()
    }

    fn site(&self) -> Site {
        unreachable!("behaviours of trees ask for no site")
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn other_tag(&self) -> String {
        unreachable!("behaviours of trees ask for no image")
    }

    fn owner(&self) -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn with_wrong_password(&self) -> Ports {
        unreachable!("behaviours of trees ask for no database")
    }

    fn notifier(&self, _: Notifier) -> Notify {
        unreachable!("behaviours of trees tell nobody")
    }

    fn program(&self, _: &Does) -> PathBuf {
        unreachable!("behaviours of trees start no program")
    }

    fn service(&self, _: &[Answers]) -> Service {
        unreachable!("behaviours of trees ask no service")
    }

    fn told(&self) -> Vec<Notice> {
        unreachable!("behaviours of trees tell nobody")
    }
}

#[tokio::test]
async fn trees_of_this_host_behave_as_the_world() {
    let bare = Bare::new();
    behaviours::a_missing_tree_has_no_inode(&bare).await;
    behaviours::a_tree_is_packed_and_checked(&bare).await;
    behaviours::damage_in_a_set_is_found(&bare).await;
    behaviours::missing_uploads_are_named(&bare).await;
    behaviours::trees_change_places(&bare).await;
    behaviours::a_tree_gets_back_what_it_has_lost(&bare).await;
    behaviours::what_a_killed_attempt_has_left_is_no_upload(&bare).await;
    behaviours::what_cannot_be_reached_is_named(&bare).await;
}

impl Bare {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new folder.
    fn new_folder(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    async fn pack(&self, from: &Path, into: &Path, previous: Option<&Path>) -> Result<Packed, Failure> {
        self.pack_told(from, into, previous, &Teller::silent()).await
    }

    async fn pack_told(
        &self,
        from: &Path,
        into: &Path,
        previous: Option<&Path>,
        tell: &Teller,
    ) -> Result<Packed, Failure> {
        self.ports.trees.pack(&packing(from, into, previous), tell).await
    }

    async fn check(&self, folder: &Path, packed: &Packed) -> Result<(), Failure> {
        let request = CheckTree { folder: folder.to_owned(), packed: packed.clone(), blobs: None };
        self.ports.trees.check(&request, &Teller::silent()).await.map(|_| ())
    }

    async fn unpack(&self, folder: &Path, packed: &Packed, into: &Path) -> Result<u64, Failure> {
        let request = UnpackTree { folder: folder.to_owned(), packed: packed.clone(), into: into.to_owned() };
        self.ports.trees.unpack(&request, &Teller::silent()).await
    }
}

fn packing(from: &Path, into: &Path, previous: Option<&Path>) -> PackTree {
    let previous = previous.map(Path::to_owned);
    PackTree {
        from: from.to_owned(),
        into: into.to_owned(),
        previous,
        keep_vanished: false,
        trust_previous: false,
    }
}

/// Hears of progress, and does something each time.
fn on_progress(mut what: impl FnMut() + Send + 'static) -> Teller {
    let what = std::sync::Mutex::new(move |event: &Event| {
        if matches!(event, Event::CallProgress { progress, .. } if progress.what == "uploaded files") {
            what();
        }
    });
    Teller::new(Arc::new(move |event| (what.lock().unwrap())(&event))).at("storage#1")
}

fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    random
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Long enough ago that a file's time tells whether it has changed.
async fn let_times_differ() {
    tokio::time::sleep(Duration::from_millis(2_100)).await;
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// All that can be seen of a tree, by path. `by_hand` leaves out what a tar does not know to the last.
fn picture(root: &Path, by_hand: bool) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut first_names = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let kind = about.file_type();
        let content = if kind.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            left.sort();
            "folder".to_owned()
        } else if kind.is_symlink() {
            format!("to {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_file() {
            let hash = blake3::Hasher::new().update_reader(File::open(&path).unwrap()).unwrap().finalize();
            let group = if about.nlink() > 1 {
                let number = first_names.len();
                *first_names.entry(about.ino()).or_insert(number)
            } else {
                usize::MAX
            };
            format!("{} bytes {hash} one of {group}", about.size())
        } else {
            continue;
        };
        let mode = if kind.is_symlink() { 0 } else { about.mode() };
        let nanos = if by_hand { 0 } else { about.mtime_nsec() };
        let seconds = if by_hand && kind.is_symlink() {
            0
        } else {
            about.mtime().max(if by_hand { 0 } else { i64::MIN })
        };
        let xattrs = if by_hand { String::new() } else { xattrs(&path) };
        let owner = (about.uid(), about.gid());
        let text = format!("{content} {mode:o} {owner:?} {seconds}.{nanos:09} {xattrs}");
        found.insert(path.strip_prefix(root).unwrap().to_owned(), text);
    }
    found
}

fn xattrs(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut *names).unwrap();
    let mut all = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut *value).unwrap();
        all.push(format!("{}={:?}", String::from_utf8_lossy(name), &value[..length]));
    }
    all.sort();
    all.join(" ")
}

fn run(program: &str, args: &[&OsStr]) -> bool {
    Command::new(program).args(args).status().is_ok_and(|status| status.success())
}

fn set_time(path: &Path, seconds: i64, nanos: i64) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, nofollow).unwrap();
}

/// One of each thing that a file system may hold.
fn cabinet(tree: &Path, outside: &Path) {
    fs::create_dir_all(tree.join("deep/er/empty folder")).unwrap();
    fs::write(tree.join("deep/one"), "one").unwrap();
    fs::hard_link(tree.join("deep/one"), tree.join("another name of one")).unwrap();
    fs::hard_link(tree.join("deep/one"), tree.join("zzz")).unwrap();
    fs::write(tree.join("empty"), "").unwrap();
    fs::write(tree.join("large"), random(5_000_001)).unwrap();
    fs::write(tree.join("a\nnew line"), "newline").unwrap();
    fs::write(tree.join("back\\slash \\xFF"), "backslash").unwrap();
    fs::write(tree.join(OsStr::from_bytes(b"no \xff\xfe utf-8")), "bytes").unwrap();
    let long = tree.join("l".repeat(200)).join("m".repeat(255));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("long"), "long").unwrap();
    symlink("l".repeat(300), tree.join("a long way")).unwrap();
    symlink("deep/one", tree.join("inside")).unwrap();
    symlink("nowhere", tree.join("dangling")).unwrap();
    fs::create_dir_all(outside).unwrap();
    fs::write(outside.join("secret"), "must not be copied").unwrap();
    symlink(outside, tree.join("folder outside")).unwrap();
    symlink(outside.join("secret"), tree.join("file outside")).unwrap();
    for (at, mode) in [("empty", 0o4755), ("deep/er", 0o1777), ("zzz", 0o600), ("large", 0o444)] {
        fs::set_permissions(tree.join(at), fs::Permissions::from_mode(mode)).unwrap();
    }
    if is_root() {
        std::os::unix::fs::chown(tree.join("large"), Some(3_000_000), Some(1000)).unwrap();
        std::os::unix::fs::lchown(tree.join("dangling"), Some(1000), Some(1001)).unwrap();
        std::os::unix::fs::chown(tree.join("deep"), Some(1000), Some(1000)).unwrap();
    }
    let set = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tree.join("zzz"), "user.colour", b"blue\n\0\xff", set).unwrap();
    rustix::fs::setxattr(tree.join("deep"), "user.kept", &[b'x'; 2000], set).unwrap();
    rustix::fs::setxattr(tree, "user.root", b"", set).unwrap();
    set_time(&tree.join("large"), 1_234_567_890, 123_456_789);
    set_time(&tree.join("empty"), -86_400, 5);
    set_time(&tree.join("dangling"), 1_000_000_000, 7);
    set_time(&tree.join("deep"), 1_100_000_000, 999_999_999);
    set_time(tree, 1_200_000_000, 1);
}

#[tokio::test]
async fn everything_that_a_file_system_has_comes_back() {
    let bare = Bare::new();
    let (tree, set) = (bare.new_folder("tree"), bare.new_folder("set"));
    cabinet(&tree, &bare.at("outside"));
    assert!(run("mkfifo", &[tree.join("pi\npe").as_os_str()]));
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    set_time(&tree, 1_200_000_000, 1);
    let packed = bare.pack(&tree, &set, None).await.unwrap();
    assert_eq!(
        packed.skipped.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
        ["pi\npe", "socket"].into()
    );
    assert_eq!((packed.files, packed.read_files), (9, 7), "three are names of one");
    bare.check(&set, &packed).await.unwrap();
    let copy = bare.at("copy");
    let inode = bare.unpack(&set, &packed, &copy).await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().ino(), inode);
    assert_eq!(names(&copy).len(), names(&tree).len() - 2 + 1, "the mark is there until it is in use");
    // A folder is proved not to be in use before it takes a place.
    let exchange = ExchangeTrees { live: bare.at("in use"), other: copy.clone(), expected: inode };
    bare.ports.trees.exchange(&exchange).await.unwrap();
    let (was, now) = (picture(&tree, false), picture(&exchange.live, false));
    for (path, text) in &was {
        assert_eq!(now.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(was.len(), now.len());
    by_hand(&tree, &set, &packed, &bare.new_folder("by hand"));
}

fn untar(set: &Path, packed: &Packed, into: &Path) {
    for pack in &packed.packs {
        let script = "zstd -qdc \"$0\" | tar -xp --numeric-owner -C \"$1\"";
        let pack = set.join(&pack.file.file);
        assert!(run("sh", &["-c".as_ref(), script.as_ref(), pack.as_os_str(), into.as_os_str()]));
    }
}

/// A person with the usual tools has the same files.
fn by_hand(tree: &Path, set: &Path, packed: &Packed, into: &Path) {
    untar(set, packed, into);
    let (was, now) = (picture(tree, true), picture(into, true));
    for (path, text) in &was {
        assert_eq!(now.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(was.len(), now.len());
}

#[tokio::test]
async fn holes_take_neither_time_nor_room() {
    const SIZE: u64 = 5_000_000_000;
    let bare = Bare::new();
    let (tree, set, copy) = (bare.new_folder("tree"), bare.new_folder("set"), bare.at("copy"));
    let file = File::create(tree.join("sparse")).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(&random(100_000), 2_500_000_000).unwrap();
    file.write_all_at(b"late", 4_400_000_000).unwrap();
    File::create(tree.join("only a hole")).unwrap().set_len(70_000).unwrap();
    let facts = bare.ports.trees.facts(&tree).await.unwrap();
    assert!(facts.bytes < 1 << 20, "{facts:?}");
    let started = Instant::now();
    let packed = bare.pack(&tree, &set, None).await.unwrap();
    let took = started.elapsed();
    eprintln!("contract: 5 GB of holes took {took:.1?}");
    assert!(took < Duration::from_mins(1), "{took:?}");
    assert_eq!(packed.bytes, SIZE + 70_000);
    assert!(packed.packs[0].file.bytes < 1 << 20, "{packed:?}");
    bare.check(&set, &packed).await.unwrap();
    bare.unpack(&set, &packed, &copy).await.unwrap();
    for name in ["sparse", "only a hole"] {
        let (was, now) = (fs::metadata(tree.join(name)).unwrap(), fs::metadata(copy.join(name)).unwrap());
        assert_eq!(was.len(), now.len());
        assert!(now.blocks() <= was.blocks(), "{} instead of {}", now.blocks(), was.blocks());
    }
    assert!(data(&tree.join("sparse")) == data(&copy.join("sparse")), "the same between the holes");
    let hand = bare.new_folder("by hand");
    untar(&set, &packed, &hand);
    assert!(data(&tree.join("sparse")) == data(&hand.join("sparse")), "the same between the holes");
    assert!(fs::metadata(hand.join("sparse")).unwrap().blocks() < 4096);
}

/// What is written in a file, piece by piece, without the zeros around it.
fn data(path: &Path) -> Vec<(u64, Vec<u8>)> {
    use rustix::fs::{SeekFrom, seek};
    let file = File::open(path).unwrap();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Ok(start) = seek(&file, SeekFrom::Data(at)) {
        at = seek(&file, SeekFrom::Hole(start)).unwrap();
        let mut bytes = vec![0; usize::try_from(at - start).unwrap()];
        file.read_exact_at(&mut bytes, start).unwrap();
        found.push((start, bytes));
    }
    assert!(found.iter().any(|(_, bytes)| bytes.len() > 100_000), "it has something in it");
    found
}

/// A mount of a test, taken away when it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(at: &Path, args: &[&OsStr]) -> Option<Self> {
        let mounted = run("mount", &[args, &[at.as_os_str()]].concat());
        if !mounted {
            eprintln!("contract: no right to mount: this cannot be tried here");
        }
        mounted.then(|| Self(at.to_owned()))
    }

    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        Self::new(at, &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), options.as_ref(), "tmpfs".as_ref()])
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["-l".as_ref(), self.0.as_os_str()]);
    }
}
