//! What goes and what stays, over thousands of folders that were drawn at random. A failure names its seed.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use uplift::{
    backups::{Judged, KEEP, Level, Listed, Manifest, Part, Standing, judge, judge_databases},
    ports::postgres::{Kept, KeptDatabase, Mark},
};

const NOW: &str = "2026-11-24T03:15:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_hours(hours)).unwrap()
}

fn set(name: &str, hours: i64, standing: Standing) -> Listed {
    Listed {
        set: name.to_owned(),
        path: name.into(),
        created_at: Some(ago(hours).to_string()),
        bytes: 1,
        parts: Part::ALL.to_vec(),
        pinned: Some(false),
        version: None,
        reason: None,
        standing,
        manifest: None,
    }
}

fn verified() -> Standing {
    Standing::Verified { level: Level::Decoded, at: NOW.to_owned() }
}

fn goes(judged: &[Judged]) -> BTreeSet<&str> {
    judged.iter().filter(|one| one.goes).map(|one| one.name.as_str()).collect()
}

#[test]
fn the_newest_three_and_a_week_stay() {
    let sets: Vec<_> = (0..12).map(|day| set(&format!("day-{day:02}"), day * 24, verified())).collect();
    let judged = judge(&sets, now(), KEEP);
    assert_eq!(goes(&judged), ["day-08", "day-09", "day-10", "day-11"].into());
    let old: Vec<_> = (0..5).map(|n| set(&format!("old-{n}"), 2_000 + n, verified())).collect();
    assert_eq!(goes(&judge(&old, now(), KEEP)), ["old-3", "old-4"].into());
    // None at all is never what somebody means.
    assert_eq!(goes(&judge(&old, now(), 0)), ["old-1", "old-2", "old-3", "old-4"].into());
}

#[test]
fn nothing_goes_while_no_backup_can_be_relied_on() {
    let bad = [
        Standing::Incomplete,
        Standing::Damaged { why: "x".to_owned() },
        Standing::Unproved { why: "x".to_owned() },
        Standing::Unknown { why: "x".to_owned() },
    ];
    let sets: Vec<_> =
        bad.into_iter().enumerate().map(|(n, standing)| set(&format!("bad-{n}"), 5_000, standing)).collect();
    let judged = judge(&sets, now(), KEEP);
    assert!(goes(&judged).is_empty(), "{judged:?}");
    assert!(judged.iter().take(3).all(|one| one.why.contains("no verified backup")), "{judged:?}");
    // With one that can be relied on, what is no backup goes, and what cannot be judged stays.
    let sets = [vec![set("good", 1, verified())], sets].concat();
    assert_eq!(goes(&judge(&sets, now(), KEEP)), ["bad-0", "bad-1", "bad-2"].into());
}

#[test]
fn a_set_of_one_part_takes_no_whole_one_away() {
    let dumps: Vec<_> = (0..4)
        .map(|n| Listed { parts: vec![Part::Databases], ..set(&format!("dump-{n}"), 200 + n, verified()) })
        .collect();
    let sets = [dumps, vec![set("whole", 4_000, verified())]].concat();
    let judged = judge(&sets, now(), KEEP);
    assert_eq!(goes(&judged), ["dump-3"].into(), "{judged:?}");
    assert!(judged[4].why.contains("uploaded files"), "{judged:?}");
}

/// A set of the databases of one server: by its own number, or by its address where that is not known.
fn of(name: &str, hours: i64, host: &str, system: &str) -> Listed {
    let text = include_str!("format-1/manifest.json");
    let mut manifest: Manifest = serde_json::from_str(text).unwrap();
    let server = manifest.server.as_mut().unwrap();
    (server.host, server.system) = (host.to_owned(), system.to_owned());
    Listed { manifest: Some(manifest), ..set(name, hours, verified()) }
}

/// Somebody has named another server in the settings: a fortnight of nightly backups of that one takes nothing away.
#[test]
fn backups_of_other_databases_push_none_out() {
    for (host, system) in [("other.example", "7"), ("db.example", "7"), ("other.example", "")] {
        let wrong = (0..14).map(|day| of(&format!("wrong-{day:02}"), day * 24, host, system));
        let known = if system.is_empty() { "" } else { "5" };
        let right = (0..5).map(|day| of(&format!("right-{day}"), 400 + day * 24, "db.example", known));
        let sets: Vec<_> = wrong.chain(right).collect();
        let judged = judge(&sets, now(), KEEP);
        let gone = goes(&judged);
        let right: Vec<_> = gone.iter().filter(|name| name.starts_with("right")).collect();
        assert_eq!(right, [&"right-3", &"right-4"], "{host} {system}: {judged:?}");
        assert!(gone.contains("wrong-13"), "{judged:?}");
        let why = &judged.iter().find(|one| one.name == "right-0").unwrap().why;
        assert!(why.contains("on `db.example:5432`") && why.contains("rm -r"), "{why}");
    }
    // The same server by another name is the same.
    let new = (0..9).map(|day| of(&format!("new-{day}"), day * 24, "10.0.0.5", "5"));
    let sets: Vec<_> = new.chain([of("old", 400, "db.example", "5")]).collect();
    assert!(goes(&judge(&sets, now(), KEEP)).contains("old"));
    // What holds no databases counts for what it holds, whatever the server.
    let files =
        |name: &str, hours| Listed { parts: vec![Part::UploadedFiles], ..set(name, hours, verified()) };
    let sets = [of("whole", 0, "db.example", "5"), files("f1", 300), files("f2", 301), files("f3", 302)];
    assert_eq!(goes(&judge(&sets, now(), KEEP)), ["f3"].into());
}

/// A set with `files` uploaded files, of whose rows `missing` have none.
fn holding(name: &str, hours: i64, files: u64, missing: u64) -> Listed {
    let mut set = of(name, hours, "db.example", "5");
    let stored = serde_json::json!({ "file": "f", "bytes": 1, "blake3": "0" });
    let storage = serde_json::json!({
        "volume": "strata_storage", "path": "/rails/storage", "from": "/srv", "previous": null,
        "packed": {
            "files": files, "bytes": files, "read_files": files, "read_bytes": files, "packs": [],
            "index": stored, "tree_blake3": "0", "changed": [], "vanished": [], "skipped": [],
        },
        "tree": { "files": files, "folders": 1, "bytes": files },
        "blobs": { "file": "b", "count": files + missing, "bytes": 1, "blake3": "0" },
        "checked": {
            "files": files, "bytes": files, "blobs": files + missing, "wrong_blobs": [],
            "wrong_blobs_count": missing,
        },
    });
    set.manifest.as_mut().unwrap().storage = Some(serde_json::from_value(storage).unwrap());
    set
}

fn unlisted(set: Listed) -> Listed {
    let mut set = set;
    set.manifest.as_mut().unwrap().storage.as_mut().unwrap().blobs = None;
    set
}

/// The disk with the uploaded files was not mounted for a fortnight of nightly backups.
#[test]
fn a_set_without_the_files_takes_the_place_of_none_that_has_them() {
    let empty = (0..14).map(|day| holding(&format!("empty-{day:02}"), day * 24, 0, 1_000));
    let full = (0..4).map(|day| holding(&format!("full-{day}"), 400 + day * 24, 1_000, 3));
    let sets: Vec<_> = empty.chain(full).collect();
    let judged = judge(&sets, now(), KEEP);
    let gone = goes(&judged);
    assert!(!gone.contains("full-0") && gone.contains("full-1") && gone.contains("empty-13"), "{judged:?}");
    let why = &judged.iter().find(|one| one.name == "full-0").unwrap().why;
    assert!(why.contains("lacks uploaded files") && why.contains("997") && why.contains("rm -r"), "{why}");
    // Without rows to compare with, it is the number of files that tells.
    let copies = (0..14).map(|day| unlisted(holding(&format!("empty-{day:02}"), day * 24, 0, 0)));
    let sets: Vec<_> = copies.chain([holding("full", 400, 1_000, 0)]).collect();
    assert!(!goes(&judge(&sets, now(), KEEP)).contains("full"));
}

/// Rows whose upload was given up come night by night, and files go whose rows are removed: neither keeps sets for ever.
#[test]
fn a_few_rows_without_a_file_keep_no_set() {
    let nights = (0..14_u32).map(|day| {
        let missing = u64::from(14 - day);
        holding(&format!("night-{day:02}"), i64::from(day) * 24, 1_000, missing)
    });
    let sets: Vec<_> = nights.collect();
    assert_eq!(goes(&judge(&sets, now(), KEEP)).len(), 6);
    let fewer: Vec<_> = (0..14).map(|day| holding(&format!("d-{day:02}"), day * 24, 100, 0)).collect();
    let sets = [fewer, vec![holding("many", 400, 9_000, 0)]].concat();
    assert!(goes(&judge(&sets, now(), KEEP)).contains("many"));
    // What has no files at all has none to lose.
    let sets: Vec<_> =
        (0..14).map(|day| holding(&format!("none-{day:02}"), day * 24, 0, 20 - day.unsigned_abs())).collect();
    assert_eq!(goes(&judge(&sets, now(), KEEP)).len(), 6);
}

#[test]
fn a_clock_that_jumps_takes_nothing_away() {
    let sets: Vec<_> = (0..9).map(|n| set(&format!("s-{n}"), n * 500, verified())).collect();
    // The clock is back at the time of the oldest: all others are from a time that has not come.
    let judged = judge(&sets, ago(8 * 500), KEEP);
    assert!(goes(&judged).is_empty(), "{judged:?}");
    // Sets that were made with a clock years ahead push nothing out.
    let ahead: Vec<_> = (0..3).map(|n| set(&format!("ahead-{n}"), -50_000, verified())).collect();
    let all = [ahead, sets.clone()].concat();
    assert_eq!(goes(&judge(&all, now(), KEEP)), goes(&judge(&sets, now(), KEEP)));
}

/// Small and the same for ever: what is drawn must be drawn again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn set(&mut self, n: u64) -> Listed {
        let hours = i64::try_from(self.roll(1_200)).unwrap() - 40;
        let standing = match self.roll(8) {
            0 => Standing::Incomplete,
            1 => Standing::Damaged { why: "x".to_owned() },
            2 => Standing::Unproved { why: "x".to_owned() },
            3 if self.roll(3) == 0 => Standing::Unknown { why: "x".to_owned() },
            _ => verified(),
        };
        let (undated, whole) = (self.roll(20) == 0, self.roll(3) > 0);
        let mut set = set(&format!("s{n}"), hours, standing);
        set.pinned = match self.roll(30) {
            0 => None,
            roll => Some(roll < 4),
        };
        if !whole {
            set.parts = vec![Part::ALL[usize::try_from(self.roll(3)).unwrap()]];
        }
        if undated {
            set.created_at = None;
        }
        set
    }
}

/// Verified and dated in the past, newest first.
fn counting(sets: &[Listed]) -> Vec<&Listed> {
    let date = |set: &Listed| set.created_at.as_ref().map(|at| at.parse::<Timestamp>().unwrap());
    let mut good: Vec<_> = sets
        .iter()
        .filter(|set| set.standing.is_verified() && date(set).is_some_and(|at| at <= now()))
        .collect();
    good.sort_by_key(|set| std::cmp::Reverse((date(set), set.set.clone())));
    good
}

#[test]
fn what_must_stay_stays_in_any_folder() {
    let mut removed = 0;
    for seed in 1..4_000_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let count = dice.roll(16);
        let mut sets: Vec<_> = (0..count).map(|n| dice.set(n)).collect();
        sets.sort_by(|left, right| right.created_at.cmp(&left.created_at));
        let keep = usize::try_from(dice.roll(5)).unwrap();
        let judged = judge(&sets, now(), keep);
        let gone = goes(&judged);
        removed += gone.len();
        let good = counting(&sets);
        assert_eq!(judged.len(), sets.len(), "seed {seed}");
        assert!(!good.is_empty() || gone.is_empty(), "seed {seed}: {judged:?}");
        for set in good.iter().take(keep.max(1)) {
            assert!(!gone.contains(set.set.as_str()), "seed {seed}: `{}` is among the newest", set.set);
        }
        for part in Part::ALL {
            if let Some(newest) = good.iter().find(|set| set.parts.contains(&part)) {
                assert!(!gone.contains(newest.set.as_str()), "seed {seed}: the newest with {part}");
            }
        }
        for set in sets.iter().filter(|set| gone.contains(set.set.as_str())) {
            let at: Timestamp = set.created_at.as_ref().expect("dated").parse().unwrap();
            let unfinished = set.standing == Standing::Incomplete;
            assert!(
                set.pinned == Some(false) && at < ago(if unfinished { 24 } else { 7 * 24 }),
                "seed {seed}: {set:?}"
            );
            assert!(!matches!(set.standing, Standing::Unknown { .. }), "seed {seed}: {set:?}");
        }
        // Once it is done there is nothing more to do, and nothing that stayed becomes removable by what went.
        let left: Vec<_> = sets.iter().filter(|set| !gone.contains(set.set.as_str())).cloned().collect();
        let again = judge(&left, now(), keep);
        assert!(goes(&again).is_empty(), "seed {seed}: {again:?} after {judged:?}");
    }
    println!("{removed} removals judged");
    assert!(removed > 1_000, "only {removed}: the test does not test");
}

fn kept(name: &str, expires_in: i64, marked: bool) -> KeptDatabase {
    let mark = Mark {
        kind: Kept::Savepoint,
        of: "strata".to_owned(),
        run: "r".to_owned(),
        made: ago(400).to_string(),
        expires: ago(-expires_in).to_string(),
        snapshot: String::new(),
    };
    let mark = marked.then_some(mark);
    KeptDatabase { name: name.to_owned(), owner: "strata".to_owned(), oid: 7, size: 1, mark }
}

#[test]
fn a_kept_database_goes_when_its_time_is_over_or_when_it_is_named() {
    let all = [kept("over", -1, true), kept("not-yet", 5, true), kept("somebody's", -1, false)];
    assert_eq!(goes(&judge_databases(&all, now(), None)), ["over"].into());
    assert_eq!(goes(&judge_databases(&all, now(), Some("not-yet"))), ["not-yet", "over"].into());
    assert_eq!(goes(&judge_databases(&all, now(), Some("somebody's"))), ["over"].into());
    // A clock that went back takes nothing away.
    assert!(goes(&judge_databases(&all, ago(500), None)).is_empty());
}
