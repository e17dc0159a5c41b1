//! What is called differently in a plan and in the run that follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::super::Field;

/// The site's things before something is done to it.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) site: PathBuf,
    /// The folder in which the volume's files lie.
    pub(super) uploads: PathBuf,
    pub(super) project: String,
    pub(super) registry: String,
    /// Restart policies of the containers, by id.
    pub(super) policies: BTreeMap<String, String>,
    /// What the services' containers were made from.
    pub(super) images: BTreeMap<String, String>,
    pub(super) volumes: BTreeSet<String>,
    /// Containers that were made since, or that a plan would make.
    pub(super) made: Vec<String>,
    /// The run's own name, where there is one.
    pub(super) run: Option<String>,
}

impl Names {
    pub(super) fn look(field: &Field, registry: &str) -> Self {
        let docker = |words: &str| field.stack.tools().docker().args(words);
        let project = field.stack.project().to_owned();
        let all = docker("ps -aq --no-trunc --filter").arg(format!("name=^{project}-")).output().unwrap();
        let policy = |id: &str| {
            let format = "{{.HostConfig.RestartPolicy.Name}}";
            (id.to_owned(), docker("inspect -f").arg(format).arg(id).output().unwrap())
        };
        let running = docker("ps -a --format").arg("{{.Label \"com.docker.compose.service\"}} {{.Image}}");
        let running = running.arg("--filter").arg(format!("label=com.docker.compose.project={project}"));
        let running = running.output().unwrap();
        let images = running.lines().filter_map(|line| line.split_once(' '));
        Self {
            images: images.map(|(service, image)| (service.to_owned(), image.to_owned())).collect(),
            site: field.dir().to_owned(),
            uploads: field.stack.storage().unwrap(),
            project,
            registry: registry.to_owned(),
            policies: all.lines().map(policy).collect(),
            volumes: docker("volume ls -q").output().unwrap().lines().map(str::to_owned).collect(),
            made: Vec::new(),
            run: None,
        }
    }

    /// A path or a sentence as the plan of any run on any site would have it.
    pub(super) fn plain(&self, text: &str) -> String {
        let mut text = text.replace(&self.site.display().to_string(), ".");
        if let Some(volume) = self.uploads.parent() {
            text = text.replace(&volume.display().to_string(), "VOLUME");
        }
        if let Some(run) = &self.run {
            text = text.replace(run, "plan").replace(&run.replace('-', "_"), "plan");
        }
        for id in &self.made {
            text = text.replace(id, "new").replace(&id[..12], "new");
        }
        text
    }

    pub(super) fn plain_path(&self, path: &Path) -> String {
        self.plain(&path.display().to_string())
    }

    /// A container by its short id, if it was there before.
    pub(super) fn container(&self, id: &str) -> String {
        if self.policies.contains_key(id) { id[..12].to_owned() } else { "new".to_owned() }
    }

    /// Has those be known as new that a plan would make.
    pub(super) fn with_planned(mut self, plan: &Value) -> Self {
        let mut found = Vec::new();
        containers(plan, &mut found);
        self.made.extend(found.into_iter().filter(|id| !self.policies.contains_key(id)));
        self
    }
}

/// The values of every field `container`.
fn containers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("container").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|one| containers(one, found));
        }
        Value::Array(all) => all.iter().for_each(|one| containers(one, found)),
        _ => {}
    }
}
