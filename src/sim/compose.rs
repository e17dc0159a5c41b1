//! The compose project of a world: its services, their variables filled in from the env file as it is now.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    dotenv::{self, fill},
    engine::not_on_host,
    instance::{Instance, Prepare},
    state::{State, hex},
    world::World,
};
use crate::{
    event::Failure,
    ports::{
        compose::{
            Compose, ComposeRead, Config, ConfiguredMount, PublishedPort, RunAside, ServiceConfig, Up,
            UpReport,
        },
        docker::{Binding, Container, Mount, State as Running},
        files::File,
    },
    site::{Project, Secret},
};

/// One service as the compose file has it, variables not filled in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ServiceModel {
    pub image: String,
    pub command: Vec<String>,
    /// Set in the file itself; the rest comes from the env file.
    pub environment: BTreeMap<String, String>,
    /// Host port, as text with variables, and container port.
    pub port: Option<(String, u16)>,
    pub has_healthcheck: bool,
    pub depends_on: Vec<String>,
    pub takes_env_file: bool,
    pub profiles: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Model {
    pub project: Project,
    pub version: semver::Version,
    pub services: BTreeMap<String, ServiceModel>,
    /// Names in the file and mount points of volumes that web and job share.
    pub volumes: BTreeMap<String, String>,
}

impl State {
    /// Variables of the project's env files; of two values the later file's counts.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        self.env_files().flat_map(|file| dotenv::parse(&file.bytes)).collect()
    }

    /// One of them.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.env_files().filter_map(|file| dotenv::value(&file.bytes, name)).last()
    }

    fn env_files(&self) -> impl Iterator<Item = &File> {
        let project = &self.model.project;
        let files =
            if project.env_files.is_empty() { vec![project.env_file()] } else { project.env_files.clone() };
        files.into_iter().filter_map(|path| self.disk.files.get(&path))
    }

    fn resolve(&self, project: &Project, overrides: &BTreeMap<String, String>) -> Result<Config, Failure> {
        let absent = |path: &&PathBuf| !self.disk.files.contains_key(*path);
        if let Some(path) = project.files.iter().find(absent) {
            let message = format!("`docker compose config` failed: `{}` does not exist", path.display());
            return Err(Failure::new("compose_failed", message));
        }
        let written = self.variables();
        let mut variables = written.clone();
        variables.extend(overrides.clone());
        let chosen =
            |name: &String| project.profiles.contains(name) || project.profiles.iter().any(|one| one == "*");
        let active = |model: &ServiceModel| model.profiles.is_empty() || model.profiles.iter().any(chosen);
        let services = self.model.services.iter().filter(|(_, model)| active(model));
        let services =
            services.map(|(name, model)| (name.clone(), self.service(model, &written, &variables)));
        let volumes = self.model.volumes.keys();
        let volumes = volumes.map(|name| (name.clone(), format!("{}_{name}", self.model.project.name)));
        let networks = [("default".to_owned(), format!("{}_default", self.model.project.name))].into();
        let name = if project.name.is_empty() { &self.model.project.name } else { &project.name };
        Ok(Config { name: name.clone(), services: services.collect(), volumes: volumes.collect(), networks })
    }

    /// One service as it is configured now.
    pub(super) fn service_config(&self, name: &str) -> Option<ServiceConfig> {
        let variables = self.variables();
        self.model.services.get(name).map(|model| self.service(model, &variables, &variables))
    }

    /// `written` reaches the containers as it stands in the env file; `variables` fill in the compose file.
    fn service(
        &self,
        model: &ServiceModel,
        written: &BTreeMap<String, String>,
        variables: &BTreeMap<String, String>,
    ) -> ServiceConfig {
        let mut environment = if model.takes_env_file { written.clone() } else { BTreeMap::new() };
        environment
            .extend(model.environment.iter().map(|(key, value)| (key.clone(), fill(value, variables))));
        let published = model.port.iter().map(|(port, target)| PublishedPort {
            host_ip: String::new(),
            published: fill(port, variables).parse().ok(),
            target: *target,
        });
        let mounts = self.model.volumes.iter().filter(|_| model.takes_env_file).map(|(name, target)| {
            ConfiguredMount { kind: "volume".to_owned(), source: name.clone(), target: target.clone() }
        });
        ServiceConfig {
            image: Some(fill(&model.image, variables)),
            environment: environment.into_iter().map(|(key, value)| (key, Secret::new(value))).collect(),
            command: model.command.clone(),
            ports: published.collect(),
            mounts: mounts.collect(),
            replicas: 1,
            has_healthcheck: model.has_healthcheck,
            restart: "unless-stopped".to_owned(),
            stop_grace: None,
            depends_on: model.depends_on.clone(),
            profiles: model.profiles.clone(),
            networks: vec!["default".to_owned()],
            extra_hosts: Vec::new(),
        }
    }

    /// A new container of a service, not started.
    pub(super) fn create(&mut self, service: &str, config: &ServiceConfig, image_id: &str) -> String {
        let id = self.next_id();
        let shown = container(&self.model.project, service, config, image_id, &id, self.now);
        self.put_instance(shown, config)
    }

    fn put_instance(&mut self, shown: Container, config: &ServiceConfig) -> String {
        let id = shown.id.clone();
        let values = config.environment.iter();
        let instance = Instance {
            shown,
            environment: values.map(|(key, value)| (key.clone(), value.reveal().to_owned())).collect(),
            command: config.command.clone(),
            has_healthcheck: config.has_healthcheck,
            restart_at: None,
            prepare: Prepare::Ahead,
            logs: Vec::new(),
            task: None,
        };
        self.host.instances.insert(id.clone(), instance);
        id
    }

    /// One container of a service beside its own, made and started as two writes.
    fn run_aside(&mut self, request: &RunAside) -> Result<String, Failure> {
        if let Some(known) = self.host.named(&request.name) {
            let id = known.shown.id.clone();
            if known.shown.state != Running::Created {
                return Ok(id);
            }
            // Made and never started: whoever made it was killed in between.
            self.write(&format!("run {} aside: remove", request.name), |state| {
                state.host.instances.remove(&id);
                Ok(())
            })?;
        }
        let config = self.resolve(&request.project, &request.overrides)?;
        let config = config.services.get(&request.service).ok_or_else(|| unknown(&request.service))?.clone();
        let reference = config.image.clone().unwrap_or_default();
        let image = self.host.image(&reference).map(|image| image.id.clone());
        let image = image.ok_or_else(|| failed(&not_on_host(&reference)))?;
        let id = self.write(&format!("run {} aside: create", request.name), |state| {
            state.pass(Duration::from_millis(500));
            let id = state.next_id();
            let shown = aside(&request.project, &request.service, &config, &image, &id, state.now);
            let shown = Container { name: request.name.clone(), ..shown };
            Ok(state.put_instance(shown, &config))
        })?;
        self.write(&format!("run {} aside: start", request.name), |state| state.start(&id))?;
        Ok(id)
    }

    /// Makes a service's container where it has none, with its volumes.
    fn make(&mut self, service: &str, config: &ServiceConfig) -> Result<(), Failure> {
        let reference = config.image.clone().unwrap_or_default();
        let image = self.host.image(&reference).map(|image| image.id.clone());
        let image = image.ok_or_else(|| failed(&not_on_host(&reference)))?;
        if !self.host.service(&self.model.project.name, service).is_empty() {
            return Ok(());
        }
        self.write(&format!("create {service}"), |state| {
            state.pass(Duration::from_millis(500));
            for mount in &config.mounts {
                let name = format!("{}_{}", state.model.project.name, mount.source);
                let place = format!("/var/lib/docker/volumes/{name}/_data");
                state.disk.make_folders(place.as_ref(), 0o755);
                state.host.volumes.entry(name).or_insert(place);
            }
            state.create(service, config, &image);
            Ok(())
        })
    }

    /// Brings one service to its configuration, each change a write of its own.
    fn up(&mut self, service: &str, config: &ServiceConfig) -> Result<Vec<String>, Failure> {
        let reference = config.image.clone().unwrap_or_default();
        let image = self.host.image(&reference).map(|image| image.id.clone());
        let image = image.ok_or_else(|| failed(&not_on_host(&reference)))?;
        let current = |shown: &Container| {
            let label = |name: &str| shown.labels.get(&format!("com.docker.compose.{name}"));
            label("config-hash") == Some(&fingerprint(config)) && shown.image_id == image
        };
        let (kept, replaced): (Vec<_>, Vec<_>) =
            self.host.service(&self.model.project.name, service).into_iter().partition(current);
        for old in replaced {
            self.write(&format!("up {service}: remove {}", old.name), |state| {
                state.stop(&old.id)?;
                state.host.instances.remove(&old.id);
                Ok(())
            })?;
        }
        let id = match kept.first() {
            Some(kept) => kept.id.clone(),
            None => self.write(&format!("up {service}: create"), |state| {
                state.pass(Duration::from_millis(500));
                let name = format!("{}-{service}-1", state.model.project.name);
                // The engine gives no name twice.
                match state.host.named(&name) {
                    Some(other) => Err(failed(&name_in_use(&name, &other.shown.id))),
                    None => Ok(state.create(service, config, &image)),
                }
            })?,
        };
        if !self.host.get(&id)?.shown.is_running() {
            self.write(&format!("up {service}: start"), |state| state.start(&id))?;
        }
        Ok(vec![id])
    }
}

#[async_trait]
impl ComposeRead for World {
    async fn version(&self) -> Result<semver::Version, Failure> {
        self.look(|state| Ok(state.model.version.clone()))
    }

    async fn config(
        &self,
        project: &Project,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Config, Failure> {
        self.look(|state| state.resolve(project, overrides))
    }
}

#[async_trait]
impl Compose for World {
    async fn up(&self, request: &Up) -> Result<UpReport, Failure> {
        self.act(&format!("up {}", request.services.join(" ")), |state| {
            state.host.reach()?;
            let config = state.resolve(&request.project, &BTreeMap::new())?;
            let mut containers = BTreeMap::new();
            for service in &request.services {
                let known = config.services.get(service);
                let known = known.ok_or_else(|| unknown(service))?;
                containers.insert(service.clone(), state.up(service, known)?);
            }
            Ok(UpReport { containers })
        })
    }

    async fn create(&self, request: &Up) -> Result<(), Failure> {
        self.act(&format!("create {}", request.services.join(" ")), |state| {
            state.host.reach()?;
            let config = state.resolve(&request.project, &BTreeMap::new())?;
            for service in &request.services {
                let known = config.services.get(service).ok_or_else(|| unknown(service))?;
                state.make(service, known)?;
            }
            Ok(())
        })
    }

    async fn run_aside(&self, request: &RunAside) -> Result<String, Failure> {
        let mut state = self.lock();
        state.host.reach()?;
        state.settle();
        state.run_aside(request)
    }
}

/// The container of `docker compose run`: nobody outside of its network reaches it, and the engine leaves it alone.
pub(super) fn aside(
    project: &Project,
    service: &str,
    config: &ServiceConfig,
    image_id: &str,
    id: &str,
    now: Timestamp,
) -> Container {
    let mut shown = container(project, service, config, image_id, id, now);
    shown.labels.insert("com.docker.compose.oneoff".to_owned(), "True".to_owned());
    shown.ports.clear();
    shown.aliases.values_mut().for_each(Vec::clear);
    "no".clone_into(&mut shown.restart_policy);
    shown
}

pub(super) fn unknown(service: &str) -> Failure {
    let message = format!("`docker compose` failed: no such service: `{service}`");
    Failure::new("compose_failed", message).unknown()
}

/// The container that compose makes for a service, as the engine shows it before its start.
pub(super) fn container(
    project: &Project,
    service: &str,
    config: &ServiceConfig,
    image_id: &str,
    id: &str,
    now: Timestamp,
) -> Container {
    let labels = [
        ("project", project.name.clone()),
        ("service", service.to_owned()),
        ("container-number", "1".to_owned()),
        ("oneoff", "False".to_owned()),
        ("config-hash", fingerprint(config)),
        ("image", image_id.to_owned()),
        ("project.working_dir", project.dir.display().to_string()),
        ("project.config_files", paths(&project.files)),
    ];
    let binding = |port: &PublishedPort| {
        let host_port = port.published?;
        Some((port.target, Binding { host_ip: "0.0.0.0".to_owned(), host_port }))
    };
    let mount = |mount: &ConfiguredMount| Mount {
        kind: mount.kind.clone(),
        source: format!("{}_{}", project.name, mount.source),
        target: mount.target.clone(),
    };
    Container {
        id: id.to_owned(),
        name: format!("{}-{service}-1", project.name),
        image_id: image_id.to_owned(),
        image: config.image.clone().unwrap_or_default(),
        created: now,
        started: None,
        state: Running::Created,
        exit_code: None,
        oom_killed: false,
        restarts: 0,
        health: None,
        restart_policy: config.restart.clone(),
        command: config.command.clone(),
        stop_timeout: config.stop_grace.map(|grace| grace.as_secs()),
        labels: labels.map(|(key, value)| (format!("com.docker.compose.{key}"), value)).into(),
        mounts: config.mounts.iter().map(mount).collect(),
        ports: config.ports.iter().filter_map(binding).collect(),
        networks: [(format!("{}_default", project.name), String::new())].into(),
        aliases: [(
            format!("{}_default", project.name),
            vec![format!("{}-{service}-1", project.name), service.to_owned()],
        )]
        .into(),
        extra_hosts: Vec::new(),
    }
}

fn name_in_use(name: &str, by: &str) -> Failure {
    let text = format!("conflict: the container name `{name}` is already in use by container `{by}`");
    Failure::new("engine_failed", text)
}

pub(super) fn failed(cause: &Failure) -> Failure {
    Failure::new("compose_failed", format!("`docker compose up` failed: {cause}")).unknown()
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}

/// What compose's `config-hash` label is for: equal as long as the service's configuration is.
pub(super) fn fingerprint(config: &ServiceConfig) -> String {
    let environment: Vec<_> =
        config.environment.iter().map(|(key, value)| format!("{key}={}", value.reveal())).collect();
    hex(&format!(
        "{:?} {environment:?} {:?} {:?} {:?} {}",
        config.image, config.command, config.ports, config.mounts, config.restart
    ))
}
