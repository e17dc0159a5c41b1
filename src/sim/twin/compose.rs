use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Twin, short, tree::Node};
use crate::{
    event::{Change, Failure, Write},
    ports::{
        compose::{Compose, ComposeRead, Config, RunAside, ServiceConfig, Up, UpReport},
        docker::{Container, DockerRead, Select},
        files::FilesRead,
        postgres::PostgresRead,
    },
    sim::{
        compose::{aside, container, failed, fingerprint, unknown},
        dotenv::parse,
        engine::not_on_host,
        state::hex,
    },
    site::{Project, Secret},
};

/// Where the product's image holds its migrations, named after their versions.
const MIGRATIONS: &str = "/rails/db/migrate";

/// The settings of a project's env files.
struct Settings {
    live: BTreeMap<String, String>,
    /// Those that the rehearsal changed: the live value, and the new one (`None`: taken out).
    changed: BTreeMap<String, (Option<String>, Option<String>)>,
}

/// A migration that a rehearsal has to assume.
const NOT_KNOWN_YET: &str = "99991231235959";

impl Twin {
    async fn settings(&self, project: &Project) -> Result<Settings, Failure> {
        let files =
            if project.env_files.is_empty() { vec![project.env_file()] } else { project.env_files.clone() };
        let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
        for path in files {
            let live =
                self.live().files.read(&path).await?.map(|file| parse(&file.bytes)).unwrap_or_default();
            let untouched =
                matches!(self.lock().tree.resolve(&path), Node::Live { path: live, .. } if live == path);
            if untouched {
                new.extend(live.clone());
            } else if let Some(file) = self.read(&path).await? {
                new.extend(parse(&file.bytes));
            }
            old.extend(live);
        }
        let names: Vec<_> = old.keys().chain(new.keys()).cloned().collect();
        let pair = |name: String| {
            let pair = (old.get(&name).cloned(), new.get(&name).cloned());
            (pair.0 != pair.1).then_some((name, pair))
        };
        let changed = names.into_iter().filter_map(pair).collect();
        Ok(Settings { live: old, changed })
    }

    /// Compose files that the rehearsal changed cannot be read by the live compose.
    fn check_compose_files(&self, project: &Project) {
        for path in &project.files {
            let place = self.lock().tree.resolve(path);
            if !matches!(place, Node::Live { path: live, .. } if live == *path) {
                self.assume(format!("`{}` means the same services after its change", path.display()));
            }
        }
    }

    /// What each container of a service was made from: live ones from the configuration as it is.
    fn origin(&self, one: &Container, live: &Config, service: &str) -> Option<String> {
        let made = self.lock().containers.made.get(&one.id).cloned().flatten();
        made.or_else(|| live.services.get(service).map(fingerprint))
    }

    async fn up_service(
        &self,
        request: &Up,
        service: &str,
        config: &ServiceConfig,
        live: &Config,
    ) -> Result<String, Failure> {
        let reference = config.image.clone().unwrap_or_default();
        let image = self.image(&reference).await?.ok_or_else(|| failed(&not_on_host(&reference)))?;
        let all = self.all(&Select::Project(request.project.name.clone())).await?;
        let own = all.into_iter().filter(|one| one.service() == Some(service));
        let current = |one: &Container| {
            one.image_id == image.id && self.origin(one, live, service) == Some(fingerprint(config))
        };
        let (kept, replaced): (Vec<_>, Vec<_>) = own.partition(current);
        if let Some(kept) = kept.into_iter().next() {
            if !kept.is_running() {
                self.say_up(request, service, &reference, None);
                self.started(kept.clone());
            }
            return Ok(kept.id);
        }
        let made = self.make(request, service, config, &image.id, &replaced);
        let id = made.id.clone();
        self.say_up(request, service, &reference, replaced.first());
        self.started(made);
        self.migrated(service, config, &image.id).await?;
        Ok(id)
    }

    /// What web does while it boots: afterwards the database has the migrations of its image too, where they can be
    /// known. Without this a plan would miss them at its end.
    async fn migrated(&self, service: &str, config: &ServiceConfig, image: &str) -> Result<(), Failure> {
        let told = config.environment.get("STRATA_RUN_DB_PREPARE").map(Secret::reveal);
        if service != self.site().web.name || told != Some("true") {
            return Ok(());
        }
        let databases = self.site().databases.clone();
        let known = self.schema_versions(&databases.endpoint, databases.primary()).await?;
        let mut versions = known.unwrap_or_default();
        let brought = if self.is_planned_image(image) {
            // What cannot be looked at yet is taken to migrate: else a plan would take it back too easily.
            vec![NOT_KNOWN_YET.to_owned()]
        } else {
            let names = self.image_files(image, MIGRATIONS).await?;
            names.iter().filter_map(|name| name.get(..14)).map(str::to_owned).collect()
        };
        let new: Vec<_> = brought.into_iter().filter(|version| !versions.contains(version)).collect();
        if !new.is_empty() {
            self.assume(format!("`{service}` applies the migrations of its image while it boots"));
            versions.extend(new);
            versions.sort_unstable();
            self.set_schema(databases.primary(), versions);
        }
        Ok(())
    }

    fn make(
        &self,
        request: &Up,
        service: &str,
        config: &ServiceConfig,
        image_id: &str,
        replaced: &[Container],
    ) -> Container {
        let mut overlay = self.lock();
        let id = overlay.containers.next_id();
        let mut made = container(&request.project, service, config, image_id, &id, overlay.now);
        made.health = config.has_healthcheck.then(|| "starting".to_owned());
        if let Some(old) = replaced.first() {
            made.name.clone_from(&old.name);
            made.networks = old.networks.keys().map(|name| (name.clone(), String::new())).collect();
        }
        for old in replaced {
            overlay.containers.silence(old);
            overlay.containers.changed.insert(old.id.clone(), None);
        }
        overlay.containers.made.insert(id, Some(fingerprint(config)));
        made
    }

    fn say_up(&self, request: &Up, service: &str, image: &str, replaces: Option<&Container>) {
        let one = Up { project: request.project.clone(), services: vec![service.to_owned()] };
        let gone = replaces.map(|old| (service.to_owned(), old.id.clone())).into_iter().collect();
        let images = [(service.to_owned(), image.to_owned())].into();
        // Compose stops what it replaces.
        if let Some(old) = replaces.filter(|old| old.is_running()) {
            let (service, container) = (service.to_owned(), old.id.clone());
            self.wrote(Write { change: Change::ServiceDown { service, container }, shell: None });
        }
        for write in one.changes(&gone, &images) {
            self.wrote(write);
        }
    }
}

#[async_trait]
impl ComposeRead for Twin {
    async fn version(&self) -> Result<semver::Version, Failure> {
        let version = self.live().compose.version().await?;
        self.remember("docker compose".to_owned(), version.to_string());
        Ok(version)
    }

    async fn config(
        &self,
        project: &Project,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Config, Failure> {
        self.check_compose_files(project);
        let settings = self.settings(project).await?;
        let mut wanted: BTreeMap<_, _> = settings
            .changed
            .iter()
            .map(|(name, (_, new))| (name.clone(), new.clone().unwrap_or_default()))
            .collect();
        wanted.extend(overrides.clone());
        let mut config = self.live().compose.config(project, &wanted).await?;
        if wanted.is_empty() {
            let services: Vec<_> =
                config.services.iter().map(|(name, one)| format!("{name} {}", fingerprint(one))).collect();
            self.remember("compose configuration".to_owned(), short(&hex(&services.join(" "))));
        }
        for service in config.services.values_mut() {
            settings.apply(&mut service.environment);
        }
        Ok(config)
    }
}

impl Settings {
    /// An env file also reaches containers by itself (`env_file`), past compose's variables.
    fn apply(&self, environment: &mut BTreeMap<String, Secret>) {
        // Only then does the whole file come in; a database or proxy beside the product does not take it.
        if !self.live.keys().all(|name| environment.contains_key(name)) {
            return;
        }
        for (name, (old, new)) in &self.changed {
            // Set to something else by the compose file: the env file does not reach it.
            if environment.get(name).map(Secret::reveal) != old.as_deref() {
                continue;
            }
            match new {
                Some(new) => environment.insert(name.clone(), Secret::new(new)),
                None => environment.remove(name),
            };
        }
    }
}

#[async_trait]
impl Compose for Twin {
    async fn up(&self, request: &Up) -> Result<UpReport, Failure> {
        let none = BTreeMap::new();
        let live = self.live().compose.config(&request.project, &none).await?;
        let config = self.config(&request.project, &none).await?;
        let mut containers = BTreeMap::new();
        for service in &request.services {
            let known = config.services.get(service);
            let known = known.ok_or_else(|| unknown(service))?;
            let id = self.up_service(request, service, known, &live).await?;
            containers.insert(service.clone(), vec![id]);
        }
        Ok(UpReport { containers })
    }

    async fn create(&self, request: &Up) -> Result<(), Failure> {
        let config = self.config(&request.project, &BTreeMap::new()).await?;
        let all = self.all(&Select::Project(request.project.name.clone())).await?;
        for service in &request.services {
            let known = config.services.get(service).ok_or_else(|| unknown(service))?;
            let reference = known.image.clone().unwrap_or_default();
            let image = self.image(&reference).await?.ok_or_else(|| failed(&not_on_host(&reference)))?;
            if all.iter().any(|one| one.service() == Some(service.as_str())) {
                continue;
            }
            for mount in known.mounts.iter().filter(|mount| mount.kind == "volume") {
                let name = config.volumes.get(&mount.source).unwrap_or(&mount.source);
                self.plan_volume(name).await?;
            }
            let made = self.make(request, service, known, &image.id, &[]);
            self.change(made);
            self.wrote(
                Up { project: request.project.clone(), services: vec![service.clone()] }.create_change(),
            );
        }
        Ok(())
    }

    async fn run_aside(&self, request: &RunAside) -> Result<String, Failure> {
        let all = self.all(&Select::All).await?;
        if let Some(known) = all.into_iter().find(|one| one.name == request.name) {
            return Ok(known.id);
        }
        let config = self.config(&request.project, &request.overrides).await?;
        let config = config.services.get(&request.service).ok_or_else(|| unknown(&request.service))?;
        let reference = config.image.clone().unwrap_or_default();
        let image = self.image(&reference).await?.ok_or_else(|| failed(&not_on_host(&reference)))?;
        let made = {
            let mut overlay = self.lock();
            let id = overlay.containers.next_id();
            let made = aside(&request.project, &request.service, config, &image.id, &id, overlay.now);
            overlay.containers.made.insert(id, Some(fingerprint(config)));
            let health = config.has_healthcheck.then(|| "starting".to_owned());
            Container { name: request.name.clone(), health, ..made }
        };
        let id = made.id.clone();
        self.wrote(request.change(&reference));
        self.started(made);
        self.migrated(&request.service, config, &image.id).await?;
        Ok(id)
    }
}
