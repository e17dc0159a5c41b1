//! What must hold at every write of every run, whatever goes wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use uplift::{
    World,
    ports::files::File,
    sim::{Db, Moment, Table},
};

use super::super::night::Night;

/// A site as it was before what is tried.
pub(super) struct Origin {
    /// The product's own.
    databases: Vec<Db>,
    /// Uploaded files, with what is in them.
    uploads: Vec<(PathBuf, Vec<u8>)>,
    env: PathBuf,
    /// Where uplift keeps its sets.
    backups: PathBuf,
    /// Acknowledged orders that were in no database even then.
    nowhere: u64,
    /// What `.env` was, and what else a run that nothing went wrong in has made of it.
    envs: Mutex<BTreeSet<Option<Vec<u8>>>>,
}

impl Origin {
    pub(super) fn of(night: &Night) -> Self {
        let site = night.world.site();
        let names = site.databases.all.iter().map(|one| one.name.as_str());
        let databases: Vec<_> = names.filter_map(|name| night.world.database(name)).collect();
        let env = site.project.env_file();
        let now = night.world.file(&env).map(|file| file.bytes);
        let mut nowhere = 0;
        night.world.show(|moment| nowhere = orders_nowhere(moment));
        Self {
            databases,
            uploads: uploads(&night.world),
            env,
            backups: night.folder().join("backups"),
            nowhere,
            envs: Mutex::new([now].into()),
        }
    }
}

/// Files below the volume of uploads.
fn uploads(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let files = world.files_in("/var/lib/docker/volumes").into_iter();
    let live = files.filter(|path| path.components().any(|part| part.as_os_str() == "_data"));
    live.filter_map(|path| Some((path.clone(), world.file(&path)?.bytes))).collect()
}

/// Looks on at one run, and writes down which rules it has broken.
pub(super) struct Judge {
    origin: Arc<Origin>,
    /// The run that nothing goes wrong in shows what `.env` becomes.
    learns: bool,
    broken: Mutex<Vec<String>>,
}

impl Judge {
    pub(super) fn of(origin: Arc<Origin>, learns: bool) -> Self {
        Self { origin, learns, broken: Mutex::default() }
    }

    /// Looks a last time; an error if a rule was broken then, or before.
    pub(super) fn lawful(&self, night: &Night) -> Result<(), String> {
        night.world.show(|moment| self.sees(moment));
        let broken = self.broken.lock().unwrap();
        broken.first().map_or(Ok(()), |first| Err(format!("{first} ({} in all)", broken.len())))
    }

    pub(super) fn sees(&self, moment: &Moment<'_>) {
        if !moment.is_after {
            return;
        }
        let rules = [
            self.data_has_a_copy(moment),
            self.one_migrator(moment),
            self.env_is_whole(moment),
            self.orders_are_somewhere(moment),
        ];
        for broken in rules.into_iter().flatten() {
            let line = if moment.line.is_empty() { "the end" } else { moment.line };
            self.broken.lock().unwrap().push(format!("at write {} (`{line}`): {broken}", moment.number));
        }
    }

    /// Data that is not where it was, as it was, has a copy that was verified.
    fn data_has_a_copy(&self, moment: &Moment<'_>) -> Option<String> {
        for was in &self.origin.databases {
            let name = &was.facts.name;
            let live = moment.databases().find(|db| db.facts.name == *name);
            if live.is_some_and(|live| holds(live, was) && live.versions == was.versions) {
                continue;
            }
            let beside = format!("{name}__");
            // What was put aside is the database itself; a copy counts once it is marked as whole.
            let aside = format!("{name}__failed_");
            let is_copy = |db: &Db| {
                let name = &db.facts.name;
                let is_whole = name.starts_with(&aside) || db.facts.comment.is_some();
                name.starts_with(&beside) && is_whole && holds(db, was)
            };
            let in_set = || self.sets(moment).any(|set| set_holds(moment, &set, was));
            if !moment.databases().any(is_copy) && !in_set() {
                return Some(format!("`{name}` is not as it was, and no verified copy of it is left"));
            }
        }
        let gone =
            |(path, bytes): &&(PathBuf, Vec<u8>)| moment.file(path).is_none_or(|file| file.bytes != *bytes);
        let mut gone = self.origin.uploads.iter().filter(gone);
        gone.find(|(path, bytes)| !self.is_kept(moment, path, bytes))
            .map(|(path, _)| format!("the uploaded file `{}` is nowhere any more", path.display()))
    }

    /// Under its own name in another folder, or in a verified set.
    fn is_kept(&self, moment: &Moment<'_>, path: &Path, bytes: &[u8]) -> bool {
        let beside =
            |(other, file): (&Path, &File)| other.file_name() == path.file_name() && file.bytes == bytes;
        let packed = |set: Set| {
            let packs = moment.files().filter(|(path, _)| path.starts_with(&set.folder) && is_pack(path));
            set.manifest["storage"].is_object() && packs.into_iter().any(|(_, pack)| names(&pack.bytes, path))
        };
        moment.files().any(beside) || self.sets(moment).any(packed)
    }

    /// Sets that count: a manifest, written last, says what was proved.
    fn sets(&self, moment: &Moment<'_>) -> impl Iterator<Item = Set> {
        let manifests = moment.files().filter(|(path, _)| {
            path.ends_with("manifest.json")
                && path.ancestors().nth(2) == Some(&self.origin.backups)
                && !path.to_string_lossy().contains(".partial")
                && !path.to_string_lossy().contains(".deleting")
        });
        let sets = manifests.filter_map(|(path, file)| {
            let manifest: serde_json::Value = serde_json::from_slice(&file.bytes).ok()?;
            let verified = !manifest["verification"].is_null();
            verified.then(|| Set { folder: path.parent().unwrap().to_owned(), manifest })
        });
        sets.collect::<Vec<_>>().into_iter()
    }

    /// Each running web that prepares the databases, and each statement of one that is gone which the server goes on with.
    #[expect(clippy::unused_self, reason = "one rule beside the others")]
    fn one_migrator(&self, moment: &Moment<'_>) -> Option<String> {
        let webs = moment.instances().filter(|one| one.prepares && one.container.is_running());
        let webs = webs.map(|one| format!("container `{}`", one.container.name));
        let orphans = moment.orphans().map(|file| format!("a statement of `{file}` without a client"));
        let migrators: Vec<_> = webs.chain(orphans).collect();
        (migrators.len() > 1).then(|| format!("they may migrate at one time: {}", migrators.join(", ")))
    }

    /// The one file, or the other, byte for byte.
    fn env_is_whole(&self, moment: &Moment<'_>) -> Option<String> {
        let now = moment.file(&self.origin.env).map(|file| file.bytes.clone());
        let mut known = self.origin.envs.lock().unwrap();
        if known.contains(&now) {
            return None;
        }
        if self.learns && known.len() < 2 && now.as_ref().is_some_and(|now| now.ends_with(b"\n")) {
            known.insert(now);
            return None;
        }
        let length = now.map_or("it is gone".to_owned(), |now| format!("it has {} bytes", now.len()));
        Some(format!("`.env` is neither the old one nor the new one: {length}"))
    }

    /// What users were told they had written is in some database.
    fn orders_are_somewhere(&self, moment: &Moment<'_>) -> Option<String> {
        // Counted only where it can have changed.
        let moves = ["rename", "drop", "load", ""];
        if !moves.contains(&moment.line.split(' ').next().unwrap_or_default()) {
            return None;
        }
        let nowhere = orders_nowhere(moment);
        (nowhere > self.origin.nowhere).then(|| format!("{nowhere} acknowledged orders are in no database"))
    }
}

/// Acknowledged orders that no database of the server has, kept ones included.
fn orders_nowhere(moment: &Moment<'_>) -> u64 {
    let tables = moment.databases().filter_map(|db| db.table("orders"));
    let mut runs: Vec<_> =
        tables.flat_map(Table::runs).map(|(first, count, _)| (first, first + count)).collect();
    runs.sort_unstable();
    let mut there: Vec<(u64, u64)> = Vec::new();
    for (first, end) in runs {
        match there.last_mut() {
            Some(last) if first <= last.1 => last.1 = last.1.max(end),
            _ => there.push((first, end)),
        }
    }
    let is_there = |order: u64| {
        let before = there.partition_point(|(first, _)| *first <= order);
        before.checked_sub(1).is_some_and(|at| order < there[at].1)
    };
    moment.acknowledged().filter(|order| !is_there(*order)).count() as u64
}

struct Set {
    folder: PathBuf,
    manifest: serde_json::Value,
}

fn is_pack(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("storage-"))
}

fn names(pack: &[u8], file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let plain = zstd::decode_all(pack).unwrap_or_default();
    plain.windows(name.len()).any(|part| part == name)
}

/// Every row of `was`, with the content that it had.
fn holds(db: &Db, was: &Db) -> bool {
    if db.tables == was.tables {
        return true;
    }
    was.tables.iter().all(|table| {
        // As a rule one table of all was written to.
        if db.table(&table.name) == Some(table) {
            return true;
        }
        let mut there: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (first, count, edition) in db.table(&table.name).into_iter().flat_map(Table::runs) {
            let end = there.entry((edition, first)).or_default();
            *end = (*end).max(first + count);
        }
        table.runs().iter().all(|(first, count, edition)| {
            let before = there.range((*edition, 0)..=(*edition, *first)).next_back();
            before.is_some_and(|(_, end)| first + count <= *end)
        })
    })
}

/// The set has a whole dump of it, with as many rows of each table.
fn set_holds(moment: &Moment<'_>, set: &Set, was: &Db) -> bool {
    let entries = set.manifest["databases"].as_array().into_iter().flatten();
    let Some(entry) = entries.into_iter().find(|entry| entry["name"] == was.facts.name.as_str()) else {
        return false;
    };
    let file = set.folder.join(entry["file"].as_str().unwrap_or_default());
    let whole =
        moment.file(&file).is_some_and(|file| entry["blake3"] == blake3::hash(&file.bytes).to_hex().as_str());
    let rows = |name: &str| {
        let tables = entry["tables"].as_array().into_iter().flatten();
        tables.into_iter().find(|table| table["name"] == name).and_then(|table| table["rows"].as_u64())
    };
    whole && was.tables.iter().all(|table| rows(&table.name).unwrap_or(0) >= table.count())
}
