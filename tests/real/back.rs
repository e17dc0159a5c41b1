//! Returning from a finished upgrade.

use super::Field;
use crate::lab::{Server, Shape, Shell};

#[test]
fn after_a_release_on_the_same_schema_the_code_goes_back_and_nothing_is_lost() {
    the_code_goes_back(Server::Published);
}

pub(super) fn the_code_goes_back(server: Server) {
    let field = Field::at(server, Shape::Present, "1.1.0");
    let env = field.stack.env_text().unwrap();
    let image = |field: &Field| field.stack.containers().unwrap()["web"].image.clone();
    let ran = image(&field);
    let ((), ledger) = field.while_writing(|| {
        field.uplift("upgrade --to 1.1.1 -y --settle 2s").ends(0);
        field.assert_runs("1.1.1");
        field.uplift("rollback --list").ends(0).shows(&["the data stays", "uplift rollback"]);
        let screen = field.uplift("rollback -y --settle 2s").ends(0);
        eprintln!("back from 1.1.1 in {:.1} s", screen.seconds());
    });
    field.assert_runs("1.1.0");
    assert_eq!(image(&field), ran, "the very image that ran before");
    field.assert_up();
    field.assert_nothing_lost(&ledger);
    assert_eq!(field.stack.env_text().unwrap(), env);
    field.uplift("rollback -y").ends(2).shows(&["--list"]);
    field.uplift("status").ends(0);
    field.end();
}

#[test]
fn after_a_migration_a_person_says_whether_the_data_returns() {
    a_person_says(Server::Published);
}

pub(super) fn a_person_says(server: Server) {
    let field = Field::at(server, Shape::Present, "1.0.0");
    field.first_orders();
    let find = Shell::new("find").arg(field.stack.storage().unwrap().display().to_string());
    let deleted = find.args("-type f -print -quit").output().unwrap();
    let (_, ledger) = field.while_writing(|| field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0));
    field.assert_nothing_lost(&ledger);
    // An uploaded file that a row of before names, and that users have deleted since.
    let content = std::fs::read(&deleted).unwrap();
    std::fs::remove_file(&deleted).unwrap();
    let before = field.stack.state().unwrap();

    // Without a word nothing is done, and what it costs is counted.
    let asked = field.uplift("rollback -y").ends(7).shows(&[
        "rows written in `strata_production`.`orders`",
        "--restore-data always",
        "nothing was changed",
    ]);
    field.uplift("rollback --restore-data never -y").ends(1).shows(&["is not known to run on that"]);
    field.uplift("rollback --restore-data always --dry-run").ends(0).shows(&["becomes", "1.0.0"]);
    assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new());

    // With one the older release serves on its own data, and the newer databases are kept.
    let screen = field.uplift("rollback --restore-data always --jobs run -y --settle 2s").ends(0);
    eprintln!("back from 1.1.0 with its data in {:.1} s", screen.seconds());
    field.assert_runs("1.0.0");
    field.assert_up();
    let away = ledger.missing(&field.stack).unwrap().len();
    let counted = rows(&asked.everything(), "`orders`");
    eprintln!("{away} orders are put aside, {counted} rows were counted as written or changed");
    assert!(away > 0 && counted >= away, "{away} orders are away, and {counted} were told");
    assert_eq!(std::fs::read(&deleted).unwrap(), content, "it is back with its row");
    let kept = "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_\\_failed\\_%' AND NOT datallowconn";
    assert_eq!(field.stack.psql("postgres", kept).unwrap(), "4");
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'note'";
    assert_eq!(field.stack.psql("strata_production", columns).unwrap(), "1", "the dropped column is back");

    // The way forward is free again, and the settings may allow the code to go back alone.
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    field.assert_runs("1.1.0");
    std::fs::write(field.dir().join("uplift.toml"), "[rollback]\ncompatible = [\"1.1.0\"]\n").unwrap();
    let orders = "SELECT count(*) FROM orders";
    let count = field.stack.psql("strata_production", orders).unwrap();
    field.uplift("rollback --restore-data never -y --settle 2s").ends(0);
    field.assert_runs("1.0.0");
    assert_eq!(field.stack.psql("strata_production", orders).unwrap(), count, "the data stays");
    field.uplift("status").ends(0);
    field.end();
}

/// The figure before `rows written in`, on the line that names the table.
fn rows(screen: &str, table: &str) -> usize {
    let joined = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    let at = joined.find(table).unwrap_or_else(|| panic!("no {table} in {joined}"));
    let before = joined[..at].rsplit_once(" rows written in").unwrap().0;
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn jobs_of_a_returned_queue_wait_until_somebody_has_seen_them() {
    let field = Field::quick(Shape::Present, "1.0.0");
    // A worker has taken it and died: nobody else takes it.
    let taken = "WITH job AS (INSERT INTO solid_queue_jobs (class_name, order_id) VALUES ('SendInvoiceJob', 1) RETURNING id) \
                 INSERT INTO solid_queue_claimed (job_id, process) SELECT id, 'worker-7' FROM job";
    field.stack.psql("strata_production_queue", taken).unwrap();
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    field.uplift("rollback --restore-data always -y --settle 2s").ends(7).shows(&[
        "SendInvoiceJob",
        "taken by worker-7",
        "--jobs run|hold",
        "uplift resume",
        "--choose run --reason TEXT",
    ]);
    field.assert_web_is_up();
    let status = |service: &str| field.stack.containers().unwrap()[service].status.clone();
    assert_eq!((status("web").as_str(), status("job").as_str()), ("running", "exited"));
    field.uplift("status").ends(7);
    field.uplift("resume --choose run --reason seen").ends(0);
    field.assert_runs("1.0.0");
    field.assert_up();
    field.uplift("status").ends(0);
    field.end();
}
