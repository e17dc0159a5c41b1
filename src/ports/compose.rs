//! The `docker compose` command, for what only compose can do: reading a project's files as compose reads them,
//! and making containers from them.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::files::quote;
use crate::{
    event::{Change, Failure, Write},
    site::{Project, Secret},
};

/// A project as compose resolves it, variables filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The project's own name: as it was asked for, or as compose chooses it.
    pub name: String,
    /// In the order of their names.
    pub services: BTreeMap<String, ServiceConfig>,
    /// Real names of the named volumes, by their names in the file.
    pub volumes: BTreeMap<String, String>,
    /// Real names of the networks, by their names in the file.
    pub networks: BTreeMap<String, String>,
}

/// One service of a [`Config`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// With its tag, e.g. `registry.example/strata/server:1.0.0`; `None` where the service is only built.
    pub image: Option<String>,
    /// All values are treated as secrets; compose's doubled `$` is undone.
    pub environment: BTreeMap<String, Secret>,
    pub command: Vec<String>,
    pub ports: Vec<PublishedPort>,
    pub mounts: Vec<ConfiguredMount>,
    /// How many containers it is made of.
    pub replicas: u64,
    pub has_healthcheck: bool,
    /// `no`, `always`, `unless-stopped`, `on-failure[:N]`.
    pub restart: String,
    /// `None`: the engine's own 10 s.
    pub stop_grace: Option<Duration>,
    /// Names of the services that this one waits for.
    pub depends_on: Vec<String>,
    /// It belongs to the project only where one of these is chosen; always, if there are none.
    pub profiles: Vec<String>,
    /// The networks that it is on, by their names in the file.
    pub networks: Vec<String>,
    /// Names that it is told itself, as `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Address on the host, empty for all.
    pub host_ip: String,
    /// `None`: the engine chooses one.
    pub published: Option<u16>,
    pub target: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredMount {
    /// `volume` or `bind`.
    pub kind: String,
    /// The volume's name in the file, or the host path.
    pub source: String,
    pub target: String,
}

/// Makes and starts the containers of some services from the project's files as they are now, without pulling,
/// building or touching any other service. A container that already runs as configured stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Up {
    pub project: Project,
    pub services: Vec<String>,
}

/// What [`Compose::up`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpReport {
    /// Ids of the services' containers afterwards, by service.
    pub containers: BTreeMap<String, Vec<String>>,
}

/// Runs a service's image once, beside the project's own containers: with the service's settings, volumes and
/// networks; without published ports, without the service's name on a network, without labels that proxies read, without
/// working off jobs in web, and never started again by the engine. Needs compose [`RunAside::SINCE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAside {
    pub project: Project,
    pub service: String,
    /// The container's name.
    pub name: String,
    /// Variables that win over the project's env files, e.g. `STRATA_VERSION`.
    pub overrides: BTreeMap<String, String>,
}

/// Variables that have another value in what runs beside the product's own containers: those by which proxies find what to
/// publish, and the one by which web works off jobs itself. A job that runs in the dark would run once more after the databases
/// have gone back.
pub const SILENCED: [(&str, &str); 5] = [
    ("VIRTUAL_HOST", ""),
    ("VIRTUAL_PORT", ""),
    ("VIRTUAL_PATH", ""),
    ("LETSENCRYPT_HOST", ""),
    ("HANDLE_JOBS_IN_WEB_SERVER", "false"),
];

impl RunAside {
    /// The first compose that can take values out of a file, with `!reset`.
    pub const SINCE: semver::Version = semver::Version::new(2, 24, 4);
}

#[async_trait]
pub trait ComposeRead: Send + Sync {
    /// Version of the plugin, e.g. `2.26.1`. Fails with `compose_missing` or `compose_v1`, with the fix.
    async fn version(&self) -> Result<semver::Version, Failure>;

    /// `docker compose config` under a cleaned environment; `overrides` win over the project's env files. The
    /// profile `*` stands for all. A project without a name gets the one that compose chooses.
    async fn config(
        &self,
        project: &Project,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Config, Failure>;
}

#[async_trait]
pub trait Compose: ComposeRead {
    /// A failure after the command has begun is `unknown`.
    async fn up(&self, request: &Up) -> Result<UpReport, Failure>;

    /// Makes the containers of these services, with the volumes and networks that they need, without starting them. A
    /// service that has one is left as it is, whatever its files say by now.
    /// A failure after the command has begun is `unknown`.
    async fn create(&self, request: &Up) -> Result<(), Failure>;

    /// Id of the container, which was started. One with that name that is there already stays, and its id comes back.
    /// A failure after the command has begun is `unknown`.
    async fn run_aside(&self, request: &RunAside) -> Result<String, Failure>;
}

impl Up {
    /// `replaced` are the containers that go, by service; `images` what the new ones run.
    #[must_use]
    pub fn changes(
        &self,
        replaced: &BTreeMap<String, String>,
        images: &BTreeMap<String, String>,
    ) -> Vec<Write> {
        let mut shell = Some(self.shell());
        self.services
            .iter()
            .map(|service| Write {
                change: Change::ServiceUp {
                    service: service.clone(),
                    image: images.get(service).cloned().unwrap_or_default(),
                    replaces: replaced.get(service).cloned(),
                },
                shell: shell.take(),
            })
            .collect()
    }

    /// The arguments after `docker` where nothing is to be started.
    #[must_use]
    pub fn create_arguments(&self) -> Vec<String> {
        let mut arguments = self.arguments();
        for word in arguments.iter_mut().filter(|word| *word == "--detach") {
            "--no-start".clone_into(word);
        }
        if let Some(at) = arguments.iter().position(|word| *word == "--no-start") {
            arguments.insert(at + 1, "--no-recreate".to_owned());
        }
        arguments
    }

    /// What making the containers of services changes.
    #[must_use]
    pub fn create_change(&self) -> Write {
        let words = std::iter::once("docker".to_owned()).chain(self.create_arguments());
        let change = Change::Added {
            path: self.services.join(", "),
            bytes: None,
            what: "containers with their volumes, not started".to_owned(),
        };
        Write { change, shell: Some(words.map(|word| quote(&word)).collect::<Vec<_>>().join(" ")) }
    }

    /// The arguments after `docker`.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = project_arguments(&self.project);
        let rest = ["up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--quiet-pull"];
        arguments.extend(rest.map(str::to_owned));
        arguments.extend(self.services.iter().cloned());
        arguments
    }

    /// With all that names the project, so that it means the same from anywhere.
    fn shell(&self) -> String {
        let mut words = vec!["docker".to_owned()];
        words.extend(project_arguments(&self.project));
        words.extend(["up", "--detach", "--no-deps"].map(str::to_owned));
        words.extend(self.services.iter().cloned());
        words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
    }
}

impl RunAside {
    /// `image` is what it will run.
    #[must_use]
    pub fn change(&self, image: &str) -> Write {
        let mut words: Vec<_> =
            self.overrides.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
        words.push("docker".to_owned());
        words.extend(project_arguments(&self.project).iter().map(|word| quote(word)));
        words.extend(["run", "--detach", "--no-deps", "--name"].map(str::to_owned));
        words.extend([quote(&self.name), quote(&self.service)]);
        Write {
            change: Change::Trial { service: self.service.clone(), image: image.to_owned() },
            shell: Some(words.join(" ")),
        }
    }
}

/// `docker compose` as a person types it for exactly this project, where its own choice in the project's folder would be
/// another one.
#[must_use]
pub fn other_than_plain(project: &Project) -> Option<String> {
    let folder = project.dir.file_name().unwrap_or_default();
    let plain = project.env_files.is_empty() && project.profiles.is_empty() && project.files.len() == 1;
    if plain && folder == project.name.as_str() {
        return None;
    }
    let words = project_arguments(project);
    Some(format!("docker {}", words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")))
}

/// `docker compose` as a person types it for exactly this project, wherever they stand.
#[must_use]
pub fn by_hand(project: &Project) -> String {
    let folder = project.dir.display().to_string();
    other_than_plain(project).unwrap_or_else(|| format!("cd {} && docker compose", quote(&folder)))
}

/// The same for containers of another release than the env file names.
#[must_use]
pub fn by_hand_with(project: &Project, version: &str) -> String {
    let set = format!("STRATA_VERSION={}", quote(version));
    match other_than_plain(project) {
        Some(command) => format!("{set} {command}"),
        None => format!("cd {} && {set} docker compose", quote(&project.dir.display().to_string())),
    }
}

/// The arguments that make `docker compose` mean exactly this project.
#[must_use]
pub fn project_arguments(project: &Project) -> Vec<String> {
    let mut arguments = vec!["compose".to_owned()];
    if !project.name.is_empty() {
        arguments.extend(["--project-name".to_owned(), project.name.clone()]);
    }
    arguments.extend(["--project-directory".to_owned(), project.dir.display().to_string()]);
    for file in &project.files {
        arguments.extend(["--file".to_owned(), file.display().to_string()]);
    }
    for file in &project.env_files {
        arguments.extend(["--env-file".to_owned(), file.display().to_string()]);
    }
    for profile in &project.profiles {
        arguments.extend(["--profile".to_owned(), profile.clone()]);
    }
    arguments
}
