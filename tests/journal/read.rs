//! Looking at the record, beside whoever writes it and long after.

use std::fs;

use serde_json::json;
use uplift::{
    event::{Ending, ExitClass},
    journal::{Folder, Reader, RunState, State},
    site::Scrubber,
};

use super::story::{RUN, Story, at, names, ok, open, read, reader, run};

const OTHER: &str = "20261125-040000-7f3b";

#[test]
fn a_reader_sees_each_commit_of_a_run_at_work() {
    let story = Story::begun();
    let reader = reader(&story.folder);
    assert_eq!(reader.entries(RUN).unwrap(), []);
    story.intend("switch web/compose_up#1");
    assert_eq!(reader.entries(RUN).unwrap()[0].state, State::Started);
    story.writer.outcome(RUN, 1, ok(), at(2)).unwrap();
    assert_eq!(reader.entries(RUN).unwrap()[0].state, State::Succeeded);
    assert!(reader.runs().unwrap()[0].ended.is_none());
    story.writer.ended(RUN, RunState::Done, &Ending::Done, at(3)).unwrap();
    assert_eq!(reader.runs().unwrap()[0].ending, Some(Ending::Done));
}

/// A copy of the one file, as it lies in a backup or with support.
#[test]
fn the_file_alone_is_complete_and_is_read_without_a_trace() {
    let story = Story::begun();
    story.intend("switch web/compose_up#1");
    let Story { lock, writer, folder, site: _site } = story;
    drop((writer, lock));
    let copy = tempfile::tempdir().unwrap();
    // What must not be taken for an escape, a question or the end of a path.
    let state = copy.path().join("a %41 b?c#d");
    fs::create_dir(&state).unwrap();
    fs::copy(folder.journal(), state.join("journal.db")).unwrap();
    let before = fs::read(state.join("journal.db")).unwrap();
    let reader = reader(&Folder::find(&state).unwrap());
    assert_eq!(reader.entries(RUN).unwrap()[0].state, State::Started);
    assert_eq!(reader.bundle(RUN).unwrap(), run(RUN).bundle);
    drop(reader);
    assert_eq!(names(&state), ["journal.db"]);
    assert!(fs::read(state.join("journal.db")).unwrap() == before);
}

#[test]
fn a_reader_leaves_the_log_of_a_dead_run_as_it_is() {
    let story = Story::begun();
    story.intend("switch web/compose_up#1");
    let Story { lock, writer, folder, site: _site } = story;
    // Not dropped: the log holds what the file does not have yet.
    std::mem::forget(writer);
    drop(lock);
    let before = names(folder.path());
    let log = fs::read(folder.path().join("journal.db-wal")).unwrap();
    let reader = reader(&folder);
    assert_eq!(reader.entries(RUN).unwrap().len(), 1);
    drop(reader);
    assert_eq!(names(folder.path()), before);
    assert!(fs::read(folder.path().join("journal.db-wal")).unwrap() == log);
}

/// A file without a log is told to `SQLite` to be unchangeable: that must not outlive the moment.
#[test]
fn a_reader_of_a_quiet_file_sees_what_is_written_later() {
    let story = Story::begun();
    let Story { lock, writer, folder, site: _site } = story;
    drop((writer, lock));
    fs::remove_file(folder.path().join("journal.db-wal")).unwrap();
    fs::remove_file(folder.path().join("journal.db-shm")).unwrap();
    let reader = reader(&folder);
    assert_eq!(reader.entries(RUN).unwrap(), []);
    let (_folder, _lock, writer) = open(folder.path(), Scrubber::default());
    writer.adopt(RUN).unwrap();
    writer.observe(RUN, read("check/version#1"), Ok(json!("1")), at(1)).unwrap();
    assert_eq!(reader.entries(RUN).unwrap().len(), 1);
    assert_eq!(reader.run(RUN).unwrap().resumed, 1);
}

#[test]
fn a_run_is_found_by_either_end_of_its_name() {
    let story = Story::begun();
    story.writer.ended(RUN, RunState::Done, &Ending::Done, at(1)).unwrap();
    story.writer.begin(run(OTHER)).unwrap();
    let reader = reader(&story.folder);
    let found =
        |id: &str| reader.run(id).map(|run| run.id).map_err(|error| (error.code(), error.to_string()));
    assert_eq!(found(RUN), Ok(RUN.to_owned()));
    assert_eq!(found("20261124"), Ok(RUN.to_owned()));
    assert_eq!(found("7f3b"), Ok(OTHER.to_owned()));
    let both = format!("`202611` could mean several runs: `{OTHER}`, `{RUN}`");
    assert_eq!(found("202611"), Err(("ambiguous_run", both)));
    assert_eq!(found("031500"), Err(("no_such_run", "there is no run `031500`".to_owned())));
    assert_eq!(found(""), Err(("no_such_run", "there is no run ``".to_owned())));
    assert_eq!(reader.run("x").unwrap_err().exit(), ExitClass::Invalid);
    let missing = [reader.bundle("x").map(drop), reader.before("x").map(drop)];
    for error in missing.map(Result::unwrap_err) {
        assert_eq!(error.to_string(), "there is no run `x`");
    }
    assert_eq!(reader.entries("x").unwrap(), []);
    assert_eq!(reader.runs().unwrap().iter().map(|run| &*run.id).collect::<Vec<_>>(), [OTHER, RUN]);
}

#[test]
fn a_name_that_is_whole_is_not_ambiguous() {
    let story = Story::begun();
    story.writer.ended(RUN, RunState::Done, &Ending::Done, at(1)).unwrap();
    let longer = format!("{RUN}0");
    story.writer.begin(run(&longer)).unwrap();
    assert_eq!(reader(&story.folder).run(RUN).unwrap().id, RUN);
}

#[test]
fn a_run_is_alive_only_while_its_own_taking_of_the_lock_is() {
    let mut story = Story::begun();
    let reader = reader(&story.folder);
    let word = || reader.unfinished().unwrap().unwrap().state_word();
    assert_eq!(word(), "running");
    story.lock = None;
    assert_eq!(word(), "interrupted");
    let writer = story.taken_over();
    assert_eq!(word(), "interrupted", "whoever holds the site now has not taken it up");
    writer.adopt(RUN).unwrap();
    assert_eq!(word(), "running");
    let why = Ending::Unfinished { why: "stopped by a signal".into(), question: None };
    writer.ended(RUN, RunState::Unfinished, &why, at(3)).unwrap();
    story.lock = None;
    assert_eq!(word(), "unfinished", "what stopped in good order was not interrupted");
}

#[test]
fn without_a_first_run_there_is_nothing_to_read() {
    let site = tempfile::tempdir().unwrap();
    let folder = Folder::prepare(&site.path().join(".uplift")).unwrap();
    assert!(Reader::open(&folder).unwrap().is_none());
    let story = Story::locked(Scrubber::default());
    let reader = reader(&story.folder);
    assert_eq!((reader.runs().unwrap(), reader.unfinished().unwrap()), (vec![], None));
}
