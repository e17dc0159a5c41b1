//! The Docker Engine of one host.

mod run;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use run::{LikeService, RunContainer, RunMount, Said};

use super::files::quote;
use crate::{
    event::{Change, Failure, Teller, Write},
    site::Secret,
};

/// The engine itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// e.g. `20.10.24+dfsg1`.
    pub version: String,
    pub api_version: String,
    /// Where the engine keeps images, e.g. `/var/lib/docker`.
    pub root: String,
    pub rootless: bool,
    /// `Docker Engine`, `Podman Engine`, `Docker Desktop`.
    pub kind: String,
    /// Reached through a local socket.
    pub local: bool,
}

/// One container as `inspect` shows it, without its environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// Id of the image that it was made from (`sha256:...`).
    pub image_id: String,
    /// The name that the image was asked for by.
    pub image: String,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub state: State,
    pub exit_code: Option<i64>,
    pub oom_killed: bool,
    /// How often the engine has restarted it by itself.
    pub restarts: u64,
    /// `healthy`, `unhealthy`, `starting`; `None` without a health check.
    pub health: Option<String>,
    pub restart_policy: String,
    /// What it was made to run: the image's own where nobody has said otherwise.
    #[serde(default)]
    pub command: Vec<String>,
    /// Seconds between the stop signal and the kill; `None`: the engine's 10 s.
    pub stop_timeout: Option<u64>,
    pub labels: BTreeMap<String, String>,
    pub mounts: Vec<Mount>,
    /// Host port by container port, TCP only.
    pub ports: BTreeMap<u16, Binding>,
    /// Address by network name; empty while it does not run.
    pub networks: BTreeMap<String, String>,
    /// Names by which the others on a network find it, by network name.
    #[serde(default)]
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Names that it was told itself, as `NAME:ADDRESS`; the address may be `host-gateway`.
    #[serde(default)]
    pub extra_hosts: Vec<String>,
}

impl Container {
    /// The compose service that it belongs to.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.labels.get("com.docker.compose.service").map(String::as_str)
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Something of it runs or will run again by itself: also one that the engine starts again and again.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Running | State::Restarting | State::Paused)
    }

    /// The engine has had to start it again within the last minute: that it runs at this moment means nothing.
    #[must_use]
    pub fn keeps_dying(&self, now: Timestamp) -> bool {
        let fresh =
            self.started.is_some_and(|at| now.duration_since(at) < jiff::SignedDuration::from_mins(1));
        self.state == State::Restarting || (self.restarts > 0 && fresh)
    }

    /// The engine starts it again and again. One that died less often may have waited for its database when the host
    /// was started.
    #[must_use]
    pub fn dies_often(&self, now: Timestamp) -> bool {
        self.state == State::Restarting || (self.restarts > 2 && self.keeps_dying(now))
    }

    /// The first twelve digits of its id, as `docker ps` shows it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// `volume` or `bind`.
    pub kind: String,
    /// The volume's real name, or the host path.
    pub source: String,
    pub target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub host_ip: String,
    pub host_port: u16,
}

/// An image on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub id: String,
    /// `name:tag` forms.
    pub tags: Vec<String>,
    /// `name@sha256:...` forms.
    pub digests: Vec<String>,
    pub size: u64,
}

impl Image {
    /// The registry digest under which `repository` knows it.
    #[must_use]
    pub fn digest_in(&self, repository: &str) -> Option<&str> {
        self.digests.iter().find_map(|full| {
            let (name, digest) = full.split_once('@')?;
            (name == repository).then_some(digest)
        })
    }
}

/// A container's whole definition, as the engine needs it to make the same container again. Holds its
/// environment, so it goes into a kept file (0600) and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// JSON text in the client's own versioned form.
    pub definition: Secret,
}

/// Which containers to list, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// Those of a compose project, one-off containers left out.
    Project(String),
    /// Every container of the engine.
    All,
}

/// Brings an image by tag and checks that it is the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// `repository:tag`.
    pub reference: String,
    /// What the registry said for the tag when it was looked up; anything else is a failure (`tag_moved`).
    pub digest: String,
}

/// Gives a local name to an image that is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub image_id: String,
    /// `repository:tag`.
    pub reference: String,
}

/// Stops a container with its own signal and time; nothing if it does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub id: String,
    pub service: String,
    /// `None`: the container's own. Never shorter than that.
    pub timeout: Option<Duration>,
}

/// Starts a container that is there; nothing if it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub id: String,
    pub service: String,
    pub image: String,
}

/// Removes a stopped container; nothing if it is gone. Named volumes stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveContainer {
    pub id: String,
    pub service: String,
}

/// Makes a container again from its [`Snapshot`], under its old name, from the recorded image id; does not start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recreate {
    pub snapshot: Snapshot,
    pub service: String,
    pub image: String,
}

/// Sets a restart policy: `no`, `always`, `unless-stopped`, `on-failure[:N]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRestart {
    pub id: String,
    pub service: String,
    pub from: String,
    pub to: String,
}

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Option<Timestamp>,
    pub text: String,
}

/// Bytes of the largest file that is read out of a container: certificates are far smaller.
pub const LARGEST_FILE: u64 = 4 << 20;

#[async_trait]
pub trait DockerRead: Send + Sync {
    /// Fails with `engine_unreachable` and what to do.
    async fn engine(&self) -> Result<Engine, Failure>;
    /// Sorted by name.
    async fn containers(&self, select: &Select) -> Result<Vec<Container>, Failure>;
    async fn container(&self, id: &str) -> Result<Option<Container>, Failure>;
    /// An image on this host by `name:tag`, `name@digest` or id.
    async fn image(&self, reference: &str) -> Result<Option<Image>, Failure>;
    /// The digest that the registry has for `repository:tag` now, asked through the engine. Fails with
    /// `tag_not_found`, `registry_denied` or `registry_unreachable` (retryable).
    async fn remote_digest(&self, reference: &str) -> Result<String, Failure>;
    /// Names of the files directly in `folder` of an image on this host, sorted, without making a container.
    async fn image_files(&self, image_id: &str, folder: &str) -> Result<Vec<String>, Failure>;
    /// The last `tail` lines (all if `None`) of both streams, oldest first.
    async fn logs(&self, id: &str, tail: Option<usize>) -> Result<Vec<LogLine>, Failure>;
    /// The variables that a container was made with, those of its image included; empty if it is gone. All values are
    /// treated as secrets.
    async fn environment(&self, id: &str) -> Result<BTreeMap<String, Secret>, Failure>;
    /// The variables that an image brings; empty if it is not on this host.
    async fn image_environment(&self, image_id: &str) -> Result<BTreeMap<String, Secret>, Failure>;
    /// A file in a container, running or not, with symbolic links followed; `None` if there is none. Fails with
    /// `file_too_large` beyond [`LARGEST_FILE`].
    async fn file(&self, id: &str, path: &str) -> Result<Option<Vec<u8>>, Failure>;
    /// The address that `host-gateway` stands for in a container; `None` where the engine has no such network.
    async fn gateway(&self) -> Result<Option<String>, Failure>;
    /// Where a named volume lies on the host; `None` if there is no such volume.
    async fn volume(&self, name: &str) -> Result<Option<String>, Failure>;
    /// The end of what a container has written to each of its two outputs; nothing if it is gone.
    async fn said(&self, id: &str) -> Result<Said, Failure>;
    /// Whether there is a network of this name.
    async fn network(&self, name: &str) -> Result<bool, Failure>;
    /// All that is needed to make this container again.
    async fn snapshot(&self, id: &str) -> Result<Snapshot, Failure>;
}

#[async_trait]
pub trait Docker: DockerRead {
    /// Tells bytes while it goes.
    async fn pull(&self, request: &Pull, tell: &Teller) -> Result<Image, Failure>;
    async fn tag(&self, request: &Tag) -> Result<(), Failure>;
    async fn stop(&self, request: &Stop) -> Result<(), Failure>;
    async fn start(&self, request: &Start) -> Result<(), Failure>;
    async fn remove(&self, request: &RemoveContainer) -> Result<(), Failure>;
    /// The new container's id. Does nothing and gives the id if a container with that name and definition is there.
    async fn recreate(&self, request: &Recreate) -> Result<String, Failure>;
    async fn set_restart(&self, request: &SetRestart) -> Result<(), Failure>;
    /// The container's id. Fails with `port_taken`, and is `unknown` where nobody has heard what became of it.
    async fn run(&self, request: &RunContainer) -> Result<String, Failure>;
}

impl Pull {
    /// `bytes` is what it takes on the disk.
    #[must_use]
    pub fn change(&self, bytes: Option<u64>) -> Write {
        Write {
            change: Change::Image {
                reference: self.reference.clone(),
                digest: Some(self.digest.clone()),
                bytes,
            },
            shell: Some(format!("docker pull {}", quote(&self.reference))),
        }
    }
}

impl Tag {
    #[must_use]
    pub fn change(&self) -> Write {
        Write {
            change: Change::Tag { image: self.image_id.clone(), reference: self.reference.clone() },
            shell: Some(format!("docker tag {} {}", quote(&self.image_id), quote(&self.reference))),
        }
    }
}

impl Stop {
    #[must_use]
    pub fn change(&self) -> Write {
        let time = self.timeout.map_or(String::new(), |time| format!(" --time {}", time.as_secs()));
        Write {
            change: Change::ServiceDown { service: self.service.clone(), container: self.id.clone() },
            shell: Some(format!("docker stop{time} {}", short(&self.id))),
        }
    }
}

impl Start {
    #[must_use]
    pub fn change(&self) -> Write {
        Write {
            change: Change::ServiceUp {
                service: self.service.clone(),
                image: self.image.clone(),
                replaces: None,
            },
            shell: Some(format!("docker start {}", short(&self.id))),
        }
    }
}

impl RemoveContainer {
    #[must_use]
    pub fn change(&self) -> Write {
        Write {
            change: Change::ContainerRemoved { service: self.service.clone(), container: self.id.clone() },
            shell: Some(format!("docker rm {}", short(&self.id))),
        }
    }
}

impl Recreate {
    #[must_use]
    pub fn change(&self) -> Write {
        let change = Change::Added {
            path: self.service.clone(),
            bytes: None,
            what: format!("container of `{}` as it was, from `{}`", self.service, self.image),
        };
        Write { change, shell: None }
    }
}

impl SetRestart {
    #[must_use]
    pub fn change(&self) -> Write {
        Write {
            change: Change::RestartPolicy {
                service: self.service.clone(),
                from: self.from.clone(),
                to: self.to.clone(),
            },
            shell: Some(format!("docker update --restart {} {}", quote(&self.to), short(&self.id))),
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
