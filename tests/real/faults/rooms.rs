//! A disk that is full before the backup is whole: a file system of its own, as small as it has to be.

use std::{
    fs::{self, File},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::fs::FallocateFlags;

use crate::{
    lab::{Shape, Shell, Started, wait_until},
    real::{Field, every, killed::left_over, screen::Screen},
};

/// A file system of its own in a mount namespace of its own, which goes away with the process that holds it.
struct Room<'a> {
    field: &'a Field,
    mount: PathBuf,
    image: PathBuf,
    holder: Started,
}

impl<'a> Room<'a> {
    fn new(field: &'a Field) -> Self {
        let (mount, image) = (field.dir().with_extension("room"), field.dir().with_extension("ext4"));
        fs::create_dir_all(&mount).unwrap();
        File::create(&image).unwrap().set_len(1 << 30).unwrap();
        let (to, from) = (mount.display(), image.display());
        // The journal of the file system may be small; nothing of it is kept for root.
        let script = format!(
            "mkfs.ext4 -q -m 0 -J size=4 {from} && mount -o loop {from} {to} && touch {to}/ready && exec sleep 900"
        );
        let holder = Shell::new("unshare").args("-m sh -c").arg(script).start().unwrap();
        let room = Self { field, mount, image, holder };
        wait_until("the small file system", Duration::from_mins(2), || room.at("ready").exists())
            .map_err(|error| format!("{error}\n{}", room.holder.stderr()))
            .unwrap();
        room
    }

    /// A path in it, as this process reaches it.
    fn at(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(self.mount.strip_prefix("/").unwrap()).join(name)
    }

    fn shell(&self, words: &str) -> Shell {
        let enter = format!("-m -t {} --wd={}", self.holder.pid(), self.field.dir().display());
        let enter = self.field.wrapped("nsenter", &enter).arg(env!("CARGO_BIN_EXE_uplift")).args(words);
        enter.args("--state").arg(self.mount.join("uplift").display().to_string())
    }

    fn uplift(&self, words: &str) -> Screen {
        self.field.run(&self.shell(words), words)
    }

    fn free(&self) -> u64 {
        let about = rustix::fs::statvfs(self.at("")).unwrap();
        about.f_bavail * about.f_frsize
    }

    /// Leaves so much room and no more.
    fn fill(&self, leave: u64) {
        let file = File::create(self.at("ballast")).unwrap();
        let length = self.free() - leave;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length).unwrap();
    }

    fn sets(&self) -> Vec<String> {
        let names = fs::read_dir(self.at("uplift/backups")).into_iter().flatten();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name != ".journal.mark").collect()
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let _ended = self.holder.signal("KILL");
        let _removed = fs::remove_file(&self.image);
        let _removed = fs::remove_dir(&self.mount);
    }
}

#[test]
fn a_disk_that_is_full_before_the_backup_is_whole() {
    let field = Field::quick(Shape::Present, "1.1.0");
    much_to_copy(&field);
    let whole = whole(&field);
    assert!(whole > 80 << 20, "{whole}");
    for percent in if every() { vec![10, 50, 99] } else { vec![50] } {
        full_at(&field, percent, whole);
    }
    field.end();
}

/// Bytes that no compression makes fewer, in files and in rows: as many of the one as of the other.
fn much_to_copy(field: &Field) {
    let files = "for n in 1 2 3 4; do head -c 12000000 /dev/urandom > /rails/storage/large-$n; done";
    field.stack.compose_words(&["exec", "-T", "web", "sh", "-c", files]).unwrap();
    let rows = "CREATE EXTENSION pgcrypto; CREATE TABLE noise AS SELECT n, gen_random_bytes(1000) FROM generate_series(1, 48000) n; \
                ALTER TABLE noise OWNER TO strata; DROP EXTENSION pgcrypto";
    field.stack.psql("strata_production", rows).unwrap();
}

/// Bytes of all files of a backup.
fn whole(field: &Field) -> u64 {
    let room = Room::new(field);
    room.uplift("backup create -y").ends(0);
    let [set] = room.sets().try_into().unwrap();
    let files = fs::read_dir(room.at("uplift/backups").join(set)).unwrap();
    files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn full_at(field: &Field, percent: u64, whole: u64) {
    let room = Room::new(field);
    let words = "backup create -y";
    let run = room.shell(words).start().unwrap();
    // There was room for all of it when it was looked at.
    let begun = Instant::now();
    while room.sets().is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(4), "{}{}", run.stdout(), run.stderr());
        std::thread::sleep(Duration::from_millis(1));
    }
    room.fill(whole * percent / 100);
    let screen = field.ended(run, words).ends(1).shows(&["nothing of the site was changed"]);
    assert_eq!(room.sets(), Vec::<String>::new(), "{screen}");
    assert_eq!(left_over(&room.at("uplift")), Vec::<String>::new(), "{screen}");
    super::table::row(&format!("disk full at {percent} % of {} MB", whole / 1_000_000), &screen);
    room.uplift("status").ends(0);
    room.uplift("backup list").ends(0).shows(&["there is no backup"]);
    fs::remove_file(room.at("ballast")).unwrap();
    room.uplift("backup create -y").ends(0);
    assert_eq!(room.sets().len(), 1);
}
