//! What the tests of the journal have in common: a site folder, a run, some calls.

use std::{fmt::Write as _, path::Path};

use jiff::Timestamp;
use serde_json::{Value, json};
use uplift::{
    event::{Choice, Failure, Question},
    journal::{
        Entry, Folder, Holder, Illegal, JournalError, Lock, Move, NewEntry, NewRun, Reader, State, Writer,
    },
    site::Scrubber,
};

pub(super) const RUN: &str = "20261124-031500-7f3a";

pub(super) struct Story {
    pub(super) lock: Option<Lock>,
    pub(super) writer: Writer,
    pub(super) folder: Folder,
    pub(super) site: tempfile::TempDir,
}

impl Story {
    /// A run that has begun, in a fresh site folder.
    pub(super) fn begun() -> Self {
        let story = Self::locked(Scrubber::default());
        story.writer.begin(run(RUN)).unwrap();
        story
    }

    pub(super) fn locked(scrubber: Scrubber) -> Self {
        let site = tempfile::tempdir().unwrap();
        let (folder, lock, writer) = open(&site.path().join(".uplift"), scrubber);
        Self { lock: Some(lock), writer, folder, site }
    }

    pub(super) fn entry(&self, seq: i64) -> Entry {
        let entries = reader(&self.folder).entries(RUN).unwrap();
        entries.into_iter().find(|entry| entry.seq == seq).unwrap()
    }

    pub(super) fn state(&self, seq: i64) -> (State, bool) {
        let entry = self.entry(seq);
        (entry.state, entry.may_have_applied)
    }

    pub(super) fn intend(&self, address: &str) -> i64 {
        self.writer.intend(RUN, vec![effect(address)], at(1)).unwrap()[0]
    }

    /// Another taking of the lock, with a writer of its own.
    pub(super) fn taken_over(&mut self) -> Writer {
        self.lock = None;
        let lock = Lock::take(&self.folder, holder(RUN)).unwrap();
        let writer = Writer::open(&self.folder, &lock, Scrubber::default()).unwrap();
        self.lock = Some(lock);
        writer
    }
}

pub(super) fn open(state: &Path, scrubber: Scrubber) -> (Folder, Lock, Writer) {
    let folder = Folder::prepare(state).unwrap();
    let lock = Lock::take(&folder, holder(RUN)).unwrap();
    let writer = Writer::open(&folder, &lock, scrubber).unwrap();
    (folder, lock, writer)
}

pub(super) fn reader(folder: &Folder) -> Reader {
    Reader::open(folder).unwrap().expect("a journal")
}

pub(super) fn holder(run: &str) -> Holder {
    Holder {
        run: run.to_owned(),
        command: "uplift upgrade --to 1.2.3".to_owned(),
        user: "alice".to_owned(),
        host: "app1".to_owned(),
        since: at(0),
        pid: 0,
        space: String::new(),
    }
}

/// Seconds after the story's beginning.
pub(super) fn at(second: i64) -> Timestamp {
    "2026-11-24T03:15:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(second)
}

pub(super) fn run(id: &str) -> NewRun {
    NewRun {
        id: id.to_owned(),
        runbook: "compose/upgrade".to_owned(),
        command: "uplift upgrade --to 1.2.3".to_owned(),
        by: "alice@app1".to_owned(),
        at: at(0),
        params: json!({"to": "1.2.3"}),
        on_failure: "undo".to_owned(),
        bundle: vec![
            ("compose/upgrade".to_owned(), "step \"check\" { }\n".to_owned()),
            ("lib/checks".to_owned(), "fn host() { }\n".to_owned()),
        ],
        before: json!({"format": 1, "site": {"name": "strata"}}),
        uplift: "0.1.0".to_owned(),
    }
}

pub(super) fn effect(address: &str) -> NewEntry {
    NewEntry {
        address: address.to_owned(),
        path: "switch web".to_owned(),
        verb: "compose_up".to_owned(),
        version: 1,
        effect: true,
        input: json!({"services": ["web"]}),
        place: "compose/upgrade:41:5".to_owned(),
        summary: "start `web`".to_owned(),
        when_unknown: Some("probe".to_owned()),
        intent: Some(json!({"service": "web", "image": "sha256:12"})),
        group: None,
    }
}

/// Calls of one block.
pub(super) fn together(group: u64, addresses: [&str; 2]) -> Vec<NewEntry> {
    addresses.map(|address| NewEntry { group: Some(group), ..effect(address) }).into()
}

pub(super) fn read(address: &str) -> NewEntry {
    let verb = "service_version".to_owned();
    NewEntry { verb, effect: false, intent: None, when_unknown: None, ..effect(address) }
}

pub(super) fn failure() -> Failure {
    Failure::new("not_healthy", "`web` did not become healthy")
}

pub(super) fn question(address: &str) -> Question {
    let choice = |key: &str| Choice {
        key: key.into(),
        does: "does".into(),
        costs: "costs".into(),
        also: String::new(),
    };
    Question {
        address: address.to_owned(),
        text: "did `web` start?".to_owned(),
        found: vec!["container gone".to_owned()],
        choices: vec![choice("applied"), choice("not-applied")],
        flag: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer, as the writer takes it")]
pub(super) fn ok() -> Result<Value, Failure> {
    Ok(json!({"container": "c0ffee"}))
}

/// The rules refused `step`, and say so.
pub(super) fn illegal<T: std::fmt::Debug>(done: Result<T, JournalError>, from: State, step: Move) {
    match done.unwrap_err() {
        JournalError::Illegal { illegal, .. } => assert_eq!(illegal, Illegal { from, step }),
        other => panic!("not the rules, but: {other}"),
    }
}

/// Everything that the database holds, table by table, row by row.
pub(super) fn dump(database: &Path) -> String {
    let open = rusqlite::Connection::open(database).unwrap();
    let mut text = String::new();
    for table in ["meta", "blob", "run", "entry", "attempt", "decision", "undo"] {
        let mut query = open.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let width = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<_> = (0..width).map(|n| cell(row.get_ref(n).unwrap())).collect();
            writeln!(text, "{table}: {}", cells.join(" | ")).unwrap();
        }
    }
    text
}

fn cell(value: rusqlite::types::ValueRef<'_>) -> String {
    value.as_bytes_or_null().map_or_else(
        |_| format!("{value:?}"),
        |bytes| bytes.map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes).into_owned()),
    )
}

/// The names in a folder.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}
