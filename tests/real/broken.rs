//! Releases that are broken, each in its way.

use super::Field;
use crate::lab::Shape;

/// What each broken release writes into its container's log before it fails.
const LAST_WORDS: [(&str, &str); 3] = [
    ("1.7.0", "KeyError: key not found: \"STRATA_MAIL_FROM\""),
    ("1.6.0", "NoMethodError undefined method `deliver_later' for nil:NilClass"),
    ("1.2.0", "The asset 'application.css' was not found in the load path"),
];

/// Long enough for the worker of 1.6.0 to die. Patience counts from the last sign of progress, so that 1.2.0 costs all
/// of it.
fn upgrade(release: &str) -> String {
    format!("upgrade --to {release} -y --settle 5s --patience 15s")
}

#[test]
fn a_broken_release_with_the_same_schema_is_taken_back() {
    taken_back(Shape::Present);
}

#[test]
fn a_broken_release_with_the_same_schema_is_taken_back_in_the_older_shape() {
    taken_back(Shape::Older);
}

fn taken_back(shape: Shape) {
    let field = Field::quick(shape, "1.1.0");
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    for (release, last_words) in LAST_WORDS {
        let (screen, ledger) = field.while_writing(|| field.uplift(&upgrade(release)));
        screen.ends(6).shows(&[last_words, "is as it was before"]);
        field.assert_runs("1.1.0");
        field.assert_up();
        field.assert_nothing_lost(&ledger);
        assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new(), "{release}");
        field.uplift("status").ends(0);
    }
    field.end();
}

#[test]
fn a_release_that_never_touched_the_database_is_taken_back_from_an_older_schema() {
    let field = Field::quick(Shape::Present, "1.0.0");
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    let (screen, ledger) = field.while_writing(|| field.uplift(&upgrade("1.7.0")));
    screen.ends(6).shows(&[LAST_WORDS[0].1]);
    field.assert_runs("1.0.0");
    field.assert_up();
    field.assert_nothing_lost(&ledger);
    assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new());
    stay(&field);
    field.end();
}

/// From 1.0.0 the migrations of 1.2.0 have run when its web turns out never to be healthy.
fn stay(field: &Field) {
    let (screen, ledger) = field.while_writing(|| field.uplift(&upgrade("1.2.0")));
    asks_a_person(field, screen, LAST_WORDS[2].1);
    assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("status").ends(7);
    field.uplift("upgrade --to 1.1.0 -y").ends(7).shows(&["needs a decision", "uplift show"]);
    let containers = field.stack.containers().unwrap();
    field.uplift("rollback --choose stay --reason tested -y").ends(0);
    assert_eq!(field.stack.containers().unwrap(), containers, "to stay is to leave everything as it is");
    field.uplift("rollback --choose stay --reason tested -y").ends(2);
    field.uplift("status").ends(0);
}

#[test]
fn once_the_schema_has_moved_a_person_may_return_the_code() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let env = field.stack.env_text().unwrap();
    let (screen, ledger) = field.while_writing(|| field.uplift(&upgrade("1.6.0")));
    asks_a_person(&field, screen, LAST_WORDS[1].1);
    assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("rollback --choose nonsense --reason tested -y").shows(&["return-code", "stay"]);
    field.uplift("rollback --choose return-code --reason tested -y").ends(0);
    field.assert_runs("1.0.0");
    field.assert_up();
    assert_eq!(field.stack.env_text().unwrap(), env);
    assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("rollback --choose return-code --reason tested -y").ends(2);
    field.uplift("status").ends(0);
    field.end();
}

/// The cause, both choices as commands to type, and where the backup lies.
fn asks_a_person(field: &Field, screen: super::screen::Screen, last_words: &str) {
    let set = std::fs::read_dir(field.state("backups")).unwrap();
    let sets: Vec<_> = set.map(|entry| entry.unwrap().path().display().to_string()).collect();
    let newest = sets.iter().max().expect("a backup");
    screen.ends(7).shows(&[
        last_words,
        "20260201000001",
        newest,
        "uplift rollback",
        "--choose return-code",
        "--choose stay",
    ]);
}
