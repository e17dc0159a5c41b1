//! What goes wrong while a tree is copied, and what is not done to a tree.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use uplift::ports::trees::{ExchangeTrees, UnpackTree};

use super::{Bare, Mount, by_hand, is_root, names, on_progress, random};
use crate::contract::{code, real::dumps::until};

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

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_the_copy() {
    let bare = Bare::new();
    let (tree, set) = (bare.new_folder("tree"), bare.new_folder("set"));
    fs::write(tree.join("fine"), "fine").unwrap();
    let bad = tree.join("no\nway");
    fs::write(&bad, "").unwrap();
    let mut mount = None;
    if is_root() {
        // Nothing is closed to root, but nobody can read where this one begins.
        mount = Mount::new(&bad, &["--bind".as_ref(), "/proc/self/mem".as_ref()]);
        if mount.is_none() {
            return;
        }
    } else {
        fs::set_permissions(&bad, fs::Permissions::from_mode(0o0)).unwrap();
        assert_eq!(code(bare.ports.trees.facts(&tree).await), "permission_denied");
    }
    let failure = bare.pack(&tree, &set, None).await.unwrap_err();
    assert_eq!(failure.code, "unreadable_file");
    assert!(failure.message.contains("no\nway"), "{failure:?}");
    assert!(names(&set).is_empty(), "{:?}", names(&set));
    drop(mount);
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
    until("the half tree is gone", || !copy.exists()).await;
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
