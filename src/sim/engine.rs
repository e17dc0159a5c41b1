//! The Docker Engine of a world.

mod writes;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{instance::Instance, registry::Built, state::State, world::World};
use crate::{
    event::Failure,
    ports::docker::{
        Container, DockerRead, Engine, Image, LARGEST_FILE, LogLine, Said, Select, Snapshot, State as Running,
    },
    site::Secret,
};

/// One engine with all that it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Host {
    pub engine: Engine,
    pub reachable: bool,
    /// It cannot read what containers have said.
    pub logs_lost: bool,
    /// By image id.
    pub images: BTreeMap<String, Built>,
    /// By container id.
    #[serde(with = "super::kept::instances")]
    pub instances: BTreeMap<String, Instance>,
    /// Mount points on the host, by volume name.
    pub volumes: BTreeMap<String, String>,
    /// Files in containers, by container name and path.
    #[serde(with = "super::kept::inside")]
    pub files: BTreeMap<(String, String), Vec<u8>>,
}

impl Host {
    pub(super) fn image(&self, reference: &str) -> Option<&Image> {
        let known = |image: &&Image| {
            image.id == reference
                || image.tags.iter().any(|tag| tag == reference)
                || image.digests.iter().any(|digest| digest == reference)
        };
        self.images.values().map(|built| &built.image).find(known)
    }

    /// A name belongs to one image: the newest that asked for it.
    pub(super) fn name(&mut self, id: &str, reference: &str) {
        for built in self.images.values_mut() {
            built.image.tags.retain(|tag| tag != reference);
        }
        if let Some(built) = self.images.get_mut(id) {
            built.image.tags.push(reference.to_owned());
            built.image.tags.sort();
        }
    }

    pub(super) fn reach(&self) -> Result<(), Failure> {
        if self.reachable {
            return Ok(());
        }
        let failure = Failure::new("engine_unreachable", "the docker engine does not answer");
        Err(failure.hint("start it: `sudo systemctl start docker`"))
    }

    pub(super) fn get(&mut self, id: &str) -> Result<&mut Instance, Failure> {
        let missing = || Failure::new("container_missing", format!("there is no container `{id}`"));
        self.instances.get_mut(id).ok_or_else(missing)
    }

    /// The first address on the project's network that no running container has.
    pub(super) fn free_address(&self) -> String {
        let running = self.instances.values().filter(|one| one.shown.is_up());
        let taken: Vec<_> = running.flat_map(|one| one.shown.networks.values()).collect();
        let mut all = (2..).map(|last| format!("172.18.0.{last}"));
        all.find(|address| !taken.contains(&address)).unwrap_or_default()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Instance> {
        self.instances.values().find(|instance| instance.shown.name == name)
    }

    /// Containers of one service, oldest first, one-off containers left out.
    pub(super) fn service(&self, project: &str, service: &str) -> Vec<Container> {
        let mut all: Vec<_> = self
            .instances
            .values()
            .map(|instance| &instance.shown)
            .filter(|shown| of_project(shown, project) && shown.service() == Some(service))
            .cloned()
            .collect();
        all.sort_by(|left, right| left.created.cmp(&right.created).then(left.name.cmp(&right.name)));
        all
    }
}

/// A container that compose made for a service of `project`, one-off containers left out.
pub(super) fn of_project(container: &Container, project: &str) -> bool {
    let label = |name: &str| container.labels.get(name).map(String::as_str);
    label("com.docker.compose.project") == Some(project) && label("com.docker.compose.oneoff") != Some("True")
}

impl State {
    /// The digest that the registry has for a reference, with the image.
    pub(super) fn registered(&self, reference: &str) -> Result<&(String, Built), Failure> {
        if !self.registry.reachable {
            let message = format!("the registry of `{reference}` does not answer");
            return Err(Failure::new("registry_unreachable", message).retryable());
        }
        if self.registry.denied {
            let message = format!("the registry refuses `{reference}`");
            return Err(Failure::new("registry_denied", message).hint("log in: `docker login`"));
        }
        let none = || Failure::new("tag_not_found", format!("the registry has no `{reference}`"));
        self.registry.tags.get(reference).ok_or_else(none)
    }
}

#[async_trait]
impl DockerRead for World {
    async fn engine(&self) -> Result<Engine, Failure> {
        self.look(|state| state.host.reach().map(|()| state.host.engine.clone()))
    }

    async fn containers(&self, select: &Select) -> Result<Vec<Container>, Failure> {
        self.look(|state| {
            state.host.reach()?;
            let wanted = |shown: &Container| match select {
                Select::Project(project) => of_project(shown, project),
                Select::All => true,
            };
            let all = state.host.instances.values().map(|instance| instance.shown.clone());
            let mut all: Vec<_> = all.filter(|shown| wanted(shown)).collect();
            all.sort_by(|left, right| left.name.cmp(&right.name));
            Ok(all)
        })
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, Failure> {
        self.look(|state| {
            state.host.reach()?;
            Ok(state.host.instances.get(id).map(|instance| instance.shown.clone()))
        })
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, Failure> {
        self.look(|state| state.host.reach().map(|()| state.host.image(reference).cloned()))
    }

    async fn remote_digest(&self, reference: &str) -> Result<String, Failure> {
        self.look(|state| {
            state.host.reach()?;
            state.registered(reference).map(|(digest, _)| digest.clone())
        })
    }

    async fn image_files(&self, image_id: &str, folder: &str) -> Result<Vec<String>, Failure> {
        self.look(|state| {
            state.host.reach()?;
            let none = || not_on_host(image_id);
            let built = state.host.images.get(image_id).ok_or_else(none)?;
            let release = built.release.as_ref();
            let here = folder.trim_end_matches('/') == "/rails/db/migrate";
            Ok(release.filter(|_| here).map(|release| release.migrations.clone()).unwrap_or_default())
        })
    }

    async fn environment(&self, id: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        self.look(|state| {
            state.host.reach()?;
            let of = |one: &Instance| {
                one.environment.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect()
            };
            Ok(state.host.instances.get(id).map(of).unwrap_or_default())
        })
    }

    /// Images of a world bring none.
    async fn image_environment(&self, _: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        self.look(|state| state.host.reach().map(|()| BTreeMap::new()))
    }

    async fn logs(&self, id: &str, tail: Option<usize>) -> Result<Vec<LogLine>, Failure> {
        self.look(|state| {
            state.host.reach()?;
            if state.host.logs_lost {
                return Err(Failure::new("engine_failed", "error grabbing logs: invalid character '\\x00'"));
            }
            let logs = &state.host.get(id)?.logs;
            let skip = tail.map_or(0, |tail| logs.len().saturating_sub(tail));
            Ok(logs[skip..].to_vec())
        })
    }

    async fn said(&self, id: &str) -> Result<Said, Failure> {
        self.look(|state| state.host.reach().map(|()| state.said(id)))
    }

    async fn network(&self, name: &str) -> Result<bool, Failure> {
        self.look(|state| {
            state.host.reach()?;
            let own = format!("{}_default", state.model.project.name);
            Ok(["bridge", "host", "none", own.as_str()].contains(&name))
        })
    }

    async fn file(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.look(|state| {
            state.host.reach()?;
            let name = state.host.get(id)?.shown.name.clone();
            if path == "/etc/hostname" {
                return Ok(Some(id.get(..12).unwrap_or(id).as_bytes().to_vec()));
            }
            let found = state.host.files.get(&(name, path.to_owned()));
            if found.is_some_and(|bytes| bytes.len() as u64 > LARGEST_FILE) {
                let text = format!("`{path}` in the container is larger than {} MiB", LARGEST_FILE >> 20);
                return Err(Failure::new("file_too_large", text).hint("name a smaller file in the settings"));
            }
            Ok(found.cloned())
        })
    }

    async fn gateway(&self) -> Result<Option<String>, Failure> {
        self.look(|state| state.host.reach().map(|()| Some("172.17.0.1".to_owned())))
    }

    async fn volume(&self, name: &str) -> Result<Option<String>, Failure> {
        self.look(|state| state.host.reach().map(|()| state.host.volumes.get(name).cloned()))
    }

    async fn snapshot(&self, id: &str) -> Result<Snapshot, Failure> {
        self.look(|state| {
            state.host.reach()?;
            let instance = state.host.get(id)?;
            let text = serde_json::to_string(instance)
                .map_err(|error| Failure::new("not_recordable", format!("cannot be recorded: {error}")))?;
            Ok(Snapshot { definition: Secret::new(text) })
        })
    }
}

/// Two containers were made from the same definition: what time did to them does not count.
pub(super) fn same_definition(left: &Instance, right: &Instance) -> bool {
    let still = |shown: &Container| Container {
        id: String::new(),
        created: jiff::Timestamp::UNIX_EPOCH,
        started: None,
        state: Running::Created,
        exit_code: None,
        oom_killed: false,
        restarts: 0,
        health: None,
        restart_policy: String::new(),
        networks: shown.networks.keys().map(|name| (name.clone(), String::new())).collect(),
        ..shown.clone()
    };
    still(&left.shown) == still(&right.shown)
        && left.environment == right.environment
        && left.command == right.command
}

pub(super) fn not_on_host(image: &str) -> Failure {
    Failure::new("not_on_host", format!("the image `{image}` is not on this host"))
}
