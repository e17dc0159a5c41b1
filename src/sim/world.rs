mod changes;
mod data;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    faults::Fault,
    setup::{self, Shape},
    state::State,
};
use crate::{
    event::Failure,
    ports::{Outside, Ports},
    site::{
        Database, Databases, DeploymentPath, Endpoint, Grants, Scrubber, Secret, Service, Site, SslMode,
        Storage, is_secret,
    },
};

/// A host with Docker, compose, PostgreSQL, files and a clock of its own, all in memory. Nothing in it is random, and
/// time passes only when somebody waits or works.
///
/// A clone is the same world; [`World::fork`] makes another one.
///
/// ```
/// use uplift::{World, ports::docker::{Select, SetRestart}, sim::Fault};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), uplift::Failure> {
/// let world = World::strata();
/// let before = world.running();
/// // The first change from now on goes wrong.
/// world.fault(1, Fault::FailBefore);
/// let ports = world.ports();
/// let web = ports.docker.containers(&Select::All).await?.into_iter().find(|one| one.service() == Some("web"));
/// let restart = SetRestart {
///     id: web.expect("it runs").id,
///     service: "web".to_owned(),
///     from: "unless-stopped".to_owned(),
///     to: "no".to_owned(),
/// };
/// assert!(ports.docker.set_restart(&restart).await.is_err());
/// assert_eq!(world.running(), before);
/// ports.docker.set_restart(&restart).await?;
/// assert_ne!(world.running(), before);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// A healthy site at 1.0.0: web and job, four databases, a registry with
    /// - `1.1.0`, which brings two migrations, and `1.1.1` on the same schema;
    /// - `1.2.0`, whose web is never healthy;
    /// - `1.3.0`, whose fourth migration raises, after the third was committed;
    /// - `1.4.0`, which migrates for 90 s in many statements, then is fine;
    /// - `1.5.0`, whose web ends 5 s after its first answer;
    /// - `1.6.0`, whose worker ends 2 s after its start;
    /// - `1.7.0`, which ends at once, before it can migrate;
    /// - `1.8.0`, which migrates, and whose worker ends;
    /// - `1.9.0`, with one statement of 10 min, which goes on in the server when its client is gone.
    #[must_use]
    pub fn strata() -> Self {
        Self::shaped(&Shape::default())
    }

    /// The same site under another compose file.
    #[must_use]
    pub fn shaped(shape: &Shape) -> Self {
        let world = Self::of(setup::strata(shape));
        setup::start(&world);
        world
    }

    pub(super) fn of(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Another world, the same as this one is now. Nothing was written in it yet, no fault is armed, and nobody keeps it.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.lock().forked())
    }

    /// All ports of this world.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports {
            docker: Arc::new(self.clone()),
            compose: Arc::new(self.clone()),
            postgres: Arc::new(self.clone()),
            files: Arc::new(self.clone()),
            trees: Arc::new(self.clone()),
            http: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
            notices: Arc::new(self.clone()),
            programs: Arc::new(self.clone()),
            requests: Arc::new(self.clone()),
            variables: Arc::new(self.clone()),
            outside: Outside::default(),
            scrubber: Scrubber::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look<T>(&self, at: impl FnOnce(&mut State) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut state = self.lock();
        state.settle();
        at(&mut state)
    }

    pub(super) fn act<T>(
        &self,
        what: &str,
        work: impl FnOnce(&mut State) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.lock().write(what, work)
    }

    /// The site as a look at this world finds it now.
    #[must_use]
    pub fn site(&self) -> Site {
        let state = self.lock();
        let (secrets, settings): (BTreeMap<_, _>, BTreeMap<_, _>) =
            state.variables().into_iter().partition(|(name, value)| is_secret(name, value));
        let version = settings.get("STRATA_VERSION").cloned().unwrap_or_else(|| "latest".to_owned());
        let port = settings.get("PORT").cloned().unwrap_or_else(|| "3000".to_owned());
        let service = |name: &str, url: Option<String>| Service {
            name: name.to_owned(),
            repository: setup::REPOSITORY.to_owned(),
            tag: version.clone(),
            url,
        };
        let running = state.host.service(&state.model.project.name, "web");
        let image = running.first().and_then(|web| state.host.image(&web.image_id));
        let digest = image.and_then(|image| image.digest_in(setup::REPOSITORY)).map(str::to_owned);
        let job = state.model.services.keys().find(|name| *name != "web");
        let published = state.model.services.get("web").is_some_and(|web| web.port.is_some());
        let roles = ["primary", "queue", "cache", "cable"].iter().zip(&state.server.product);
        Site {
            name: state.model.project.name.clone(),
            path: DeploymentPath::Compose,
            project: state.model.project.clone(),
            web: service("web", published.then(|| format!("http://127.0.0.1:{port}"))),
            job: job.map(|name| service(name, None)),
            services: state.model.services.keys().cloned().collect(),
            hosts: Vec::new(),
            version: version.clone(),
            digest,
            storage: Storage::Local {
                volume: format!("{}_strata_storage", state.model.project.name),
                path: "/rails/storage".to_owned(),
            },
            databases: Databases {
                endpoint: Endpoint {
                    host: settings.get("DB_HOST").cloned().unwrap_or_default(),
                    port: settings.get("DB_PORT").and_then(|port| port.parse().ok()).unwrap_or(5432),
                    user: settings.get("DB_USERNAME").cloned().unwrap_or_default(),
                    ssl: SslMode::Prefer,
                    route: Endpoint::AS_IT_IS.to_owned(),
                },
                all: roles
                    .map(|(role, name)| Database {
                        role: (*role).to_owned(),
                        name: name.clone(),
                        rows_left_out: false,
                    })
                    .collect(),
            },
            compatible: Vec::new(),
            notify: None,
            params: BTreeMap::new(),
            grants: Grants::default(),
            state: state.model.project.dir.join(".uplift"),
            secrets: secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            settings,
        }
    }

    /// How many writes were asked for so far.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.lock().faults.log.len()
    }

    /// What was asked for, one line per write. A call that changes several things counts once per thing.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.lock().faults.log.clone()
    }

    /// Makes the `n`-th write from now on go wrong, counted from 1.
    pub fn fault(&self, n: usize, fault: Fault) {
        let mut state = self.lock();
        let number = state.faults.log.len() + n;
        state.faults.armed.insert(number, fault);
    }

    /// Makes the next write go wrong whose line begins with this.
    pub fn fault_at(&self, line: &str, fault: Fault) {
        self.lock().faults.next.push((line.to_owned(), fault));
    }

    /// What [`World::fault_at`] waits for yet.
    #[must_use]
    pub fn faults_ahead(&self) -> Vec<String> {
        self.lock().faults.next.iter().map(|(line, _)| line.clone()).collect()
    }

    /// Whether [`Fault::Lose`] took away a write that would have changed something.
    #[must_use]
    pub fn lost(&self) -> bool {
        self.lock().faults.lost
    }

    /// Takes back what [`World::fault`] armed and was not reached.
    pub fn clear_faults(&self) {
        self.lock().faults.armed.clear();
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.lock().pass(time);
    }
}
