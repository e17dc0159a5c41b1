//! What stands in the journal when the process dies at any point.

use std::path::Path;

use serde_json::json;
use uplift::{
    event::Ending,
    journal::{Entry, Folder, Lock, RunState, State, Writer},
    site::Scrubber,
};

use super::{
    child::{self, Player},
    story::{RUN, at, effect, failure, holder, ok, open, question, read, reader, run},
};

/// A point at which the process dies, and where the call stands then.
type Point = (&'static str, fn(&Writer), Option<State>);

const POINTS: [Point; 11] = [
    ("nothing but the run", |_| {}, None),
    (
        "a read",
        |w| {
            w.observe(RUN, read("a#1"), Ok(json!(1)), at(1)).unwrap();
        },
        Some(State::Succeeded),
    ),
    ("an intent", intend, Some(State::Started)),
    ("an outcome", |w| succeed(w), Some(State::Succeeded)),
    (
        "a failure",
        |w| {
            intend(w);
            w.outcome(RUN, 1, Err(failure()), at(2)).unwrap();
        },
        Some(State::Failed),
    ),
    (
        "a wait",
        |w| {
            intend(w);
            w.retry_at(RUN, 1, &failure(), at(60), at(2)).unwrap();
        },
        Some(State::Waiting),
    ),
    ("a lost answer", lose, Some(State::Unknown)),
    (
        "a question",
        |w| {
            lose(w);
            w.ask(RUN, 1, &question("a#1")).unwrap();
        },
        Some(State::Unknown),
    ),
    (
        "a proof",
        |w| {
            lose(w);
            w.not_applied(RUN, 1, "gone", at(3)).unwrap();
        },
        Some(State::NotApplied),
    ),
    (
        "an undo begun",
        |w| {
            succeed(w);
            w.undo_started(RUN, 1, at(3)).unwrap();
        },
        Some(State::UndoStarted),
    ),
    ("an undo asked about", ask_back, Some(State::NeedsDecision)),
];

fn intend(w: &Writer) {
    w.intend(RUN, vec![effect("a#1")], at(1)).unwrap();
}

fn succeed(w: &Writer) {
    intend(w);
    w.outcome(RUN, 1, ok(), at(2)).unwrap();
}

fn lose(w: &Writer) {
    intend(w);
    w.unknown(RUN, 1, &failure(), at(2)).unwrap();
}

fn ask_back(w: &Writer) {
    succeed(w);
    w.undo_started(RUN, 1, at(3)).unwrap();
    w.needs_decision(RUN, 1, &question("a#1"), at(4)).unwrap();
}

/// `POINT by abort` dies by its own hand, `POINT by kill` waits for the other's.
fn die(part: &str, state: &Path) -> ! {
    let (_folder, _lock, writer) = open(state, Scrubber::default());
    writer.begin(run(RUN)).unwrap();
    let (name, how) = part.rsplit_once(" by ").unwrap();
    let (_, moves, _) = POINTS.iter().find(|(point, ..)| *point == name).unwrap();
    moves(&writer);
    child::say("there");
    if how == "abort" { std::process::abort() } else { child::wait() }
}

#[test]
fn a_run_that_dies_leaves_exactly_what_was_committed() {
    if let Some((part, state)) = child::part() {
        die(&part, &state);
    }
    for how in ["abort", "kill"] {
        for (name, _, stands) in &POINTS {
            let site = tempfile::tempdir().unwrap();
            let state = site.path().join(".uplift");
            let part = format!("{name} by {how}");
            let test = "crash::a_run_that_dies_leaves_exactly_what_was_committed";
            let mut player = Player::begin(&[], test, &part, &state);
            assert_eq!(player.hear().as_deref(), Some("there"), "{part}");
            let pid = player.pid();
            if how == "abort" {
                assert!(!player.ended_well());
            } else {
                player.kill();
            }
            check(&part, &state, *stands, pid);
        }
    }
}

fn check(part: &str, state: &Path, stands: Option<State>, pid: u32) {
    let folder = Folder::find(state).unwrap();
    let reader = reader(&folder);
    let row = reader.unfinished().unwrap().unwrap();
    assert_eq!((row.state, row.interrupted, row.resumed), (RunState::Running, true, 0), "{part}");
    assert_eq!((reader.holder(), &row.state_word()[..]), (None, "interrupted"), "{part}");
    assert_eq!(reader.bundle(RUN).unwrap(), run(RUN).bundle, "{part}");
    assert_eq!(reader.before(RUN).unwrap(), run(RUN).before, "{part}");
    let entries = reader.entries(RUN).unwrap();
    assert_eq!(entries.first().map(|entry| entry.state), stands, "{part}");
    assert!(entries.iter().all(|entry| entry.attempts[0].pid == pid), "{part}");

    let lock = Lock::take(&folder, holder(RUN)).unwrap();
    let writer = Writer::open(&folder, &lock, Scrubber::default()).unwrap();
    writer.adopt(RUN).unwrap();
    let entries = reader.entries(RUN).unwrap();
    assert_eq!(entries.first().map(|entry| entry.state), stands.map(taken_up), "{part}");
    if let Some(entry) = entries.first() {
        go_on(part, &writer, entry);
        writer.ended(RUN, RunState::RolledBack, &Ending::RolledBack, at(99)).unwrap();
    }
}

/// Only what was at work is another thing once the run is taken up.
fn taken_up(state: State) -> State {
    if state == State::Started { State::Unknown } else { state }
}

/// From every point there is a way on, and a way back.
fn go_on(part: &str, w: &Writer, entry: &Entry) {
    let attempts = entry.attempts.len();
    match entry.state {
        State::Waiting => {
            assert_eq!(entry.next_at(), Some(at(60)), "{part}");
            assert_eq!(w.attempt(RUN, 1, at(60)).unwrap(), 2, "{part}");
            w.outcome(RUN, 1, ok(), at(61)).unwrap();
        }
        State::Unknown => {
            assert!(entry.may_have_applied, "{part}");
            assert_eq!(entry.question().is_some(), part.starts_with("a question"), "{part}");
            w.not_applied(RUN, 1, "gone", at(61)).unwrap();
            w.attempt(RUN, 1, at(62)).unwrap();
            w.outcome(RUN, 1, ok(), at(63)).unwrap();
        }
        State::NeedsDecision => assert_eq!(entry.question(), Some(&question("a#1")), "{part}"),
        State::Succeeded | State::Failed => assert!(entry.answer().is_some(), "{part}"),
        _ => assert_eq!(attempts, 1, "{part}"),
    }
    if entry.state != State::NotApplied {
        w.undo_started(RUN, 1, at(70)).unwrap();
        w.undone(RUN, 1, json!(null), at(71)).unwrap();
    }
}

/// Writes as fast as it can, and says of each call what the journal has said to it.
fn hurry(state: &Path) -> ! {
    let (_folder, _lock, writer) = open(state, Scrubber::default());
    child::say("lock");
    writer.begin(run(RUN)).unwrap();
    for n in 0.. {
        let pair = vec![effect(&format!("a#{n}")), effect(&format!("b#{n}"))];
        let pair = writer.intend(RUN, pair, at(n)).unwrap();
        child::say("intent");
        for seq in pair {
            writer.outcome(RUN, seq, ok(), at(n)).unwrap();
            child::say("outcome");
        }
    }
    unreachable!()
}

/// Killed in the middle of whatever it is doing: what was answered stands, and the one commit more that may stand is
/// whole.
#[test]
fn a_kill_at_any_moment_loses_nothing_and_leaves_no_half_commit() {
    if let Some((_, state)) = child::part() {
        hurry(&state);
    }
    for round in 0..12_u64 {
        let site = tempfile::tempdir().unwrap();
        let state = site.path().join(".uplift");
        let test = "crash::a_kill_at_any_moment_loses_nothing_and_leaves_no_half_commit";
        let mut player = Player::begin(&[], test, "", &state);
        assert_eq!(player.hear().as_deref(), Some("lock"));
        std::thread::sleep(std::time::Duration::from_micros(round * 3_700));
        player.kill();
        let said: Vec<_> = std::iter::from_fn(|| player.hear()).collect();
        let heard = |word: &str| said.iter().filter(|one| *one == word).count();

        let reader = reader(&Folder::find(&state).unwrap());
        if reader.runs().unwrap().is_empty() {
            assert_eq!(said.len(), 0, "round {round}");
            continue;
        }
        let entries = reader.entries(RUN).unwrap();
        let ended = entries.iter().filter(|entry| entry.state == State::Succeeded).count();
        let at_work = entries.iter().filter(|entry| entry.state == State::Started).count();
        assert_eq!((entries.len() % 2, ended + at_work), (0, entries.len()), "round {round}");
        assert!(entries.iter().all(|entry| entry.attempts.len() == 1), "round {round}");
        let more = (entries.len() / 2 + ended) - (heard("intent") + heard("outcome"));
        assert!(more <= 1, "round {round}: {more} commits more than were answered");
        println!("round {round}: {} calls, {more} commit unanswered", entries.len());
    }
}
