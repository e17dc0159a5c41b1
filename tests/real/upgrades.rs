//! An upgrade that goes well.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::Field;
use crate::lab::{Shape, Shell, Stack};

#[test]
fn an_upgrade_runs_the_new_release_and_loses_nothing() {
    goes_well(Shape::Present);
}

#[test]
fn an_upgrade_of_the_older_shape_runs_the_new_release_and_loses_nothing() {
    goes_well(Shape::Older);
}

fn goes_well(shape: Shape) {
    let field = Field::slow(shape, "1.0.0");
    let env = field.stack.env_text().unwrap();
    for (from, to) in [("1.0.0", "1.1.0"), ("1.1.0", "1.1.1")] {
        let (screen, ledger) =
            field.while_writing(|| field.uplift(&format!("upgrade --to {to} -y --settle 2s")));
        let screen = screen.ends(0).shows(&[to]);
        eprintln!(
            "{shape:?} {from} to {to}: {:.1} s, silent for {:.1?}",
            screen.seconds(),
            ledger.longest_gap
        );
        field.assert_runs(to);
        field.assert_up();
        field.assert_nothing_lost(&ledger);
        let version = |version: &str| format!("STRATA_VERSION={version}\n");
        assert_eq!(field.stack.env_text().unwrap(), env.replace(&version("1.0.0"), &version(to)));
    }
    let again = field.uplift("upgrade --to 1.1.1 -y").ends(0);
    again.shows(&["1.1.1 already"]);
    field.uplift("status").ends(0).shows(&["1.1.1"]);
    let sets = sets(&field);
    assert_eq!(sets.len(), 2, "one backup for each upgrade: {sets:?}");
    for set in sets {
        restores(&set, &field.stack);
    }
    field.end();
}

fn sets(field: &Field) -> Vec<PathBuf> {
    let entries = fs::read_dir(field.state("backups")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("manifest.json").exists()).collect()
}

/// Every dump of the set restores, by the operator's own tools, to the rows that its manifest has counted.
fn restores(set: &std::path::Path, stack: &Stack) {
    let manifest: Value = serde_json::from_slice(&fs::read(set.join("manifest.json")).unwrap()).unwrap();
    let databases = manifest["databases"].as_array().unwrap();
    assert_eq!(databases.len(), 4);
    for (number, database) in databases.iter().enumerate() {
        let file = set.join(database["file"].as_str().unwrap());
        assert!(file.display().to_string().ends_with(".dump.zst"), "{}", file.display());
        let scratch = format!("scratch_{number}");
        stack.psql("postgres", &format!("CREATE DATABASE {scratch}")).unwrap();
        let line = format!(
            "set -o pipefail; zstd -dc '{}' | docker exec -i {} /usr/lib/postgresql/15/bin/pg_restore \
             --exit-on-error --no-owner -h /var/run/postgresql -U postgres -d {scratch}",
            file.display(),
            stack.postgres(),
        );
        Shell::new("bash").arg("-c").arg(line).output().unwrap();
        let tables = database["tables"].as_array().unwrap();
        assert!(tables.len() > 1, "{database}");
        for table in tables {
            let name = table["name"].as_str().unwrap();
            let count = stack.psql(&scratch, &format!("SELECT count(*) FROM {name}")).unwrap();
            assert_eq!(count, table["rows"].to_string(), "`{name}` of {}", file.display());
        }
        let orders = tables.iter().find(|table| table["name"] == "orders");
        assert!(orders.is_none_or(|orders| orders["rows"].as_u64() > Some(0)), "no order was backed up");
        stack.psql("postgres", &format!("DROP DATABASE {scratch}")).unwrap();
    }
}
