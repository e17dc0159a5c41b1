//! A journal that was put back from an older copy: it calls unfinished what is over, and has never heard of what was done.

use std::{fs, path::Path};

use serde_json::json;
use uplift::{
    event::Ending,
    journal::{Folder, JournalError, Lock, Reader, RunState},
    site::Scrubber,
};

use super::story::{RUN, Story, at, holder, ok, open, run};

const FILES: [&str; 3] = ["journal.db", "journal.db-wal", "journal.db-shm"];

fn copy(from: &Path, to: &Path) {
    for name in FILES {
        let _none = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Who looks and who would begin a run are told the same.
fn refused(folder: &Folder) {
    for error in [Reader::open(folder).err(), Lock::take(folder, holder("")).err()] {
        let error = error.expect("an older copy is no record of what is true");
        assert!(matches!(error, JournalError::Older { .. }), "{error:?}");
        assert_eq!(error.code(), "journal_older");
        assert!(error.hint().unwrap().contains("journal.mark"), "{error:?}");
    }
}

#[test]
fn a_copy_from_before_a_run_is_noticed() {
    let story = Story::begun();
    let kept = tempfile::tempdir().unwrap();
    copy(story.folder.path(), kept.path());
    let Story { lock, writer, folder, site } = story;
    drop((lock, writer));
    drop(open(&site.path().join(".uplift"), Scrubber::default()));
    copy(kept.path(), folder.path());
    refused(&folder);
    // Trying again does not make it newer.
    refused(&folder);
    fs::remove_file(folder.path().join("journal.mark")).unwrap();
    Lock::take(&folder, holder("")).expect("a person has said that no run is in its middle");
}

/// Backups are too large for what keeps the rest of the folder, or lie on a disk of their own: what is noted there is not
/// put back with the journal and its own note.
#[test]
fn a_copy_with_its_own_note_is_noticed_by_the_backups() {
    let Story { lock, writer, folder, site } = Story::begun();
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    drop((lock, writer));
    let (kept, noted) = (tempfile::tempdir().unwrap(), fs::read(folder.path().join("journal.mark")).unwrap());
    copy(folder.path(), kept.path());
    drop(open(&site.path().join(".uplift"), Scrubber::default()));
    copy(kept.path(), folder.path());
    fs::write(folder.path().join("journal.mark"), noted).unwrap();
    refused(&folder);
    // Backups of another host, or of another folder, are about another journal.
    let mark = backups.join(".journal.mark");
    let text = fs::read_to_string(&mark).unwrap();
    let elsewhere = text.replace(site.path().to_str().unwrap(), "/srv/other");
    assert_ne!(text, elsewhere);
    fs::write(&mark, elsewhere).unwrap();
    Lock::take(&folder, holder("")).unwrap();
}

/// Of the same taking of the lock: only the commits tell.
#[test]
fn a_copy_from_the_middle_of_a_run_is_noticed() {
    let Story { lock, writer, folder, site: _site } = Story::begun();
    let kept = tempfile::tempdir().unwrap();
    copy(folder.path(), kept.path());
    let seq = writer.intend(RUN, vec![super::story::effect("late/compose_up#1")], at(1)).unwrap()[0];
    writer.outcome(RUN, seq, ok(), at(2)).unwrap();
    writer.ended(RUN, RunState::Done, &Ending::Done, at(3)).unwrap();
    drop((writer, lock));
    Reader::open(&folder).unwrap();
    copy(kept.path(), folder.path());
    refused(&folder);
}

/// A run may be in its middle: whoever has lost the record is told so before another begins. Half a note is none.
#[test]
fn a_journal_that_is_gone_is_begun_anew_once_a_person_has_said_so() {
    let Story { lock, writer, folder, site } = Story::begun();
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    drop((writer, lock));
    for name in FILES {
        let _none = fs::remove_file(folder.path().join(name));
    }
    for error in [Reader::open(&folder).err(), Lock::take(&folder, holder("")).err()] {
        let error = error.expect("it was there");
        assert_eq!(error.code(), "journal_gone", "{error:?}");
        assert!(error.hint().unwrap().contains("journal.mark"), "{error:?}");
        assert!(error.to_string().contains("1 record and 1 command were noted"), "{error}");
    }
    fs::remove_file(folder.path().join("journal.mark")).unwrap();
    assert!(
        Reader::open(&folder).unwrap().is_none(),
        "backups alone may have come to a host that has lost all"
    );
    let (folder, lock, writer) = open(&site.path().join(".uplift"), Scrubber::default());
    writer.begin(run(RUN)).unwrap();
    drop((writer, lock));
    fs::write(folder.path().join("journal.mark"), "{\"format\":1,\"ep").unwrap();
    assert_eq!(Reader::open(&folder).unwrap().unwrap().run(RUN).unwrap().params, json!({"to": "1.2.3"}));
}
