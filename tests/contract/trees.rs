//! Trees of files: packed into a set, checked, made again, put in place.

use std::path::{Path, PathBuf};

use uplift::{
    event::Teller,
    ports::{
        files::{File, MakeFolder, Remove, WriteFile},
        trees::{CheckTree, ExchangeTrees, FILLING, FillTree, Lacking, PackTree, Packed, UnpackTree},
    },
};

use super::{Fixture, code};

async fn write(fixture: &dyn Fixture, path: PathBuf, bytes: &[u8]) {
    let files = fixture.ports().files;
    let folder = path.parent().unwrap().to_owned();
    files.make_folder(&MakeFolder { path: folder, what: "folder".to_owned() }).await.unwrap();
    let (uid, gid) = fixture.owner();
    let file = File { bytes: bytes.to_vec(), mode: 0o640, uid, gid };
    files.write(&WriteFile { path, file, what: "file".to_owned() }).await.unwrap();
}

/// A fresh tree of two files, and an empty folder for a set.
async fn prepared(fixture: &dyn Fixture, name: &str) -> (PathBuf, PathBuf) {
    let files = fixture.ports().files;
    let (tree, set) = (fixture.scratch().join(name), fixture.scratch().join(format!("{name}-set")));
    for path in [&tree, &set] {
        files.remove(&Remove { path: path.clone(), what: "old".to_owned() }).await.unwrap();
    }
    write(fixture, tree.join("ab/cd/abcd0001"), b"one").await;
    write(fixture, tree.join("ab/ef/abef0002"), &vec![7; 70_000]).await;
    files.make_folder(&MakeFolder { path: set.clone(), what: "set".to_owned() }).await.unwrap();
    (tree, set)
}

async fn pack(fixture: &dyn Fixture, from: &Path, into: &Path) -> Packed {
    let request = PackTree {
        from: from.to_owned(),
        into: into.to_owned(),
        previous: None,
        keep_vanished: false,
        trust_previous: false,
    };
    fixture.ports().trees.pack(&request, &Teller::silent()).await.unwrap()
}

fn checking(folder: &Path, packed: &Packed) -> CheckTree {
    CheckTree { folder: folder.to_owned(), packed: packed.clone(), blobs: None }
}

pub(super) async fn a_missing_tree_has_no_inode(fixture: &dyn Fixture) {
    let path = fixture.scratch().join("no-such-tree");
    assert_eq!(fixture.ports().trees.inode(&path).await.unwrap(), None);
    assert_eq!(code(fixture.ports().trees.facts(&path).await), "folder_missing");
    assert_eq!(code(fixture.ports().trees.beside(&path, "other").await), "folder_missing");
}

pub(super) async fn a_tree_is_packed_and_checked(fixture: &dyn Fixture) {
    let (trees, files) = (fixture.ports().trees, fixture.ports().files);
    let (tree, set) = prepared(fixture, "packed").await;
    let facts = trees.facts(&tree).await.unwrap();
    assert_eq!(facts.files, 2);
    let packed = pack(fixture, &tree, &set).await;
    assert_eq!((packed.files, packed.bytes, packed.read_files), (2, 70_003, 2));
    for stored in packed.packs.iter().map(|pack| &pack.file).chain([&packed.index]) {
        let path = set.join(&stored.file);
        assert_eq!(files.hash(&path).await.unwrap().as_ref(), Some(&stored.blake3));
        assert_eq!(files.size(&path).await.unwrap(), Some(stored.bytes));
    }
    let checked = trees.check(&checking(&set, &packed), &Teller::silent()).await.unwrap();
    assert_eq!((checked.files, checked.bytes, checked.wrong_blobs_count), (2, 70_003, 0));
    // A second pass over the same tree finds the same tree, and one file more where there is one.
    let again = pack(fixture, &tree, &set).await;
    assert_eq!((again.files, &again.tree_blake3), (2, &packed.tree_blake3));
    write(fixture, tree.join("ab/cd/abcd0003"), b"three").await;
    let more = pack(fixture, &tree, &set).await;
    assert_eq!((more.files, more.bytes), (3, 70_008));
    assert_ne!(more.tree_blake3, packed.tree_blake3);
    trees.check(&checking(&set, &more), &Teller::silent()).await.unwrap();
    // A set of its own needs nothing of the one that it began with.
    let next = set.with_file_name("packed-next");
    let what = "set".to_owned();
    files.remove(&Remove { path: next.clone(), what: what.clone() }).await.unwrap();
    files.make_folder(&MakeFolder { path: next.clone(), what: what.clone() }).await.unwrap();
    let request = PackTree {
        from: tree.clone(),
        into: next.clone(),
        previous: Some(set.clone()),
        keep_vanished: false,
        trust_previous: true,
    };
    let linked = trees.pack(&request, &Teller::silent()).await.unwrap();
    assert_eq!((linked.files, &linked.tree_blake3), (3, &more.tree_blake3));
    files.remove(&Remove { path: set, what }).await.unwrap();
    trees.check(&checking(&next, &linked), &Teller::silent()).await.unwrap();
}

pub(super) async fn damage_in_a_set_is_found(fixture: &dyn Fixture) {
    let ports = fixture.ports();
    let (tree, set) = prepared(fixture, "damaged").await;
    let packed = pack(fixture, &tree, &set).await;
    for name in [&packed.packs[0].file.file, &packed.index.file] {
        let path = set.join(name);
        let whole = ports.files.read(&path).await.unwrap().unwrap();
        let mut flipped = whole.clone();
        let at = flipped.bytes.len() / 2;
        flipped.bytes[at] ^= 1;
        let what = "damage".to_owned();
        ports
            .files
            .write(&WriteFile { path: path.clone(), file: flipped, what: what.clone() })
            .await
            .unwrap();
        let found = ports.trees.check(&checking(&set, &packed), &Teller::silent()).await;
        assert_eq!(code(found), "set_damaged", "`{name}` flipped");
        ports.files.remove(&Remove { path: path.clone(), what: what.clone() }).await.unwrap();
        let found = ports.trees.check(&checking(&set, &packed), &Teller::silent()).await;
        assert_eq!(code(found), "set_damaged", "`{name}` gone");
        ports.files.write(&WriteFile { path, file: whole, what }).await.unwrap();
        ports.trees.check(&checking(&set, &packed), &Teller::silent()).await.unwrap();
    }
}

pub(super) async fn missing_uploads_are_named(fixture: &dyn Fixture) {
    let trees = fixture.ports().trees;
    let (tree, set) = prepared(fixture, "uploads").await;
    let packed = pack(fixture, &tree, &set).await;
    let lines = [
        r#"{"key":"abcd0001","byte_size":3,"checksum":null}"#,
        r#"{"key":"abef0002","byte_size":69000,"checksum":null}"#,
        r#"{"key":"ffff0009","byte_size":1,"checksum":null}"#,
    ];
    let list = set.join("blobs.zst");
    let text = lines.join("\n") + "\n";
    write(fixture, list.clone(), &zstd::encode_all(text.as_bytes(), 1).unwrap()).await;
    let request = CheckTree { blobs: Some(list), ..checking(&set, &packed) };
    let checked = trees.check(&request, &Teller::silent()).await.unwrap();
    assert_eq!((checked.blobs, checked.wrong_blobs_count), (3, 2));
    let named = checked.wrong_blobs.join("\n");
    assert!(named.contains("abef0002: ") && named.contains("ffff0009: "), "{named}");
}

pub(super) async fn trees_change_places(fixture: &dyn Fixture) {
    let ports = fixture.ports();
    let (live, set) = prepared(fixture, "live").await;
    let packed = pack(fixture, &live, &set).await;
    let was = ports.trees.inode(&live).await.unwrap().unwrap();
    write(fixture, live.join("ab/cd/abcd0001"), b"changed since").await;
    let other = ports.trees.beside(&live, "live.contract").await.unwrap();
    ports.files.remove(&Remove { path: other.clone(), what: "old".to_owned() }).await.unwrap();
    let unpack = UnpackTree { folder: set, packed, into: other.clone() };
    ports.trees.unpack(&unpack, &Teller::silent()).await.unwrap();
    let made = ports.trees.unpack(&unpack, &Teller::silent()).await.expect("over what was left");
    assert_eq!(ports.trees.inode(&other).await.unwrap(), Some(made));
    let exchange = ExchangeTrees { live: live.clone(), other: other.clone(), expected: made };
    ports.trees.exchange(&exchange).await.unwrap();
    ports.trees.exchange(&exchange).await.expect("and the second time it has nothing to do");
    assert_eq!(ports.trees.inode(&live).await.unwrap(), Some(made));
    assert_eq!(ports.trees.inode(&other).await.unwrap(), Some(was));
    let file = ports.files.read(&live.join("ab/cd/abcd0001")).await.unwrap().unwrap();
    assert_eq!((file.bytes.as_slice(), file.mode), (&b"one"[..], 0o640));
    let aside = ports.files.read(&other.join("ab/cd/abcd0001")).await.unwrap().unwrap();
    assert_eq!(aside.bytes, b"changed since", "nothing is lost");
    let wrong = ExchangeTrees { expected: made.wrapping_add(1), ..exchange };
    assert_eq!(code(ports.trees.exchange(&wrong).await), "tree_replaced");
}

pub(super) async fn a_tree_gets_back_what_it_has_lost(fixture: &dyn Fixture) {
    let (trees, files) = (fixture.ports().trees, fixture.ports().files);
    let (live, set) = prepared(fixture, "lost").await;
    let packed = pack(fixture, &live, &set).await;
    let fill = FillTree { folder: set, packed, live: live.clone() };
    assert_eq!(trees.lacking(&fill).await.unwrap(), Lacking::default());
    let (gone, other) = (live.join("ab/ef/abef0002"), live.join("ab/cd/abcd0001"));
    files.remove(&Remove { path: live.join("ab/ef"), what: "folder".to_owned() }).await.unwrap();
    write(fixture, other.clone(), b"changed since").await;
    write(fixture, live.join("ab/cd/abcd0003"), b"new").await;
    let blake3 = blake3::hash(&vec![7; 70_000]).to_hex().to_string();
    let paths = [(PathBuf::from("ab/ef/abef0002"), Some(blake3))].into();
    assert_eq!(
        trees.lacking(&fill).await.unwrap(),
        Lacking { files: 1, bytes: 70_000, paths, folders: 1, ..Lacking::default() }
    );
    trees.fill(&fill, &Teller::silent()).await.unwrap();
    trees.fill(&fill, &Teller::silent()).await.expect("and the second time it has nothing to do");
    assert_eq!(trees.lacking(&fill).await.unwrap(), Lacking::default());
    let back = files.read(&gone).await.unwrap().unwrap();
    assert_eq!((back.bytes, back.mode), (vec![7; 70_000], 0o640));
    assert_eq!(files.read(&other).await.unwrap().unwrap().bytes, b"changed since");
    assert_eq!(trees.facts(&live).await.unwrap().files, 3, "nothing else is there");
}

/// A kill may leave it, as one more name of a file that somebody has uploaded.
pub(super) async fn what_a_killed_attempt_has_left_is_no_upload(fixture: &dyn Fixture) {
    let trees = fixture.ports().trees;
    let (live, set) = prepared(fixture, "half").await;
    let half = live.join(FILLING);
    write(fixture, half.clone(), b"one").await;
    assert_eq!(trees.facts(&live).await.unwrap().files, 2);
    let packed = pack(fixture, &live, &set).await;
    assert_eq!(packed.files, 2);
    let fill = FillTree { folder: set, packed, live };
    assert_eq!(trees.lacking(&fill).await.unwrap(), Lacking::default());
    trees.fill(&fill, &Teller::silent()).await.unwrap();
    assert_eq!(fixture.ports().files.size(&half).await.unwrap(), None, "also where nothing is lacking");
}

pub(super) async fn what_cannot_be_reached_is_named(fixture: &dyn Fixture) {
    let (trees, files) = (fixture.ports().trees, fixture.ports().files);
    let (live, set) = prepared(fixture, "unreachable").await;
    let packed = pack(fixture, &live, &set).await;
    let fill = FillTree { folder: set, packed, live: live.clone() };
    files.remove(&Remove { path: live.join("ab/ef"), what: "folder".to_owned() }).await.unwrap();
    write(fixture, live.join("ab/ef"), b"a file instead of the folder").await;
    let unreachable = vec!["ab/ef/abef0002".to_owned()];
    let expected = Lacking { unreachable, ..Lacking::default() };
    assert_eq!(trees.lacking(&fill).await.unwrap(), expected);
    trees.fill(&fill, &Teller::silent()).await.expect("it leaves that alone");
    assert_eq!(trees.lacking(&fill).await.unwrap(), expected);
}
