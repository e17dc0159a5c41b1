use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{own::own, platform::supported, roles::roles, route::way, settings::parted};
use crate::{
    event::Failure,
    ports::{
        Ports,
        compose::{Config, ServiceConfig},
        docker::{Container, Select},
        files::FilesRead,
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

/// Names of compose files in the order in which compose looks for them, with the override that it adds.
const FILES: [(&str, &str); 4] = [
    ("compose.yaml", "compose.override.yaml"),
    ("compose.yml", "compose.override.yml"),
    ("docker-compose.yml", "docker-compose.override.yml"),
    ("docker-compose.yaml", "docker-compose.override.yaml"),
];

/// Where uplift keeps its own things of the site in this folder, unless it is told otherwise.
fn state_in(dir: &Path) -> PathBuf {
    dir.join(".uplift")
}

const LABEL: &str = "com.docker.compose";

/// Finds the site and everything that is constant about it, and the way to its databases, which is not: the ports are
/// told it. `recorded` is how compose was told the project when a backup set was made: it counts where no container is
/// there to tell it.
pub async fn find(ports: &Ports, start: &Start, recorded: Option<&Project>) -> Result<Site, Failure> {
    supported(&*ports.docker, &*ports.compose).await?;
    let containers = ports.docker.containers(&Select::All).await?;
    let dir = match &start.dir {
        Some(dir) => dir.clone(),
        None => only_project(&containers)?,
    };
    let mut project = project(&dir, start, (&containers, recorded), &*ports.files).await?;
    let config = active_config(ports, &mut project, &containers).await?;
    let (web, job) = roles(&config)?;
    let environment = &config.services[&web.name].environment;
    if ports.files.size(&project.env_file()).await?.is_none() {
        let text = format!("there is no `{}`", project.env_file().display());
        return Err(Failure::new("env_missing", text)
            .hint("the product's settings live there; `-C DIR` names another site folder"));
    }
    let (settings, secrets) = parted(environment);
    let databases = databases(environment)?;
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
        compatible: own(&dir, &*ports.files).await?.compatible,
        state: start.state.clone().unwrap_or_else(|| state_in(&dir)),
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

/// The project's services. A service behind a profile belongs to the site if it has a container: nobody writes down
/// with which profiles a project was started.
async fn active_config(
    ports: &Ports,
    project: &mut Project,
    containers: &[Container],
) -> Result<Config, Failure> {
    let all = Project { profiles: vec!["*".to_owned()], ..project.clone() };
    let mut config = ports.compose.config(&all, &BTreeMap::new()).await?;
    let of_project = |one: &&Container| {
        one.labels.get(&format!("{LABEL}.project")).is_some_and(|name| *name == project.name)
    };
    let started: BTreeSet<_> = containers.iter().filter(of_project).filter_map(Container::service).collect();
    let recorded = |one: &ServiceConfig| one.profiles.iter().any(|name| project.profiles.contains(name));
    config
        .services
        .retain(|name, one| one.profiles.is_empty() || started.contains(name.as_str()) || recorded(one));
    let chosen: BTreeSet<_> = config.services.values().flat_map(|one| one.profiles.clone()).collect();
    project.profiles = chosen.into_iter().collect();
    Ok(config)
}

/// The folder of the engine's only project that runs Strata.
fn only_project(containers: &[Container]) -> Result<PathBuf, Failure> {
    let mut found = BTreeMap::new();
    for container in containers.iter().filter(|container| container.image.contains("strata")) {
        let label = |name: &str| container.labels.get(&format!("{LABEL}.{name}"));
        if let (Some(project), Some(dir)) = (label("project"), label("project.working_dir")) {
            found.insert(project.clone(), dir.clone());
        }
    }
    match found.into_iter().collect::<Vec<_>>().as_slice() {
        [(_, dir)] => Ok(PathBuf::from(dir)),
        [] => {
            Err(Failure::new("no_site", "no Strata project runs on this engine, and this folder holds none")
                .hint("go to the site folder, or name it with `-C DIR`"))
        }
        several => {
            let lines = several.iter().map(|(project, dir)| format!("`{project}` in `{dir}`"));
            Err(Failure::new("several_sites", "several Strata projects run on this engine")
                .hint("name one with `-C DIR`")
                .evidence(lines))
        }
    }
}

/// The project as its running containers were made, else as it is recorded, else as compose would find it in the folder.
async fn project(
    dir: &Path,
    start: &Start,
    (containers, recorded): (&[Container], Option<&Project>),
    files: &dyn FilesRead,
) -> Result<Project, Failure> {
    let label = |container: &Container, name: &str| container.labels.get(&format!("{LABEL}.{name}")).cloned();
    let here = |container: &&Container| {
        label(container, "project.working_dir").is_some_and(|found| Path::new(&found) == dir)
            && start
                .project
                .as_ref()
                .is_none_or(|wanted| label(container, "project").as_ref() == Some(wanted))
    };
    let ours: Vec<_> = containers.iter().filter(here).collect();
    let names: BTreeSet<_> = ours.iter().filter_map(|container| label(container, "project")).collect();
    if names.len() > 1 {
        let text = format!("several compose projects run from `{}`", dir.display());
        return Err(Failure::new("several_sites", text)
            .hint("name one with `--project NAME`")
            .evidence(names));
    }
    if let (true, Some(recorded)) = (ours.is_empty(), recorded.filter(|one| one.dir == dir)) {
        let name = start.project.clone().unwrap_or_else(|| recorded.name.clone());
        return Ok(Project { name, ..recorded.clone() });
    }
    let from_label = ours.iter().find_map(|container| label(container, "project.config_files"));
    let found = match from_label {
        Some(list) => list.split(',').map(PathBuf::from).collect(),
        None => in_folder(dir, files).await?,
    };
    let env_files = ours.iter().find_map(|container| label(container, "project.environment_file"));
    let mut env_files = env_files
        .filter(|list| !list.is_empty())
        .map_or_else(Vec::new, |list| list.split(',').map(PathBuf::from).collect::<Vec<_>>());
    // What compose reads by itself needs no word; named beside others it does.
    if env_files == [dir.join(".env")] {
        env_files.clear();
    }
    let name = start.project.clone().or_else(|| names.into_iter().next()).unwrap_or_else(|| normalised(dir));
    Ok(Project { name, dir: dir.to_owned(), files: found, env_files, profiles: Vec::new() })
}

async fn in_folder(dir: &Path, files: &dyn FilesRead) -> Result<Vec<PathBuf>, Failure> {
    for (name, over) in FILES {
        if files.size(&dir.join(name)).await?.is_some() {
            let mut found = vec![dir.join(name)];
            if files.size(&dir.join(over)).await?.is_some() {
                found.push(dir.join(over));
            }
            return Ok(found);
        }
    }
    Err(Failure::new("no_site", format!("`{}` holds no compose file", dir.display()))
        .hint("go to the site folder, or name it with `-C DIR`"))
}

/// The project name that compose makes of a folder's name.
fn normalised(dir: &Path) -> String {
    let name = dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let kept: String =
        name.chars().filter(|letter| letter.is_ascii_alphanumeric() || "_-".contains(*letter)).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
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
