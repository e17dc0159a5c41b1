use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Back, Effect, Found, Size, Undone, WhenUnknown};
use crate::{
    backups::{
        self, ConfigFile, DatabaseEntry, FORMAT, ImageEntry, Manifest, ServerEntry, SnapshotEntry, ToolEntry,
        Verification,
    },
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        files::{CopyFile, File, MakeFolder, Remove, Rename, WriteFile},
        postgres::{DatabaseFacts, Dump, DumpClient, DumpReport, DumpedDatabase, Server},
        project::of_service,
    },
    site::{Endpoint, fingerprints},
};

/// Make a backup set: all databases from one moment, and the configuration; then read it back by its hashes.
///
/// The set appears under its final name only when it is whole. Uploaded files are not in it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    /// Whether the env file and the compose files go into the set. They hold secrets: the set is readable by its
    /// owner only.
    #[serde(default = "yes")]
    pub config: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    set: String,
    folder: PathBuf,
    created_at: String,
    #[schemars(with = "serde_json::Value")]
    endpoint: Endpoint,
    #[schemars(with = "serde_json::Value")]
    server: Server,
    #[schemars(with = "serde_json::Value")]
    client: DumpClient,
    #[schemars(with = "serde_json::Value")]
    databases: Vec<DatabaseFacts>,
    roles: BTreeMap<String, String>,
    schemas: BTreeMap<String, Vec<String>>,
    #[schemars(with = "serde_json::Value")]
    images: BTreeMap<String, ImageEntry>,
    config: Vec<PathBuf>,
    key_fingerprints: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The set's name.
    pub set: String,
    /// Where it lies.
    pub path: String,
    pub bytes: u64,
    /// What was proved of it.
    pub verified: Verification,
}

impl Effect for Backup {
    const NAME: &'static str = "backup";
    const ADDS_ONLY: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { config: true }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Probe
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let all = &site.site.databases;
        let names: Vec<_> = all.all.iter().map(|database| database.name.clone()).collect();
        let server = site.postgres.server(&all.endpoint, all.primary()).await?;
        let databases = site.postgres.databases(&all.endpoint, &names).await?;
        complete(&names, &databases)?;
        let client = site.postgres.dump_client(server.major()).await?;
        let folder = backups::folder(site.site);
        room(&folder, &databases, site).await?;
        let mut schemas = BTreeMap::new();
        for name in &names {
            let versions = site.postgres.schema_versions(&all.endpoint, name).await?;
            schemas.insert(name.clone(), versions.unwrap_or_default());
        }
        let config = if self.config { site.site.project.config_files() } else { Vec::new() };
        Ok(Intent {
            set: free_set(&folder, site).await?,
            folder,
            created_at: site.clock.now().to_string(),
            endpoint: all.endpoint.clone(),
            server,
            client,
            databases,
            roles: all.all.iter().map(|one| (one.name.clone(), one.role.clone())).collect(),
            schemas,
            images: images(site).await?,
            config,
            key_fingerprints: fingerprints(&site.site.secrets),
        })
    }

    fn summary(intent: &Intent) -> String {
        format!(
            "back up {} databases to `{}`",
            intent.databases.len(),
            intent.folder.join(&intent.set).display()
        )
    }

    fn result(outcome: &Outcome) -> String {
        format!("`{}`, {}, read back by its hashes", outcome.path, Size(outcome.bytes))
    }

    fn undo_summary(_: &Intent) -> String {
        "the backup stays".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let path = intent.folder.join(&intent.set);
        if site.files.size(&path.join("manifest.json")).await?.is_some() {
            return Ok(Found::Applied(outcome(&path, intent, site).await?));
        }
        let half = backups::partial(&intent.folder, &intent.set);
        if site.files.list(&half).await?.is_empty() {
            return Ok(Found::NotApplied);
        }
        Ok(Found::Partial("a part of the backup is there; it is made anew".to_owned()))
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        let path = intent.folder.join(&intent.set);
        if site.files.size(&path.join("manifest.json")).await?.is_none() {
            make(intent, &path, site).await?;
        }
        outcome(&path, intent, site.observe()).await
    }

    async fn undo(intent: &Intent, _: &Back, site: Operate<'_>) -> Result<Undone, Failure> {
        let half = backups::partial(&intent.folder, &intent.set);
        // Looked for by its name: it may have been made and be empty yet.
        let begun = site.files.list(&intent.folder).await?;
        if !begun.iter().any(|name| half.ends_with(name)) {
            return Ok(Undone::nothing("the backup stays: it may be needed yet"));
        }
        let what = "backup that was never finished".to_owned();
        site.files.remove(&Remove { path: half, what }).await?;
        Ok(Undone::restored("removed a backup that was never finished"))
    }
}

/// `db:prepare` creates a missing database in silence, so one that is missing now must be said now.
pub(super) fn complete(names: &[String], found: &[DatabaseFacts]) -> Result<(), Refusal> {
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !found.iter().any(|facts| facts.name == **name))
        .map(|name| format!("`{name}`"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("the server has no database {}", missing.join(", "));
    Err(Refusal(
        Failure::new("database_missing", text).hint("check `DB_HOST` and whether this is the right server"),
    ))
}

async fn room(folder: &Path, databases: &[DatabaseFacts], site: Observe<'_>) -> Result<(), Refusal> {
    let needed = needed(databases);
    let space = site.files.space(folder).await?;
    if space.free >= needed {
        return Ok(());
    }
    let text = format!(
        "the backup needs up to {} in `{}`, and {} are free",
        Size(needed),
        folder.display(),
        Size(space.free)
    );
    Err(Refusal(Failure::new("no_room", text).hint("make room there, and type the command again")))
}

/// A dump was never seen larger than 1.1 times the tables; half a GiB is left for the rest.
pub(super) fn needed(databases: &[DatabaseFacts]) -> u64 {
    let size: u64 = databases.iter().map(|facts| facts.size).sum();
    size + size / 10 + (512 << 20)
}

async fn free_set(folder: &Path, site: Observe<'_>) -> Result<String, Failure> {
    let taken = site.files.list(folder).await?;
    let mut number = 0;
    loop {
        let set = backups::set_id(site.run, number);
        if !taken.contains(&set) {
            return Ok(set);
        }
        number += 1;
    }
}

async fn images(site: Observe<'_>) -> Result<BTreeMap<String, ImageEntry>, Failure> {
    let mut found = BTreeMap::new();
    for service in site.site.product() {
        for container in of_service(site.docker, &site.site.project, &service.name).await? {
            let image = site.docker.image(&container.image_id).await?;
            let digest = image.and_then(|image| image.digest_in(&service.repository).map(str::to_owned));
            let entry = ImageEntry { reference: container.image, id: container.image_id, digest };
            found.insert(service.name.clone(), entry);
        }
    }
    Ok(found)
}

async fn make(intent: &Intent, path: &Path, site: Operate<'_>) -> Result<(), Failure> {
    let half = backups::partial(&intent.folder, &intent.set);
    if !site.files.list(&half).await?.is_empty() {
        let what = "backup that was never finished".to_owned();
        site.files.remove(&Remove { path: half.clone(), what }).await?;
    }
    let what = "folder of a backup".to_owned();
    site.files.make_folder(&MakeFolder { path: half.clone(), what }).await?;
    let names = intent.databases.iter().map(|facts| facts.name.clone()).collect();
    let request = Dump {
        blobs_of: None,
        endpoint: intent.endpoint.clone(),
        client: intent.client.clone(),
        databases: names,
        folder: half.clone(),
    };
    let report = site.postgres.dump(&request, site.tell).await?;
    let config = copy_config(intent, &half, site).await?;
    let manifest = manifest(intent, report, config, site);
    write_manifest(&manifest, &half, site).await?;
    let what = "finished backup".to_owned();
    site.files.rename(&Rename { from: half, to: path.to_owned(), what }).await
}

async fn copy_config(intent: &Intent, half: &Path, site: Operate<'_>) -> Result<Vec<ConfigFile>, Failure> {
    let mut copied = Vec::new();
    for (at, from) in intent.config.iter().enumerate() {
        let Some(file) = site.files.read(from).await? else { continue };
        let name = from.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let name = format!("config-{at}-{}", name.trim_start_matches('.'));
        let what = format!("copy of `{}`", from.display());
        let copy = CopyFile { from: from.clone(), to: half.join(&name), mode: 0o600, what };
        site.files.copy(&copy).await?;
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

fn manifest(intent: &Intent, report: DumpReport, config: Vec<ConfigFile>, site: Operate<'_>) -> Manifest {
    let entry = |dumped: DumpedDatabase| {
        let facts = intent.databases.iter().find(|facts| facts.name == dumped.name)?.clone();
        Some(DatabaseEntry {
            role: intent.roles.get(&dumped.name).cloned().unwrap_or_default(),
            schema_versions: intent.schemas.get(&dumped.name).cloned().unwrap_or_default(),
            facts,
            file: dumped.file,
            bytes: dumped.bytes,
            blake3: dumped.blake3,
            uncompressed_bytes: dumped.uncompressed_bytes,
            uncompressed_blake3: dumped.uncompressed_blake3,
            compression: "zstd level 1 with checksum".to_owned(),
            tables: dumped.tables,
            large_objects: dumped.large_objects,
            sequences: dumped.sequences,
        })
    };
    Manifest {
        format: FORMAT,
        set: intent.set.clone(),
        created_at: intent.created_at.clone(),
        finished_at: site.clock.now().to_string(),
        reason: "pre-upgrade".to_owned(),
        run: site.run.to_owned(),
        tool: ToolEntry {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pg_dump: intent.client.version.clone(),
        },
        site: site.site.name.clone(),
        project: site.site.project.name.clone(),
        version: site.site.version.clone(),
        images: intent.images.clone(),
        server: Some(ServerEntry {
            version_num: intent.server.version_num,
            version: intent.server.version.clone(),
            host: intent.endpoint.host.clone(),
            port: intent.endpoint.port,
            wal_lsn: report.wal_lsn,
            system: intent.server.system.clone(),
        }),
        snapshot: Some(SnapshotEntry {
            mode: "pinned-equal".to_owned(),
            text: report.snapshot,
            tries: report.tries,
        }),
        storage: None,
        verification: None,
        pinned: false,
        databases: report.databases.into_iter().filter_map(entry).collect(),
        secrets_included: !config.is_empty(),
        config,
        key_fingerprints: intent.key_fingerprints.clone(),
        left_out: vec!["uploaded files".to_owned()],
    }
}

/// The manifest and its hash: whoever reads the set can tell whether the manifest itself is whole.
async fn write_manifest(manifest: &Manifest, half: &Path, site: Operate<'_>) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(manifest).map_err(|error| {
        Failure::new("not_recordable", format!("the manifest cannot be written: {error}"))
    })?;
    let hash = format!("{}\n", blake3::hash(&bytes).to_hex());
    for (name, bytes) in [("manifest.json", bytes), ("manifest.b3", hash.into_bytes())] {
        let (uid, gid) = owner(site).await?;
        let file = File { bytes, mode: 0o600, uid, gid };
        let what = "manifest of the backup".to_owned();
        site.files.write(&WriteFile { path: half.join(name), file, what }).await?;
    }
    Ok(())
}

async fn owner(site: Operate<'_>) -> Result<(u32, u32), Failure> {
    let settings = site.files.read(&site.site.project.env_file()).await?;
    Ok(settings.map_or((0, 0), |file| (file.uid, file.gid)))
}

/// Read back from disk: what was written is worth something only if it can be read.
async fn outcome(path: &Path, intent: &Intent, site: Observe<'_>) -> Result<Outcome, Failure> {
    let verified = backups::verify(site.files, path).await?;
    Ok(Outcome { set: intent.set.clone(), path: path.display().to_string(), bytes: verified.bytes, verified })
}
