//! Containers that are none of compose's: what a runbook runs beside the site.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Change, Write},
    ports::{
        compose::{PublishedPort, by_hand, by_hand_with},
        files::quote,
        secrets::Lent,
    },
    site::{Project, Secret},
};

/// Makes a container and starts it. One with that name that was made and never started is made anew; one that has run, or runs,
/// stays as it is. The engine never starts it again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunContainer {
    pub name: String,
    /// As it is asked for, `repository:tag`.
    pub image: String,
    /// What that has to mean.
    pub image_id: String,
    /// Empty: the image's own.
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub variables: BTreeMap<String, String>,
    /// Variables whose values must never be seen.
    pub secrets: BTreeMap<String, Lent>,
    /// Those that the service's files give it.
    pub settings: BTreeMap<String, Secret>,
    /// Real names. The first is the one that it is born into; none: the engine's own network.
    pub networks: Vec<String>,
    /// Names that it is told itself, as `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    pub mounts: Vec<RunMount>,
    pub ports: Vec<PublishedPort>,
    pub user: Option<String>,
    pub workdir: Option<String>,
    /// It is there until somebody takes it away, and has no end that is waited for.
    pub stays: bool,
    /// The service whose image, settings, volumes and networks it has.
    pub like: Option<LikeService>,
}

/// How a person gets a container that is like a service's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikeService {
    pub project: Project,
    pub service: String,
    /// Of another release than the files name.
    pub tag: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunMount {
    /// A volume's real name, or a whole path on the host.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

impl RunMount {
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.source.starts_with('/')
    }
}

/// The end of what a container has said, at most [`crate::ports::programs::SAID`] bytes of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
}

impl RunContainer {
    /// How long it is looked at before it is taken to stay.
    pub const STAYS_AFTER: Duration = Duration::from_secs(2);

    #[must_use]
    pub fn change(&self) -> Write {
        let change =
            Change::Container { name: self.name.clone(), image: self.image.clone(), stays: self.stays };
        Write { change, shell: Some(self.shell()) }
    }

    /// One line for a shell, secrets by their places.
    fn shell(&self) -> String {
        let mut words = match &self.like {
            Some(LikeService { project, tag: Some(tag), .. }) => vec![by_hand_with(project, tag)],
            Some(LikeService { project, .. }) => vec![by_hand(project)],
            None => vec!["docker".to_owned()],
        };
        words.push("run".to_owned());
        words.push(if self.stays {
            format!("--detach --name {}", quote(&self.name))
        } else {
            "--rm".to_owned()
        });
        if self.like.is_some() {
            words.push("--no-deps".to_owned());
        }
        let mut option = |name: &str, value: String| words.push(format!("--{name} {value}"));
        if self.like.is_none() {
            self.networks.iter().for_each(|network| option("network", quote(network)));
        }
        for port in &self.ports {
            option("publish", quote(&published(port)));
        }
        for mount in self.mounts.iter().filter(|_| self.like.is_none()) {
            let only = if mount.read_only { ":ro" } else { "" };
            option("volume", quote(&format!("{}:{}{only}", mount.source, mount.target)));
        }
        self.user.iter().for_each(|user| option("user", quote(user)));
        self.workdir.iter().for_each(|folder| option("workdir", quote(folder)));
        if let Some(program) = self.entrypoint.first() {
            option("entrypoint", quote(program));
        }
        self.variables.iter().for_each(|(name, value)| option("env", quote(&format!("{name}={value}"))));
        self.secrets
            .iter()
            .for_each(|(name, lent)| option("env", format!("{name}=\"{}\"", lent.from.in_shell())));
        words.push(quote(self.like.as_ref().map_or(&self.image, |like| &like.service)));
        words.extend(self.entrypoint.iter().skip(1).chain(&self.command).map(|word| quote(word)));
        words.join(" ")
    }
}

fn published(port: &PublishedPort) -> String {
    let host = port.published.map(|published| format!("{published}:")).unwrap_or_default();
    let address = if port.host_ip.is_empty() { String::new() } else { format!("{}:", port.host_ip) };
    format!("{address}{host}{}", port.target)
}
