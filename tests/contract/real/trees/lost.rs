//! What comes back into a tree that people work with, and what is left alone.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{FileExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use uplift::{
    event::Teller,
    ports::trees::{FILLING, FillTree},
};

use super::{Bare, picture, random};
use crate::contract::code;

/// A tree with all that a tree may have, and where it is packed.
async fn packed(bare: &Bare) -> FillTree {
    let (live, folder) = (bare.new_folder("live"), bare.new_folder("set"));
    fs::create_dir_all(live.join("ab/cd")).unwrap();
    fs::write(live.join("ab/cd/one"), random(300_000)).unwrap();
    fs::hard_link(live.join("ab/cd/one"), live.join("ab/one too")).unwrap();
    symlink("cd/one", live.join("ab/link")).unwrap();
    File::create(live.join("ab/holes")).unwrap().write_all_at(b"end", 5 << 20).unwrap();
    fs::set_permissions(live.join("ab/holes"), fs::Permissions::from_mode(0o604)).unwrap();
    fs::set_permissions(live.join("ab/cd"), fs::Permissions::from_mode(0o711)).unwrap();
    fs::write(live.join("stays"), "stays").unwrap();
    let packed = bare.pack(&live, &folder, None).await.unwrap();
    FillTree { folder, packed, live }
}

/// Files and links. Whatever is made in a folder changes the folder's time.
fn files(tree: &Path) -> BTreeMap<PathBuf, String> {
    let all = picture(tree, false).into_iter();
    all.filter(|(_, what)| !what.starts_with("folder")).collect()
}

#[tokio::test]
async fn what_was_deleted_is_what_it_was() {
    let bare = Bare::new();
    let fill = packed(&bare).await;
    let mut before = files(&fill.live);
    fs::remove_dir_all(fill.live.join("ab")).unwrap();
    fs::write(fill.live.join("stays"), "changed").unwrap();
    bare.ports.trees.fill(&fill, &Teller::silent()).await.unwrap();
    let mut now = files(&fill.live);
    assert_ne!(now.remove(Path::new("stays")), before.remove(Path::new("stays")));
    assert_eq!(now, before);
    assert_eq!(fs::metadata(fill.live.join("ab/cd")).unwrap().permissions().mode() & 0o777, 0o711);
}

/// Whoever may write into the uploaded files may not have others written through them.
#[tokio::test]
async fn nothing_is_written_out_of_the_tree() {
    let bare = Bare::new();
    let fill = packed(&bare).await;
    let (outside, victim) = (bare.new_folder("outside"), bare.at("victim"));
    fs::write(&victim, "mine").unwrap();
    fs::remove_dir_all(fill.live.join("ab/cd")).unwrap();
    symlink(&outside, fill.live.join("ab/cd")).unwrap();
    fs::remove_file(fill.live.join("ab/holes")).unwrap();
    symlink(&victim, fill.live.join(FILLING)).unwrap();
    let lacking = bare.ports.trees.lacking(&fill).await.unwrap();
    assert_eq!(lacking.unreachable, ["ab/cd/one"]);
    assert_eq!(lacking.paths.into_keys().collect::<Vec<_>>(), [PathBuf::from("ab/holes")]);
    bare.ports.trees.fill(&fill, &Teller::silent()).await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(fill.live.join("ab/holes").exists() && !fill.live.join(FILLING).exists());
}

#[tokio::test]
async fn damage_brings_nothing_back() {
    let bare = Bare::new();
    let fill = packed(&bare).await;
    fs::remove_file(fill.live.join("ab/cd/one")).unwrap();
    let before = files(&fill.live);
    let pack = fill.folder.join(&fill.packed.packs[0].file.file);
    let open = File::options().read(true).write(true).open(pack).unwrap();
    let mut byte = [0];
    open.read_exact_at(&mut byte, 200_000).unwrap();
    open.write_all_at(&[byte[0] ^ 4], 200_000).unwrap();
    assert_eq!(code(bare.ports.trees.fill(&fill, &Teller::silent()).await), "set_damaged");
    assert_eq!(files(&fill.live), before);
}

/// One name of a file is enough to lose, whichever it is, and whatever the other ones are by now.
#[tokio::test]
async fn one_of_two_names_comes_back_with_what_it_was() {
    let bare = Bare::new();
    let fill = packed(&bare).await;
    let names = ["ab/cd/one", "ab/one too"].map(|name| fill.live.join(name));
    let content = fs::read(&names[0]).unwrap();
    for (gone, stays) in [(0, 1), (1, 0)] {
        fs::remove_file(&names[gone]).unwrap();
        fs::write(&names[stays], "changed since").unwrap();
        let lacking = bare.ports.trees.lacking(&fill).await.unwrap();
        assert_eq!((lacking.files, lacking.bytes, lacking.folders), (1, 300_000, 0));
        bare.ports.trees.fill(&fill, &Teller::silent()).await.unwrap();
        assert!(fs::read(&names[gone]).unwrap() == content);
        assert_eq!(fs::read(&names[stays]).unwrap(), b"changed since");
        fs::write(&names[stays], &content).unwrap();
    }
    // Its first name need not be the one that comes first.
    let (live, folder) = (bare.new_folder("order"), bare.new_folder("order-set"));
    fs::write(live.join("b"), "same").unwrap();
    fs::hard_link(live.join("b"), live.join("c")).unwrap();
    fs::hard_link(live.join("b"), live.join("a")).unwrap();
    let packed = bare.pack(&live, &folder, None).await.unwrap();
    let fill = FillTree { folder, packed, live: live.clone() };
    let before = files(&live);
    for name in ["a", "b", "c"] {
        fs::remove_file(live.join(name)).unwrap();
    }
    bare.ports.trees.fill(&fill, &Teller::silent()).await.unwrap();
    assert_eq!(files(&live), before, "three names of one file");
}

/// Damage in one pack keeps back what lies in it alone.
#[tokio::test]
async fn what_a_whole_pack_has_comes_back_although_another_is_damaged() {
    let bare = Bare::new();
    let first = packed(&bare).await;
    let (live, old, folder) = (first.live, bare.new_folder("old"), bare.new_folder("second"));
    super::let_times_differ().await;
    bare.pack(&live, &old, None).await.unwrap();
    fs::write(live.join("later"), "later").unwrap();
    let packed = bare.pack(&live, &folder, Some(&old)).await.unwrap();
    assert_eq!(packed.packs.len(), 2);
    let pack = folder.join(&packed.packs[0].file.file);
    fs::remove_file(&pack).unwrap();
    let fill = FillTree { folder, packed, live: live.clone() };
    for name in ["ab/holes", "stays", "later"] {
        fs::remove_file(live.join(name)).unwrap();
    }
    assert_eq!(code(bare.ports.trees.fill(&fill, &Teller::silent()).await), "set_damaged");
    assert_eq!(fs::read(live.join("later")).unwrap(), b"later");
    let left = bare.ports.trees.lacking(&fill).await.unwrap();
    assert_eq!(left.files, 2, "{left:?}");
    assert!(!live.join(FILLING).exists());
}
