//! What was written stays readable, and what is not known is not touched.

use std::fs;

use serde_json::{Value, json};
use uplift::{
    event::{Ending, ExitClass},
    journal::{FORMAT, Folder, JournalError, Lock, Reader, RunState, State, Writer},
    site::Scrubber,
};

use super::{
    golden::{self, DONE, LEFT},
    story::{Story, at, dump, holder, reader},
};

/// Everything that a reader can say.
fn in_full(reader: &Reader) -> Value {
    let run = |row: uplift::journal::RunRow| {
        json!({
            "entries": reader.entries(&row.id).unwrap(),
            "bundle": reader.bundle(&row.id).unwrap(),
            "before": reader.before(&row.id).unwrap(),
            "run": row,
        })
    };
    reader.runs().unwrap().into_iter().map(run).collect()
}

#[test]
fn the_first_format_is_read_in_full() {
    let (_state, folder) = golden::copy();
    let text = serde_json::to_string_pretty(&in_full(&reader(&folder))).unwrap() + "\n";
    snapbox::assert_data_eq!(text, snapbox::file!["format-1.json"].raw());
}

/// The golden journal is only worth something if nothing is missing in it.
#[test]
fn the_golden_journal_holds_every_state() {
    let (_state, folder) = golden::copy();
    let text = dump(&folder.journal());
    for state in State::ALL {
        let stored = text.lines().any(|line| line.split(" | ").any(|cell| cell == state.to_string()));
        assert_eq!(stored, state != State::Absent, "{state}");
    }
}

#[test]
fn a_run_of_the_first_format_is_taken_up_and_taken_back() {
    let (_state, folder) = golden::copy();
    let lock = Lock::take(&folder, holder(LEFT)).unwrap();
    let w = Writer::open(&folder, &lock, Scrubber::default()).unwrap();
    w.adopt(LEFT).unwrap();
    let entries = reader(&folder).entries(LEFT).unwrap();
    let states: Vec<_> = entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [State::Unknown, State::Waiting, State::UndoStarted, State::Unknown]);
    for seq in [4, 3, 2, 1] {
        w.undo_started(LEFT, seq, at(100)).unwrap();
        w.undone(LEFT, seq, json!(null), at(101)).unwrap();
    }
    w.ended(LEFT, RunState::RolledBack, &Ending::RolledBack, at(102)).unwrap();
    assert!(reader(&folder).unfinished().unwrap().is_none());
}

fn change(folder: &Folder, sql: &str) {
    rusqlite::Connection::open(folder.journal()).unwrap().execute_batch(sql).unwrap();
}

fn newer(error: &JournalError, folder: &Folder) {
    let path = folder.journal();
    let words = format!("the journal `{}` has format 2; this uplift knows format {FORMAT}", path.display());
    assert_eq!(error.to_string(), words);
    assert_eq!((error.code(), error.exit()), ("journal_newer", ExitClass::Refused));
    assert_eq!(error.hint().unwrap(), "use the newer uplift that wrote it");
}

#[test]
fn a_newer_format_that_only_adds_is_read_and_not_written() {
    let (_state, folder) = golden::copy();
    change(&folder, "UPDATE meta SET format = 2; ALTER TABLE entry ADD COLUMN colour TEXT");
    let before = dump(&folder.journal());
    assert_eq!(reader(&folder).runs().unwrap().len(), 3);
    newer(&Lock::take(&folder, holder("")).unwrap_err(), &folder);
    assert_eq!(dump(&folder.journal()), before);
}

#[test]
fn a_newer_format_that_would_be_misread_is_not_read() {
    let (_state, folder) = golden::copy();
    change(&folder, "UPDATE meta SET format = 2, reads = 2");
    newer(&Reader::open(&folder).unwrap_err(), &folder);
    newer(&Lock::take(&folder, holder("")).unwrap_err(), &folder);
}

/// The file was exchanged between the taking of the lock and the first write.
#[test]
fn a_writer_looks_at_the_format_itself() {
    let story = Story::begun();
    change(&story.folder, "UPDATE meta SET format = 2");
    let opened = Writer::open(&story.folder, story.lock.as_ref().unwrap(), Scrubber::default());
    newer(&opened.unwrap_err(), &story.folder);
}

fn damaged(error: &JournalError, folder: &Folder, why: &str) {
    let path = folder.journal();
    let words = format!("`{}` is not a journal of uplift, or it is damaged: {why}", path.display());
    assert_eq!(error.to_string(), words);
    assert_eq!((error.code(), error.exit()), ("journal_damaged", ExitClass::Refused));
    assert_eq!(error.hint().unwrap(), "keep the file for support; do not delete it");
}

#[test]
fn somebody_elses_database_is_refused_and_left_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let folder = Folder::find(state.path()).unwrap();
    change(&folder, "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('bread')");
    let before = fs::read(folder.journal()).unwrap();
    damaged(&Reader::open(&folder).unwrap_err(), &folder, "it holds other tables");
    damaged(&Lock::take(&folder, holder("")).unwrap_err(), &folder, "it holds other tables");
    assert!(fs::read(folder.journal()).unwrap() == before, "not one byte of it was changed");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let folder = Folder::find(state.path()).unwrap();
    fs::write(folder.journal(), "not a database, but long enough to have a header ".repeat(40)).unwrap();
    damaged(&Reader::open(&folder).unwrap_err(), &folder, "file is not a database");
    damaged(&Lock::take(&folder, holder("")).unwrap_err(), &folder, "file is not a database");
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let (_state, folder) = golden::copy();
    let file = fs::OpenOptions::new().write(true).open(folder.journal()).unwrap();
    file.set_len(4096).unwrap();
    let error = Reader::open(&folder).unwrap_err();
    damaged(&error, &folder, "database disk image is malformed");
}

/// Resume runs what is stored: a script that was changed there is not the one that the run began with.
#[test]
fn a_stored_script_that_was_changed_is_refused() {
    let (_state, folder) = golden::copy();
    let hash = uplift::journal::bytes_hash(b"fn host() { }\n");
    change(&folder, &format!("UPDATE blob SET bytes = x'66' WHERE hash = '{hash}'"));
    let why = format!("the stored text `{hash}` is gone or is not what was stored");
    damaged(&reader(&folder).bundle(DONE).unwrap_err(), &folder, &why);
    reader(&folder).before(DONE).unwrap();
    change(&folder, &format!("PRAGMA foreign_keys = off; DELETE FROM blob WHERE hash = '{hash}'"));
    damaged(&reader(&folder).bundle(DONE).unwrap_err(), &folder, &why);
}

#[test]
fn a_state_that_nobody_knows_is_not_guessed() {
    let (_state, folder) = golden::copy();
    change(&folder, "UPDATE run SET state = 'asleep' WHERE number = 1");
    let error = reader(&folder).runs().unwrap_err();
    assert_eq!(error.code(), "journal_damaged");
    assert!(error.to_string().contains("unknown variant `asleep`"), "{error}");
}
