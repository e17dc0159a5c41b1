//! What is written, and what is refused.

use serde_json::json;
use uplift::{
    event::{Ending, ExitClass},
    journal::{Choosing, JournalError, RunState, State},
};

use super::story::{RUN, Story, at, effect, failure, ok, question, read, reader, run};

#[test]
fn a_run_comes_back_as_it_was_written() {
    let story = Story::begun();
    let w = &story.writer;
    let version = w.observe(RUN, read("check/service_version#1"), Ok(json!("1.0.0")), at(1)).unwrap();
    w.refused(RUN, effect("check/pg_savepoint#1"), failure(), at(2)).unwrap();
    let mut pair = vec![effect("prepare/backup#1"), effect("prepare/compose_pull#1")];
    pair.iter_mut().for_each(|entry| entry.group = Some(1));
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
