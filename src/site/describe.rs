use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Grants, Notify, Secret};

/// How the product was put on its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentPath {
    /// One host with `docker compose`.
    Compose,
}

impl DeploymentPath {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compose => "compose",
        }
    }
}

/// What `docker compose` must be told so that it means this project and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub name: String,
    /// The project directory; relative paths in compose files start here.
    pub dir: PathBuf,
    /// Compose files in the order in which compose merges them.
    pub files: Vec<PathBuf>,
    /// Files that compose reads variables from; empty means `.env` in `dir`.
    pub env_files: Vec<PathBuf>,
    pub profiles: Vec<String>,
}

impl Project {
    /// The files that say how the project runs: env files and compose files, each once.
    #[must_use]
    pub fn config_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.env_file()];
        for file in self.env_files.iter().chain(&self.files) {
            if !files.contains(file) {
                files.push(file.clone());
            }
        }
        files
    }

    /// The file whose variables name the image tag.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.env_files.last().cloned().unwrap_or_else(|| self.dir.join(".env"))
    }
}

/// One compose service of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The service's name in the compose file, e.g. `web` or `worker`.
    pub name: String,
    /// The image without its tag, e.g. `registry.example/strata/server`.
    pub repository: String,
    /// The tag that the settings ask for.
    pub tag: String,
    /// Where `/up` can be asked from this host, e.g. `http://127.0.0.1:3000`; `None` if nothing is published.
    pub url: Option<String>,
}

/// Where the product keeps uploaded files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "backend", rename_all = "snake_case")]
pub enum Storage {
    /// A volume mounted into the containers.
    Local { volume: String, path: String },
    /// Object storage; `backend` is the product's own word (`amazon`, `google`, `microsoft`).
    Object { kind: String },
}

/// libpq's words for how much a TLS connection must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// How to reach the database server. The password is not here: ports look it up by themselves from the settings
/// that they were made with, so that nothing which is journalled can hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// As the containers name it: `DB_HOST`.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub ssl: SslMode,
    /// How this host reaches it, in words, e.g. [`Endpoint::AS_IT_IS`]. The address itself is looked for anew by every
    /// command.
    #[serde(default)]
    pub route: String,
}

impl Endpoint {
    /// The route of a server that this host reaches by the name that the containers use.
    pub const AS_IT_IS: &str = "`DB_HOST` as it is";

    /// The route, where it is another than the one that everybody expects.
    #[must_use]
    pub fn detour(&self) -> Option<&str> {
        Some(self.route.as_str()).filter(|route| !route.is_empty() && *route != Self::AS_IT_IS)
    }
}

/// One of the product's databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// `primary`, `queue`, `cache` or `cable`.
    pub role: String,
    pub name: String,
    /// Backups hold its structure alone: `leave_out` under `[backup]` in `uplift.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rows_left_out: bool,
}

/// The server and the databases on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Databases {
    pub endpoint: Endpoint,
    /// In the order primary, queue, cache, cable.
    pub all: Vec<Database>,
}

impl Databases {
    #[must_use]
    pub fn primary(&self) -> &str {
        self.all.first().map_or("", |database| database.name.as_str())
    }
}

/// One installation, as it was found before a run. Frozen in the run's entry 0; scripts read it as `site::`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    pub name: String,
    pub path: DeploymentPath,
    pub project: Project,
    pub web: Service,
    /// The background worker under its real name; `None` if the site has none of its own.
    pub job: Option<Service>,
    /// All services of the project, the product's or not.
    pub services: Vec<String>,
    pub hosts: Vec<String>,
    /// The tag in use, e.g. `1.0.0` or `latest`.
    pub version: String,
    /// Registry digest of the image that web runs (`sha256:...`), where it has one.
    pub digest: Option<String>,
    pub storage: Storage,
    pub databases: Databases,
    /// Settings that are no secret, by name.
    pub settings: BTreeMap<String, String>,
    /// Settings that are secrets, by name. Never written anywhere.
    #[serde(skip)]
    pub secrets: BTreeMap<String, Secret>,
    /// Releases whose databases the release before them runs on, by the settings file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compatible: Vec<String>,
    /// Who is told of runs, by the settings file of today. Never written anywhere: the command may hold a key.
    #[serde(skip)]
    pub notify: Option<Notify>,
    /// What parameters of runbooks are where nobody says otherwise, by runbook, by the settings file of today.
    #[serde(skip)]
    pub params: BTreeMap<String, BTreeMap<String, String>>,
    /// What runbooks may reach besides, by the settings file of today.
    #[serde(skip)]
    pub grants: Grants,
    /// Where uplift keeps its own things: `.uplift` in the site folder unless set otherwise.
    pub state: PathBuf,
}

impl Site {
    /// The product's services: web, then job where there is one.
    pub fn product(&self) -> impl Iterator<Item = &Service> {
        std::iter::once(&self.web).chain(&self.job)
    }
}
