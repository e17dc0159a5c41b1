//! No byte of a secret reaches the disk.

use std::fs;

use base64::{Engine as _, engine::general_purpose};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uplift::{
    event::{Ending, ExitClass, Failure, Question},
    journal::{Choosing, NewEntry, NewRun, RunState, State},
    site::{Scrubber, Secret},
};

use super::story::{RUN, Story, at, dump, effect, ok, question, read, reader, run};

const CANARY: &str = "pa'ss w$rd#\"1";
const LICENCE: &str = "LIC-4711/canary";

fn scrubber() -> Scrubber {
    let scrubber = Scrubber::default();
    for secret in [CANARY, LICENCE] {
        scrubber.learn(&Secret::new(secret));
    }
    scrubber
}

fn standing() -> Story {
    let story = Story::locked(scrubber());
    story.writer.begin(run(RUN)).unwrap();
    story
}

/// As RFC 3986 has it, and as browsers do it.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const COMPONENT: &AsciiSet = &URL.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');

/// A secret as it may come along in text: as it is, in base64 alone and inside something longer, in a URL.
fn forms(secret: &str) -> Vec<String> {
    let quoted = serde_json::to_string(secret).unwrap();
    let mut forms = vec![secret.to_owned(), quoted.trim_matches('"').to_owned()];
    forms.extend([NON_ALPHANUMERIC, URL, COMPONENT].map(|set| utf8_percent_encode(secret, set).to_string()));
    for before in ["", "u", "u:"] {
        forms.push(general_purpose::STANDARD.encode(format!("{before}{secret}")));
        forms.push(general_purpose::URL_SAFE_NO_PAD.encode(format!("{before}{secret}@db/strata")));
    }
    forms
}

/// Every form of every secret, each between words that must stay.
fn leaky() -> String {
    let forms: Vec<_> = [CANARY, LICENCE].into_iter().flat_map(forms).collect();
    format!("start {} stop", forms.join(" then "))
}

fn leak() -> Failure {
    let mut failure = Failure::new("refused_login", leaky()).hint(leaky()).evidence([leaky(), leaky()]);
    failure.excerpt = Some(leaky());
    failure
}

fn asked() -> Question {
    let mut question = question("a#1");
    (question.text, question.found) = (leaky(), vec![leaky()]);
    (question.choices[0].does, question.choices[0].costs) = (leaky(), leaky());
    question
}

fn leaky_effect(address: &str) -> NewEntry {
    NewEntry { place: leaky(), summary: leaky(), ..effect(address) }
}

/// Writes the leak into every field that text or an answer can go to.
fn write_everywhere(story: &Story) {
    let w = &story.writer;
    w.begin(NewRun { command: leaky(), by: leaky(), ..run(RUN) }).unwrap();
    for address in ["a#1", "b#1", "c#1"] {
        w.intend(RUN, vec![leaky_effect(address)], at(1)).unwrap();
    }
    w.unknown(RUN, 1, &leak(), at(2)).unwrap();
    w.ask(RUN, 1, &asked()).unwrap();
    let said = Choosing { choice: leaky(), reason: leaky(), by: leaky() };
    w.decide(RUN, 1, said.clone(), at(3)).unwrap();
    w.decide(RUN, 0, said, at(3)).unwrap();
    w.attempt(RUN, 1, at(4)).unwrap();
    w.retry_at(RUN, 1, &leak(), at(9), at(5)).unwrap();
    w.not_applied(RUN, 1, &leaky(), at(6)).unwrap();
    w.refused_again(RUN, 1, &leak(), at(7)).unwrap();
    w.outcome(RUN, 2, Err(leak()), at(2)).unwrap();
    w.outcome(RUN, 3, Ok(json!({leaky(): [leaky(), {"a": leaky()}]})), at(2)).unwrap();
    w.refused(RUN, leaky_effect("d#1"), leak(), at(8)).unwrap();
    w.observe(RUN, NewEntry { summary: leaky(), ..read("e#1") }, Ok(json!(leaky())), at(8)).unwrap();
    for seq in [2, 3] {
        w.undo_started(RUN, seq, at(9)).unwrap();
        w.needs_decision(RUN, seq, &asked(), at(9)).unwrap();
        w.undo_started(RUN, seq, at(9)).unwrap();
        w.undo_failed(RUN, seq, &leak(), at(9)).unwrap();
        w.undo_started(RUN, seq, at(9)).unwrap();
        w.undone(RUN, seq, json!({"was": leaky()}), at(9)).unwrap();
    }
    for (state, ending) in endings() {
        w.ended(RUN, state, &ending, at(10)).unwrap();
        if state.unfinished() {
            w.adopt(RUN).unwrap();
        }
    }
}

fn endings() -> [(RunState, Ending); 5] {
    let lines = vec![leaky()];
    [
        (RunState::Unfinished, Ending::Unfinished { why: leaky(), question: Some(asked()) }),
        (RunState::NeedsPerson, Ending::NeedsPerson { failure: Some(leak()), question: asked() }),
        (RunState::Stuck, Ending::Stuck { failure: leak(), done: lines.clone(), not_done: lines }),
        (RunState::Unfinished, Ending::Closed { why: leaky() }),
        (RunState::TakenBack, Ending::TakenBack { failure: leak() }),
    ]
}

/// What must stand nowhere: enough of each form to be of use to a thief.
fn needles() -> Vec<Vec<u8>> {
    let mut needles: Vec<Vec<u8>> = Vec::new();
    for secret in [CANARY, LICENCE] {
        needles.extend(forms(secret).into_iter().take(5).map(String::into_bytes));
        for before in ["", "u", "u:"] {
            // What is left over at both ends is less than three characters of the secret.
            let text = general_purpose::STANDARD_NO_PAD.encode(format!("{before}{secret}"));
            needles.push(text.as_bytes()[4..text.len() - 2].to_vec());
        }
    }
    needles
}

#[test]
fn no_form_of_a_secret_is_in_any_byte_of_the_files() {
    let story = Story::locked(scrubber());
    write_everywhere(&story);
    let look = |name: &str| {
        let bytes = fs::read(story.folder.path().join(name)).unwrap();
        for needle in needles() {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{name}: {}", String::from_utf8_lossy(&needle));
        }
        bytes.windows(8).filter(|window| window == b"[secret]").count()
    };
    let masked = look("journal.db-wal");
    assert!(masked > 100, "the words around it are kept: {masked}");
    let text = dump(&story.folder.journal());
    assert!(text.contains("start [secret] then [secret]") && text.contains(" stop"), "{text}");
    // Into the file itself.
    let pages = rusqlite::Connection::open(story.folder.journal()).unwrap();
    pages.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert!(look("journal.db") > 50);
}

#[test]
fn what_is_acted_on_later_is_refused_instead_and_its_place_is_named() {
    let story = standing();
    let w = &story.writer;
    let before = dump(&story.folder.journal());
    for form in [CANARY, LICENCE].into_iter().flat_map(forms) {
        let deep = json!({"db": [{"url": format!("postgres://u:{form}@db")}]});
        let input = NewEntry { input: deep.clone(), ..effect("a#1") };
        let intent = NewEntry { intent: Some(deep.clone()), ..effect("a#1") };
        let key = NewEntry { input: json!({"a": {form.clone(): 1}}), ..read("a#1") };
        let site = NewRun { before: deep.clone(), ..run("another") };
        let params = NewRun { params: deep.clone(), ..run("another") };
        let at_url = "holds a secret of the site at `/db/0/url`";
        for (refused, words) in [
            (w.intend(RUN, vec![effect("b#1"), input], at(1)).map(drop), format!("the call `a#1` {at_url}")),
            (w.intend(RUN, vec![intent], at(1)).map(drop), format!("what `a#1` is about to do {at_url}")),
            (w.attempt_anew(RUN, 1, &deep, at(1)).map(drop), format!("what is about to be done {at_url}")),
            (w.begin(site), format!("what was recorded of the site {at_url}")),
            (w.begin(params), format!("the parameters {at_url}")),
        ] {
            let error = refused.expect_err(&words);
            assert_eq!(error.to_string(), words, "{form}");
            assert_eq!((error.code(), error.exit()), ("secret_in_journal", ExitClass::Refused));
        }
        // The place is told without telling the secret.
        let error = w.observe(RUN, key, ok(), at(1)).unwrap_err().to_string();
        assert!(error.starts_with("the call `a#1` holds a secret of the site at `/a/"), "{error}");
        assert!(error.contains("[secret]"), "{error}");
    }
    assert_eq!(dump(&story.folder.journal()), before);
}

#[test]
fn an_answer_that_was_masked_says_so() {
    let story = standing();
    let w = &story.writer;
    w.intend(RUN, vec![effect("a#1"), effect("b#1")], at(1)).unwrap();
    w.outcome(RUN, 1, Ok(json!({"login": format!("as {CANARY}"), "port": 5432})), at(2)).unwrap();
    w.outcome(RUN, 2, ok(), at(2)).unwrap();
    w.observe(RUN, read("c#1"), Ok(json!([LICENCE])), at(3)).unwrap();
    let entries = reader(&story.folder).entries(RUN).unwrap();
    let answers: Vec<(&Value, bool)> = entries
        .iter()
        .map(|entry| (entry.attempts[0].value.as_ref().unwrap(), entry.attempts[0].masked))
        .collect();
    assert_eq!(
        answers,
        [
            (&json!({"login": "as [secret]", "port": 5432}), true),
            (&ok().unwrap(), false),
            (&json!(["[secret]"]), true),
        ]
    );
    assert!(entries.iter().all(|entry| entry.state == State::Succeeded));
}
