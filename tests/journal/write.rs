//! What is written, and what is refused.

use serde_json::json;
use uplift::{
    event::{Ending, ExitClass},
    journal::{Choosing, JournalError, Move, RunState, State},
};

use super::story::{
    RUN, Story, at, dump, effect, failure, illegal, ok, question, read, reader, run, together,
};

#[test]
fn a_run_comes_back_as_it_was_written() {
    let story = Story::begun();
    let w = &story.writer;
    let version = w.observe(RUN, read("check/service_version#1"), Ok(json!("1.0.0")), at(1)).unwrap();
    w.refused(RUN, effect("check/pg_savepoint#1"), failure(), at(2)).unwrap();
    let pair = together(1, ["prepare/backup#1", "prepare/compose_pull#1"]);
    let pair = w.intend(RUN, pair, at(3)).unwrap();
    assert_eq!((version, &pair[..]), (1, &[3, 4][..]));
    w.outcome(RUN, 4, Err(failure()), at(4)).unwrap();
    w.outcome(RUN, 3, ok(), at(5)).unwrap();
    w.decide(RUN, 0, Choosing { choice: "go".into(), reason: "calm".into(), by: "bob".into() }, at(6))
        .unwrap();
    w.ended(RUN, RunState::Done, &Ending::Done, at(7)).unwrap();

    let reader = reader(&story.folder);
    let row = reader.run("20261124").unwrap();
    assert_eq!((row.state, row.interrupted, row.ended), (RunState::Done, false, Some(at(7))));
    assert_eq!(row.decisions[0].decision.choice, "go");
    assert_eq!(reader.bundle(RUN).unwrap(), run(RUN).bundle);
    assert_eq!(reader.before(RUN).unwrap(), run(RUN).before);
    let entries = reader.entries(RUN).unwrap();
    let states: Vec<_> = entries.iter().map(|entry| (entry.address.as_str(), entry.state)).collect();
    assert_eq!(
        states,
        [
            ("check/service_version#1", State::Succeeded),
            ("check/pg_savepoint#1", State::Refused),
            ("prepare/backup#1", State::Succeeded),
            ("prepare/compose_pull#1", State::Failed),
        ]
    );
    assert_eq!(entries[0].answer(), Some(Ok(&json!("1.0.0"))));
    assert_eq!(entries[3].answer(), Some(Err(&failure())));
    assert_eq!((entries[2].group, entries[0].group), (Some(1), None));
    assert_eq!(entries[2].intent, effect("").intent);
    assert!(reader.unfinished().unwrap().is_none());
}

#[test]
fn attempts_count_over_restarts_and_the_next_one_keeps_its_time() {
    let mut story = Story::begun();
    story.intend("switch web/compose_up#1");
    story.writer.retry_at(RUN, 1, &failure(), at(30), at(2)).unwrap();
    let writer = story.taken_over();
    writer.adopt(RUN).unwrap();
    let entry = story.entry(1);
    assert_eq!((entry.state, entry.next_at(), entry.answer()), (State::Waiting, Some(at(30)), None));
    assert_eq!(entry.attempts[0].failure, Some(failure()));
    assert_eq!(writer.attempt(RUN, 1, at(30)).unwrap(), 2);
    assert_eq!(story.entry(1).next_at(), None);
    writer.retry_at(RUN, 1, &failure(), at(90), at(31)).unwrap();
    assert_eq!(writer.attempt(RUN, 1, at(90)).unwrap(), 3);
    writer.outcome(RUN, 1, ok(), at(91)).unwrap();
    let entry = story.entry(1);
    let attempts: Vec<_> = entry.attempts.iter().map(|attempt| (attempt.n, attempt.state)).collect();
    assert_eq!(attempts, [(1, State::Waiting), (2, State::Waiting), (3, State::Succeeded)]);
    assert_eq!(entry.answer(), Some(Ok(&json!({"container": "c0ffee"}))));
    assert_eq!(reader(&story.folder).run(RUN).unwrap().resumed, 1);
}

#[test]
fn a_later_certain_failure_does_not_wipe_out_an_earlier_doubt() {
    let story = Story::begun();
    let w = &story.writer;
    story.intend("switch web/compose_up#1");
    w.unknown(RUN, 1, &failure(), at(2)).unwrap();
    w.attempt(RUN, 1, at(3)).unwrap();
    assert_eq!(story.state(1), (State::Started, true));
    w.retry_at(RUN, 1, &failure(), at(9), at(4)).unwrap();
    assert_eq!(story.state(1), (State::Waiting, true));
    w.attempt(RUN, 1, at(9)).unwrap();
    w.outcome(RUN, 1, Err(failure()), at(10)).unwrap();
    assert_eq!(story.state(1), (State::Unknown, true));
    assert_eq!(story.entry(1).answer(), None, "a call in doubt has no answer");
    w.not_applied(RUN, 1, "no container of that name", at(11)).unwrap();
    assert_eq!(story.state(1), (State::NotApplied, false));
}

#[test]
fn a_success_settles_an_earlier_doubt() {
    let story = Story::begun();
    story.intend("switch web/compose_up#1");
    story.writer.unknown(RUN, 1, &failure(), at(2)).unwrap();
    story.writer.outcome(RUN, 1, ok(), at(3)).unwrap();
    assert_eq!(story.state(1), (State::Succeeded, false));
}

#[test]
fn an_effect_proved_not_applied_is_decided_anew() {
    let story = Story::begun();
    let w = &story.writer;
    story.intend("switch web/compose_up#1");
    let anew = json!({"service": "web", "image": "sha256:34"});
    illegal(w.attempt_anew(RUN, 1, &anew, at(2)), State::Started, Move::Attempt);
    w.unknown(RUN, 1, &failure(), at(2)).unwrap();
    illegal(w.attempt_anew(RUN, 1, &anew, at(3)), State::Unknown, Move::Attempt);
    illegal(w.refused_again(RUN, 1, &failure(), at(3)), State::Unknown, Move::Refuse);
    w.not_applied(RUN, 1, "no container of that name", at(3)).unwrap();
    let absence = story.entry(1).attempts[0].failure.clone().unwrap();
    assert_eq!((&*absence.code, &*absence.message), ("not_applied", "no container of that name"));
    assert_eq!(w.attempt_anew(RUN, 1, &anew, at(4)).unwrap(), 2);
    assert_eq!(story.entry(1).intent, Some(anew));
    w.unknown(RUN, 1, &failure(), at(5)).unwrap();
    w.not_applied(RUN, 1, "still none", at(6)).unwrap();
    w.refused_again(RUN, 1, &failure(), at(7)).unwrap();
    let entry = story.entry(1);
    assert_eq!((entry.state, entry.answer()), (State::Refused, Some(Err(&failure()))));
    assert_eq!(entry.attempts.len(), 3);
}

#[test]
fn a_question_stands_until_it_is_answered() {
    let story = Story::begun();
    let w = &story.writer;
    story.intend("switch web/compose_up#1");
    let asked = question("switch web/compose_up#1");
    illegal(w.ask(RUN, 1, &asked), State::Started, Move::ProveAbsent);
    w.unknown(RUN, 1, &failure(), at(2)).unwrap();
    w.ask(RUN, 1, &asked).unwrap();
    assert_eq!(story.entry(1).question(), Some(&asked));
    let said = Choosing { choice: "retry".into(), reason: "looked".into(), by: "bob@app1".into() };
    w.decide(RUN, 1, said.clone(), at(3)).unwrap();
    assert_eq!(story.entry(1).question(), Some(&asked), "a decision moves nothing");
    assert_eq!(story.entry(1).decisions[0].decision, said);
    w.attempt(RUN, 1, at(4)).unwrap();
    w.unknown(RUN, 1, &failure(), at(5)).unwrap();
    assert_eq!(story.entry(1).question(), None, "the old answer was not about this attempt");
}

#[test]
fn only_the_last_call_is_opened_again() {
    let story = Story::begun();
    let w = &story.writer;
    story.intend("prepare/backup#1");
    w.outcome(RUN, 1, Err(failure()), at(2)).unwrap();
    w.refused(RUN, effect("switch web/compose_up#1"), failure(), at(3)).unwrap();
    let error = w.reopen(RUN, 1, at(4)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`switch web/compose_up#1` stands already in the journal of run `{RUN}`")
    );
    assert_eq!(story.state(1), (State::Failed, false));
    w.reopen(RUN, 2, at(4)).unwrap();
    assert_eq!(story.state(2), (State::NotApplied, false));
    illegal(w.reopen(RUN, 2, at(5)), State::NotApplied, Move::Reopen);
    w.attempt(RUN, 2, at(5)).unwrap();
    w.outcome(RUN, 2, Err(failure()), at(6)).unwrap();
    w.reopen(RUN, 2, at(7)).unwrap();
    let entry = story.entry(2);
    assert_eq!((entry.state, entry.next_at()), (State::Waiting, Some(at(7))));
    illegal(w.reopen(RUN, 9, at(8)), State::Absent, Move::Reopen);
}

/// The calls of one block have not come about through each other.
#[test]
fn a_call_is_opened_again_beside_the_others_of_its_block() {
    let story = Story::begun();
    let pair = together(7, ["prepare/backup#1", "prepare/compose_pull#1"]);
    story.writer.intend(RUN, pair, at(1)).unwrap();
    story.writer.outcome(RUN, 1, Err(failure()), at(2)).unwrap();
    story.writer.outcome(RUN, 2, ok(), at(2)).unwrap();
    story.writer.reopen(RUN, 1, at(3)).unwrap();
    story.intend("switch web/compose_up#1");
    story.writer.attempt(RUN, 1, at(4)).unwrap();
    story.writer.outcome(RUN, 1, Err(failure()), at(5)).unwrap();
    assert_eq!(story.writer.reopen(RUN, 1, at(6)).unwrap_err().code(), "repeated_call");
}

#[test]
fn a_good_word_is_refused_while_something_is_in_doubt() {
    let story = Story::begun();
    let w = &story.writer;
    story.intend("switch web/compose_up#1");
    let good = [
        (RunState::Done, Ending::Done),
        (RunState::Refused, Ending::Refused { failure: failure() }),
        (RunState::TakenBack, Ending::TakenBack { failure: failure(), left: Vec::new() }),
        (RunState::RolledBack, Ending::RolledBack { left: Vec::new() }),
    ];
    let refused = |why: &str| {
        for (state, ending) in &good {
            let error = w.ended(RUN, *state, ending, at(9)).unwrap_err();
            let words = format!("run `{RUN}` cannot be recorded as `{state}`: `switch web/compose_up#1`");
            assert_eq!((error.code(), error.to_string()), ("not_settled", words), "{why}");
        }
    };
    refused("at work");
    w.unknown(RUN, 1, &failure(), at(2)).unwrap();
    refused("unknown");
    w.attempt(RUN, 1, at(3)).unwrap();
    w.retry_at(RUN, 1, &failure(), at(9), at(4)).unwrap();
    refused("the first attempt is in doubt, the second waits");
    w.undo_started(RUN, 1, at(5)).unwrap();
    refused("being taken back");
    w.needs_decision(RUN, 1, &question("switch web/compose_up#1"), at(6)).unwrap();
    refused("waits for a person");
    w.undo_started(RUN, 1, at(7)).unwrap();
    w.undo_failed(RUN, 1, &failure(), at(8)).unwrap();
    refused("could not be taken back");
    w.ended(RUN, RunState::Closed, &Ending::Closed { why: "left as it is".into() }, at(9)).unwrap();
}

#[test]
fn one_unfinished_run_at_a_time() {
    let story = Story::begun();
    let w = &story.writer;
    let other = "20261124-040000-beef";
    let why = Ending::Unfinished { why: "stopped by a signal".into(), cause: None, question: None };
    for state in [RunState::NeedsPerson, RunState::Stuck, RunState::Unfinished] {
        let error = w.begin(run(other)).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("run_unfinished", ExitClass::Unfinished));
        assert_eq!(error.to_string(), format!("run `{RUN}` is not finished"));
        assert_eq!(error.hint().unwrap(), format!("`uplift resume {RUN}` or `uplift rollback {RUN}`"));
        w.ended(RUN, state, &why, at(3)).unwrap();
        assert_eq!(w.begin(run(other)).unwrap_err().code(), "run_unfinished", "{state}");
        assert_eq!(w.intend(RUN, vec![effect("a#1")], at(3)).unwrap_err().code(), "run_over", "{state}");
        w.adopt(RUN).unwrap();
    }
    w.ended(RUN, RunState::Done, &Ending::Done, at(4)).unwrap();
    w.begin(run(other)).unwrap();
    // What is over stays so: who returns from it begins a run of its own.
    assert_eq!(w.adopt(RUN).unwrap_err().to_string(), format!("run `{RUN}` is over: it is `done`"));
    assert!(matches!(w.adopt("nobody"), Err(JournalError::NoSuchRun { id }) if id == "nobody"));
}

#[test]
fn taking_up_a_run_turns_what_was_at_work_into_unknown_and_nothing_else() {
    let mut story = Story::begun();
    let pair = vec![effect("prepare/backup#1"), effect("prepare/compose_pull#1")];
    story.writer.intend(RUN, pair, at(1)).unwrap();
    story.writer.outcome(RUN, 1, ok(), at(2)).unwrap();
    story.intend("switch web/compose_up#1");
    story.writer.retry_at(RUN, 3, &failure(), at(30), at(3)).unwrap();
    // A look that failed, and was being made once more.
    story.writer.observe(RUN, read("verify/wait_healthy#1"), Err(failure()), at(4)).unwrap();
    story.writer.reopen(RUN, 4, at(5)).unwrap();
    story.writer.attempt(RUN, 4, at(6)).unwrap();
    let writer = story.taken_over();
    assert_eq!(story.state(2), (State::Started, false));
    writer.adopt(RUN).unwrap();
    let states: Vec<_> = (1..=4).map(|seq| story.state(seq)).collect();
    let waits = (State::Waiting, false);
    assert_eq!(states, [(State::Succeeded, false), (State::Unknown, true), waits, waits]);
    let why = story.entry(2).attempts[0].failure.clone().unwrap();
    assert_eq!((&*why.code, why.unknown), ("interrupted", true));
}

#[test]
fn calls_that_begin_together_are_written_together_or_not_at_all() {
    let story = Story::begun();
    story.intend("prepare/backup#1");
    let before = dump(&story.folder.journal());
    let both = vec![effect("prepare/compose_pull#1"), effect("prepare/backup#1")];
    let error = story.writer.intend(RUN, both, at(2)).unwrap_err();
    assert_eq!(error.to_string(), format!("`prepare/backup#1` stands already in the journal of run `{RUN}`"));
    assert_eq!(dump(&story.folder.journal()), before);
}
