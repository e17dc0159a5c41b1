//! Uplift's own folder, and runs that are in the way.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{super::told::until_it_begins, Table};

const UPGRADE: &str = "upgrade --to 1.1.1 -y";

#[test]
fn of_records() {
    let table = Table::new();
    let small = table.path("small").display().to_string();
    fs::create_dir_all(&small).unwrap();
    let line = format!("mount -t tmpfs -o size=64m none {small} && exec");
    table
        .row("no room for a backup", &format!("{UPGRADE} --state {small}/uplift"))
        .within(&["unshare", "-m", "sh", "-c"], &line)
        .refused(1, "no_room", &[&small, "free"]);
    let line = format!("mount -t tmpfs -o ro none {small} && exec");
    table
        .row("a disk that nobody can write to", &format!("{UPGRADE} --state {small}/uplift"))
        .within(&["unshare", "-m", "sh", "-c"], &line)
        .refused(1, "journal_io", &[&small]);
    fs::remove_dir_all(&small).unwrap();
    fs::write(table.path(".uplift"), "").unwrap();
    table.row("a file where uplift's folder should be", UPGRADE).refused(1, "not_a_folder", &[".uplift"]);
    fs::remove_file(table.path(".uplift")).unwrap();
    table.field.uplift("backup create -y").ends(0);
    let journal = table.field.state("journal.db");
    let away = table.field.state("away");
    fs::create_dir_all(&away).unwrap();
    let parts = ["journal.db", "journal.db-wal", "journal.db-shm"];
    for part in parts {
        let _none = fs::rename(table.field.state(part), away.join(part));
    }
    fs::write(&journal, b"this was a journal once").unwrap();
    fs::set_permissions(&journal, fs::Permissions::from_mode(0o600)).unwrap();
    table.row("a record that is damaged", UPGRADE).refused(
        1,
        "journal_damaged",
        &["journal.db", "do not delete it"],
    );
    for part in parts {
        let _none = fs::rename(away.join(part), table.field.state(part));
    }
    fs::remove_dir(away).unwrap();
    busy(&table);
    table.end();
}

/// A run that is at work, and one that was left.
fn busy(table: &Table) {
    let field = &table.field;
    let run = field.start("upgrade --to 1.2.0 -y --settle 1s -o json");
    until_it_begins(&run, "switch web/wait_healthy#1");
    table.row_unseen("another run at work", UPGRADE).refused(5, "site_held", &["is at work", "--follow"]);
    table.row_unseen("a second hand that takes it back", "rollback -y").refused(
        5,
        "site_held",
        &["is at work", "--follow"],
    );
    run.signal("INT").unwrap();
    field.ended(run, "upgrade --to 1.2.0").ends(9);
    table.row_unseen("a run that is not over", UPGRADE).refused(
        9,
        "run_unfinished",
        &["uplift resume", "uplift rollback"],
    );
    field.uplift("rollback -y").ends(0);
    field.assert_up();
}
