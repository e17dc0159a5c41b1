//! A writer whose lock was taken over.

use serde_json::json;
use uplift::{
    event::{Ending, ExitClass},
    journal::{Choosing, JournalError, RunState, Writer},
};

use super::story::{RUN, Story, at, dump, effect, failure, ok, question, read, run};

/// Everything that a writer can do, with its name.
fn everything(w: &Writer) -> Vec<(&'static str, Result<(), JournalError>)> {
    let said = Choosing { choice: "go".into(), reason: "calm".into(), by: "bob".into() };
    vec![
        ("begin", w.begin(run("20261124-040000-beef"))),
        ("adopt", w.adopt(RUN)),
        ("intend", w.intend(RUN, vec![effect("late/compose_up#1")], at(9)).map(drop)),
        ("observe", w.observe(RUN, read("late/version#1"), Ok(json!(1)), at(9)).map(drop)),
        ("refused", w.refused(RUN, effect("late/compose_up#2"), failure(), at(9)).map(drop)),
        ("attempt", w.attempt(RUN, 3, at(9)).map(drop)),
        ("attempt_anew", w.attempt_anew(RUN, 2, &json!({}), at(9)).map(drop)),
        ("refused_again", w.refused_again(RUN, 2, &failure(), at(9))),
        ("retry_at", w.retry_at(RUN, 1, &failure(), at(20), at(9))),
        ("outcome", w.outcome(RUN, 1, ok(), at(9))),
        ("unknown", w.unknown(RUN, 1, &failure(), at(9))),
        ("not_applied", w.not_applied(RUN, 3, "gone", at(9))),
        ("ask", w.ask(RUN, 3, &question("c#1"))),
        ("decide", w.decide(RUN, 0, said, at(9))),
        ("reopen", w.reopen(RUN, 5, at(9))),
        ("undo_started", w.undo_started(RUN, 3, at(9))),
        ("undone", w.undone(RUN, 4, json!(null), at(9))),
        ("undo_failed", w.undo_failed(RUN, 4, &failure(), at(9))),
        ("needs_decision", w.needs_decision(RUN, 4, &question("d#1"), at(9))),
        ("ended", w.ended(RUN, RunState::Closed, &Ending::Closed { why: "left".into() }, at(9))),
    ]
}

/// A run in which each of these is allowed by the rules: only the fence stands in the way.
fn busy() -> Story {
    let story = Story::begun();
    let w = &story.writer;
    for address in ["a#1", "b#1", "c#1", "d#1", "e#1"] {
        story.intend(address);
    }
    w.unknown(RUN, 2, &failure(), at(2)).unwrap();
    w.not_applied(RUN, 2, "no trace", at(3)).unwrap();
    w.unknown(RUN, 3, &failure(), at(2)).unwrap();
    w.outcome(RUN, 4, ok(), at(2)).unwrap();
    w.undo_started(RUN, 4, at(3)).unwrap();
    w.outcome(RUN, 5, Err(failure()), at(2)).unwrap();
    story
}

#[test]
fn a_writer_whose_lock_was_taken_over_changes_nothing() {
    let mut story = busy();
    let _new = story.taken_over();
    let before = dump(&story.folder.journal());
    for (name, done) in everything(&story.writer) {
        let error = done.expect_err(name);
        assert_eq!((error.code(), error.exit()), ("lock_lost", ExitClass::Unfinished), "{name}: {error}");
        assert_eq!(
            error.to_string(),
            "another run has taken over the site: nothing more is written by this one"
        );
    }
    assert_eq!(dump(&story.folder.journal()), before);
}

/// The new holder must take the run up before it writes into it: what was at work is not silently its own.
#[test]
fn the_new_holder_writes_only_into_a_run_that_it_took_up() {
    let mut story = busy();
    let new = story.taken_over();
    assert_eq!(new.outcome(RUN, 1, ok(), at(9)).unwrap_err().code(), "run_over");
    new.adopt(RUN).unwrap();
    new.outcome(RUN, 1, ok(), at(9)).unwrap();
    let late = story.writer.outcome(RUN, 3, ok(), at(9));
    assert_eq!(late.unwrap_err().code(), "lock_lost");
}
