//! Releases that fail where no user reaches them: migrations that ran, half ran or were followed by death, and nobody
//! has lost anything.

use super::{Field, every};
use crate::lab::{Ledger, Server, Shape};

/// Each with what ends it.
const RELEASES: [(&str, &str); 4] = [
    ("1.2.0", "did not become well"),
    ("1.3.0", "container of `web` died"),
    ("1.5.0", "container of `web` died"),
    ("1.7.1", "container of `web` died"),
];

#[test]
fn a_release_that_fails_in_the_dark_is_taken_back_with_its_migrations() {
    taken_back(Server::Published);
}

/// With a client that writes; the long form also without one, where not a single row may be another.
pub(super) fn taken_back(server: Server) {
    let field = Field::at(server, Shape::Present, "1.0.0");
    field.stack.adorn().unwrap();
    field.first_orders();
    for (release, why) in RELEASES {
        for busy in if every() { vec![true, false] } else { vec![true] } {
            fails(&field, release, why, busy);
        }
    }
    field.end();
}

fn fails(field: &Field, release: &str, why: &str, busy: bool) {
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    let words = format!("upgrade --to {release} -y --settle 8s --patience 15s");
    let (screen, ledger) = if busy {
        field.while_writing(|| field.uplift(&words))
    } else {
        (field.uplift(&words), Ledger::default())
    };
    let screen = screen.ends(6).shows(&["is as it was before", "4 copies", why]);
    eprintln!("{release} was taken back after {:.1} s", screen.seconds());
    field.assert_runs("1.0.0");
    field.assert_up();
    if busy {
        field.assert_nothing_lost(&ledger);
    }
    field.assert_as(&before, &ledger);
    field.uplift("status").ends(0);
}
