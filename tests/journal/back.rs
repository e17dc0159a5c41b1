//! The way back: begun is written before the work, its end after it.

use serde_json::json;
use uplift::{
    event::{Ending, ExitClass},
    journal::{Choosing, Move, RunState, State},
};

use super::story::{RUN, Story, at, effect, failure, illegal, ok, question, read, reader};

/// One effect that has ended well.
fn applied() -> Story {
    let story = Story::begun();
    story.intend("switch web/compose_up#1");
    story.writer.outcome(RUN, 1, ok(), at(2)).unwrap();
    story
}

#[test]
fn an_effect_is_taken_back_and_says_what_was_done() {
    let story = applied();
    story.writer.undo_started(RUN, 1, at(3)).unwrap();
    assert_eq!(story.state(1), (State::UndoStarted, false));
    story.writer.undone(RUN, 1, json!({"removed": true}), at(4)).unwrap();
    let entry = story.entry(1);
    assert_eq!((entry.state, entry.answer()), (State::Undone, None));
    let undo = &entry.undos[0];
    assert_eq!((undo.n, undo.started, undo.ended), (1, at(3), Some(at(4))));
    assert_eq!((&undo.value, &undo.decision), (&Some(json!({"removed": true})), &None));
    assert_eq!(entry.attempts[0].value, ok().ok(), "what it once answered is kept");
    illegal(story.writer.undo_started(RUN, 1, at(5)), State::Undone, Move::UndoStart);
}

#[test]
fn an_undo_that_failed_leaves_the_run_stuck_and_may_be_tried_again() {
    let story = applied();
    let w = &story.writer;
    w.undo_started(RUN, 1, at(3)).unwrap();
    w.undo_failed(RUN, 1, &failure(), at(4)).unwrap();
    assert_eq!(story.entry(1).undos[0].failure, Some(failure()));
    let error = w.ended(RUN, RunState::RolledBack, &Ending::RolledBack, at(5)).unwrap_err();
    assert_eq!(error.code(), "not_settled");
    let stuck = Ending::Stuck { failure: failure(), done: vec![], not_done: vec!["`web`".to_owned()] };
    w.ended(RUN, RunState::Stuck, &stuck, at(5)).unwrap();
    w.adopt(RUN).unwrap();
    w.undo_started(RUN, 1, at(6)).unwrap();
    w.undone(RUN, 1, json!(null), at(7)).unwrap();
    w.ended(RUN, RunState::RolledBack, &Ending::RolledBack, at(8)).unwrap();
    let undos: Vec<_> = story.entry(1).undos.iter().map(|undo| (undo.n, undo.state)).collect();
    assert_eq!(undos, [(1, State::UndoFailed), (2, State::Undone)]);
}

#[test]
fn an_undo_that_needs_a_person_acts_on_the_latest_decision_about_it() {
    let story = applied();
    let w = &story.writer;
    w.undo_started(RUN, 1, at(3)).unwrap();
    w.needs_decision(RUN, 1, &question("switch web/compose_up#1"), at(4)).unwrap();
    let entry = story.entry(1);
    assert_eq!(entry.state, State::NeedsDecision);
    assert_eq!(entry.question(), Some(&question("switch web/compose_up#1")));
    let said = |choice: &str, reason: &str| Choosing {
        choice: choice.into(),
        reason: reason.into(),
        by: "bob@app1".into(),
    };
    w.decide(RUN, 1, said("keep", "in a hurry"), at(5)).unwrap();
    w.decide(RUN, 0, said("go", "about the run"), at(6)).unwrap();
    w.decide(RUN, 1, said("restore", "thought again"), at(7)).unwrap();
    assert_eq!(story.state(1), (State::NeedsDecision, false), "a decision moves nothing");
    w.undo_started(RUN, 1, at(8)).unwrap();
    w.undone(RUN, 1, json!(null), at(9)).unwrap();
    let entry = story.entry(1);
    assert_eq!(entry.undos[1].decision, Some(said("restore", "thought again")));
    assert_eq!(entry.decisions.len(), 2);
    assert_eq!(entry.question(), None);
    let run = reader(&story.folder).run(RUN).unwrap();
    assert_eq!((run.decisions[0].seq, &run.decisions[0].decision), (0, &said("go", "about the run")));
}

/// An unknown effect is taken back through its intent, which was written before it began.
#[test]
fn an_effect_in_doubt_can_be_taken_back_and_the_doubt_goes_with_it() {
    let story = Story::begun();
    story.intend("switch web/compose_up#1");
    story.writer.unknown(RUN, 1, &failure(), at(2)).unwrap();
    story.writer.undo_started(RUN, 1, at(3)).unwrap();
    assert_eq!(story.state(1), (State::UndoStarted, true));
    story.writer.undo_failed(RUN, 1, &failure(), at(4)).unwrap();
    assert_eq!(story.state(1), (State::UndoFailed, true));
    story.writer.undo_started(RUN, 1, at(5)).unwrap();
    story.writer.undone(RUN, 1, json!(null), at(6)).unwrap();
    assert_eq!(story.state(1), (State::Undone, false));
}

#[test]
fn what_may_still_be_at_work_is_not_taken_back() {
    let story = Story::begun();
    story.intend("switch web/compose_up#1");
    illegal(story.writer.undo_started(RUN, 1, at(2)), State::Started, Move::UndoStart);
    illegal(story.writer.undone(RUN, 1, json!(null), at(2)), State::Started, Move::UndoDone);
    illegal(story.writer.undo_failed(RUN, 1, &failure(), at(2)), State::Started, Move::UndoFail);
    illegal(story.writer.needs_decision(RUN, 1, &question(""), at(2)), State::Started, Move::UndoAsk);
    assert!(story.entry(1).undos.is_empty());
}

#[test]
fn nothing_goes_forward_once_it_is_being_taken_back() {
    let story = applied();
    let w = &story.writer;
    w.undo_started(RUN, 1, at(3)).unwrap();
    illegal(w.attempt(RUN, 1, at(4)), State::UndoStarted, Move::Attempt);
    illegal(w.outcome(RUN, 1, ok(), at(4)), State::UndoStarted, Move::Succeed);
    illegal(w.outcome(RUN, 1, Err(failure()), at(4)), State::UndoStarted, Move::Fail);
    illegal(w.unknown(RUN, 1, &failure(), at(4)), State::UndoStarted, Move::Lose);
    illegal(w.not_applied(RUN, 1, "gone", at(4)), State::UndoStarted, Move::ProveAbsent);
    illegal(w.reopen(RUN, 1, at(4)), State::UndoStarted, Move::Reopen);
}

#[test]
fn a_way_back_has_ended_only_when_every_effect_is_taken_back() {
    let story = applied();
    let w = &story.writer;
    w.observe(RUN, read("check/version#1"), Ok(json!("1")), at(3)).unwrap();
    w.refused(RUN, effect("check/backup#1"), failure(), at(3)).unwrap();
    story.intend("migrate/exec#1");
    w.unknown(RUN, 4, &failure(), at(4)).unwrap();
    w.not_applied(RUN, 4, "no trace of it", at(5)).unwrap();
    story.intend("switch web/compose_up#2");
    w.outcome(RUN, 5, Err(failure()), at(6)).unwrap();
    let back = [
        (RunState::RolledBack, Ending::RolledBack),
        (RunState::TakenBack, Ending::TakenBack { failure: failure() }),
    ];
    for (state, ending) in &back {
        let error = w.ended(RUN, *state, ending, at(7)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "run `{RUN}` cannot be recorded as `{state}`: `switch web/compose_up#1`, \
                 `switch web/compose_up#2`"
            )
        );
        assert_eq!((error.code(), error.exit()), ("not_settled", ExitClass::Unfinished));
    }
    for seq in [5, 1] {
        w.undo_started(RUN, seq, at(8)).unwrap();
        w.undone(RUN, seq, json!(null), at(8)).unwrap();
    }
    w.ended(RUN, RunState::RolledBack, &Ending::RolledBack, at(9)).unwrap();
    assert_eq!(w.adopt(RUN).unwrap_err().to_string(), format!("run `{RUN}` is over: it is `rolled_back`"));
}
