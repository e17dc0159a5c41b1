//! A set from its first byte to its last: parts are copied, proved, and only then is there a manifest.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    manifest::{
        ConfigFile, DatabaseEntry, FORMAT, Manifest, ServerEntry, SnapshotEntry, StorageEntry, Stored,
        ToolEntry, Verification,
    },
    plan::{DumpPlan, SetPlan, TreePlan, none_there},
    prove::{Eyes, Proof, damaged, prove, whole},
    set::{HASH, MANIFEST, partial, read},
};
use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        files::{CopyFile, File, MakeFolder, Remove, Rename, WriteFile},
        postgres::{BlobList, Dump, DumpReport, DumpedDatabase},
        trees::{PackTree, Packed, TreeCheck},
    },
};

/// A set that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// The set's name.
    pub set: String,
    /// Where it lies.
    pub path: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// What was proved of it.
    pub verified: Verification,
}

/// How [`TreeCheck::wrong_blobs`] says it of a blob.
const NO_FILE: &str = ": no file";
/// How often the tree is looked at again for files that came after their rows.
const LATE: usize = 3;

/// Makes the set under the name of an unfinished one, proves it, and gives it its own name. What an earlier attempt left
/// is made anew.
pub async fn make(plan: &SetPlan, site: Operate<'_>) -> Result<(), Failure> {
    let half = partial(&plan.folder, &plan.set);
    if !site.files.list(&half).await?.is_empty() {
        let what = "backup that was never finished".to_owned();
        site.files.remove(&Remove { path: half.clone(), what }).await?;
    }
    let what = "folder of a backup".to_owned();
    site.files.make_folder(&MakeFolder { path: half.clone(), what }).await?;
    let manifest = Making { plan, half: &half, site }.all().await?;
    write_manifest(&manifest, &half, site).await?;
    // The name says that it is whole: what bears it must have a manifest that can be read.
    whole(&read(site.files, &half).await?, &half, site.files).await?;
    let what = "finished backup".to_owned();
    let to = plan.folder.join(&plan.set);
    site.files.rename(&Rename { from: half, to, what }).await
}

/// The set that a plan has led to. It was proved before it got its name; here it is looked at, whole as it must be.
pub async fn made(plan: &SetPlan, site: Observe<'_>) -> Result<Made, Failure> {
    let path = plan.folder.join(&plan.set);
    let manifest = read(site.files, &path).await?;
    whole(&manifest, &path, site.files).await?;
    let bytes = manifest.bytes();
    let verified = match manifest.verification {
        Some(verified) => verified,
        // An older uplift made it, and was stopped before it could say so.
        None => prove(&manifest, &path, Eyes::from(site)).await?,
    };
    Ok(Made { set: plan.set.clone(), path: path.display().to_string(), bytes, verified })
}

/// Where the manifest of a plan's set will lie.
pub(super) fn manifest_of(plan: &SetPlan) -> PathBuf {
    plan.folder.join(&plan.set).join(MANIFEST)
}

impl SetPlan {
    /// Whether the set has its own name.
    pub async fn is_made(&self, site: Observe<'_>) -> Result<bool, Failure> {
        Ok(site.files.size(&manifest_of(self)).await?.is_some())
    }
}

struct Making<'a> {
    plan: &'a SetPlan,
    half: &'a Path,
    site: Operate<'a>,
}

impl Making<'_> {
    async fn all(&self) -> Result<Manifest, Failure> {
        let eyes = Eyes::from(self.site.observe());
        // Most files are copied before the moment of the databases, so that it need not be held while they are read.
        if let Some(tree) = &self.plan.tree {
            self.pack(tree, false).await?;
        }
        let report = match &self.plan.dumps {
            Some(dumps) => Some(self.dump(dumps).await?),
            None => None,
        };
        let mut proof = Proof::default();
        let (server, snapshot, databases, blobs) = match (report, &self.plan.dumps) {
            (Some(report), Some(dumps)) => {
                let (server, snapshot) = (server(dumps, &report), snapshot(&report));
                let databases = entries(dumps, &report.databases)?;
                proof.dumps(&databases, dumps.server.major(), self.half, eyes).await?;
                proof.counted()?;
                (Some(server), Some(snapshot), databases, report.blobs)
            }
            _ => (None, None, Vec::new(), None),
        };
        let storage = match &self.plan.tree {
            Some(tree) => Some(self.uploads(tree, blobs, &mut proof).await?),
            None => None,
        };
        let config = self.config().await?;
        for file in &config {
            let stored = Stored { file: &file.file, bytes: file.bytes, blake3: &file.blake3 };
            proof.file(&stored, self.half, self.site.files).await?;
        }
        let (plan, site) = (self.plan, self.site.site);
        Ok(Manifest {
            format: FORMAT,
            set: plan.set.clone(),
            created_at: plan.created_at.clone(),
            finished_at: self.site.clock.now().to_string(),
            reason: plan.reason.clone(),
            run: self.site.run.to_owned(),
            tool: ToolEntry {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pg_dump: plan.dumps.as_ref().map(|dumps| dumps.client.version.clone()).unwrap_or_default(),
            },
            site: site.name.clone(),
            project: site.project.name.clone(),
            compose: Some(site.project.clone()),
            version: site.version.clone(),
            images: plan.images.clone(),
            server,
            snapshot,
            databases,
            storage,
            secrets_included: !config.is_empty(),
            config,
            key_fingerprints: plan.key_fingerprints.clone(),
            left_out: plan.left_out.clone(),
            verification: Some(proof.verification(self.site.clock)),
            pinned: plan.pinned,
        })
    }

    async fn pack(&self, tree: &TreePlan, keep_vanished: bool) -> Result<Packed, Failure> {
        let request = PackTree {
            from: tree.from.clone(),
            into: self.half.to_owned(),
            previous: tree.previous.clone(),
            keep_vanished,
            trust_previous: false,
        };
        let packed = self.site.trees.pack(&request, self.site.tell).await?;
        // The next pass builds on this one: what it only believes to have is missing in the end.
        let index = self.half.join(&packed.index.file);
        if self.site.files.size(&index).await? != Some(packed.index.bytes) {
            return Err(damaged(format!("`{}` was not written", index.display())));
        }
        Ok(packed)
    }

    async fn dump(&self, dumps: &DumpPlan) -> Result<DumpReport, Failure> {
        let primary = self.site.site.databases.primary().to_owned();
        let request = Dump {
            blobs_of: self.plan.tree.as_ref().map(|_| primary),
            endpoint: dumps.endpoint.clone(),
            client: dumps.client.clone(),
            databases: dumps.databases.iter().map(|facts| facts.name.clone()).collect(),
            folder: self.half.to_owned(),
            expected: dumps.expected.clone(),
            without_rows: dumps.without_rows.clone(),
        };
        self.site.postgres.dump(&request, self.site.tell).await
    }

    /// Files whose rows are in the databases' moment: those that came meanwhile are added, those that went are kept.
    async fn uploads(
        &self,
        tree: &TreePlan,
        blobs: Option<BlobList>,
        proof: &mut Proof,
    ) -> Result<StorageEntry, Failure> {
        let list = blobs.as_ref().map(|one| one.file.as_str());
        let mut tries = 0;
        let (packed, checked) = loop {
            let packed = self.pack(tree, true).await?;
            let mut read = Proof::default();
            let eyes = Eyes::from(self.site.observe());
            let checked = read.tree(&packed, list, self.half, eyes).await?;
            tries += 1;
            // A row may be committed a moment before its file is there.
            if tries == LATE || !self.came_late(tree, &checked).await? {
                proof.add(read);
                break (packed, checked);
            }
        };
        if no_file_of(&checked) {
            none_there(&tree.from, checked.blobs)?;
        }
        if checked.wrong_blobs_count > 0 {
            self.warn(format!(
                "{} uploaded files are missing or another than their rows say, on the site as in the backup, e.g. {}",
                checked.wrong_blobs_count,
                checked.wrong_blobs.first().map_or("", String::as_str)
            ));
        }
        if !packed.skipped.is_empty() {
            self.warn(format!("{} are no files, and are not in the backup", packed.skipped.join(", ")));
        }
        let entry = StorageEntry {
            volume: tree.volume.clone(),
            path: tree.path.clone(),
            from: tree.from.display().to_string(),
            packed,
            tree: tree.facts.clone(),
            blobs,
            checked,
            previous: tree
                .previous
                .as_ref()
                .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
        };
        proof.blob_list(&entry, self.half, Eyes::from(self.site.observe())).await?;
        Ok(entry)
    }

    /// Whether one of the files that the copy lacks is there by now.
    async fn came_late(&self, tree: &TreePlan, checked: &TreeCheck) -> Result<bool, Failure> {
        for wrong in &checked.wrong_blobs {
            let Some(key) = wrong.strip_suffix(NO_FILE) else { continue };
            let (Some(first), Some(second)) = (key.get(..2), key.get(2..4)) else { continue };
            let path = tree.from.join(first).join(second).join(key);
            if self.site.files.size(&path).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn warn(&self, text: String) {
        self.site.tell.warn(text);
    }

    async fn config(&self) -> Result<Vec<ConfigFile>, Failure> {
        let mut copied = Vec::new();
        for (at, from) in self.plan.config.iter().enumerate() {
            let Some(file) = self.site.files.read(from).await? else { continue };
            let name = from.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let name = format!("config-{at}-{}", name.trim_start_matches('.'));
            let what = format!("copy of `{}`", from.display());
            let copy = CopyFile { from: from.clone(), to: self.half.join(&name), mode: 0o600, what };
            self.site.files.copy(&copy).await?;
            copied.push(ConfigFile {
                path: from.display().to_string(),
                file: name,
                bytes: file.bytes.len() as u64,
                blake3: blake3::hash(&file.bytes).to_hex().to_string(),
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
            });
        }
        Ok(copied)
    }
}

/// No row has its file, as far as they are named.
fn no_file_of(checked: &TreeCheck) -> bool {
    checked.wrong_blobs_count == checked.blobs && checked.wrong_blobs.iter().all(|one| one.ends_with(NO_FILE))
}

fn server(dumps: &DumpPlan, report: &DumpReport) -> ServerEntry {
    ServerEntry {
        version_num: dumps.server.version_num,
        version: dumps.server.version.clone(),
        host: dumps.endpoint.host.clone(),
        port: dumps.endpoint.port,
        wal_lsn: report.wal_lsn.clone(),
        system: dumps.server.system.clone(),
    }
}

fn snapshot(report: &DumpReport) -> SnapshotEntry {
    let (text, tries) = (report.snapshot.clone(), report.tries);
    SnapshotEntry { mode: "pinned-equal".to_owned(), text, tries }
}

/// One entry per planned database: a report that lacks one must not pass for a whole backup.
fn entries(dumps: &DumpPlan, dumped: &[DumpedDatabase]) -> Result<Vec<DatabaseEntry>, Failure> {
    let entry = |facts: &crate::ports::postgres::DatabaseFacts| {
        let name = &facts.name;
        let one = dumped.iter().find(|one| one.name == *name).cloned().ok_or_else(|| {
            Failure::new("not_proved", format!("the backup does not have the database `{name}`"))
                .hint("it was thrown away: type the command again")
        })?;
        Ok(DatabaseEntry {
            role: dumps.roles.get(name).cloned().unwrap_or_default(),
            schema_versions: dumps.schemas.get(name).cloned().unwrap_or_default(),
            facts: facts.clone(),
            rows_left_out: dumps.without_rows.contains(name),
            file: one.file,
            bytes: one.bytes,
            blake3: one.blake3,
            uncompressed_bytes: one.uncompressed_bytes,
            uncompressed_blake3: one.uncompressed_blake3,
            compression: "zstd level 1 with checksum".to_owned(),
            tables: one.tables,
            large_objects: one.large_objects,
            sequences: one.sequences,
        })
    };
    dumps.databases.iter().map(entry).collect()
}

/// The manifest and its hash: whoever reads the set can tell whether the manifest itself is whole.
async fn write_manifest(manifest: &Manifest, half: &Path, site: Operate<'_>) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(manifest).map_err(|error| {
        Failure::inside("not_recordable", format!("the manifest cannot be recorded: {error}"))
    })?;
    let hash = format!("{}\n", blake3::hash(&bytes).to_hex());
    // As all files of the set: of whoever has its folder.
    let (uid, gid) = site.files.owner(half).await?.unwrap_or_default();
    for (name, bytes) in [(MANIFEST, bytes), (HASH, hash.into_bytes())] {
        let file = File { bytes, mode: 0o600, uid, gid };
        let what = "manifest of the backup".to_owned();
        site.files.write(&WriteFile { path: half.join(name), file, what }).await?;
    }
    Ok(())
}
