//! Sets of one tree that follow each other, and damage in them.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    sync::Arc,
};

use uplift::{
    event::{Event, Teller},
    ports::trees::PackTree,
};

use super::{Bare, Mount, let_times_differ, names, packing, picture, random, run};
use crate::contract::code;

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

/// A disk that cannot be read just now says nothing of what stands on it.
#[tokio::test]
async fn what_cannot_be_read_is_not_called_damaged() {
    let bare = Bare::new();
    let (tree, set) = (bare.new_folder("tree"), bare.new_folder("set"));
    fifty(&tree);
    let packed = bare.pack(&tree, &set, None).await.unwrap();
    for file in [&packed.packs[0].file.file, &packed.index.file] {
        let (path, aside) = (set.join(file), bare.at("aside"));
        fs::rename(&path, &aside).unwrap();
        assert_eq!(code(bare.check(&set, &packed).await), "set_damaged", "{file} is missing");
        // A link to itself cannot be opened by anybody.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert_eq!(code(bare.check(&set, &packed).await), "file_failed", "{file}");
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    bare.check(&set, &packed).await.unwrap();
}

/// As the screen says to somebody who has to bring files back: without uplift, by what every host has.
#[tokio::test]
async fn a_pack_is_an_archive_that_tar_unpacks() {
    let bare = Bare::new();
    let (tree, set, out) = (bare.new_folder("tree"), bare.new_folder("set"), bare.new_folder("out"));
    fs::create_dir_all(tree.join("ab/cd")).unwrap();
    fs::write(tree.join("ab/cd/abcd"), random(300_000)).unwrap();
    fs::write(tree.join("größe"), "text").unwrap();
    let packed = bare.pack(&tree, &set, None).await.unwrap();
    for pack in &packed.packs {
        let archive = bare.at("archive.tar");
        // `--zstd` has a program do this, which not every host has.
        let plain = zstd::decode_all(File::open(set.join(&pack.file.file)).unwrap()).unwrap();
        fs::write(&archive, plain).unwrap();
        assert!(run("tar", &["-xf".as_ref(), archive.as_os_str(), "-C".as_ref(), out.as_os_str()]));
    }
    for name in ["ab/cd/abcd", "größe"] {
        assert!(fs::read(out.join(name)).unwrap() == fs::read(tree.join(name)).unwrap(), "{name}");
    }
}
