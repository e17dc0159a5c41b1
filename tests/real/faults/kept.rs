//! Backups that were damaged where they lie, copied half, or made by a clock that was wrong.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::table::{Table, row};
use crate::{
    lab::Shell,
    real::{every, preload, screen::Screen},
};

/// Flips that are tried in each file.
const FLIPS: usize = 60;

#[test]
fn a_backup_that_is_not_what_it_was_is_never_taken_for_good() {
    let mut table = Table::new();
    let set = super::table::good(&table.field).remove(0);
    let folder = table.field.state("backups").join(&set);
    // `backups.rs` has the short form of it.
    if every() {
        flipped(&table, &folder);
    }
    altered(&table, &folder);
    clock(&mut table);
    all_bad(&table);
    table.end();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // What it says about the set is found out by the set itself.
    files.retain(|path| !path.ends_with("checked.json"));
    files.sort();
    files
}

/// A copy outside of the site, which nothing is known about.
fn copied(folder: &Path) -> tempfile::TempDir {
    let away = tempfile::tempdir().unwrap();
    let copy = Shell::new("cp").arg("-a").arg(folder.display().to_string());
    copy.arg(away.path().display().to_string()).output().unwrap();
    away
}

fn verify(table: &Table, folder: &Path) -> Screen {
    let words = format!("backup verify {}", folder.display());
    table.field.run(&table.field.shell(&words).folder(folder.parent().unwrap()), &words)
}

fn flipped(table: &Table, folder: &Path) {
    let away = copied(folder);
    let copy = away.path().join(folder.file_name().unwrap());
    let names = files(&copy);
    assert!(names.len() >= 8, "{names:?}");
    for path in &names {
        let whole = fs::read(path).unwrap();
        let mut last = None;
        for number in 0..FLIPS {
            let mut bytes = whole.clone();
            let bit = number * (bytes.len() * 8 - 1) / (FLIPS - 1);
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, bytes).unwrap();
            let screen = verify(table, &copy);
            assert_eq!(screen.exit(), Some(1), "bit {bit} of `{}` was not found\n{screen}", path.display());
            last = Some(screen);
        }
        fs::write(path, &whole[..whole.len() - 1]).unwrap();
        let short = verify(table, &copy).ends(1);
        fs::write(path, &whole).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        row(&format!("{FLIPS} flipped bits in `{name}`, each found"), &last.unwrap());
        row(&format!("`{name}` truncated"), &short);
    }
    verify(table, &copy).ends(0);
}

/// Something done to a copy of a set.
type Change<'a> = &'a dyn Fn(&Path);

/// Missing, half copied, or with another manifest: neither verified nor restored.
fn altered(table: &Table, folder: &Path) {
    let changes: [(&str, Change<'_>); 5] = [
        ("manifest missing", &|set| fs::remove_file(set.join("manifest.json")).unwrap()),
        ("hash of the manifest missing", &|set| fs::remove_file(set.join("manifest.b3")).unwrap()),
        ("manifest altered", &|set| {
            let path = set.join("manifest.json");
            let text = fs::read_to_string(&path).unwrap().replacen("\"rows\": ", "\"rows\": 1", 1);
            fs::write(path, text).unwrap();
        }),
        ("manifest altered, and its hash with it", &|set| {
            let path = set.join("manifest.json");
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replacen("\"rows\": ", "\"rows\": 1", 1);
            fs::write(set.join("manifest.b3"), format!("{}\n", blake3::hash(text.as_bytes()).to_hex()))
                .unwrap();
            fs::write(path, text).unwrap();
        }),
        ("half copied", &|set| {
            let files = files(set);
            let half = files.len() / 2;
            for path in
                files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "zst")).take(half)
            {
                fs::remove_file(path).unwrap();
            }
        }),
    ];
    for (case, change) in changes {
        let away = copied(folder);
        let copy = away.path().join(folder.file_name().unwrap());
        change(&copy);
        row(case, &verify(table, &copy).ends(1));
        let words = format!("restore {} --restore-data always --jobs run -y", copy.display());
        let screen = table.field.uplift(&words).ends(1).shows(&["was changed"]);
        row(&format!("{case}, to be restored"), &screen);
    }
}

const YEAR: u32 = 366 * 86_400;

/// Runs uplift with a clock that is so many seconds ahead.
fn ahead(table: &Table, words: &str, seconds: u32) -> Screen {
    let shell = table.field.shell(words).env("LD_PRELOAD", preload::clock().display().to_string());
    table.field.run(&shell.env("UPLIFT_TEST_CLOCK", seconds.to_string()), words)
}

/// The clock is a year ahead for one backup, and right again.
fn clock(table: &mut Table) {
    let words = "backup create -y";
    let screen = ahead(table, words, YEAR);
    let later = table.made("clock a year ahead", screen, &["rows, as in the databases"]);
    let screen = table.field.uplift(words);
    let now = table.made("clock put back", screen, &["rows, as in the databases"]);
    assert!(later > now, "{later} is said to be younger than {now}");
    let screen = table.field.uplift("backup prune -y");
    table.ended("retention after that", screen, 0, &["NOTHING NEEDED"]);
    for set in [later, now] {
        table.field.uplift(&format!("backup verify {set}")).ends(0);
    }
}

/// Nothing goes while no backup is good.
fn all_bad(table: &Table) {
    let folder = table.field.state("backups");
    let sets = super::table::good(&table.field);
    for set in &sets {
        let dump = folder.join(set).join("strata_production.dump.zst");
        let bytes = fs::read(&dump).unwrap();
        fs::write(dump, &bytes[..bytes.len() / 2]).unwrap();
    }
    // All of them are old by then.
    let screen = ahead(table, "backup prune -y --keep 1", 3 * YEAR).ends(0).shows(&["NOTHING NEEDED"]);
    row("retention with all backups bad", &screen);
    assert_eq!(super::table::good(&table.field), Vec::<String>::new());
    assert!(sets.iter().all(|set| folder.join(set).exists()), "a bad backup is better than none");
    table.field.uplift("status").ends(0);
}
