//! What goes into a set, decided by reading: nothing is written here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    list::{Listed, list},
    manifest::{ImageEntry, Manifest, Part},
    set::{folder, set_id},
    size,
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe,
        postgres::{DatabaseFacts, Dump, DumpClient, Server},
        project::of_service,
        trees::TreeFacts,
    },
    site::{Endpoint, Storage, fingerprints},
};

/// What is to become of uploaded files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Uploads {
    /// They are copied into the set.
    #[default]
    Copy,
    /// They are not: somebody has said that they are backed up elsewhere.
    Elsewhere,
    /// They are not, and the set says so.
    None,
}

/// What a set is asked to hold.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub databases: bool,
    pub uploads: Uploads,
    pub config: bool,
    /// `pre-upgrade` or `manual`.
    pub reason: String,
    pub pinned: bool,
}

/// What a set will hold. Journalled before the first write.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SetPlan {
    pub set: String,
    pub folder: PathBuf,
    pub created_at: String,
    pub reason: String,
    pub pinned: bool,
    #[schemars(with = "serde_json::Value")]
    pub images: BTreeMap<String, ImageEntry>,
    #[schemars(with = "serde_json::Value")]
    pub dumps: Option<DumpPlan>,
    #[schemars(with = "serde_json::Value")]
    pub tree: Option<TreePlan>,
    pub config: Vec<PathBuf>,
    pub key_fingerprints: BTreeMap<String, String>,
    pub left_out: Vec<String>,
}

/// Databases, all of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpPlan {
    pub endpoint: Endpoint,
    pub server: Server,
    pub client: DumpClient,
    pub databases: Vec<DatabaseFacts>,
    /// By name.
    pub roles: BTreeMap<String, String>,
    pub schemas: BTreeMap<String, Vec<String>>,
    /// Bytes that each dump takes, as far as an earlier set tells. By name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<String, u64>,
    /// Names of those whose rows are left out: their size is that of an empty one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without_rows: BTreeSet<String>,
}

/// Uploaded files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreePlan {
    pub volume: String,
    /// Where the containers have it.
    pub path: String,
    pub from: PathBuf,
    pub facts: TreeFacts,
    /// The newest verified set with the same tree, whose packs are taken over where nothing has changed.
    pub previous: Option<PathBuf>,
}

/// Left for manifests, lists and what else there is.
const REST: u64 = 512 << 20;

/// Decides what a set will hold; refuses what cannot be copied, and what has no room.
pub async fn plan(wanted: &Wanted, site: Observe<'_>) -> Result<SetPlan, Refusal> {
    let folder = folder(site.site);
    let sets = list(site.files, &folder).await?;
    let dumps = if wanted.databases { Some(dumps(&sets, site).await?) } else { None };
    let (tree, grows) = match wanted.uploads {
        Uploads::Copy => {
            let (tree, grows) = tree(&sets, site).await?;
            (Some(tree), grows)
        }
        Uploads::Elsewhere | Uploads::None => (None, 0),
    };
    let databases = dumps.as_ref().map_or(&[][..], |dumps| &dumps.databases);
    room(&folder, needed(databases) + grows, site).await?;
    let config = if wanted.config { site.site.project.config_files() } else { Vec::new() };
    Ok(SetPlan {
        set: free_set(&folder, site).await?,
        folder,
        created_at: site.clock.now().to_string(),
        reason: wanted.reason.clone(),
        pinned: wanted.pinned,
        images: images(site).await?,
        left_out: left_out(wanted, site),
        dumps,
        tree,
        config,
        key_fingerprints: fingerprints(&site.site.secrets),
    })
}

fn left_out(wanted: &Wanted, site: Observe<'_>) -> Vec<String> {
    let place = match &site.site.storage {
        Storage::Local { .. } => Part::UploadedFiles.to_string(),
        Storage::Object { kind } => format!("{} in object storage `{kind}`", Part::UploadedFiles),
    };
    let uploads = match wanted.uploads {
        Uploads::Copy => None,
        Uploads::Elsewhere => Some(format!("{place}: said to be backed up elsewhere")),
        Uploads::None => Some(place),
    };
    let databases = (!wanted.databases).then(|| Part::Databases.to_string());
    let rows = site.site.databases.all.iter().filter(|one| wanted.databases && one.rows_left_out);
    let rows = rows.map(|one| format!("the rows of `{}`", one.name));
    let config = (!wanted.config).then(|| Part::Configuration.to_string());
    databases.into_iter().chain(rows).chain(uploads).chain(config).collect()
}

async fn dumps(sets: &[Listed], site: Observe<'_>) -> Result<DumpPlan, Refusal> {
    let all = &site.site.databases;
    let names: Vec<_> = all.all.iter().map(|database| database.name.clone()).collect();
    let server = site.postgres.server(&all.endpoint, all.primary()).await?;
    let databases = to_dump(site).await?;
    complete(&names, &databases)?;
    let client = site.postgres.dump_client(server.major()).await?;
    let bare = all.all.iter().filter(|one| one.rows_left_out);
    let without_rows: BTreeSet<_> = bare.map(|one| one.name.clone()).collect();
    let expects = |facts| expected(facts, without_rows.contains(&facts.name), sets);
    Ok(DumpPlan {
        endpoint: all.endpoint.clone(),
        server,
        client,
        expected: databases.iter().filter_map(expects).collect(),
        without_rows,
        databases,
        roles: all.all.iter().map(|one| (one.name.clone(), one.role.clone())).collect(),
        schemas: schemas(site).await?,
    })
}

/// The site's databases that are there, as a dump will have them: without rows, as small as an empty one.
pub async fn to_dump(site: Observe<'_>) -> Result<Vec<DatabaseFacts>, Failure> {
    let all = &site.site.databases;
    let names: Vec<_> = all.all.iter().map(|database| database.name.clone()).collect();
    let mut found = site.postgres.databases(&all.endpoint, &names).await?;
    for facts in &mut found {
        if all.all.iter().any(|one| one.rows_left_out && one.name == facts.name) {
            facts.size = facts.size.min(Dump::EMPTY);
        }
    }
    Ok(found)
}

/// What the newest verified dump of a database took, and more as the database has grown since. A smaller one has lost room
/// between its rows, and may have as many. One with rows tells nothing of one without.
fn expected(now: &DatabaseFacts, without_rows: bool, sets: &[Listed]) -> Option<(String, u64)> {
    let whole = sets.iter().filter(|one| one.standing.is_verified());
    let mut known = whole.filter_map(|one| one.manifest.as_ref()).flat_map(|one| &one.databases);
    let last = known.find(|one| one.facts.name == now.name && one.rows_left_out == without_rows)?;
    let (then, now_at_least) = (last.facts.size.max(1), now.size.max(last.facts.size));
    let grown = u128::from(last.bytes) * u128::from(now_at_least) / u128::from(then);
    Some((now.name.clone(), u64::try_from(grown).unwrap_or(u64::MAX)))
}

/// `db:prepare` creates a missing database in silence, so one that is missing now must be said now.
pub fn complete(names: &[String], found: &[DatabaseFacts]) -> Result<(), Failure> {
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !found.iter().any(|facts| facts.name == **name))
        .map(|name| format!("`{name}`"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("the server has no database {}", missing.join(", "));
    Err(Failure::new("database_missing", text).hint(
        "the next start would make an empty one in silence: check `DB_HOST`, or create the database first",
    ))
}

/// Applied migrations of each of the site's databases, by name.
pub async fn schemas(site: Observe<'_>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let all = &site.site.databases;
    let mut schemas = BTreeMap::new();
    for database in &all.all {
        let versions = site.postgres.schema_versions(&all.endpoint, &database.name).await?;
        schemas.insert(database.name.clone(), versions.unwrap_or_default());
    }
    Ok(schemas)
}

/// The tree with the room that its copy may take.
async fn tree(sets: &[Listed], site: Observe<'_>) -> Result<(TreePlan, u64), Refusal> {
    let (volume, path) = match &site.site.storage {
        Storage::Local { volume, path } => (volume, path),
        Storage::Object { kind } => {
            let text =
                format!("uploaded files lie in object storage `{kind}`, which cannot be copied from here");
            let hint = "if they are backed up there, or old versions are kept, say so: `--storage elsewhere`; \
                        to make a backup without them: `--storage none`";
            return Err(Refusal(Failure::new("storage_elsewhere", text).hint(hint)));
        }
    };
    outlives(&site.site.storage)?;
    let from = self::volume(volume, site).await?.ok_or_else(|| {
        Failure::new("volume_missing", format!("there is no volume `{volume}` on this engine"))
            .hint("check the volumes in the compose files; without uploaded files: `--storage none`")
    })?;
    let facts = site.trees.facts(&from).await?;
    if facts.files == 0 {
        let databases = &site.site.databases;
        none_there(&from, site.postgres.listed_uploads(&databases.endpoint, databases.primary()).await?)?;
    }
    let previous = newest_of(volume, sets);
    let known = previous.and_then(|one| one.manifest.as_ref()?.storage.as_ref());
    // What is unchanged is linked; how much that is, nobody knows before all of it was looked at.
    let known = known.map_or(0, |storage| storage.packed.bytes);
    let grows = facts.bytes.saturating_sub(known) + facts.bytes / 50;
    let previous = previous.map(|one| one.path.clone());
    Ok((TreePlan { volume: volume.clone(), path: path.clone(), from, facts, previous }, grows))
}

/// Fails if files are listed: none of them is in the folder.
///
/// One that is missing may have been lost long ago. Where all are, the folder is not where they lie: a copy of it would
/// count as a backup, and push out those that have them.
pub(super) fn none_there(from: &Path, listed: u64) -> Result<(), Failure> {
    let none = match listed {
        0 => return Ok(()),
        1 => "the one file that the database lists is not there".to_owned(),
        listed => format!("none of the {listed} files that the database lists is there"),
    };
    let text = format!("the uploaded files are not at `{}`: {none}", from.display());
    Err(Failure::new("uploads_missing", text).hint(
        "mount what they lie on; if they are lost, or backed up another way, make a backup without them: \
         `--storage none` or `--storage elsewhere`",
    ))
}

/// The newest verified set with the files of this volume.
fn newest_of<'a>(volume: &str, sets: &'a [Listed]) -> Option<&'a Listed> {
    let like = |manifest: &Manifest| manifest.storage.as_ref().is_some_and(|one| one.volume == *volume);
    sets.iter().find(|one| one.standing.is_verified() && one.manifest.as_ref().is_some_and(like))
}

/// Folder of the newest verified set with the site's uploaded files.
pub async fn newest_with_uploads(site: Observe<'_>) -> Result<Option<PathBuf>, Failure> {
    let Storage::Local { volume, .. } = &site.site.storage else { return Ok(None) };
    let sets = list(site.files, &folder(site.site)).await?;
    Ok(newest_of(volume, &sets).map(|one| one.path.clone()))
}

/// Refuses a site whose uploaded files lie in its containers: whatever replaces these takes the files along.
pub fn outlives(storage: &Storage) -> Result<(), Failure> {
    let Storage::Local { volume, path } = storage else { return Ok(()) };
    if !volume.is_empty() {
        return Ok(());
    }
    let text = format!("nothing is mounted at `{path}`: uploaded files lie in the container, and go with it");
    Err(Failure::new("storage_not_mounted", text).hint(format!(
        "copy them out, `docker compose cp SERVICE:{path} FOLDER`; mount a volume at `{path}` in the compose files, \
         `docker compose up -d`; copy them in again, `docker compose cp FOLDER/. SERVICE:{path}`"
    )))
}

/// The folder on this host behind a volume's name, or the folder that is mounted itself.
pub async fn volume(name: &str, site: Observe<'_>) -> Result<Option<PathBuf>, Failure> {
    if Path::new(name).is_absolute() {
        return Ok(Some(name.into()));
    }
    Ok(site.docker.volume(name).await?.map(PathBuf::from))
}

async fn room(folder: &Path, needed: u64, site: Observe<'_>) -> Result<(), Refusal> {
    let space = site.files.space(folder).await?;
    if space.free >= needed {
        return Ok(());
    }
    let (needed, free) = (size(needed), size(space.free));
    let text = format!("the backup needs up to {needed} in `{}`, and {free} are free", folder.display());
    Err(Refusal(Failure::new("no_room", text).hint("make room there, and type the command again")))
}

/// A dump was never seen larger than 1.1 times the tables; half a GiB is left for the rest.
#[must_use]
pub fn needed(databases: &[DatabaseFacts]) -> u64 {
    let size: u64 = databases.iter().map(|facts| facts.size).sum();
    size + size / 10 + REST
}

async fn free_set(folder: &Path, site: Observe<'_>) -> Result<String, Failure> {
    let taken = site.files.list(folder).await?;
    let mut number = 0;
    loop {
        let set = set_id(site.run, site.tell.address(), number);
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
