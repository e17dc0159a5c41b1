use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    own::own,
    platform::supported,
    project::{self, Search},
    roles::roles,
    route::way,
    settings::parted,
};
use crate::{
    event::Failure,
    ports::{
        Ports,
        compose::{Config, ServiceConfig},
        docker::{Container, Select},
        product::{databases, storage},
        project::of_service,
    },
    site::{DeploymentPath, Project, Secret, Site},
};

/// Where to look for a site. All of it may be left out where there is only one.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The site folder; `None`: the engine's only Strata project.
    pub dir: Option<PathBuf>,
    /// The compose project's name, where it is not the one that compose would choose.
    pub project: Option<String>,
    /// The state folder, where it is not `.uplift` in the site folder.
    pub state: Option<PathBuf>,
}

impl Start {
    /// The state folder, where no look at the site is needed to know it.
    #[must_use]
    pub fn state(&self) -> Option<PathBuf> {
        self.state.clone().or_else(|| Some(state_in(self.dir.as_ref()?)))
    }

    /// A site in this folder.
    #[must_use]
    pub fn in_folder(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..Self::default() }
    }
}

/// Where uplift keeps its own things of the site in this folder, unless it is told otherwise.
fn state_in(dir: &Path) -> PathBuf {
    dir.join(".uplift")
}

/// Finds the site and everything that is constant about it, and the way to its databases, which is not: the ports are
/// told it. `recorded` is how compose was told the project when a backup set was made: it counts where no container is
/// there to tell it.
pub async fn find(ports: &Ports, start: &Start, recorded: Option<&Project>) -> Result<Site, Failure> {
    supported(&*ports.docker, &*ports.compose).await?;
    let containers = ports.docker.containers(&Select::All).await?;
    let dir = match &start.dir {
        Some(dir) => dir.clone(),
        None => project::only(&containers)?,
    };
    let own = own(&dir, &*ports.files).await?;
    let (own_site, files) = (&own.site, &*ports.files);
    let search = Search { start, own: own_site, containers: &containers, recorded, files };
    let mut project = search.in_folder(&dir).await?;
    let config = active_config(ports, &mut project, &containers).await;
    let without_env = ports.files.size(&project.env_file()).await?.is_none();
    let config = config.map_err(|failure| {
        if without_env { env_missing(&project).evidence([failure.message]) } else { failure }
    })?;
    search.is_from_here(&project).await?;
    let (web, job) = roles(&config, &own.services)?;
    let environment = &config.services[&web.name].environment;
    if without_env {
        return Err(env_missing(&project));
    }
    let (settings, secrets) = parted(environment);
    let mut databases = databases(environment)?;
    for one in &mut databases.all {
        one.rows_left_out = own.left_out.contains(&one.role);
    }
    let running = of_service(&*ports.docker, &project, &web.name).await?;
    let digest = match running.first() {
        Some(container) => ports.docker.image(&container.image_id).await?,
        None => None,
    };
    let digest = digest.and_then(|image| image.digest_in(&web.repository).map(str::to_owned));
    let storage = storage(&config, &config.services[&web.name], &running)?;
    let mut site = Site {
        name: project.name.clone(),
        path: DeploymentPath::Compose,
        version: web.tag.clone(),
        services: config.services.keys().cloned().collect(),
        hosts: vec!["localhost".to_owned()],
        compatible: own.compatible,
        notify: own.notify,
        params: own.params,
        grants: own.grants,
        state: start.state.clone().unwrap_or_else(|| state_in(&project.dir)),
        project,
        web,
        job,
        digest,
        storage,
        databases,
        settings,
        secrets: all_secrets(&config, secrets),
    };
    let way = way(ports, &site).await?;
    ports.postgres.go_by(&way);
    site.databases.endpoint.route = way.words;
    Ok(site)
}

fn env_missing(project: &Project) -> Failure {
    Failure::new("env_missing", format!("there is no `{}`", project.env_file().display()))
        .hint(
            "the product's settings live there, and each backup has a copy of it, `config-0-env`: `uplift backup list`; `-C \
             DIR` names another site folder",
        )
}

/// The project's services. A service behind a profile belongs to the site if it has a container: nobody writes down
/// with which profiles a project was started.
pub(super) async fn active_config(
    ports: &Ports,
    project: &mut Project,
    containers: &[Container],
) -> Result<Config, Failure> {
    let all = Project { profiles: vec!["*".to_owned()], ..project.clone() };
    let mut config = ports.compose.config(&all, &BTreeMap::new()).await?;
    project.name.clone_from(&config.name);
    let of_project = |one: &&Container| project::of(one) == Some(&config.name);
    let started: BTreeSet<_> = containers.iter().filter(of_project).filter_map(Container::service).collect();
    let recorded = |one: &ServiceConfig| one.profiles.iter().any(|name| project.profiles.contains(name));
    config
        .services
        .retain(|name, one| one.profiles.is_empty() || started.contains(name.as_str()) || recorded(one));
    let chosen: BTreeSet<_> = config.services.values().flat_map(|one| one.profiles.clone()).collect();
    project.profiles = chosen.into_iter().collect();
    Ok(config)
}

/// Secrets of every service: what must never be shown does not depend on who uses it.
fn all_secrets(config: &Config, own: BTreeMap<String, Secret>) -> BTreeMap<String, Secret> {
    let mut secrets = own;
    for (name, service) in &config.services {
        for (key, value) in parted(&service.environment).1 {
            match secrets.get(&key) {
                Some(known) if *known == value => {}
                Some(_) => {
                    secrets.insert(format!("{name}:{key}"), value);
                }
                None => {
                    secrets.insert(key, value);
                }
            }
        }
    }
    secrets
}
