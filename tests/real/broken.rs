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
        // The plan has to assume that something is pending; the run knows.
        let done = field.uplift("show").ends(0);
        assert!(!done.everything().contains("in the dark"), "nothing is pending: nothing is tried\n{done}");
        let copies = "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_\\_%'";
        assert_eq!(field.stack.psql("postgres", copies).unwrap(), "0", "and nothing is copied");
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
    field.end();
}
