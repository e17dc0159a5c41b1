//! Uploaded files that move, hide or go away while they are copied, and those that have odd names.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::table::Table;
use crate::{
    lab::{Shape, Shell},
    real::{Field, every, screen::Screen},
};

const CREATE: &str = "backup create -y";

#[test]
fn uploaded_files_that_something_happens_to() {
    let mut table = Table::new();
    let tree = table.field.stack.storage().unwrap();
    let large = tree.join("large");
    Shell::new("sh")
        .args("-c")
        .arg(format!("head -c 60000000 /dev/urandom > {}", large.display()))
        .output()
        .unwrap();
    let screen = meanwhile(&table, || {
        File::options().append(true).open(&large).unwrap().write_all(b"more").unwrap();
    });
    table.failed("file that never stops changing", screen, &["large", "nothing of the site was changed"]);
    fs::remove_file(&large).unwrap();
    let screen = meanwhile(&table, || {
        for number in 0..50 {
            fs::write(tree.join(format!("passing-{number}")), "soon gone").unwrap();
        }
        for number in 0..50 {
            fs::remove_file(tree.join(format!("passing-{number}"))).unwrap();
        }
    });
    table.made("files that come and go", screen, &["rows, as in the databases"]);
    unreadable(&mut table, &tree);
    table.end();
}

/// Makes a backup while something is done again and again.
fn meanwhile(table: &Table, act: impl Fn() + Sync) -> Screen {
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                act();
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let screen = table.field.uplift(CREATE);
        over.store(true, Ordering::Relaxed);
        screen
    })
}

/// Nothing is closed to root, but nobody can read where this one begins.
fn unreadable(table: &mut Table, tree: &Path) {
    let bad = tree.join("bad");
    fs::write(&bad, "").unwrap();
    let line = format!(
        "mount --bind /proc/self/mem {} && exec {} {CREATE}",
        bad.display(),
        env!("CARGO_BIN_EXE_uplift")
    );
    let screen = table.field.run(&table.field.wrapped("unshare", "-m sh -c").arg(line), CREATE);
    fs::remove_file(bad).unwrap();
    table.failed("file that cannot be read", screen, &["bad"]);
}

#[test]
fn a_site_without_uploaded_files_is_backed_up_and_brought_back() {
    let field = Field::quick(Shape::Present, "1.1.0");
    field.uplift(CREATE).ends(0).shows(&["rows, as in the databases"]);
    let set = super::table::good(&field).pop().unwrap();
    field.uplift(&format!("backup verify {set}")).ends(0);
    if every() {
        let words = format!("restore {set} --restore-data always --jobs run -y --settle 1s");
        super::table::row("empty volume, restored", &field.uplift(&words).ends(0));
        assert_eq!(fs::read_dir(field.stack.storage().unwrap()).unwrap().count(), 0);
        field.assert_runs("1.1.0");
        field.assert_up();
        everything_comes_back(&field);
    }
    field.end();
}

/// One of each thing that a folder may hold, and a file of 5 GB: through a backup and a restore of the whole site.
fn everything_comes_back(field: &Field) {
    let tree = field.stack.storage().unwrap();
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    for name in [&b"a\nnew line"[..], b"no \xff\xfe utf-8", b"deep/one", b"-rf", b"back\\slash"] {
        fs::write(tree.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    fs::hard_link(tree.join("deep/one"), tree.join("another name")).unwrap();
    symlink("/etc/passwd", tree.join("out of the tree")).unwrap();
    symlink("nowhere", tree.join("dangling")).unwrap();
    let script = "cd \"$0\" && mkfifo pipe && truncate -s 5G sparse && printf x | dd of=sparse bs=1 seek=3000000000 conv=notrunc status=none \
                  && head -c 5000000000 /dev/urandom > large && chown 1000:1001 deep large && chmod 604 large && touch -d 2001-02-03 large";
    Shell::new("sh").arg("-c").arg(script).arg(tree.display().to_string()).output().unwrap();
    let set = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tree.join("large"), "user.colour", b"blue\n\0\xff", set).unwrap();
    let picture = || {
        let script = "cd \"$0\" && find . -type f -exec sha256sum -z {} + | sort -z | tr '\\0' '|'; \
             find . ! -type p ! -name . -printf '%p %y %m %U %G %s %l %T@ %n|' | sort -z; getfattr -R -d -m - . 2>/dev/null | sort";
        Shell::new("sh").arg("-c").arg(script).arg(tree.display().to_string()).output().unwrap()
    };
    let before = picture();
    let made = field.uplift(CREATE).ends(0).shows(&["pipe are no files"]);
    let set = super::table::good(field).remove(0);
    field.uplift(&format!("backup verify {set}")).ends(0);
    let words = format!("restore {set} --restore-data always --jobs run -y --settle 1s");
    let restored = field.uplift(&words).ends(0);
    println!(
        "| odd names, links, attributes, holes, 5 GB | 0 | backup {:.0} s, restore {:.0} s | nothing |",
        made.seconds(),
        restored.seconds()
    );
    let after = picture();
    assert!(before == after, "{before}\n\n{after}");
    field.assert_up();
}
