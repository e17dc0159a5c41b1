use std::{fs, path::Path, time::Instant};

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
        let begun = Clocks::now();
        let script = "tar -C \"$0\" -c . | tar -C \"$1\" -x && sync -f \"$1\"";
        assert!(run("sh", &["-c".as_ref(), script.as_ref(), tree.as_os_str(), by_tar.as_os_str()]));
        let tar = begun.since();
        let begun = Clocks::now();
        let packed = bare.pack(&tree, &first, None).await.unwrap();
        let one = begun.since();
        for number in 0..100 {
            fs::write(tree.join(format!("new {round} {number}")), random(60_000)).unwrap();
        }
        let begun = Clocks::now();
        let next = bare.pack(&tree, &second, Some(&first)).await.unwrap();
        let two = begun.since();
        let begun = Clocks::now();
        bare.check(&second, &next).await.unwrap();
        let check = begun.since();
        let begun = Clocks::now();
        bare.unpack(&second, &next, &bare.at("copy")).await.unwrap();
        let unpack = begun.since();
        let (packed, plain) = (packed.packs[0].file.bytes >> 20, packed.bytes >> 20);
        eprintln!("seconds and processor seconds, {plain} MB in {packed} MB");
        for (what, took) in
            [("tar | tar", tar), ("first", one), ("second", two), ("check", check), ("unpack", unpack)]
        {
            let (wall, cpu) = (took.0 / tar.0, took.1 / tar.1);
            eprintln!("{what:>10} {:6.1} ({wall:.2}) {:6.1} ({cpu:.2})", took.0, took.1);
        }
        for path in [by_tar, first, second, bare.at("copy")] {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// The clock on the wall, and what processors have worked for us and for programs that we started.
struct Clocks(Instant, f64);

impl Clocks {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let fields = text.rsplit_once(')').unwrap().1.split_whitespace();
        // User and system time, own and of children, in hundredths.
        let ticks: u32 = fields.skip(11).take(4).map(|ticks| ticks.parse::<u32>().unwrap()).sum();
        Self(Instant::now(), f64::from(ticks) / 100.0)
    }

    fn since(&self) -> (f64, f64) {
        let now = Self::now();
        ((now.0 - self.0).as_secs_f64(), now.1 - self.1)
    }
}
