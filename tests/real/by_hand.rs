//! An upgrade was stopped with the site down, and its operator has typed `docker compose up -d`.

use std::{thread::sleep, time::Duration};

use super::{Field, told::until_it_begins};
use crate::lab::Shape;

const ROW: &str = "INSERT INTO orders (key) VALUES ('by-hand')";
const COUNT: &str = "SELECT count(*) FROM orders WHERE key = 'by-hand'";

#[test]
fn what_users_write_on_a_site_that_was_started_by_hand_is_asked_about() {
    let field = Field::quick(Shape::Present, "1.0.0");
    for (choice, stays) in [("restore-data", "0"), ("return-code", "1")] {
        field.stack.settle().unwrap();
        let words = "upgrade --to 1.1.0 -y -o json";
        let run = field.start(words);
        until_it_begins(&run, "migrate in the dark/compose_trial#1");
        sleep(Duration::from_secs(2));
        run.signal("INT").unwrap();
        field.ended(run, words).ends(9);
        field.uplift("status").ends(9).shows(&["DOWN", "start nothing by hand"]);
        // Without a health check's wait: the worker goes on beside it.
        field.stack.compose("up -d --no-deps web job").unwrap();
        field.assert_web_is_up();
        field.stack.psql("strata_production", ROW).unwrap();
        field.uplift("status").ends(9).shows(&["RUNS AGAIN", "`web`, `job`: running"]);
        field.uplift("rollback --dry-run").ends(7).shows(&["RUNS AGAIN"]);
        let asked = field.uplift("rollback -y").ends(7);
        asked.shows(&[
            "was started at",
            "written in `strata_production`.`orders` since then",
            "restore-data",
        ]);
        assert_eq!(field.stack.psql("strata_production", COUNT).unwrap(), "1", "nothing was done yet");
        field.uplift(&format!("rollback --choose {choice} --reason tested -y")).ends(0);
        assert_eq!(field.stack.psql("strata_production", COUNT).unwrap(), stays, "{choice}");
        field.assert_runs("1.0.0");
        field.assert_up();
        field.stack.psql("strata_production", "DELETE FROM orders WHERE key = 'by-hand'").unwrap();
    }
    field.end();
}
