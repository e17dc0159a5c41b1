//! Trees on a real file system: what the simulated disk has not.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uplift::{
    clients::{self, Environment},
    event::{Event, Failure, Teller},
    ports::{
        Ports,
        trees::{CheckTree, ExchangeTrees, PackTree, Packed, UnpackTree},
    },
    site::Site,
};

use crate::contract::{Fixture, code, trees as behaviours};

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
}

#[tokio::test]
async fn trees_of_this_host_behave_as_the_world() {
    let bare = Bare::new();
    behaviours::a_missing_tree_has_no_inode(&bare).await;
    behaviours::a_tree_is_packed_and_checked(&bare).await;
    behaviours::damage_in_a_set_is_found(&bare).await;
    behaviours::missing_uploads_are_named(&bare).await;
    behaviours::trees_change_places(&bare).await;
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
    PackTree { from: from.to_owned(), into: into.to_owned(), previous, keep_vanished: false }
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
            format!("to {:?}", fs::read_link(&path).unwrap())
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
        assert_eq!(now.get(path), Some(text), "{path:?}");
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
        assert_eq!(now.get(path), Some(text), "{path:?}");
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

/// Fifty files of twenty kilobytes each.
fn fifty(tree: &Path) {
    for number in 0..50 {
        fs::write(tree.join(format!("{number:02}")), random(20_000)).unwrap();
    }
}

#[tokio::test]
async fn a_second_set_reads_only_what_changed() {
    let bare = Bare::new();
    let (tree, first, second) = (bare.new_folder("tree"), bare.new_folder("1"), bare.new_folder("2"));
    fifty(&tree);
    let_times_differ().await;
    let packed = bare.pack(&tree, &first, None).await.unwrap();
    assert_eq!((packed.read_files, packed.packs.len()), (50, 1));
    fs::write(tree.join("07"), "changed").unwrap();
    fs::write(tree.join("new"), "new").unwrap();
    fs::remove_file(tree.join("08")).unwrap();
    let next = bare.pack(&tree, &second, Some(&first)).await.unwrap();
    assert_eq!((next.read_files, next.read_bytes, next.files), (2, 10, 50));
    assert_eq!(
        next.packs.iter().map(|pack| (pack.linked, pack.files)).collect::<Vec<_>>(),
        [(true, 48), (false, 2)]
    );
    let inode = |folder: &Path| fs::metadata(folder.join(&packed.packs[0].file.file)).unwrap().ino();
    assert_eq!(inode(&first), inode(&second), "one file with two names");
    // Two seconds after they were written nobody can say of `07` and `new` that they did not change again.
    let again = bare.pack(&tree, &second, Some(&first)).await.unwrap();
    assert_eq!((again.tree_blake3, again.files), (next.tree_blake3, 50));
    // The next set needs less than half of the pack: it gets its own.
    for number in 10..40 {
        fs::remove_file(tree.join(number.to_string())).unwrap();
    }
    let third = bare.new_folder("3");
    let small = bare.pack(&tree, &third, Some(&second)).await.unwrap();
    assert_eq!(small.files, 20);
    assert!(small.packs.iter().all(|pack| pack.file.file != packed.packs[0].file.file), "{small:?}");
    fs::remove_dir_all(&first).unwrap();
    fs::remove_dir_all(&second).unwrap();
    bare.check(&third, &small).await.unwrap();
}

#[tokio::test]
async fn where_nothing_can_be_linked_packs_are_copied() {
    let bare = Bare::new();
    let (tree, first, small) = (bare.new_folder("tree"), bare.new_folder("1"), bare.new_folder("small"));
    fifty(&tree);
    let_times_differ().await;
    bare.pack(&tree, &first, None).await.unwrap();
    let Some(mount) = Mount::tmpfs(&small, "8m") else { return };
    let copied = bare.pack(&tree, &small, Some(&first)).await.unwrap();
    assert_eq!((copied.read_files, copied.packs[0].linked), (0, true));
    bare.check(&small, &copied).await.unwrap();
    assert!(names(&small).iter().all(|name| !name.ends_with(".partial")));
    drop(mount);
}

#[tokio::test]
async fn files_that_rows_need_stay_in_the_set() {
    let bare = Bare::new();
    let (tree, set) = (bare.new_folder("tree"), bare.new_folder("set"));
    fs::create_dir_all(tree.join("ab/cd")).unwrap();
    fs::write(tree.join("ab/cd/gone"), "still needed").unwrap();
    fs::hard_link(tree.join("ab/cd/gone"), tree.join("ab/cd/gone too")).unwrap();
    fs::write(tree.join("stays"), "stays").unwrap();
    let_times_differ().await;
    let before = bare.pack(&tree, &set, None).await.unwrap();
    let was = picture(&tree, false);
    fs::remove_dir_all(tree.join("ab")).unwrap();
    let request = PackTree { keep_vanished: true, ..packing(&tree, &set, None) };
    let kept = bare.ports.trees.pack(&request, &Teller::silent()).await.unwrap();
    assert_eq!((kept.files, kept.read_files, &kept.packs), (3, 0, &before.packs));
    bare.check(&set, &kept).await.unwrap();
    bare.unpack(&set, &kept, &bare.at("copy")).await.unwrap();
    let now = picture(&bare.at("copy"), false);
    for path in ["ab", "ab/cd", "ab/cd/gone", "ab/cd/gone too", "stays"] {
        assert_eq!(now.get(Path::new(path)), was.get(Path::new(path)), "{path}");
    }
    // Without being told so, a set holds what the tree holds.
    let next = bare.new_folder("next");
    let less = bare.pack(&tree, &next, Some(&set)).await.unwrap();
    assert_eq!(less.files, 1);
}

#[tokio::test]
async fn damage_does_not_get_into_the_next_set() {
    let bare = Bare::new();
    let (tree, first, second) = (bare.new_folder("tree"), bare.new_folder("1"), bare.new_folder("2"));
    fifty(&tree);
    let_times_differ().await;
    let packed = bare.pack(&tree, &first, None).await.unwrap();
    flip(&first.join(&packed.packs[0].file.file), 300_000, 3);
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let tell = Teller::new(Arc::new(move |event| listener.lock().unwrap().push(event)));
    let next = bare.pack_told(&tree, &second, Some(&first), &tell).await.unwrap();
    assert_eq!(next.read_files, 50);
    let warned =
        |event: &Event| matches!(event, Event::Warning { text, .. } if text.contains("storage-001.tar.zst"));
    assert!(heard.lock().unwrap().iter().any(warned));
    bare.check(&second, &next).await.unwrap();
    // An index that cannot be read does not stop a new set either.
    flip(&first.join(&packed.index.file), 40, 0);
    let third = bare.new_folder("3");
    let next = bare.pack(&tree, &third, Some(&first)).await.unwrap();
    bare.check(&third, &next).await.unwrap();
}

fn flip(path: &Path, at: u64, bit: u32) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, at).unwrap();
}

#[tokio::test]
async fn every_flipped_bit_is_found() {
    let bare = Bare::new();
    let (tree, first, set) = (bare.new_folder("tree"), bare.new_folder("1"), bare.new_folder("2"));
    fifty(&tree);
    fs::write(tree.join("text"), "the same line again\n".repeat(10_000)).unwrap();
    let_times_differ().await;
    bare.pack(&tree, &first, None).await.unwrap();
    fs::write(tree.join("new"), random(50_000)).unwrap();
    let packed = bare.pack(&tree, &set, Some(&first)).await.unwrap();
    assert_eq!(packed.packs.len(), 2);
    let seed = u64::from_le_bytes(random(8).try_into().unwrap());
    eprintln!("contract: bits are flipped with the seed {seed}");
    let mut state = seed | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for stored in packed.packs.iter().map(|pack| &pack.file).chain([&packed.index]) {
        let path = set.join(&stored.file);
        for _ in 0..60 {
            let (at, bit) = (next(stored.bytes), u32::try_from(next(8)).unwrap());
            flip(&path, at, bit);
            let failure = bare.check(&set, &packed).await.expect_err("a flipped bit");
            assert_eq!(failure.code, "set_damaged", "{failure:?}");
            assert!(failure.message.contains(&stored.file), "byte {at}, bit {bit}: {failure:?}");
            flip(&path, at, bit);
        }
        let file = File::options().write(true).open(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in [0, 1, stored.bytes / 2, stored.bytes - 1] {
            file.set_len(length).unwrap();
            assert_eq!(code(bare.check(&set, &packed).await), "set_damaged", "{length} bytes");
        }
        fs::write(&path, [&*whole, b"more"].concat()).unwrap();
        assert_eq!(code(bare.check(&set, &packed).await), "set_damaged", "longer");
        fs::write(&path, whole).unwrap();
    }
    bare.check(&set, &packed).await.unwrap();
    // Nor is anything made from a damaged set.
    flip(&set.join(&packed.packs[0].file.file), 500_000, 5);
    assert_eq!(code(bare.unpack(&set, &packed, &bare.at("copy")).await), "set_damaged");
    assert!(!bare.at("copy").exists());
}

/// A tree whose first file is read for a while, so that something can happen meanwhile.
fn slow_tree(bare: &Bare) -> PathBuf {
    let tree = bare.new_folder("tree");
    fs::write(tree.join("large"), random(60 << 20)).unwrap();
    fs::write(tree.join("later"), "later").unwrap();
    tree
}

#[tokio::test]
async fn a_file_that_changes_is_read_again_until_it_is_still() {
    let bare = Bare::new();
    let (tree, set) = (slow_tree(&bare), bare.new_folder("set"));
    let large = tree.join("large");
    let once = AtomicBool::new(false);
    let path = large.clone();
    let tell = on_progress(move || {
        if !once.swap(true, Ordering::Relaxed) {
            File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        }
    });
    let packed = bare.pack_told(&tree, &set, None, &tell).await.unwrap();
    assert_eq!((&*packed.changed, packed.bytes), (&["large".to_owned()][..], (60 << 20) + 4 + 5));
    bare.check(&set, &packed).await.unwrap();
    // Whoever unpacks it by hand has the last state too.
    let hand = bare.new_folder("by hand");
    by_hand(&tree, &set, &packed, &hand);
    let never = bare.new_folder("never");
    let tell =
        on_progress(move || File::options().append(true).open(&large).unwrap().write_all(b"more").unwrap());
    assert_eq!(code(bare.pack_told(&tree, &never, None, &tell).await), "file_keeps_changing");
    assert!(names(&never).is_empty(), "{:?}", names(&never));
}

#[tokio::test]
async fn a_file_that_goes_away_is_named() {
    let bare = Bare::new();
    let (tree, set) = (slow_tree(&bare), bare.new_folder("set"));
    let later = tree.join("later");
    let tell = on_progress(move || drop(fs::remove_file(&later)));
    let packed = bare.pack_told(&tree, &set, None, &tell).await.unwrap();
    assert_eq!((&*packed.vanished, packed.files), (&["later".to_owned()][..], 1));
    bare.check(&set, &packed).await.unwrap();
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

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_the_copy() {
    let bare = Bare::new();
    let (tree, set) = (bare.new_folder("tree"), bare.new_folder("set"));
    fs::write(tree.join("fine"), "fine").unwrap();
    let bad = tree.join("no\nway");
    fs::write(&bad, "").unwrap();
    let mut _mount = None;
    if is_root() {
        // Nothing is closed to root, but nobody can read where this one begins.
        _mount = Mount::new(&bad, &["--bind".as_ref(), "/proc/self/mem".as_ref()]);
        if _mount.is_none() {
            return;
        }
    } else {
        fs::set_permissions(&bad, fs::Permissions::from_mode(0)).unwrap();
        assert_eq!(code(bare.ports.trees.facts(&tree).await), "permission_denied");
    }
    let failure = bare.pack(&tree, &set, None).await.unwrap_err();
    assert_eq!(failure.code, "unreadable_file");
    assert!(failure.message.contains("no\nway"), "{failure:?}");
    assert!(names(&set).is_empty(), "{:?}", names(&set));
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_behind() {
    let bare = Bare::new();
    let (tree, small) = (bare.new_folder("tree"), bare.new_folder("small"));
    let set = bare.new_folder("set");
    fs::write(tree.join("large"), random(5 << 20)).unwrap();
    let packed = bare.pack(&tree, &set, None).await.unwrap();
    for size in ["64k", "2m", "5m"] {
        let Some(mount) = Mount::tmpfs(&small, size) else { return };
        assert_eq!(code(bare.pack(&tree, &small, None).await), "no_room", "{size}");
        assert!(names(&small).is_empty(), "{size}: {:?}", names(&small));
        assert_eq!(code(bare.pack(&tree, &small, Some(&set)).await), "no_room", "{size}");
        assert!(names(&small).is_empty(), "{size}: {:?}", names(&small));
        assert_eq!(code(bare.unpack(&set, &packed, &small.join("copy")).await), "no_room", "{size}");
        assert!(names(&small).is_empty(), "{size}: {:?}", names(&small));
        drop(mount);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_waiting_finds_nothing_half_made() {
    let bare = Bare::new();
    let (tree, set, whole) = (slow_tree(&bare), bare.new_folder("set"), bare.new_folder("whole"));
    let packed = bare.pack(&tree, &whole, None).await.unwrap();
    for _ in 0..5 {
        let begun = Arc::new(tokio::sync::Notify::new());
        let notify = Arc::clone(&begun);
        let tell = on_progress(move || {
            notify.notify_one();
            std::thread::sleep(Duration::from_millis(100));
        });
        tokio::select! {
            done = bare.pack_told(&tree, &set, None, &tell) => panic!("too fast: {done:?}"),
            () = begun.notified() => {}
        }
        assert!(names(&set).is_empty(), "{:?}", names(&set));
    }
    let copy = bare.at("copy");
    let request = UnpackTree { folder: whole.clone(), packed: packed.clone(), into: copy.clone() };
    let begun = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&begun);
    let tell = on_progress(move || {
        notify.notify_one();
        std::thread::sleep(Duration::from_millis(100));
    });
    tokio::select! {
        done = bare.ports.trees.unpack(&request, &tell) => panic!("too fast: {done:?}"),
        () = begun.notified() => {}
    }
    super::dumps::until("the half tree is gone", || !copy.exists()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(names(&set).is_empty() && !copy.exists(), "nothing comes afterwards");
    bare.pack(&tree, &set, None).await.unwrap();
}

#[tokio::test]
async fn a_tree_that_was_in_use_is_not_taken_for_a_leftover() {
    let bare = Bare::new();
    let (live, set) = (bare.new_folder("live"), bare.new_folder("set"));
    fs::write(live.join("precious"), "precious").unwrap();
    let packed = bare.pack(&live, &set, None).await.unwrap();
    let other = bare.ports.trees.beside(&live, "other").await.unwrap();
    let expected = bare.unpack(&set, &packed, &other).await.unwrap();
    fs::write(live.join("uploaded since"), "uploaded since").unwrap();
    let exchange = ExchangeTrees { live: live.clone(), other: other.clone(), expected };
    bare.ports.trees.exchange(&exchange).await.unwrap();
    // As a run does that was killed before it could note that it had exchanged them.
    assert_eq!(code(bare.unpack(&set, &packed, &other).await), "tree_in_the_way");
    assert_eq!(fs::read(other.join("uploaded since")).unwrap(), b"uploaded since");
    assert_eq!(names(&live), ["precious"]);
}

#[tokio::test]
async fn what_is_mounted_cannot_be_replaced() {
    let bare = Bare::new();
    let (live, real) = (bare.new_folder("live"), bare.new_folder("real"));
    // The same file system at another place: its device is the same.
    let Some(mount) = Mount::new(&live, &["--bind".as_ref(), real.as_os_str()]) else { return };
    assert_eq!(code(bare.ports.trees.beside(&live, "other").await), "tree_is_mount");
    drop(mount);
    symlink(&real, bare.at("named")).unwrap();
    let beside = bare.ports.trees.beside(&bare.at("named"), "other").await.unwrap();
    assert_eq!(beside, fs::canonicalize(bare.folder.path()).unwrap().join("other"));
}

/// As an uploads folder is: many small files in two levels of folders, some large, half of all incompressible.
fn two_gigabytes(tree: &Path) {
    let noise = random(100 << 20);
    let text = "a line of text that is packed well, number \n".repeat(2 << 20);
    for number in 0..20_010_usize {
        let size = if number < 10 { 100 << 20 } else { 2_000 << (number % 7) } + number % 1_000;
        let from = if number % 2 == 0 { &noise[..] } else { text.as_bytes() };
        let at = if size < (1 << 20) { number * 911 % (50 << 20) } else { 0 };
        let key = blake3::hash(&number.to_le_bytes()).to_hex();
        let folder = tree.join(&key[..2]).join(&key[2..4]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&key[..28]), &from[at..(at + size).min(from.len())]).unwrap();
    }
}

#[tokio::test]
#[ignore = "a measurement: it needs 10 GB of disk and some minutes of a quiet machine"]
async fn two_gigabytes_are_copied_faster_than_by_tar() {
    let bare = Bare::new();
    let tree = bare.new_folder("tree");
    two_gigabytes(&tree);
    run("sync", &[]);
    let_times_differ().await;
    for round in 0..3 {
        let (by_tar, first) = (bare.new_folder("by tar"), bare.new_folder("1"));
        let second = bare.new_folder("2");
        let started = Instant::now();
        let script = "tar -C \"$0\" -c . | tar -C \"$1\" -x && sync -f \"$1\"";
        assert!(run("sh", &["-c".as_ref(), script.as_ref(), tree.as_os_str(), by_tar.as_os_str()]));
        let tar = started.elapsed();
        let started = Instant::now();
        let packed = bare.pack(&tree, &first, None).await.unwrap();
        let one = started.elapsed();
        for number in 0..100 {
            fs::write(tree.join(format!("new {round} {number}")), random(60_000)).unwrap();
        }
        let started = Instant::now();
        let next = bare.pack(&tree, &second, Some(&first)).await.unwrap();
        let two = started.elapsed();
        let started = Instant::now();
        bare.check(&second, &next).await.unwrap();
        let check = started.elapsed();
        let started = Instant::now();
        bare.unpack(&second, &next, &bare.at("copy")).await.unwrap();
        let unpack = started.elapsed();
        let ratio = |took: Duration| took.as_secs_f64() / tar.as_secs_f64();
        eprintln!(
            "tar {tar:.1?}, first {one:.1?} ({:.2}), second {two:.1?} ({:.2}), check {check:.1?}, unpack {unpack:.1?}, {} MB of {}",
            ratio(one),
            ratio(two),
            packed.packs[0].file.bytes >> 20,
            packed.bytes >> 20
        );
        for path in [by_tar, first, second, bare.at("copy")] {
            fs::remove_dir_all(path).unwrap();
        }
    }
}
