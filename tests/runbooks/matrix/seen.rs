//! A run as it was seen at each of its writes: from any of them it can be taken up again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use uplift::{
    World,
    journal::{Folder, Reader, RunRow},
    sim::Moment,
};

use super::super::night::Night;

/// What lies in the state folder, by name: the journal, whose last commits stand in its log, and its marks.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A site with its journal, as whoever comes next finds it when the process that worked on it is gone.
#[derive(Clone)]
pub(super) struct Snap {
    pub(super) world: World,
    pub(super) files: Arc<Files>,
}

impl Snap {
    pub(super) fn of(night: &Night) -> Self {
        Self { world: night.world.fork(), files: Arc::new(read(&night.folder())) }
    }

    /// Puts it into the folder of `night`, whatever lay there. The same folder as ever: journal and world name it.
    pub(super) fn lay(&self, night: &Night) -> Night {
        let world = self.world.fork();
        // Its session is gone with the process.
        world.lose_lock();
        lay(&self.files, &night.folder());
        night.instead(world)
    }
}

fn read(folder: &Path) -> Files {
    let Ok(all) = fs::read_dir(folder) else { return Files::new() };
    let all = all.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let name = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), path);
    // Room that is set aside, and an index that is made again from the log.
    let counts = |name: &str| name != "journal.reserve" && name != "journal.db-shm";
    let all = all.map(name).filter(|(name, _)| counts(name));
    all.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

pub(super) fn lay(files: &Files, folder: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("journal.reserve") {
            fs::remove_file(path).unwrap();
        }
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// One write of a run.
pub(super) struct Write {
    pub(super) line: String,
    pub(super) before: Snap,
    pub(super) after: Snap,
}

/// Takes down every write of a run.
pub(super) struct Recorder {
    folder: PathBuf,
    seen: Mutex<(Arc<Files>, BTreeMap<usize, Write>)>,
}

impl Recorder {
    pub(super) fn of(night: &Night) -> Self {
        Self { folder: night.folder(), seen: Mutex::default() }
    }

    pub(super) fn sees(&self, moment: &Moment<'_>) {
        let files = read(&self.folder);
        let mut seen = self.seen.lock().unwrap();
        if files != *seen.0 {
            seen.0 = Arc::new(files);
        }
        let snap = Snap { world: moment.fork(), files: Arc::clone(&seen.0) };
        if moment.is_after {
            seen.1.get_mut(&moment.number).unwrap().after = snap;
        } else {
            let (line, after) = (moment.line.to_owned(), snap.clone());
            seen.1.insert(moment.number, Write { line, before: snap, after });
        }
    }

    pub(super) fn writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.seen.lock().unwrap().1).into_values().collect()
    }
}

/// Where a run stands before an effect, so that it can be made to begin it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// From the command that is typed.
    Anew,
    /// Before this write, forwards, with no word in the journal of the calls from this one on.
    Forwards { write: usize, seq: i64 },
    /// Before this write, backwards, with no word in the journal of the undo of this call.
    Back { write: usize, seq: i64 },
}

/// An effect with its writes, by their places in the run.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) label: String,
    pub(super) writes: Vec<usize>,
    pub(super) start: Start,
}

impl Effect {
    pub(super) fn is_beginning(&self) -> bool {
        self.start == Start::Anew
    }

    pub(super) fn is_back(&self) -> bool {
        matches!(self.start, Start::Back { .. })
    }
}

/// What is at work by the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    /// Not yet the first effect.
    Begins,
    Forwards {
        address: String,
        seq: i64,
        first_of_block: i64,
    },
    Back {
        address: String,
        seq: i64,
    },
}

/// The effects of a run, from what the journal said at each write. `scratch` is overwritten.
pub(super) fn effects(writes: &[Write], scratch: &Night) -> Vec<Effect> {
    let mut effects: Vec<(Work, Effect)> = Vec::new();
    let mut known: Option<(*const Files, Work)> = None;
    let mut blocks: BTreeMap<i64, usize> = BTreeMap::new();
    for (at, write) in writes.iter().enumerate() {
        let files = Arc::as_ptr(&write.before.files);
        let work = match &known {
            Some((same, work)) if *same == files => work.clone(),
            _ => at_work(&write.before.files, scratch),
        };
        known = Some((files, work.clone()));
        if let Some((last, effect)) = effects.last_mut()
            && *last == work
        {
            effect.writes.push(at);
            continue;
        }
        let (label, start) = match &work {
            Work::Begins => ("before the first effect".to_owned(), Start::Anew),
            Work::Forwards { address, first_of_block, .. } => {
                let write = *blocks.entry(*first_of_block).or_insert(at);
                (address.clone(), Start::Forwards { write, seq: *first_of_block })
            }
            Work::Back { address, seq } => {
                (format!("undo of {address}"), Start::Back { write: at, seq: *seq })
            }
        };
        effects.push((work, Effect { label, writes: vec![at], start }));
    }
    effects.into_iter().map(|(_, effect)| effect).collect()
}

const LATEST_RUN: &str = "(SELECT id FROM run WHERE state = 'running' ORDER BY number DESC LIMIT 1)";

fn at_work(files: &Files, scratch: &Night) -> Work {
    lay(files, &scratch.folder());
    if !files.contains_key("journal.db") {
        return Work::Begins;
    }
    let back = format!(
        "SELECT address, seq FROM entry JOIN undo USING (run, seq)
            WHERE run = {LATEST_RUN} AND undo.state = 'undo_started' LIMIT 1"
    );
    let forwards = format!(
        "SELECT address, seq, coalesce((SELECT min(seq) FROM entry AS of_block
                WHERE of_block.run = entry.run AND of_block.together = entry.together), seq)
            FROM entry JOIN attempt USING (run, seq)
            WHERE run = {LATEST_RUN} AND kind = 'effect' AND attempt.state = 'started' ORDER BY seq LIMIT 1"
    );
    let record = rusqlite::Connection::open(scratch.folder().join("journal.db")).unwrap();
    let undone = record.query_row(&back, [], |row| Ok(Work::Back { address: row.get(0)?, seq: row.get(1)? }));
    let work = undone.or_else(|_| {
        record.query_row(&forwards, [], |row| {
            Ok(Work::Forwards { address: row.get(0)?, seq: row.get(1)?, first_of_block: row.get(2)? })
        })
    });
    work.unwrap_or(Work::Begins)
}

/// The run that is open, with whether it has begun to go back: by the journal alone, which is asked after every run.
pub(super) fn open_run(night: &Night) -> Option<(RunRow, bool)> {
    let reader = Reader::open(&Folder::find(&night.folder())?).unwrap()?;
    let row = reader.unfinished().unwrap()?;
    let goes_back = reader.entries(&row.id).unwrap().iter().any(|entry| !entry.undos.is_empty());
    Some((row, goes_back))
}

/// The names of all runs, by the journal alone.
pub(super) fn runs(night: &Night) -> BTreeSet<String> {
    let reader = Folder::find(&night.folder()).and_then(|folder| Reader::open(&folder).unwrap());
    reader.map(|reader| reader.runs().unwrap().into_iter().map(|run| run.id).collect()).unwrap_or_default()
}

/// Takes out of the journal what a run has written down of an effect and of all after it.
pub(super) fn forget(night: &Night, start: Start) {
    let sql = match start {
        Start::Anew => return,
        Start::Back { seq, .. } => {
            format!("DELETE FROM undo WHERE run = {LATEST_RUN} AND seq = {seq} AND state = 'undo_started'")
        }
        Start::Forwards { seq, .. } => ["attempt", "entry"]
            .map(|table| format!("DELETE FROM {table} WHERE run = {LATEST_RUN} AND seq >= {seq}"))
            .join(";"),
    };
    night.edit_record(&sql);
}
