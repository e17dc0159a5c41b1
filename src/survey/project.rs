//! Which compose project a site is, and from which files it is made.
//!
//! Containers tell it: they carry in labels how compose was called. What `uplift.toml` says comes before that, as an
//! operator's word. Where neither is there, compose's own choice in the folder counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    Start,
    own::{FILE, OwnSite},
    roles::JOB,
};
use crate::{
    event::{Failure, suggest},
    ports::{docker::Container, env_file, files::FilesRead},
    site::Project,
};

/// Names of compose files in the order in which compose looks for them, with the override that it adds.
const FILES: [(&str, &str); 4] = [
    ("compose.yaml", "compose.override.yaml"),
    ("compose.yml", "compose.override.yml"),
    ("docker-compose.yml", "docker-compose.override.yml"),
    ("docker-compose.yaml", "docker-compose.override.yaml"),
];

const LABEL: &str = "com.docker.compose";

fn label<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.labels.get(&format!("{LABEL}.{name}")).map(String::as_str)
}

/// The compose project that a container belongs to.
pub(super) fn of(container: &Container) -> Option<&str> {
    label(container, "project")
}

/// By the image's name, which every registry of the vendor's has kept so far; the registry's own name says nothing.
pub(super) fn is_strata(container: &Container) -> bool {
    let name = &container.image;
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let path =
        name.split_once('/').filter(|(first, _)| is_host(first)).map_or(name.as_str(), |(_, path)| path);
    path.contains("strata")
}

/// Made by `docker compose run`, as a trial is: it tells how that was called, and not how the project was made.
fn is_aside(container: &Container) -> bool {
    label(container, "oneoff").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// What is known of a project before compose is asked.
pub(super) struct Search<'a> {
    pub(super) start: &'a Start,
    pub(super) own: &'a OwnSite,
    /// All of the engine.
    pub(super) containers: &'a [Container],
    /// How compose was told the project when a backup set was made.
    pub(super) recorded: Option<&'a Project>,
    pub(super) files: &'a dyn FilesRead,
}

/// The folder of the engine's only project that runs Strata.
pub(super) fn only(containers: &[Container]) -> Result<PathBuf, Failure> {
    let strata: Vec<_> = containers.iter().filter(|one| is_strata(one) && !is_aside(one)).collect();
    let found: BTreeMap<_, _> =
        strata.iter().filter_map(|one| Some((of(one)?, label(one, "project.working_dir")?))).collect();
    match found.into_iter().collect::<Vec<_>>().as_slice() {
        [(_, dir)] => Ok(PathBuf::from(dir)),
        [] => Err(none(&strata)),
        several => {
            let lines = several.iter().map(|(project, dir)| format!("`{project}` in `{dir}`"));
            Err(Failure::new("several_sites", "several Strata projects run on this engine")
                .hint("name one with `-C DIR`")
                .evidence(lines))
        }
    }
}

fn none(strata: &[&Container]) -> Failure {
    let Some(bare) = strata.iter().find(|one| of(one).is_none()) else {
        let text = "no Strata project runs on this engine, and this folder holds none";
        return Failure::new("no_site", text).hint("go to the site folder, or name it with `-C DIR`");
    };
    let text = format!("`{}` runs Strata, but was not made by docker compose", bare.name);
    Failure::new("not_compose", text).hint(
        "a Strata that was started with `docker run` is not supported: nothing was touched; with a compose file of the \
         vendor's it can be",
    )
}

impl Search<'_> {
    /// The project in this folder. Its name is empty where compose has to be asked for it.
    pub(super) async fn in_folder(&self, dir: &Path) -> Result<Project, Failure> {
        let wanted = self.start.project.as_deref().or(self.own.project.as_deref());
        let here = self.here(dir).await?;
        let ours = of_one(dir, &here, wanted)?;
        if ours.is_empty() {
            if let Some(recorded) = self.recorded.filter(|one| one.dir == dir) {
                let name = wanted.map_or_else(|| recorded.name.clone(), str::to_owned);
                return Ok(Project { name, ..recorded.clone() });
            }
            return self.by_files(dir, wanted).await;
        }
        let made = made_last(&ours);
        let Some(made) = made else { return self.by_files(dir, wanted).await };
        // As compose was told the folder: links in it are part of how it is called.
        let dir = label(made, "project.working_dir").map_or_else(|| dir.to_owned(), PathBuf::from);
        let list = |name: &str| listed(label(made, name).unwrap_or_default(), &dir);
        let mut project = Project {
            name: of(made).unwrap_or_default().to_owned(),
            files: self.own.files(&dir).unwrap_or_else(|| list("project.config_files")),
            env_files: self.own.env_files(&dir).unwrap_or_else(|| list("project.environment_file")),
            profiles: self.own.profiles.clone(),
            dir,
        };
        if project.files.is_empty() {
            project.files = self.chosen(&project.dir).await?.0;
        }
        plain(&mut project);
        self.are_there(&project, Some(made)).await?;
        Ok(project)
    }

    /// The containers that were made from this folder, by whatever name it was called.
    pub(super) async fn here(&self, dir: &Path) -> Result<Vec<&Container>, Failure> {
        let (real, mut same) = (self.files.real(dir).await?, BTreeMap::new());
        let mut found = Vec::new();
        for one in self.containers.iter().filter(|one| !is_aside(one)) {
            let Some(folder) = label(one, "project.working_dir").map(Path::new) else { continue };
            if !same.contains_key(folder) {
                // Somebody else's folder may be closed to us.
                let it = self.files.real(folder).await.is_ok_and(|found| found == real);
                same.insert(folder, folder == dir || it);
            }
            if same[folder] {
                found.push(one);
            }
        }
        Ok(found)
    }

    /// What compose would take in the folder, with the variables of its `.env` that tell it so.
    async fn by_files(&self, dir: &Path, wanted: Option<&str>) -> Result<Project, Failure> {
        let (files, profiles) = match self.own.files(dir) {
            Some(files) => (files, Vec::new()),
            None => self.chosen(dir).await?,
        };
        let mut project = Project {
            name: wanted.unwrap_or_default().to_owned(),
            dir: dir.to_owned(),
            files,
            env_files: self.own.env_files(dir).unwrap_or_default(),
            profiles: if self.own.profiles.is_empty() { profiles } else { self.own.profiles.clone() },
        };
        plain(&mut project);
        self.are_there(&project, None).await?;
        Ok(project)
    }

    /// Compose's own choice of files, and of profiles.
    async fn chosen(&self, dir: &Path) -> Result<(Vec<PathBuf>, Vec<String>), Failure> {
        let env = self.files.read(&dir.join(".env")).await?;
        let set = env.map(|file| env_file::values(&String::from_utf8_lossy(&file.bytes))).unwrap_or_default();
        let value = |name: &str| set.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let profiles = value("COMPOSE_PROFILES").map(|list| split(list, ",")).unwrap_or_default();
        if let Some(list) = value("COMPOSE_FILE") {
            let files = split(list, value("COMPOSE_PATH_SEPARATOR").unwrap_or(":"));
            return Ok((files.iter().map(|file| dir.join(file)).collect(), profiles));
        }
        for (name, over) in FILES {
            if self.files.size(&dir.join(name)).await?.is_some() {
                let mut found = vec![dir.join(name)];
                if self.files.size(&dir.join(over)).await?.is_some() {
                    found.push(dir.join(over));
                }
                return Ok((found, profiles));
            }
        }
        let is_there = !self.files.list(dir).await?.is_empty();
        let folder = dir.display();
        let text = if is_there {
            format!("`{folder}` holds no compose file")
        } else {
            match self.files.size(dir).await {
                Ok(Some(_)) => format!("`{folder}` is a file"),
                _ => format!("`{folder}` is not there, or empty"),
            }
        };
        Err(Failure::new("no_site", text).hint("go to the site folder, or name it with `-C DIR`"))
    }

    /// Files that somebody has moved, or that lie inside of a program that has called compose.
    async fn are_there(&self, project: &Project, made: Option<&Container>) -> Result<(), Failure> {
        for path in project.files.iter().chain(&project.env_files) {
            if self.files.size(path).await?.is_some() {
                continue;
            }
            let path = path.display();
            let (text, hint) = match made {
                Some(one) if self.own.files.is_none() => (
                    format!("`{}` was made from `{path}`, which is not on this host", one.name),
                    format!(
                        "put it back where it was, or name the files that are right in `{FILE}`: `files = [...]` under \
                         `[site]`; what a control panel like Portainer keeps for itself has to be copied out first"
                    ),
                ),
                _ => (
                    format!("there is no `{path}`"),
                    format!("put it there, or correct `files` and `env_files` under `[site]` in `{FILE}`"),
                ),
            };
            return Err(Failure::new("compose_file_missing", text).hint(hint));
        }
        Ok(())
    }

    /// A project of this name that was made from another folder is not this one: whatever is done here would be done
    /// to that one.
    pub(super) async fn is_from_here(&self, project: &Project) -> Result<(), Failure> {
        let here = self.here(&project.dir).await?;
        let is_here = |one: &Container| here.iter().any(|known| known.id == one.id);
        let folder = |one: &&Container| label(one, "project.working_dir").is_some();
        let ours = |one: &&Container| of(one) == Some(&project.name) && !is_aside(one);
        let elsewhere = self.containers.iter().filter(ours).filter(folder).filter(|one| !is_here(one));
        let elsewhere: Vec<_> = elsewhere.collect();
        // A proxy may have joined the project from a folder of its own; the product has not.
        let product = elsewhere.iter().find(|one| is_strata(one));
        let joined = here.iter().any(|one| of(one) == Some(&project.name));
        let Some(other) = product.or_else(|| elsewhere.first().filter(|_| !joined)) else { return Ok(()) };
        let folder = label(other, "project.working_dir").unwrap_or("another folder");
        let text = format!(
            "the project `{}` runs from `{folder}`, and not from `{}`",
            project.name,
            project.dir.display()
        );
        Err(Failure::new("project_elsewhere", text).hint(format!(
            "if that is the site: `-C {folder}`; if its folder was moved: `docker compose up -d --force-recreate` in \
             the new one first; if this is a copy of it: give it a name of its own, `name:` in the compose file, and \
             `project` in `uplift.toml` where that names it"
        )))
    }
}

/// Of the containers of a folder, those of the one project that is meant.
fn of_one<'a>(
    dir: &Path,
    here: &[&'a Container],
    wanted: Option<&str>,
) -> Result<Vec<&'a Container>, Failure> {
    let named = |name: &str| here.iter().copied().filter(|one| of(one) == Some(name)).collect::<Vec<_>>();
    let all: BTreeSet<_> = here.iter().filter_map(|one| of(one)).collect();
    let strata: BTreeSet<_> = here.iter().filter(|one| is_strata(one)).filter_map(|one| of(one)).collect();
    if let Some(wanted) = wanted {
        // One that is only about to be started has no container yet.
        if strata.is_empty() || all.contains(wanted) {
            return Ok(named(wanted));
        }
        let known: Vec<_> = strata.into_iter().collect();
        let text = format!("no project `{wanted}` runs from `{}`", dir.display());
        return Err(Failure::new("no_such_project", text).hint(suggest(wanted, &known)));
    }
    let candidates = if strata.is_empty() { all } else { strata };
    match candidates.into_iter().collect::<Vec<_>>().as_slice() {
        [] => Ok(Vec::new()),
        [one] => Ok(named(one)),
        several => {
            let text = format!("several compose projects run from `{}`", dir.display());
            Err(Failure::new("several_sites", text)
                .hint(format!("name one with `--project NAME`, e.g. `--project {}`", several[0]))
                .evidence(several.iter().map(|name| format!("`{name}`"))))
        }
    }
}

/// The container that tells how the project was made: of the product, rather web than its worker, rather the newest.
/// Others of the project may be a proxy from a file of its own.
fn made_last<'a>(ours: &[&'a Container]) -> Option<&'a Container> {
    let rank = |one: &&Container| {
        let is_job = one.service().is_some_and(|name| JOB.contains(&name));
        (is_strata(one), !is_job, one.created)
    };
    ours.iter().copied().max_by_key(rank)
}

/// What compose reads by itself needs no word; named beside others it does.
fn plain(project: &mut Project) {
    if project.env_files == [project.dir.join(".env")] {
        project.env_files.clear();
    }
}

fn split(list: &str, separator: &str) -> Vec<String> {
    list.split(separator).map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

/// Paths out of a label; older composes have written them as they were typed.
fn listed(list: &str, dir: &Path) -> Vec<PathBuf> {
    split(list, ",").iter().map(|path| dir.join(path)).collect()
}
