//! Backup sets, judged with PostgreSQL's programs, `tar` and hashes, and without uplift.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Digest as _;
use serde_json::Value;

use super::Field;
use crate::lab::Shell;

/// A set in its folder.
pub(super) struct Set {
    folder: PathBuf,
    pub(super) manifest: Value,
}

/// What of a set does not fit together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) jobs_without_order: Vec<String>,
    pub(super) rows_without_file: Vec<String>,
}

const RESTORE: &str = "/usr/lib/postgresql/15/bin/pg_restore";

impl Set {
    pub(super) fn read(field: &Field, name: &str) -> Self {
        let folder = field.state("backups").join(name);
        let manifest = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        Self { folder, manifest }
    }

    fn plain(&self, database: &str) -> Vec<u8> {
        let file = File::open(self.folder.join(format!("{database}.dump.zst"))).unwrap();
        zstd::decode_all(file).unwrap()
    }

    /// Columns of every row of a table in a dump, as `pg_restore` writes them.
    fn rows(&self, database: &str, table: &str) -> Vec<BTreeMap<String, String>> {
        let text =
            fed(Command::new(RESTORE).args(["--data-only", "-f", "-", "-t", table]), self.plain(database));
        let mut lines = text.lines().skip_while(|line| !line.starts_with("COPY "));
        let head = lines.next().unwrap_or_else(|| panic!("`{table}` is not in the dump of `{database}`"));
        let names = head.split_once('(').unwrap().1.split_once(')').unwrap().0;
        let names: Vec<_> = names.split(", ").collect();
        let row = |line: &str| {
            names.iter().map(|name| (*name).to_owned()).zip(line.split('\t').map(str::to_owned)).collect()
        };
        lines.take_while(|line| *line != "\\.").map(row).collect()
    }

    fn column(&self, database: &str, table: &str, name: &str) -> Vec<String> {
        self.rows(database, table).into_iter().map(|mut row| row.remove(name).unwrap()).collect()
    }

    /// How many orders it has.
    pub(super) fn orders(&self) -> usize {
        self.column("strata_production", "orders", "id").len()
    }

    /// Jobs whose order is not there, and uploaded files that are not there or not what their row says.
    pub(super) fn torn(&self) -> Torn {
        let orders: BTreeSet<_> = self.column("strata_production", "orders", "id").into_iter().collect();
        let jobs = self.column("strata_production_queue", "solid_queue_jobs", "order_id");
        let away = tempfile::tempdir().unwrap();
        self.unpack(away.path());
        let blobs = self.rows("strata_production", "active_storage_blobs");
        assert!(!jobs.is_empty() && !blobs.is_empty(), "there is nothing to judge");
        let lacks = |row: &BTreeMap<String, String>| {
            let key = &row["key"];
            let bytes = fs::read(away.path().join(&key[..2]).join(&key[2..4]).join(key)).unwrap_or_default();
            STANDARD.encode(md5::Md5::digest(&bytes)) != row["checksum"]
                || bytes.len().to_string() != row["byte_size"]
        };
        Torn {
            jobs_without_order: jobs.into_iter().filter(|order| !orders.contains(order)).collect(),
            rows_without_file: blobs.iter().filter(|row| lacks(row)).map(|row| row["key"].clone()).collect(),
        }
    }

    fn unpack(&self, into: &Path) {
        let packs = self.manifest["storage"]["packed"]["packs"].as_array().unwrap();
        assert!(!packs.is_empty());
        for pack in packs {
            let file = self.folder.join(pack["file"].as_str().unwrap());
            let script = "zstd -qdc \"$0\" | tar -xp --numeric-owner -C \"$1\"";
            let tar = Shell::new("bash").args("-o pipefail -c").arg(script).arg(file.display().to_string());
            tar.arg(into.display().to_string()).output().unwrap();
        }
    }

    /// Rows per table of each database, as the manifest has them.
    pub(super) fn counted(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let databases = self.manifest["databases"].as_array().unwrap();
        let table = |one: &Value| {
            let name = format!("{}.{}", one["schema"].as_str().unwrap(), one["name"].as_str().unwrap());
            (name, one["rows"].as_u64().unwrap())
        };
        let tables = |one: &Value| one["tables"].as_array().unwrap().iter().map(table).collect();
        databases.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), tables(one))).collect()
    }

    /// The same, of databases that `pg_restore` has made of its dumps.
    pub(super) fn restored(&self, field: &Field) -> BTreeMap<String, BTreeMap<String, u64>> {
        self.counted().into_keys().map(|name| (name.clone(), self.restored_one(field, &name))).collect()
    }

    fn restored_one(&self, field: &Field, database: &str) -> BTreeMap<String, u64> {
        let psql = |database: &str, query: &str| field.stack.psql(database, query).unwrap();
        psql("postgres", "CREATE DATABASE judged OWNER strata TEMPLATE template0");
        let exec = field.stack.tools().docker().args("exec -i").arg(field.stack.postgres()).arg(RESTORE);
        let exec = exec.args("-U postgres -h /var/run/postgresql --exit-on-error -d judged");
        fed(&mut exec.command(), self.plain(database));
        let list = "SELECT format('%s.%s', schemaname, tablename) FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'";
        let count = |table: &str| psql("judged", &format!("SELECT count(*) FROM {table}")).parse().unwrap();
        let counts = psql("judged", list).lines().map(|table| (table.to_owned(), count(table))).collect();
        psql("postgres", "DROP DATABASE judged");
        counts
    }
}

/// Gives a program its input, and its output back.
fn fed(command: &mut Command, input: Vec<u8>) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let out = child.wait_with_output().unwrap();
    let _closed = feed.join().unwrap();
    assert!(out.status.success(), "{command:?}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}
