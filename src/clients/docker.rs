//! The Docker Engine of this host, over its local socket.

mod archive;
mod container;
mod credentials;
mod failed;
mod image;
mod layers;
mod logs;
mod names;
mod place;
mod pull;
mod recreate;
mod run;
mod snapshot;

use std::collections::BTreeMap;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::{
    API_DEFAULT_VERSION, Docker as Api,
    models::{ContainerUpdateBody, RestartPolicy},
    query_parameters::{
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
        TagImageOptionsBuilder,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{Mutex, OnceCell};

pub(super) use self::failed::port_taken;
use self::{
    failed::{answered, is_missing, missing},
    place::Place,
};
use super::process::Processes;
use crate::{
    event::{Failure, Teller},
    ports::{
        docker::{
            Container, Docker, DockerRead, Engine, Image, LogLine, Pull, Recreate, RemoveContainer,
            RunContainer, Said, Select, SetRestart, Snapshot, Start, State, Stop, Tag,
        },
        project::{repository, tag},
    },
    site::Secret,
};

/// How long the engine may take to begin its answer. A busy disk makes it slow; a minute is no longer slow.
const PATIENCE: Duration = Duration::from_mins(2);
/// Containers asked for side by side.
const AT_ONCE: usize = 8;

/// Names of files by image and folder.
type Known = HashMap<(String, String), Vec<String>>;

/// The engine, spoken to when it is first needed, in the newest version that both sides know.
#[derive(Clone)]
pub(super) struct EngineClient {
    place: Arc<Place>,
    processes: Processes,
    api: Arc<OnceCell<Api>>,
    files: Arc<Mutex<Known>>,
}

impl EngineClient {
    pub(super) fn new(processes: Processes) -> Self {
        let place = Arc::new(Place::of(&processes.environment));
        Self { place, processes, api: Arc::default(), files: Arc::default() }
    }

    /// Where the engine is, as a child's `DOCKER_HOST`: so that compose never speaks to another than we do.
    pub(super) fn address(&self) -> &str {
        &self.place.address
    }

    async fn api(&self) -> Result<&Api, Failure> {
        let path = self.place.socket().ok_or_else(|| self.place.elsewhere())?;
        let connect = async || {
            let reached = Api::connect_with_unix(path, PATIENCE.as_secs(), API_DEFAULT_VERSION);
            let api = reached.map_err(|error| answered(&self.place, &error))?;
            let api = credentials::repaired(api);
            api.negotiate_version().await.map_err(|error| answered(&self.place, &error))
        };
        self.api.get_or_try_init(connect).await
    }

    fn answered(&self, error: &bollard::errors::Error) -> Failure {
        answered(&self.place, error)
    }

    /// A container as it is, or a failure that it is not there.
    async fn there(&self, id: &str) -> Result<Container, Failure> {
        self.container(id).await?.ok_or_else(|| missing(id))
    }
}

#[async_trait]
impl DockerRead for EngineClient {
    async fn engine(&self) -> Result<Engine, Failure> {
        if self.place.socket().is_none() {
            return Ok(Place::unasked());
        }
        let api = self.api().await?;
        let version = api.version().await.map_err(|error| self.answered(&error))?;
        let info = api.info().await.map_err(|error| self.answered(&error))?;
        Ok(place::engine(&version, &info))
    }

    async fn containers(&self, select: &Select) -> Result<Vec<Container>, Failure> {
        let mut options = ListContainersOptionsBuilder::new().all(true);
        if let Select::Project(project) = select {
            let label = format!("com.docker.compose.project={project}");
            options = options.filters(&HashMap::from([("label", vec![label.as_str()])]));
        }
        let listed = self.api().await?.list_containers(Some(options.build())).await;
        let listed = listed.map_err(|error| self.answered(&error))?;
        let ids = listed.into_iter().filter_map(|one| one.id);
        let looked = stream::iter(ids).map(async |id| self.container(&id).await).buffered(AT_ONCE);
        // One that went away between the two questions is not there.
        let found: Vec<Option<Container>> = looked.try_collect().await?;
        let wanted = |one: &Container| {
            let once = one.labels.get("com.docker.compose.oneoff").is_some_and(|value| value == "True");
            matches!(select, Select::All) || !once
        };
        let mut found: Vec<_> = found.into_iter().flatten().filter(wanted).collect();
        found.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(found)
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, Failure> {
        match self.api().await?.inspect_container(id, None).await {
            Ok(found) => container::shown(found).map(Some),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.answered(&error)),
        }
    }

    async fn environment(&self, id: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        match self.api().await?.inspect_container(id, None).await {
            Ok(found) => Ok(container::environment(found.config.and_then(|config| config.env))),
            Err(error) if is_missing(&error) => Ok(BTreeMap::new()),
            Err(error) => Err(self.answered(&error)),
        }
    }

    async fn image_environment(&self, image_id: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        match self.api().await?.inspect_image(image_id).await {
            Ok(found) => Ok(container::environment(found.config.and_then(|config| config.env))),
            Err(error) if is_missing(&error) => Ok(BTreeMap::new()),
            Err(error) => Err(self.answered(&error)),
        }
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, Failure> {
        match self.api().await?.inspect_image(reference).await {
            Ok(found) => Ok(Some(image::shown(found))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.answered(&error)),
        }
    }

    async fn remote_digest(&self, reference: &str) -> Result<String, Failure> {
        self.registered(reference).await
    }

    async fn image_files(&self, image_id: &str, folder: &str) -> Result<Vec<String>, Failure> {
        // Images never change; one at a time, because reading one keeps a disk busy.
        let mut known = self.files.lock().await;
        let key = (image_id.to_owned(), folder.to_owned());
        if let Some(files) = known.get(&key) {
            return Ok(files.clone());
        }
        let files = self.listed(image_id, folder).await?;
        known.insert(key, files.clone());
        Ok(files)
    }

    async fn logs(&self, id: &str, tail: Option<usize>) -> Result<Vec<LogLine>, Failure> {
        logs::read(self.api().await?, id, tail).await.map_err(|error| self.about(id, &error))
    }

    async fn file(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.file_of(id, path).await
    }

    async fn gateway(&self) -> Result<Option<String>, Failure> {
        match self.api().await?.inspect_network("bridge", None).await {
            Ok(found) => Ok(archive::gateway(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.answered(&error)),
        }
    }

    async fn volume(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.api().await?.inspect_volume(name).await {
            Ok(volume) => Ok(Some(volume.mountpoint)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.answered(&error)),
        }
    }

    async fn said(&self, id: &str) -> Result<Said, Failure> {
        self.has_said(id).await
    }

    async fn network(&self, name: &str) -> Result<bool, Failure> {
        self.has_network(name).await
    }

    async fn snapshot(&self, id: &str) -> Result<Snapshot, Failure> {
        let found = self.api().await?.inspect_container(id, None).await;
        snapshot::Definition::of(found.map_err(|error| self.about(id, &error))?)?.recorded()
    }
}

#[async_trait]
impl Docker for EngineClient {
    async fn pull(&self, request: &Pull, tell: &Teller) -> Result<Image, Failure> {
        self.pulled(request, tell).await
    }

    async fn tag(&self, request: &Tag) -> Result<(), Failure> {
        if self.image(&request.image_id).await?.is_none() {
            return Err(failed::not_on_host(&request.image_id));
        }
        let (name, label) = (repository(&request.reference), tag(&request.reference));
        let options = TagImageOptionsBuilder::new().repo(name).tag(label).build();
        let tagged = self.api().await?.tag_image(&request.image_id, Some(options)).await;
        tagged.map_err(|error| self.answered(&error))
    }

    async fn stop(&self, request: &Stop) -> Result<(), Failure> {
        let container = self.there(&request.id).await?;
        if !matches!(container.state, State::Running | State::Restarting | State::Paused) {
            return Ok(());
        }
        if container.state == State::Paused {
            // A frozen process cannot end itself: it would be killed when its time is over.
            let woken = self.api().await?.unpause_container(&request.id).await;
            woken.map_err(|error| self.about(&request.id, &error))?;
        }
        let own = Duration::from_secs(container.stop_timeout.unwrap_or(10));
        let time = request.timeout.map_or(own, |time| time.max(own));
        let seconds = i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        // Left out where nothing else is asked for: a container may have its own way of saying "without end".
        let options = StopContainerOptionsBuilder::new();
        let options = if request.timeout.is_some() { options.t(seconds) } else { options }.build();
        let api = self.api().await?.clone().with_timeout(time.saturating_add(PATIENCE));
        let stopped = api.stop_container(&request.id, Some(options)).await;
        stopped.map_err(|error| failed::begun(&error, self.about(&request.id, &error)))
    }

    async fn start(&self, request: &Start) -> Result<(), Failure> {
        let started = self.api().await?.start_container(&request.id, None).await;
        started.map_err(|error| failed::begun(&error, self.about(&request.id, &error)))
    }

    async fn remove(&self, request: &RemoveContainer) -> Result<(), Failure> {
        let Some(container) = self.container(&request.id).await? else { return Ok(()) };
        if matches!(container.state, State::Running | State::Restarting | State::Paused) {
            let text = format!("the container of `{}` still runs", request.service);
            return Err(Failure::new("container_running", text)
                .hint(format!("stop it first: `docker stop {}`", container.short_id())));
        }
        // `v` would take its anonymous volumes along: they may hold what nobody else has.
        let options = RemoveContainerOptionsBuilder::new().v(false).force(false).build();
        match self.api().await?.remove_container(&request.id, Some(options)).await {
            Err(error) if !is_missing(&error) => Err(failed::begun(&error, self.answered(&error))),
            _ => Ok(()),
        }
    }

    async fn recreate(&self, request: &Recreate) -> Result<String, Failure> {
        self.made_again(request).await
    }

    async fn run(&self, request: &RunContainer) -> Result<String, Failure> {
        self.ran(request).await
    }

    async fn set_restart(&self, request: &SetRestart) -> Result<(), Failure> {
        let restart_policy = Some(container::policy(&request.to)?);
        let body = ContainerUpdateBody { restart_policy, ..ContainerUpdateBody::default() };
        let updated = self.api().await?.update_container(&request.id, body).await;
        updated.map_err(|error| failed::begun(&error, self.about(&request.id, &error)))
    }
}

/// What a policy without a name means.
fn no_policy() -> RestartPolicy {
    RestartPolicy { name: Some(bollard::models::RestartPolicyNameEnum::NO), maximum_retry_count: None }
}
