//! What the configuration of a backup set would change here, and whether it may go back at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    backups::{ConfigFile, Manifest},
    event::Failure,
    ports::{
        Observe,
        compose::{Config, ServiceConfig},
        env_file,
        product::{DB_NAME, databases, primary, storage},
    },
    site::{Databases, Storage, fingerprints},
};

/// A file of the configuration that is other than in the set.
pub(super) struct Differing {
    /// Where it is on this site.
    pub path: PathBuf,
    pub stored: ConfigFile,
    /// BLAKE3 of the file of now.
    pub before: Option<String>,
    /// Names of variables whose values differ, for an env file: values may be secrets.
    names: Vec<String>,
}

impl Differing {
    pub(super) fn in_words(&self) -> String {
        let path = self.path.display();
        match (&self.before, self.names.as_slice()) {
            (None, _) => format!("`{path}` is in the set and not here"),
            (_, []) => format!("`{path}` is other than in the set"),
            (_, names) => format!("`{path}` has other values than in the set: {}", names.join(", ")),
        }
    }
}

/// What is other than in the set.
pub(super) async fn differing(
    manifest: &Manifest,
    folder: &Path,
    site: Observe<'_>,
) -> Result<Vec<Differing>, Failure> {
    let project = &site.site.project;
    let mut found = Vec::new();
    for (path, stored) in manifest.places(&project.dir, &project.config_files())? {
        let now = site.files.read(&path).await?;
        let before = now.as_ref().map(|file| blake3::hash(&file.bytes).to_hex().to_string());
        if before.as_ref() == Some(&stored.blake3) {
            continue;
        }
        let then = site.files.read(&folder.join(&stored.file)).await?;
        let is_env = env_files(site).contains(&path);
        let names = match (&now, &then) {
            (Some(now), Some(then)) if is_env => other_names(&read(&now.bytes), &read(&then.bytes)),
            _ => Vec::new(),
        };
        found.push(Differing { path, stored: stored.clone(), before, names });
    }
    Ok(found)
}

/// The env files of the project, later ones over earlier ones.
fn env_files(site: Observe<'_>) -> Vec<PathBuf> {
    let project = &site.site.project;
    if project.env_files.is_empty() { vec![project.env_file()] } else { project.env_files.clone() }
}

pub(super) type Values = BTreeMap<String, String>;

fn read(bytes: &[u8]) -> Values {
    env_file::values(&String::from_utf8_lossy(bytes))
}

/// Names of variables that have other values, or are in one of both only.
fn other_names(now: &Values, then: &Values) -> Vec<String> {
    let names: BTreeSet<_> = now.keys().chain(then.keys()).collect();
    names
        .into_iter()
        .filter(|name| now.get(*name) != then.get(*name))
        .map(|name| format!("`{name}`"))
        .collect()
}

/// Values of the project's env files: of now, and once the configuration of the set has gone back.
pub(super) struct Variables {
    now: Values,
    pub then: Values,
}

pub(super) async fn variables(
    manifest: &Manifest,
    folder: &Path,
    site: Observe<'_>,
) -> Result<Variables, Failure> {
    let project = &site.site.project;
    let places = manifest.places(&project.dir, &project.config_files())?;
    let mut both = Variables { now: Values::new(), then: Values::new() };
    for path in env_files(site) {
        let now = site.files.read(&path).await?.map(|file| read(&file.bytes)).unwrap_or_default();
        let stored = places.iter().find(|(place, _)| *place == path);
        let then = match stored {
            Some((_, stored)) => site.files.read(&folder.join(&stored.file)).await?,
            None => None,
        };
        both.then.extend(then.map_or_else(|| now.clone(), |file| read(&file.bytes)));
        both.now.extend(now);
    }
    Ok(both)
}

/// Variables that say where the product's data is and how it is reached, with what the product takes without them.
const WHERE: [(&str, &str); 6] = [
    ("DB_HOST", ""),
    ("DB_PORT", "5432"),
    (DB_NAME, ""),
    ("DB_USERNAME", "strata"),
    ("DB_PASSWORD", ""),
    ("STORAGE_BACKEND", "local"),
];

impl Variables {
    /// Refused where web would start on other databases or other files than those that are restored here.
    pub(super) fn keep_the_data(&self, folder: &Path, site: Observe<'_>) -> Result<(), Failure> {
        let value = |all: &Values, name: &str, initial: &str| {
            let set = |name: &str| all.get(name).map(String::as_str).filter(|value| !value.is_empty());
            if name == DB_NAME { primary(set).to_owned() } else { set(name).unwrap_or(initial).to_owned() }
        };
        let moved = WHERE
            .iter()
            .filter(|(name, initial)| value(&self.now, name, initial) != value(&self.then, name, initial));
        let moved: Vec<_> = moved.map(|(name, _)| format!("`{name}`")).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let (names, env) = (moved.join(", "), site.site.project.env_file());
        let text = format!(
            "the configuration of the set has another {names} than `{}`: web would not use the data that is \
             restored",
            env.display()
        );
        Err(Failure::new("config_elsewhere", text).hint(format!(
            "restore without `--config` and take over by hand what else is needed from `{}`; or, if the set is to be \
             restored where it was made, write its {names} into `{}` first",
            folder.display(),
            env.display()
        )))
    }
}

/// The set was made with the keys that this site will have: else encrypted columns could not be read.
pub(super) fn same_keys(
    manifest: &Manifest,
    folder: &Path,
    config: bool,
    site: Observe<'_>,
) -> Result<(), Failure> {
    let now = fingerprints(&site.site.secrets);
    let other = manifest.key_fingerprints.iter().filter(|(name, mark)| now.get(*name) != Some(mark));
    let other: Vec<_> = other.map(|(name, _)| format!("`{name}`")).collect();
    // With the configuration its keys come too; that they do is proved once it is there.
    if other.is_empty() || (config && !manifest.config.is_empty()) {
        return Ok(());
    }
    let env = site.site.project.env_file();
    let text = format!(
        "the set was made with another {} than this site has: what is encrypted in it could not be read here",
        other.join(", ")
    );
    let hint = match manifest.config.first() {
        Some(file) => format!(
            "let its keys come too: `--config` puts its env and compose files back; or write these keys alone from \
             `{}` into `{}`, and type the command again",
            folder.join(&file.file).display(),
            env.display()
        ),
        None => format!(
            "the set holds no configuration: write the keys that it was made with into `{}`, and type the command \
             again",
            env.display()
        ),
    };
    Err(Failure::new("other_keys", text).hint(hint))
}

/// What must be true of the configuration once it is there, as compose itself reads it.
pub(super) async fn in_effect(
    keys: &BTreeMap<String, String>,
    data: (&Databases, &Storage),
    site: Observe<'_>,
) -> Result<(), Failure> {
    let config = site.compose.config(&site.site.project, &BTreeMap::new()).await?;
    let web = web_of(&config, site)?;
    if fingerprints(&web.environment) != *keys {
        let text = "the configuration of the set does not give the keys that the set was made with";
        return Err(Failure::new("keys_changed", text)
            .hint("restore without `--config`, after writing the right keys into the env file by hand"));
    }
    let place = |all: &Databases| {
        let names: Vec<_> = all.all.iter().map(|one| one.name.clone()).collect();
        (all.endpoint.host.clone(), all.endpoint.port, all.endpoint.user.clone(), names)
    };
    let same =
        place(&databases(&web.environment)?) == place(data.0) && storage(&config, web, &[])? == *data.1;
    if same {
        return Ok(());
    }
    let text = "by the configuration of the set web would use other databases or files than those that were restored";
    Err(Failure::new("config_elsewhere", text)
        .hint("restore without `--config`, and take over by hand what else is needed from the set"))
}

/// Web, as the compose files have it now.
pub(super) fn web_of<'a>(config: &'a Config, site: Observe<'_>) -> Result<&'a ServiceConfig, Failure> {
    config.services.get(&site.site.web.name).ok_or_else(|| {
        let text = format!("the compose files have no service `{}` any more", site.site.web.name);
        Failure::new("no_web_service", text).hint("put it back, and look with `docker compose config`")
    })
}
