//! The lock in the database: two machines on one server, and a run whose session there is ended.

use super::{
    Field,
    jam::{Jam, until_it_waits},
};
use crate::lab::{Shape, Started};

/// Starts an upgrade, and comes back while its dump waits.
fn dumping(field: &Field, words: &str) -> Started {
    let run = field.start(words);
    until_it_waits(field, &run, "strata_production_cable");
    run
}

const HOLDERS: &str =
    "FROM pg_stat_activity WHERE datname = 'postgres' AND application_name LIKE 'uplift 2%'";

#[test]
fn two_machines_never_work_on_the_same_databases() {
    let field = Field::quick(Shape::Present, "1.0.0");
    // Another machine has a state folder of its own, and no lock in common with this one but that in the database.
    let elsewhere = tempfile::tempdir().unwrap();
    let second =
        |to: &str| format!("upgrade --to {to} -y --settle 2s --state {}", elsewhere.path().display());
    let jam = Jam::make(&field);
    let words = "upgrade --to 1.1.0 -y --settle 2s";
    let first = dumping(&field, words);
    let holder = field.stack.psql("postgres", &format!("SELECT application_name {HOLDERS}")).unwrap();
    let kept_out = field.uplift(&second("1.1.0"));
    kept_out.ends(5).shows(&["another run holds", &holder[..30], "nothing was changed"]);
    jam.ends();
    field.ended(first, words).ends(0);
    field.assert_runs("1.1.0");
    assert_eq!(field.stack.psql("postgres", &format!("SELECT count(*) {HOLDERS}")).unwrap(), "0");
    field.uplift(&second("1.1.0")).ends(0).shows(&["NOTHING NEEDED"]);

    // The session is ended in the middle: the dump goes on to its end, and nothing else begins.
    let jam = Jam::make(&field);
    let words = "upgrade --to 1.1.1 -y --settle 2s";
    let run = dumping(&field, words);
    field.stack.psql("postgres", &format!("SELECT pg_terminate_backend(pid) {HOLDERS}")).unwrap();
    jam.ends();
    field.ended(run, words).ends(9).shows(&["held the site's lock", "uplift resume", "uplift rollback"]);
    field.assert_runs("1.1.0");
    field.uplift("resume").ends(0).shows(&["1.1.1"]);
    field.assert_runs("1.1.1");
    field.assert_up();
    field.end();
}
