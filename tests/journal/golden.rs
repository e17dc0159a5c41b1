//! The story in the golden journal. It is told once per format, when the format is new, and never again: what the
//! first uplift wrote cannot be written anew.

use std::path::{Path, PathBuf};

use serde_json::json;
use uplift::{
    event::{Ending, Failure},
    journal::{Choosing, Folder, RunState, Writer},
    site::{Scrubber, Secret},
};

use super::story::{at, effect, failure, names, ok, open, question, read, run, together};

pub(super) const DONE: &str = "20261124-031500-7f3a";
pub(super) const BACK: &str = "20261125-031500-0001";
pub(super) const LEFT: &str = "20261126-031500-0002";

/// Where the golden journal of a format lies.
pub(super) fn file(format: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/journal/format-{format}.db"))
}

/// A copy to work with, in a folder of its own.
pub(super) fn copy() -> (tempfile::TempDir, Folder) {
    let state = tempfile::tempdir().unwrap();
    std::fs::copy(file(1), state.path().join("journal.db")).unwrap();
    let folder = Folder::find(state.path()).unwrap();
    (state, folder)
}

/// Writes the golden journal of a new format: `UPLIFT_WRITE_GOLDEN=1 cargo nextest run golden`. One that is there is
/// never written over.
#[test]
fn the_golden_journal_is_written_once() {
    let golden = file(uplift::journal::FORMAT);
    if std::env::var_os("UPLIFT_WRITE_GOLDEN").is_none() {
        assert!(golden.is_file(), "every format that was ever written keeps a golden journal");
        return;
    }
    assert!(!golden.exists(), "`{}` is for ever: a new format gets a new file", golden.display());
    let site = tempfile::tempdir().unwrap();
    let scrubber = Scrubber::default();
    scrubber.learn(&Secret::new("golden secret"));
    let (folder, lock, writer) = open(&site.path().join(".uplift"), scrubber);
    done(&writer);
    taken_back(&writer);
    left(&writer);
    drop((writer, lock));
    assert!(names(folder.path()).contains(&"journal.db".to_owned()));
    std::fs::copy(folder.journal(), &golden).unwrap();
    // The process and the boot that wrote it are nobody's business.
    let open = rusqlite::Connection::open(&golden).unwrap();
    let same = "UPDATE attempt SET pid = 4711, boot_id = '00000000-0000-4000-8000-000000000000'";
    open.execute(same, []).unwrap();
    open.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

fn said(choice: &str) -> Choosing {
    Choosing { choice: choice.into(), reason: "looked at it".into(), by: "bob@app1".into() }
}

/// All that can happen on the way forward.
fn done(w: &Writer) {
    w.begin(run(DONE)).unwrap();
    w.observe(DONE, read("check/service_version#1"), Ok(json!("1.0.0")), at(1)).unwrap();
    w.observe(DONE, read("check/licence#1"), Err(failure().retryable()), at(1)).unwrap();
    w.refused(DONE, effect("check/pg_savepoint#1"), failure().hint("wait"), at(2)).unwrap();
    let pair = together(1, ["prepare/backup#1", "prepare/compose_pull#1"]);
    w.intend(DONE, pair, at(3)).unwrap();
    w.outcome(DONE, 5, Err(failure().evidence(["last line".to_owned()])), at(4)).unwrap();
    w.outcome(DONE, 4, Ok(json!({"said": "golden secret", "bytes": 12})), at(5)).unwrap();
    w.intend(DONE, vec![effect("migrate/exec#1")], at(6)).unwrap();
    w.retry_at(DONE, 6, &failure(), at(16), at(7)).unwrap();
    w.attempt(DONE, 6, at(16)).unwrap();
    w.unknown(DONE, 6, &failure().unknown(), at(17)).unwrap();
    w.ask(DONE, 6, &question("migrate/exec#1")).unwrap();
    w.decide(DONE, 6, said("not-applied"), at(18)).unwrap();
    w.not_applied(DONE, 6, "a person has looked", at(19)).unwrap();
    w.attempt_anew(DONE, 6, &json!({"service": "web", "image": "sha256:34"}), at(20)).unwrap();
    w.outcome(DONE, 6, ok(), at(21)).unwrap();
    w.decide(DONE, 0, said("go"), at(22)).unwrap();
    w.ended(DONE, RunState::Done, &Ending::Done, at(23)).unwrap();
}

/// All that can happen on the way back.
fn taken_back(w: &Writer) {
    w.begin(run(BACK)).unwrap();
    w.intend(BACK, vec![effect("switch web/compose_up#1")], at(1)).unwrap();
    w.outcome(BACK, 1, ok(), at(2)).unwrap();
    w.intend(BACK, vec![effect("switch web/wait_healthy#1")], at(3)).unwrap();
    w.outcome(BACK, 2, Err(failure()), at(4)).unwrap();
    w.undo_started(BACK, 2, at(5)).unwrap();
    w.undone(BACK, 2, json!({"nothing": true}), at(6)).unwrap();
    w.undo_started(BACK, 1, at(7)).unwrap();
    w.undo_failed(BACK, 1, &Failure::new("engine_gone", "the engine does not answer"), at(8)).unwrap();
    let stuck = Ending::Stuck {
        failure: failure(),
        done: vec!["`wait_healthy`".to_owned()],
        not_done: vec!["`compose_up`".to_owned()],
    };
    w.ended(BACK, RunState::Stuck, &stuck, at(9)).unwrap();
    w.adopt(BACK).unwrap();
    w.undo_started(BACK, 1, at(10)).unwrap();
    w.needs_decision(BACK, 1, &question("switch web/compose_up#1"), at(11)).unwrap();
    w.decide(BACK, 1, said("keep"), at(12)).unwrap();
    w.undo_started(BACK, 1, at(13)).unwrap();
    w.undone(BACK, 1, json!({"kept": true}), at(14)).unwrap();
    w.ended(BACK, RunState::TakenBack, &Ending::TakenBack { failure: failure() }, at(15)).unwrap();
}

/// A run that stands in the middle of everything.
fn left(w: &Writer) {
    w.begin(run(LEFT)).unwrap();
    for address in ["a/exec#1", "b/exec#1", "c/exec#1", "d/exec#1"] {
        w.intend(LEFT, vec![effect(address)], at(1)).unwrap();
    }
    w.unknown(LEFT, 1, &failure().unknown(), at(2)).unwrap();
    w.ask(LEFT, 1, &question("a/exec#1")).unwrap();
    w.retry_at(LEFT, 2, &failure(), at(90), at(2)).unwrap();
    w.outcome(LEFT, 3, ok(), at(2)).unwrap();
    w.undo_started(LEFT, 3, at(3)).unwrap();
}
