//! A disk that is really full: a small one, mounted where nobody else sees it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use serde_json::json;
use uplift::{
    event::{Ending, ExitClass},
    journal::{Folder, JournalError, Lock, RunState, State, Writer},
    site::Scrubber,
};

use super::{
    child::{self, Player},
    story::{RUN, at, effect, failure, holder, names, open, reader, run},
};

const OTHER: &str = "20261125-040000-7f3b";

/// Plays `test` on a disk of this size in MiB, in a name space of its own. Says why where that cannot be.
fn on_a_small_disk(test: &str, size: u32) {
    let disk = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={size}m,mode=0755 small \"$0\" && exec \"$@\"");
    let apart = ["unshare", "--mount", "--map-root-user", "sh", "-c"].map(OsStr::new);
    let by = [&apart[..], &[mount.as_ref(), disk.path().as_os_str()]].concat();
    let mut player = Player::begin(&by, test, "on a small disk", &disk.path().join(".uplift"));
    if player.hear().is_none() {
        println!("not tried: no disk can be mounted here (needs root or user name spaces)");
        return;
    }
    assert_eq!(player.hear().as_deref(), Some("played to the end"));
    assert!(player.ended_well());
}

/// The part's frame: says that the disk is there, and that everything on it was tried.
fn played(tried: impl FnOnce(&Path)) -> bool {
    let Some((_, state)) = child::part() else { return false };
    child::say("a disk");
    tried(&state);
    child::say("played to the end");
    true
}

/// Leaves no byte free beside the folder.
fn fill(state: &Path, name: &str) {
    let mut file = File::create(state.with_file_name(name)).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![7; size]).is_err() {
            size /= 2;
        }
    }
    let _ = file.sync_all();
}

/// An answer of some size, so that the log must grow.
fn long() -> serde_json::Value {
    json!("x".repeat(20_000))
}

fn take(folder: &Folder) -> (Lock, Writer) {
    let lock = Lock::take(folder, holder(RUN)).unwrap();
    let writer = Writer::open(folder, &lock, Scrubber::default()).unwrap();
    (lock, writer)
}

fn nothing_begins(done: Result<Vec<i64>, JournalError>, code: &str) {
    let error = done.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.hint().unwrap().starts_with("free some room there: `df -h "), "{:?}", error.hint());
}

#[test]
fn nothing_begins_on_a_full_disk_and_what_has_begun_gets_its_end() {
    let tried = |state: &Path| {
        let (folder, _lock, w) = open(state, Scrubber::default());
        w.begin(run(RUN)).unwrap();
        w.intend(RUN, vec![effect("a#1"), effect("b#1")], at(1)).unwrap();
        fill(state, "ballast");
        nothing_begins(w.intend(RUN, vec![effect("c#1")], at(2)), "journal_disk_full");
        assert!(names(state).contains(&"journal.reserve".to_owned()), "it is not for what begins");
        w.outcome(RUN, 1, Ok(long()), at(3)).unwrap();
        assert!(!names(state).contains(&"journal.reserve".to_owned()), "it was needed");
        nothing_begins(w.intend(RUN, vec![effect("c#1")], at(4)), "journal_no_room");
        let error = w.attempt(RUN, 2, at(4)).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("journal_no_room", ExitClass::Refused));
        w.outcome(RUN, 2, Err(failure()), at(5)).unwrap();
        w.undo_started(RUN, 2, at(6)).unwrap();
        w.undone(RUN, 2, json!(null), at(7)).unwrap();
        w.undo_started(RUN, 1, at(8)).unwrap();
        w.undone(RUN, 1, json!(null), at(9)).unwrap();
        w.ended(RUN, RunState::TakenBack, &Ending::TakenBack { failure: failure() }, at(10)).unwrap();
        let reader = reader(&folder);
        let states: Vec<_> = reader.entries(RUN).unwrap().iter().map(|entry| entry.state).collect();
        assert_eq!(states, [State::Undone, State::Undone]);
        assert_eq!(reader.run(RUN).unwrap().state, RunState::TakenBack);
        assert_eq!(w.begin(run(OTHER)).unwrap_err().code(), "journal_no_room");
        fs::remove_file(state.with_file_name("ballast")).unwrap();
        w.begin(run(OTHER)).unwrap();
        assert!(names(state).contains(&"journal.reserve".to_owned()), "set aside again");
    };
    if played(tried) {
        return;
    }
    on_a_small_disk("full::nothing_begins_on_a_full_disk_and_what_has_begun_gets_its_end", 8);
}

#[test]
fn a_run_that_died_on_a_full_disk_is_taken_back_by_the_next_process() {
    let tried = |state: &Path| {
        let (folder, lock, w) = open(state, Scrubber::default());
        w.begin(run(RUN)).unwrap();
        w.intend(RUN, vec![effect("a#1")], at(1)).unwrap();
        fill(state, "ballast");
        // As a kill would leave it: the log is not brought into the file.
        std::mem::forget(w);
        drop(lock);
        let (_lock, w) = take(&folder);
        w.adopt(RUN).unwrap();
        w.not_applied(RUN, 1, "no container of that name", at(2)).unwrap();
        w.ended(RUN, RunState::RolledBack, &Ending::RolledBack, at(3)).unwrap();
        assert_eq!(reader(&folder).run(RUN).unwrap().state, RunState::RolledBack);
    };
    if played(tried) {
        return;
    }
    on_a_small_disk("full::a_run_that_died_on_a_full_disk_is_taken_back_by_the_next_process", 8);
}

#[test]
fn without_room_to_set_aside_no_run_begins() {
    let tried = |state: &Path| {
        let (folder, _lock, w) = open(state, Scrubber::default());
        let error = w.begin(run(RUN)).unwrap_err();
        let path = folder.path().display();
        assert_eq!(
            error.to_string(),
            format!("no room in `{path}` to set aside for the journal: nothing more is begun")
        );
        assert_eq!((error.code(), error.exit()), ("journal_no_room", ExitClass::Refused));
        assert_eq!(error.hint().unwrap(), format!("free some room there: `df -h {path}`"));
        assert!(!names(state).contains(&"journal.reserve".to_owned()), "half a reserve is not kept");
        assert!(reader(&folder).runs().unwrap().is_empty());
    };
    if played(tried) {
        return;
    }
    on_a_small_disk("full::without_room_to_set_aside_no_run_begins", 3);
}
