use async_trait::async_trait;

use super::{STOP, Twin, short};
use crate::{
    event::{Failure, Teller},
    ports::docker::{
        Container, Docker, DockerRead, Engine, Image, LogLine, Pull, Recreate, RemoveContainer, RunContainer,
        Said, Select, SetRestart, Snapshot, Start, State, Stop, Tag,
    },
    sim::{engine::not_on_host, state::hex},
    site::Secret,
};

impl Twin {
    /// Names as the rehearsal gave them.
    fn dressed(&self, mut image: Image) -> Image {
        let overlay = self.lock();
        let tags = &overlay.containers.tags;
        image.tags.retain(|tag| tags.get(tag).is_none_or(|owner| *owner == image.id));
        let given = tags.iter().filter(|(_, owner)| **owner == image.id).map(|(tag, _)| tag.clone());
        image.tags.extend(given);
        image.tags.sort();
        image.tags.dedup();
        image
    }

    pub(super) fn is_planned_image(&self, id: &str) -> bool {
        self.lock().containers.pulled.iter().any(|image| image.id == id)
    }

    /// The container that a kept definition is of.
    async fn kept(&self, request: &Recreate) -> Result<(Container, Option<String>), Failure> {
        let known = self.lock().containers.snapshots.get(&hex(request.snapshot.definition.reveal())).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        // Kept by an earlier run, in a form that only its client reads.
        let service = &request.service;
        self.assume(format!("the container of `{service}` is made again as it was kept"));
        let image = self.image(&request.image).await?.ok_or_else(|| not_on_host(&request.image))?;
        let project = &self.site().project;
        let config = self.live().compose.config(project, &std::collections::BTreeMap::new()).await?;
        let config = config.services.get(service).ok_or_else(|| {
            Failure::new("no_such_service", format!("the compose files have no service `{service}`"))
        })?;
        let now = self.lock().now;
        let mut made = crate::sim::compose::container(project, service, config, &image.id, "", now);
        made.image.clone_from(&request.image);
        Ok((made, None))
    }
}

#[async_trait]
impl DockerRead for Twin {
    async fn engine(&self) -> Result<Engine, Failure> {
        let engine = self.live().docker.engine().await?;
        self.remember("docker engine".to_owned(), &engine.version);
        Ok(engine)
    }

    async fn containers(&self, select: &Select) -> Result<Vec<Container>, Failure> {
        self.all(select).await
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, Failure> {
        let seen = self.seen(id).await?;
        if let Some(container) =
            seen.as_ref().filter(|one| !self.lock().containers.changed.contains_key(&one.id))
        {
            self.rely_on(container);
        }
        Ok(seen)
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, Failure> {
        let (id, planned) = {
            let overlay = self.lock();
            let containers = &overlay.containers;
            let id = containers.tags.get(reference).cloned().unwrap_or_else(|| reference.to_owned());
            let known = |image: &&Image| image.id == id || image.digests.contains(&id);
            (id.clone(), containers.pulled.iter().find(known).cloned())
        };
        if let Some(planned) = planned {
            return Ok(Some(self.dressed(planned)));
        }
        let live = self.live().docker.image(&id).await?;
        let value = live.as_ref().map_or("missing", |image| short(&image.id));
        self.remember(format!("image `{id}`"), value);
        Ok(live.map(|image| self.dressed(image)))
    }

    async fn remote_digest(&self, reference: &str) -> Result<String, Failure> {
        let digest = self.live().docker.remote_digest(reference).await?;
        self.remember(format!("registry digest of `{reference}`"), &digest);
        Ok(digest)
    }

    async fn image_files(&self, image_id: &str, folder: &str) -> Result<Vec<String>, Failure> {
        if self.is_planned_image(image_id) {
            return Err(not_on_host(image_id).hint("pull the image first to know what it holds"));
        }
        self.live().docker.image_files(image_id, folder).await
    }

    async fn environment(&self, id: &str) -> Result<std::collections::BTreeMap<String, Secret>, Failure> {
        if self.lock().containers.made.contains_key(id) {
            self.assume("a container that the plan makes gets the variables that its files give");
            return Ok(std::collections::BTreeMap::new());
        }
        self.live().docker.environment(id).await
    }

    async fn image_environment(
        &self,
        image_id: &str,
    ) -> Result<std::collections::BTreeMap<String, Secret>, Failure> {
        self.live().docker.image_environment(image_id).await
    }

    async fn logs(&self, id: &str, tail: Option<usize>) -> Result<Vec<LogLine>, Failure> {
        if self.lock().containers.made.contains_key(id) {
            // Whatever runs says something, and who keeps logs keeps this one too.
            let ran = self.seen(id).await?.is_some_and(|one| one.started.is_some());
            let line = LogLine { at: None, text: "what it says is known once it has run".to_owned() };
            return Ok(if ran { vec![line] } else { Vec::new() });
        }
        self.live().docker.logs(id, tail).await
    }

    async fn said(&self, id: &str) -> Result<Said, Failure> {
        if self.lock().containers.made.contains_key(id) {
            return Ok(Said::default());
        }
        self.live().docker.said(id).await
    }

    async fn network(&self, name: &str) -> Result<bool, Failure> {
        let there = self.live().docker.network(name).await?;
        self.remember(format!("network `{name}`"), if there { "there" } else { "missing" });
        Ok(there)
    }

    async fn file(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        if self.lock().containers.made.contains_key(id) {
            let text = "what is in a container that the plan makes is not known before";
            return Err(Failure::new("not_on_host", text));
        }
        self.live().docker.file(id, path).await
    }

    async fn gateway(&self) -> Result<Option<String>, Failure> {
        self.live().docker.gateway().await
    }

    async fn volume(&self, name: &str) -> Result<Option<String>, Failure> {
        let place = self.live().docker.volume(name).await?;
        self.remember(format!("volume `{name}`"), place.as_deref().unwrap_or("missing"));
        Ok(place.or_else(|| self.lock().volumes.get(name).cloned()))
    }

    async fn snapshot(&self, id: &str) -> Result<Snapshot, Failure> {
        let container = self.must_see(id).await?;
        let made = self.lock().containers.made.get(id).cloned();
        let snapshot = match &made {
            Some(_) => Snapshot { definition: Secret::new(format!("planned container {id}")) },
            None => self.live().docker.snapshot(id).await?,
        };
        let key = hex(snapshot.definition.reveal());
        self.lock().containers.snapshots.insert(key, (container, made.flatten()));
        Ok(snapshot)
    }
}

impl Twin {
    /// Of the largest image that the project runs, in bytes.
    async fn size_in_use(&self) -> Result<u64, Failure> {
        let mut largest = 0;
        for container in self.all(&Select::Project(self.site().project.name.clone())).await? {
            let image = self.image(&container.image_id).await?;
            largest = largest.max(image.map_or(0, |image| image.size));
        }
        Ok(largest)
    }
}

#[async_trait]
impl Docker for Twin {
    async fn pull(&self, request: &Pull, _tell: &Teller) -> Result<Image, Failure> {
        let (repository, _) = request.reference.rsplit_once(':').unwrap_or((&request.reference, ""));
        let full = format!("{repository}@{}", request.digest);
        let known = self.image(&full).await?;
        if let Some(image) = &known
            && image.tags.contains(&request.reference)
        {
            return Ok(image.clone());
        }
        let found = self.remote_digest(&request.reference).await?;
        if found != request.digest {
            let message = format!("`{}` is another image now than when it was looked up", request.reference);
            let evidence = [format!("expected {}", request.digest), format!("found {found}")];
            return Err(Failure::new("tag_moved", message).evidence(evidence));
        }
        let planned = known.is_none();
        let image = match known {
            Some(image) => image,
            None => Image {
                id: format!("sha256:{}", hex(&format!("planned image {full}"))),
                tags: Vec::new(),
                digests: vec![full],
                size: self.size_in_use().await?,
            },
        };
        {
            let containers = &mut self.lock().containers;
            containers.tags.insert(request.reference.clone(), image.id.clone());
            if planned {
                containers.pulled.push(image.clone());
            }
        }
        // An image that is here already only gets a name.
        let bytes = if planned { image.size } else { 0 };
        if planned {
            self.assume(
                "the image is as large as the one that runs now, less what of it is on this host already",
            );
        }
        self.wrote(request.change(Some(bytes)));
        Ok(self.dressed(image))
    }

    async fn tag(&self, request: &Tag) -> Result<(), Failure> {
        let image = self.image(&request.image_id).await?.ok_or_else(|| not_on_host(&request.image_id))?;
        if !image.tags.contains(&request.reference) {
            self.lock().containers.tags.insert(request.reference.clone(), image.id);
            self.wrote(request.change());
        }
        Ok(())
    }

    async fn stop(&self, request: &Stop) -> Result<(), Failure> {
        let container = self.must_see(&request.id).await?;
        if matches!(container.state, State::Running | State::Restarting | State::Paused) {
            self.pass(STOP);
            self.stopped(container);
            self.wrote(request.change());
        }
        Ok(())
    }

    async fn start(&self, request: &Start) -> Result<(), Failure> {
        let container = self.must_see(&request.id).await?;
        if !container.is_running() {
            self.started(container);
            self.wrote(request.change());
        }
        Ok(())
    }

    async fn remove(&self, request: &RemoveContainer) -> Result<(), Failure> {
        let Some(container) = self.seen(&request.id).await? else { return Ok(()) };
        if matches!(container.state, State::Running | State::Restarting | State::Paused) {
            let message = format!("the container of `{}` still runs", request.service);
            return Err(Failure::new("container_running", message));
        }
        self.wrote(request.change());
        self.lock().containers.changed.insert(container.id, None);
        Ok(())
    }

    async fn recreate(&self, request: &Recreate) -> Result<String, Failure> {
        let (mut made, origin) = self.kept(request).await?;
        let others = self.all(&Select::All).await?;
        if let Some(other) = others.iter().find(|other| other.name == made.name) {
            if (&other.image_id, &other.labels) == (&made.image_id, &made.labels) {
                return Ok(other.id.clone());
            }
            let message = format!("there is another container named `{}`", made.name);
            return Err(Failure::new("name_taken", message));
        }
        let id = {
            let mut overlay = self.lock();
            made.id = overlay.containers.next_id();
            made.created = overlay.now;
            overlay.containers.made.insert(made.id.clone(), origin);
            made.id.clone()
        };
        made.state = State::Created;
        (made.started, made.exit_code) = (None, None);
        made.networks.values_mut().for_each(String::clear);
        self.change(made);
        self.wrote(request.change());
        Ok(id)
    }

    async fn run(&self, request: &RunContainer) -> Result<String, Failure> {
        self.ran(request).await
    }

    async fn set_restart(&self, request: &SetRestart) -> Result<(), Failure> {
        let mut container = self.must_see(&request.id).await?;
        if container.restart_policy != request.to {
            container.restart_policy.clone_from(&request.to);
            self.change(container);
            self.wrote(request.change());
        }
        Ok(())
    }
}
