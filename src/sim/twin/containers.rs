//! Containers and images of a rehearsal, above the live ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use super::{BOOT, Twin, short};
use crate::{
    event::Failure,
    ports::docker::{Container, Image, Select, State},
    sim::{
        engine::of_project,
        state::{hex, later},
    },
};

#[derive(Default, Clone)]
pub(super) struct Containers {
    /// As the rehearsal left them, by id; `None`: removed.
    pub changed: BTreeMap<String, Option<Container>>,
    /// Those that the rehearsal started: what they answer is assumed.
    pub started: BTreeSet<String>,
    /// Those that the rehearsal made, with the configuration that they were made from, where that is known.
    pub made: BTreeMap<String, Option<String>>,
    /// What a snapshot is of, by the hash of its definition.
    pub snapshots: BTreeMap<String, (Container, Option<String>)>,
    /// Images that the rehearsal pulled.
    pub pulled: Vec<Image>,
    /// Names that the rehearsal gave, with image ids.
    pub tags: BTreeMap<String, String>,
    /// Addresses of live containers that the rehearsal stopped or removed: their sessions are gone with them.
    pub silent: BTreeSet<String>,
    count: u32,
}

impl Containers {
    pub(super) fn next_id(&mut self) -> String {
        self.count += 1;
        hex(&format!("planned container {}", self.count))
    }

    pub(super) fn silence(&mut self, container: &Container) {
        self.silent.extend(container.networks.values().filter(|address| !address.is_empty()).cloned());
    }

    /// A command with the names of containers that are yet to be made: only these are known beforehand.
    pub(super) fn by_name(&self, command: String) -> String {
        let made = self.made.keys().filter_map(|id| self.changed.get(id)?.as_ref());
        made.fold(command, |command, container| command.replace(short(&container.id), &container.name))
    }

    /// An address that belongs to nobody, for a container whose real one is not known yet.
    pub(super) fn address(&self) -> String {
        format!("198.51.100.{}", self.count % 250 + 1)
    }
}

impl Twin {
    /// A container as the rehearsal sees it now.
    pub(super) async fn seen(&self, id: &str) -> Result<Option<Container>, Failure> {
        let (known, now) = {
            let overlay = self.lock();
            (overlay.containers.changed.get(id).cloned(), overlay.now)
        };
        match known {
            Some(known) => Ok(known.map(|container| aged(container, now))),
            None => self.live().docker.container(id).await,
        }
    }

    pub(super) async fn must_see(&self, id: &str) -> Result<Container, Failure> {
        let missing = || Failure::new("container_missing", format!("there is no container `{id}`"));
        self.seen(id).await?.ok_or_else(missing)
    }

    pub(super) async fn all(&self, select: &Select) -> Result<Vec<Container>, Failure> {
        let live = self.live().docker.containers(select).await?;
        for container in live.iter().filter(|one| of_project(one, &self.site().project.name)) {
            self.rely_on(container);
        }
        let overlay = self.lock();
        let changed = &overlay.containers.changed;
        let wanted = |container: &Container| match select {
            Select::Project(project) => of_project(container, project),
            Select::All => true,
        };
        let mut all: Vec<_> = live.into_iter().filter(|one| !changed.contains_key(&one.id)).collect();
        all.extend(changed.values().flatten().filter(|one| wanted(one)).cloned());
        all.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(all.into_iter().map(|container| aged(container, overlay.now)).collect())
    }

    pub(super) fn rely_on(&self, container: &Container) {
        let value = format!(
            "{} of image {}, restart {}",
            container.short_id(),
            short(&container.image_id),
            container.restart_policy
        );
        self.remember(format!("container `{}`", container.name), value);
    }

    pub(super) fn change(&self, container: Container) {
        self.lock().containers.changed.insert(container.id.clone(), Some(container));
    }

    /// Runs no more, in the rehearsal.
    pub(super) fn stopped(&self, mut container: Container) {
        container.state = State::Exited;
        container.exit_code = Some(0);
        let mut overlay = self.lock();
        overlay.containers.silence(&container);
        overlay.containers.started.remove(&container.id);
        overlay.containers.changed.insert(container.id.clone(), Some(container));
    }

    /// Runs from now on, in the rehearsal.
    pub(super) fn started(&self, mut container: Container) {
        let mut overlay = self.lock();
        container.state = State::Running;
        container.started = Some(overlay.now);
        container.exit_code = None;
        let address = overlay.containers.address();
        for known in container.networks.values_mut().filter(|known| known.is_empty()) {
            known.clone_from(&address);
        }
        container.health = container.health.map(|_| "starting".to_owned());
        overlay.containers.started.insert(container.id.clone());
        overlay.containers.changed.insert(container.id.clone(), Some(container));
    }
}

/// A started container becomes healthy after an assumed boot.
fn aged(mut container: Container, now: Timestamp) -> Container {
    if container.health.as_deref() == Some("starting") && has_booted(&container, now, BOOT) {
        container.health = Some("healthy".to_owned());
    }
    container
}

pub(super) fn has_booted(container: &Container, now: Timestamp, boot: Duration) -> bool {
    container.is_running() && container.started.is_some_and(|started| later(started, boot) <= now)
}
