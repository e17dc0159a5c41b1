//! Backups of a site while a client writes: made, listed, proved on the spot and elsewhere, found out when damaged.

use std::{fs, path::Path};

use serde_json::Value;

use super::Field;
use crate::lab::{Shape, Shell};

#[test]
fn a_backup_is_proved_and_damage_is_found() {
    let field = Field::quick(Shape::Present, "1.0.0");
    field.uplift("backup list").ends(0).shows(&["there is no backup"]);
    field.uplift("backup create").ends(2).shows(&["--yes"]);
    let ((), ledger) = field.while_writing(|| {
        let planned = field.uplift("backup create --dry-run").ends(0);
        planned.shows(&["pg_dump", "back up 4 databases"]);
        assert!(!field.state("").exists(), "a plan makes no folder");
        field.uplift("backup create -y").ends(0).shows(&["rows, as in the databases"]);
        let second = field.uplift("backup create -y -o json").ends(0);
        eprintln!("the second backup took {:.1} s", second.seconds());
    });
    field.assert_nothing_lost(&ledger);
    field.assert_runs("1.0.0");
    let list = listed(&field);
    assert_eq!(list.len(), 2, "{list:?}");
    for set in &list {
        assert_eq!((&set["standing"], &set["level"]), (&"verified".into(), &"decoded".into()), "{set}");
    }
    let newest = list[0]["set"].as_str().unwrap();
    every_row_has_its_file(&field, newest);
    let verified = field.uplift(&format!("backup verify {newest} -o json")).ends(0).json();
    assert!(verified["verified"]["rows"].as_u64() > Some(20), "{verified}");
    restored(&field, newest);
    elsewhere(&field, newest);
    field.uplift("status").ends(0).shows(&["backup", newest]);
    flipped(&field, newest);
    let older = list[1]["set"].as_str().unwrap();
    field.uplift(&format!("backup verify {older}")).ends(0);
    assert_eq!(listed(&field)[0]["standing"], "damaged");
    field.uplift("backup prune -y").ends(0).shows(&["NOTHING NEEDED"]);
    without_rows(&field);
    field.end();
}

/// Rows that the product fills again are left out: it says so, it is proved all the same, and the site comes back from it.
fn without_rows(field: &Field) {
    let cached =
        || field.stack.psql("strata_production_cache", "SELECT count(*) FROM solid_cache_entries").unwrap();
    let fill = "INSERT INTO solid_cache_entries (key, value) VALUES ('a', 'b'), ('c', 'd') RETURNING 1";
    field.stack.psql("strata_production_cache", fill).unwrap();
    assert_ne!(cached(), "0");
    fs::write(field.dir().join("uplift.toml"), "[backup]\nleave_out = [\"cache\"]\n").unwrap();
    let planned = field.uplift("backup create --dry-run").ends(0);
    planned.shows(&["no rows of `strata_production_cache`", "--exclude-table-data"]);
    field.uplift("backup create -y").ends(0).shows(&["rows, as in the databases"]);
    let set = listed(field)[0]["set"].as_str().unwrap().to_owned();
    field.uplift(&format!("backup show {set}")).ends(0).shows(&["its structure, rows left out"]);
    field.uplift(&format!("backup verify {set} --restore")).ends(0).shows(&["dropped again"]);
    let restore = field.uplift(&format!("restore {set} --restore-data always --jobs run -y")).ends(0);
    restore.shows(&["the set has no rows of `strata_production_cache`"]);
    assert_eq!(cached(), "0");
    field.assert_runs("1.0.0");
}

fn listed(field: &Field) -> Vec<Value> {
    let screen = field.uplift("backup list -o json").ends(0);
    let lines = screen.everything();
    lines
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn every_row_has_its_file(field: &Field, set: &str) {
    let shown = field.uplift(&format!("backup show {set} -o json")).ends(0).json();
    let storage = &shown["manifest"]["storage"];
    let rows = storage["checked"]["blobs"].as_u64().unwrap();
    assert!(rows > 0, "users have uploaded files: {storage}");
    assert_eq!(storage["checked"]["wrong_blobs_count"], 0, "{storage}");
    let primary = &shown["manifest"]["databases"][0];
    let last = primary["sequences"]["public.orders_id_seq"].as_u64().unwrap_or_default();
    let tables = primary["tables"].as_array().unwrap();
    let orders = tables.iter().find(|table| table["name"] == "orders").unwrap();
    assert!(last >= orders["rows"].as_u64().unwrap() && last > 0, "{}", primary["sequences"]);
    assert!(storage["previous"].is_string(), "the second takes over what the first has: {storage}");
}

/// Beside the site's databases, while nobody notices; nothing of it stays.
fn restored(field: &Field, set: &str) {
    let databases = "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database";
    let before = field.stack.psql("postgres", databases).unwrap();
    let screen = field.uplift(&format!("backup verify {set} --restore")).ends(0);
    screen.shows(&["loaded into databases of its own", "dropped again"]);
    assert_eq!(field.stack.psql("postgres", databases).unwrap(), before);
    assert_eq!(listed(field)[0]["level"], "restored");
}

/// A copy of the set in a folder that is no site.
fn elsewhere(field: &Field, set: &str) {
    let away = tempfile::tempdir().unwrap();
    Shell::new("cp")
        .arg("-a")
        .arg(path(&field.state("backups").join(set)))
        .arg(path(away.path()))
        .output()
        .unwrap();
    let copy = away.path().join(set);
    let words = format!("backup verify {}", copy.display());
    field.run(&field.shell(&words).folder(away.path()), &words).ends(0);
    fs::remove_file(copy.join("strata_production_queue.dump.zst")).unwrap();
    let screen = field.run(&field.shell(&words).folder(away.path()), &words).ends(1);
    screen.shows(&["strata_production_queue.dump.zst", "is missing"]);
}

/// One bit in each kind of file, put back afterwards but for the last.
fn flipped(field: &Field, set: &str) {
    let folder = field.state("backups").join(set);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| !path.ends_with("checked.json"));
    names.sort();
    let mut kinds = std::collections::BTreeSet::new();
    for path in &names {
        let bytes = fs::read(path).unwrap();
        let mut other = bytes.clone();
        let at = other.len() / 2;
        other[at] ^= 0x10;
        fs::write(path, &other).unwrap();
        let screen = field.uplift(&format!("backup verify {set}"));
        assert_eq!(screen.exit(), Some(1), "a flipped bit in `{}` was not found\n{screen}", path.display());
        fs::write(path, &bytes).unwrap();
        kinds.insert(path.extension().map(|end| end.to_string_lossy().into_owned()));
    }
    assert!(names.len() >= 8, "{names:?}");
    field.uplift(&format!("backup verify {set}")).ends(0);
    let dump = folder.join("strata_production.dump.zst");
    let mut bytes = fs::read(&dump).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    fs::write(&dump, bytes).unwrap();
    field.uplift(&format!("backup verify {set}")).ends(1).shows(&["strata_production.dump.zst"]);
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
