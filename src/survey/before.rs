use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        docker::Select,
        files::{CopyFile, MakeFolder},
        http::Probe,
        postgres::DatabaseFacts,
    },
    site::fingerprints,
};

const CONFIG_HASH: &str = "com.docker.compose.config-hash";

/// The format of [`Before`] that this uplift writes.
const FORMAT: u32 = 1;

/// A site before a run: what going back returns to, and what it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Before {
    pub format: u32,
    /// By the containers' names.
    pub containers: BTreeMap<String, ContainerThen>,
    /// BLAKE3 of env and compose files by path.
    pub files: BTreeMap<String, String>,
    /// Where copies of them are kept, by path.
    pub kept: BTreeMap<String, PathBuf>,
    /// Applied migrations by database.
    pub schemas: BTreeMap<String, Vec<String>>,
    /// The databases with what a copy or a rename can lose: owner, rights, settings, comment, extensions.
    #[serde(default)]
    pub databases: Vec<DatabaseFacts>,
    pub key_fingerprints: BTreeMap<String, String>,
    /// Whether `/up` answered 200.
    pub web_answered: bool,
}

impl Before {
    /// The same with what the site's databases say.
    pub async fn with_databases(mut self, site: Observe<'_>) -> Result<Self, Failure> {
        let all = &site.site.databases;
        let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
        for name in &names {
            match site.postgres.schema_versions(&all.endpoint, name).await {
                Ok(versions) => self.schemas.insert(name.clone(), versions.unwrap_or_default()),
                // A host that has lost everything has none yet; what must be there is for the checks to say.
                Err(failure) if failure.code == "database_missing" => None,
                Err(failure) => return Err(failure),
            };
        }
        self.databases = site.postgres.databases(&all.endpoint, &names).await?;
        Ok(self)
    }

    /// What is in `then` taken for what its databases say now; whether anybody is let in stays as it is.
    pub fn take_databases_of(&mut self, then: &Self) {
        self.schemas.clone_from(&then.schemas);
        let open = |name: &str| self.databases.iter().find(|one| one.name == name).map(|one| one.open);
        let same =
            |one: &DatabaseFacts| DatabaseFacts { open: open(&one.name).unwrap_or(one.open), ..one.clone() };
        self.databases = then.databases.iter().map(same).collect();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerThen {
    pub service: String,
    pub id: String,
    pub image_id: String,
    pub image: String,
    /// Registry digests of the image, as `name@sha256:...`.
    pub digests: Vec<String>,
    pub created: String,
    pub running: bool,
    pub restart_policy: String,
    /// Compose's hash of the configuration that it was made from.
    #[serde(default)]
    pub config_hash: Option<String>,
}

/// Reads the site as it is.
pub async fn look(site: Observe<'_>) -> Result<Before, Failure> {
    but_databases(site).await?.with_databases(site).await
}

/// Reads the site as it is, without a question to its databases.
pub async fn but_databases(site: Observe<'_>) -> Result<Before, Failure> {
    let mut containers = BTreeMap::new();
    let mut web_answered = false;
    for container in site.docker.containers(&Select::Project(site.site.project.name.clone())).await? {
        let image = site.docker.image(&container.image_id).await?;
        if container.service() == Some(site.site.web.name.as_str())
            && let Some(probe) = Probe::up(site.site, &container)
        {
            web_answered |= site.http.probe(&probe).await.is_ok_and(|answer| answer.status == 200);
        }
        let then = ContainerThen {
            service: container.service().unwrap_or_default().to_owned(),
            running: container.is_up(),
            config_hash: container.labels.get(CONFIG_HASH).cloned(),
            id: container.id,
            image_id: container.image_id,
            image: container.image,
            digests: image.map(|image| image.digests).unwrap_or_default(),
            created: container.created.to_string(),
            restart_policy: container.restart_policy,
        };
        containers.insert(container.name, then);
    }
    let mut files = BTreeMap::new();
    for path in site.site.project.config_files() {
        if let Some(hash) = site.files.hash(&path).await? {
            files.insert(path.display().to_string(), hash);
        }
    }
    Ok(Before {
        format: FORMAT,
        containers,
        files,
        kept: BTreeMap::new(),
        schemas: BTreeMap::new(),
        databases: Vec::new(),
        key_fingerprints: fingerprints(&site.site.secrets),
        web_answered,
    })
}

/// Copies env and compose files into the run's kept folder, and notes where they lie.
pub async fn keep(site: Operate<'_>, before: &mut Before) -> Result<(), Failure> {
    let folder = site.observe().kept().join("before");
    let what = "folder for what the way back needs".to_owned();
    site.files.make_folder(&MakeFolder { path: folder.clone(), what }).await?;
    for (at, path) in site.site.project.config_files().into_iter().enumerate() {
        let shown = path.display().to_string();
        let Some(hash) = before.files.get(&shown) else { continue };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let to = folder.join(format!("{at}-{}", name.trim_start_matches('.')));
        let what = format!("copy of `{shown}`");
        site.files.copy(&CopyFile { from: path, to: to.clone(), mode: 0o600, what }).await?;
        if site.files.hash(&to).await?.as_ref() != Some(hash) {
            let text = format!("`{shown}` changed while it was copied");
            return Err(Failure::new("not_kept", text)
                .hint("nothing was touched; type the command again")
                .retryable());
        }
        before.kept.insert(shown, to);
    }
    Ok(())
}

/// What is no longer as it was, a sentence each. Containers may have been made again: what they run counts.
#[must_use]
pub fn differences(then: &Before, now: &Before) -> Vec<String> {
    let mut found = Vec::new();
    for (name, old) in &then.containers {
        let Some(new) = now.containers.get(name) else {
            found.push(format!("the container `{name}` is gone"));
            continue;
        };
        if old.image_id != new.image_id {
            found.push(format!("`{name}` runs `{}` instead of `{}`", new.image, old.image));
        }
        if old.config_hash != new.config_hash {
            found.push(format!("`{name}` was made from another configuration"));
        }
        if old.running != new.running {
            found.push(format!("`{name}` {}", if new.running { "runs and did not" } else { "does not run" }));
        }
        if old.restart_policy != new.restart_policy {
            let (new, old) = (&new.restart_policy, &old.restart_policy);
            found.push(format!("`{name}` has the restart policy `{new}` instead of `{old}`"));
        }
    }
    for name in now.containers.keys().filter(|name| !then.containers.contains_key(*name)) {
        found.push(format!("the container `{name}` was not there before"));
    }
    for (path, hash) in &then.files {
        if now.files.get(path) != Some(hash) {
            let kept = then.kept.get(path).map(|kept| kept.display().to_string());
            let kept = kept.map(|kept| format!("; as it was: `{kept}`")).unwrap_or_default();
            found.push(format!("`{}` is not as it was{kept}", Path::new(path).display()));
        }
    }
    found.extend(then.databases.iter().flat_map(|old| unlike(old, now)));
    for (database, versions) in &then.schemas {
        let new = now.schemas.get(database);
        if new != Some(versions) {
            found.push(format!("the schema of `{database}` is not as it was"));
        }
    }
    if then.key_fingerprints != now.key_fingerprints {
        found.push("the encryption keys are not the ones from before".to_owned());
    }
    found
}

/// What one database has no more of what it had. Its number is not part of it: a copy of it may have taken its place.
fn unlike(old: &DatabaseFacts, now: &Before) -> Vec<String> {
    let name = &old.name;
    let Some(new) = now.databases.iter().find(|one| one.name == *name) else {
        return vec![format!("the database `{name}` is gone")];
    };
    let mut found = Vec::new();
    let lost = old.unlike(new);
    if !lost.is_empty() {
        found.push(format!("the database `{name}` has not its {} any more", lost.join(", ")));
    }
    if old.open != new.open {
        found.push(format!(
            "the database `{name}` {}",
            if new.open { "is open" } else { "keeps everybody out" }
        ));
    }
    if old.extensions != new.extensions {
        found.push(format!("the extensions of `{name}` are not as they were"));
    }
    found
}
