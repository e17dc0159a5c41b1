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
    field.end();
}

/// The whole point: migrations that ran, half ran or were followed by death, and nobody has lost anything.
#[test]
fn a_release_that_fails_in_the_dark_is_taken_back_with_its_migrations() {
    let field = Field::quick(Shape::Present, "1.0.0");
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    for (release, why) in [
        ("1.2.0", "did not become well"),
        ("1.3.0", "container of `web` died"),
        ("1.5.0", "container of `web` died"),
    ] {
        let words = format!("upgrade --to {release} -y --settle 8s --patience 15s");
        let (screen, ledger) = field.while_writing(|| field.uplift(&words));
        screen.ends(6).shows(&["is as it was before", "4 copies", why]);
        field.assert_runs("1.0.0");
        field.assert_up();
        field.assert_nothing_lost(&ledger);
        assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new(), "{release}");
        field.uplift("status").ends(0);
    }
    field.end();
}

#[test]
fn a_person_may_stay_where_the_schema_has_moved() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let (screen, ledger) = field.while_writing(|| field.uplift(&upgrade("1.6.0")));
    asks_a_person(&field, screen, LAST_WORDS[1].1);
    assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("status").ends(7);
    field.uplift("upgrade --to 1.1.0 -y").ends(7).shows(&["needs a decision", "uplift show"]);
    let images = || {
        let containers = field.stack.containers().unwrap().into_iter();
        // The worker dies and is started again all the time: its state is no sign.
        containers.map(|(service, one)| (service, one.image, one.restart)).collect::<Vec<_>>()
    };
    let before = images();
    field.uplift("rollback --choose stay --reason tested -y").ends(0);
    assert_eq!(images(), before, "to stay is to leave everything as it is");
    field.uplift("rollback --choose stay --reason tested -y").ends(2);
    field.uplift("status").ends(0);
    field.end();
}

/// The databases of before come back; what users wrote since is put aside, and said.
#[test]
fn a_person_may_return_the_data_to_the_savepoint() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let (screen, ledger) = field.while_writing(|| field.uplift(&upgrade("1.8.0")));
    screen.ends(7).shows(&["--choose restore-data", "rows written in `strata_production`.`orders`"]);
    assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("rollback --choose restore-data --reason tested -y").ends(0);
    field.assert_runs("1.0.0");
    field.assert_up();
    assert!(!ledger.missing(&field.stack).unwrap().is_empty(), "what was written since is put aside");
    let kept = "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_\\_failed\\_%'";
    assert_eq!(field.stack.psql("postgres", kept).unwrap(), "4");
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    field.end();
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
        newest,
        "uplift rollback",
        "--choose restore-data",
        "--choose return-code",
        "--choose stay",
    ]);
}
