//! Containers of a world that are none of compose's, and what they do once they run.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    engine::not_on_host,
    instance::Instance,
    programs::Does,
    registry::Built,
    state::{State, hex, later},
    world::World,
};
use crate::{
    event::Failure,
    ports::{
        docker::{Binding, Container, Image, Mount, RunContainer, Said, State as Running},
        project::repository,
    },
};

/// What one container does. Its arguments are its command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    does: Does,
    /// Nothing ends it.
    stays: bool,
}

impl Task {
    fn ends(&self, started: Timestamp) -> Option<Timestamp> {
        let takes = self.does.takes.map_or(Duration::ZERO, |span| span.0);
        (!self.stays).then(|| later(started, takes))
    }
}

impl World {
    /// An image that is not the product's, in the registry and, if so, on the host.
    pub fn put_image(&self, reference: &str, size: u64, on_host: bool) {
        let digest = format!("sha256:{}", hex(&format!("digest {reference}")));
        let image = Image {
            id: format!("sha256:{}", hex(&format!("image {reference}"))),
            tags: vec![reference.to_owned()],
            digests: vec![format!("{}@{digest}", repository(reference))],
            size,
        };
        let built = Built { image, release: None };
        let mut state = self.lock();
        if on_host {
            state.host.images.insert(built.image.id.clone(), built.clone());
        }
        state.registry.tags.insert(reference.to_owned(), (digest, built));
    }

    /// What containers of an image do that a runbook runs: by its name with the tag, or by its repository.
    pub fn put_tasks(&self, image: &str, does: &[Does]) {
        self.lock().tasks.insert(image.to_owned(), does.to_vec());
    }
}

impl State {
    /// Makes and starts it, as two writes.
    pub(super) fn run(&mut self, request: &RunContainer) -> Result<String, Failure> {
        if let Some(known) = self.host.named(&request.name) {
            let id = known.shown.id.clone();
            if known.shown.state != Running::Created {
                return Ok(id);
            }
            self.write(&format!("remove container {}", request.name), |state| {
                state.host.instances.remove(&id);
                Ok(())
            })?;
        }
        let id = self.write(&format!("make container {}", request.name), |state| state.make_task(request))?;
        self.write(&format!("run container {}", request.name), |state| {
            if let Some(port) = state.taken(&id)? {
                state.host.instances.remove(&id);
                let text =
                    format!("`0.0.0.0:{port}` is taken, and a container that publishes it cannot be started");
                let hint = format!("see who holds it: `docker ps --filter publish={port}`");
                return Err(Failure::new("port_taken", text).hint(hint));
            }
            state.start(&id)
        })?;
        Ok(id)
    }

    fn make_task(&mut self, request: &RunContainer) -> Result<String, Failure> {
        self.pass(Duration::from_millis(500));
        if !self.host.images.contains_key(&request.image_id) {
            return Err(not_on_host(&request.image_id));
        }
        let of_image = self.tasks.get(&request.image).or_else(|| self.tasks.get(repository(&request.image)));
        let words: Vec<_> = request.entrypoint.iter().chain(&request.command).cloned().collect();
        let fits = |does: &&Does| {
            does.args.as_ref().is_none_or(|args| *args == words)
                && does.where_is.as_ref().is_none_or(|path| self.disk.files.contains_key(path))
        };
        let does = of_image.and_then(|all| all.iter().find(fits)).cloned();
        let task = Task { stays: does.is_none() && request.stays, does: does.unwrap_or_default() };
        let id = self.next_id();
        let mut environment: BTreeMap<String, String> =
            request.settings.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        environment.extend(request.variables.clone());
        environment.extend(
            request.secrets.iter().map(|(name, lent)| (name.clone(), lent.value.reveal().to_owned())),
        );
        let shown = container(request, &request.image_id, &id, self.now);
        let instance = Instance { environment, command: words, task: Some(task), ..Instance::still(shown) };
        self.host.instances.insert(id.clone(), instance);
        Ok(id)
    }

    /// A port of this container that another which runs has.
    fn taken(&mut self, id: &str) -> Result<Option<u16>, Failure> {
        let wanted: Vec<_> = self.host.get(id)?.shown.ports.values().map(|one| one.host_port).collect();
        let up = self.host.instances.values().filter(|one| one.shown.id != id && one.shown.is_up());
        let mut held = up.flat_map(|one| one.shown.ports.values()).map(|one| one.host_port);
        Ok(held.find(|port| wanted.contains(port)))
    }

    /// Whether a task has come to its end by now.
    pub(super) fn end_task(&mut self, id: &str) -> bool {
        let now = self.now;
        let Some(instance) = self.host.instances.get_mut(id) else { return false };
        let (Some(task), Some(started)) = (instance.task.clone(), instance.shown.started) else {
            return false;
        };
        let Some(at) = task.ends(started).filter(|at| *at <= now && instance.shown.is_running()) else {
            return false;
        };
        for line in task.does.stdout.lines().chain(task.does.stderr.lines()) {
            instance.say(at, line);
        }
        instance.shown.state = Running::Exited;
        instance.shown.exit_code = Some(task.does.code.into());
        self.disconnect(id);
        // A disk that is full keeps nothing of it.
        let _left = self.leave(&task.does.makes, &task.does.removes);
        true
    }

    pub(super) fn said(&self, id: &str) -> Said {
        let Some(instance) = self.host.instances.get(id) else { return Said::default() };
        match (&instance.task, instance.shown.exit_code) {
            (Some(task), Some(_)) => {
                Said { stdout: task.does.stdout.clone(), stderr: task.does.stderr.clone() }
            }
            _ => Said::default(),
        }
    }
}

/// The container as the engine shows it before its start.
pub(super) fn container(request: &RunContainer, image_id: &str, id: &str, now: Timestamp) -> Container {
    let none = vec!["bridge".to_owned()];
    let networks = if request.networks.is_empty() { &none } else { &request.networks };
    let kind = |folder: bool| if folder { "bind" } else { "volume" }.to_owned();
    let mounts = request.mounts.iter().map(|one| Mount {
        kind: kind(one.is_folder()),
        source: one.source.clone(),
        target: one.target.clone(),
    });
    let ports = request.ports.iter().filter_map(|port| {
        let host_ip = if port.host_ip.is_empty() { "0.0.0.0".to_owned() } else { port.host_ip.clone() };
        Some((port.target, Binding { host_ip, host_port: port.published? }))
    });
    Container {
        id: id.to_owned(),
        name: request.name.clone(),
        image_id: image_id.to_owned(),
        image: request.image.clone(),
        created: now,
        started: None,
        state: Running::Created,
        exit_code: None,
        oom_killed: false,
        restarts: 0,
        health: None,
        restart_policy: "no".to_owned(),
        command: request.command.clone(),
        stop_timeout: None,
        labels: BTreeMap::new(),
        mounts: mounts.collect(),
        ports: ports.collect(),
        networks: networks.iter().map(|name| (name.clone(), String::new())).collect(),
        aliases: networks.iter().map(|name| (name.clone(), vec![request.name.clone()])).collect(),
        extra_hosts: request.extra_hosts.clone(),
    }
}
