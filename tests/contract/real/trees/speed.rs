use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::{Bare, let_times_differ, random, run};

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
