//! One run at a time on one site.

use std::time::Duration;

use super::Field;
use crate::lab::{Shape, wait_until};

#[test]
fn a_second_upgrade_is_kept_out_while_the_first_one_works_and_let_in_when_it_is_gone() {
    let field = Field::quick(Shape::Present, "1.1.0");
    let first = field.start("upgrade --to 1.2.0 -y -o json --settle 1s");
    let waiting = || first.stdout().contains("switch web/wait_healthy#1");
    wait_until("the first run to wait for web", Duration::from_mins(1), waiting).unwrap();
    let ids = field.stack.container_ids().unwrap();
    let pid = format!("process {}", first.pid());
    let second = field.uplift("upgrade --to 1.1.1 -y").ends(5);
    second.shows(&["upgrade --to 1.2.0", &pid]);
    field.uplift("rollback -y").ends(5).shows(&[&pid]);
    field.uplift("resume -y").ends(5).shows(&[&pid]);
    assert_eq!(field.stack.container_ids().unwrap(), ids, "who is kept out changes nothing");
    field.uplift("status").ends(0).shows(&[&pid]);
    first.signal("KILL").unwrap();
    assert_eq!(field.ended(first, "upgrade --to 1.2.0").exit(), None);
    field.uplift("status").ends(9).shows(&["interrupted"]);
    field.uplift("upgrade --to 1.1.1 -y").ends(9).shows(&["uplift resume", "uplift rollback"]);
    field.uplift("rollback -y").ends(0);
    field.assert_runs("1.1.0");
    field.uplift("upgrade --to 1.1.1 -y --settle 1s").ends(0);
    field.end();
}
