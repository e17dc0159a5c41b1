//! Returning a compose service to how it was: the same container if it is still there, else the same container made
//! again from its kept definition. Never through compose, which would read the files as they are now.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    ports::{
        Observe, Operate,
        compose::by_hand_with,
        docker::{Container, LogLine, Recreate, RemoveContainer, SetRestart, Snapshot, Start, Stop},
        files::{File, MakeFolder, OWN_GROUP, WriteFile},
        project::{of_service, tag},
    },
    site::Secret,
};

const CONFIG_HASH: &str = "com.docker.compose.config-hash";

/// A service before an effect: what is needed to tell its containers again and to bring them back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct ServiceBefore {
    pub service: String,
    pub containers: Vec<ContainerBefore>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct ContainerBefore {
    pub id: String,
    pub name: String,
    pub image_id: String,
    pub image: String,
    pub created: String,
    pub running: bool,
    pub restart_policy: String,
    pub config_hash: Option<String>,
    /// Where its definition is kept. It holds the container's environment, so it is a file and no part of an intent.
    pub definition: PathBuf,
}

impl ContainerBefore {
    fn of(container: &Container, site: &Observe<'_>) -> Self {
        Self {
            id: container.id.clone(),
            name: container.name.clone(),
            image_id: container.image_id.clone(),
            image: container.image.clone(),
            created: container.created.to_string(),
            running: container.is_up(),
            restart_policy: container.restart_policy.clone(),
            config_hash: container.labels.get(CONFIG_HASH).cloned(),
            definition: site.kept().join("containers").join(format!("{}.json", container.id)),
        }
    }

    /// The very container, or the one that was made again from its definition.
    fn is(&self, container: &Container) -> bool {
        container.id == self.id
            || (container.name == self.name
                && container.image_id == self.image_id
                && container.labels.get(CONFIG_HASH) == self.config_hash.as_ref())
    }
}

impl ServiceBefore {
    pub(super) async fn look(service: &str, site: Observe<'_>) -> Result<Self, Failure> {
        let containers = of_service(site.docker, &site.site.project, service).await?;
        let containers = containers.iter().map(|container| ContainerBefore::of(container, &site)).collect();
        Ok(Self { service: service.to_owned(), containers })
    }

    /// Whether the service runs from exactly these containers, in the same state.
    pub(super) async fn is_so(&self, site: Observe<'_>) -> Result<bool, Failure> {
        let now = of_service(site.docker, &site.site.project, &self.service).await?;
        let same = |before: &ContainerBefore| {
            now.iter().any(|container| {
                before.is(container)
                    && container.is_up() == before.running
                    && container.restart_policy == before.restart_policy
            })
        };
        Ok(now.len() == self.containers.len() && self.containers.iter().all(same))
    }

    /// Keeps all definitions, so that the containers can be made again.
    pub(super) async fn keep(&self, site: Operate<'_>) -> Result<(), Failure> {
        for before in &self.containers {
            if site.files.size(&before.definition).await?.is_some() {
                continue;
            }
            // Gone already: then an earlier attempt has kept what there was to keep.
            if site.docker.container(&before.id).await?.is_none() {
                continue;
            }
            let snapshot = site.docker.snapshot(&before.id).await?;
            let bytes = snapshot.definition.reveal().as_bytes().to_vec();
            write_kept(&before.definition, bytes, "definition of a container, for the way back", site)
                .await?;
        }
        Ok(())
    }

    /// Keeps the logs of the service's containers before any of them can go.
    pub(super) async fn keep_logs(&self, site: Operate<'_>) -> Result<(), Failure> {
        for container in of_service(site.docker, &site.site.project, &self.service).await? {
            keep_log(&container, site).await?;
        }
        Ok(())
    }

    /// Makes the service what it was. Does nothing where that is so already.
    pub(super) async fn restore(&self, site: Operate<'_>) -> Result<(), Failure> {
        for container in of_service(site.docker, &site.site.project, &self.service).await? {
            if !self.containers.iter().any(|before| before.is(&container)) {
                self.take_away(&container, site).await?;
            }
        }
        for before in &self.containers {
            self.bring_back(before, site).await?;
        }
        Ok(())
    }

    async fn take_away(&self, container: &Container, site: Operate<'_>) -> Result<(), Failure> {
        keep_log(container, site).await?;
        if container.is_up() {
            let stop = Stop { id: container.id.clone(), service: self.service.clone(), timeout: None };
            site.docker.stop(&stop).await?;
        }
        let remove = RemoveContainer { id: container.id.clone(), service: self.service.clone() };
        site.docker.remove(&remove).await
    }

    async fn bring_back(&self, before: &ContainerBefore, site: Operate<'_>) -> Result<(), Failure> {
        let now = of_service(site.docker, &site.site.project, &self.service).await?;
        let found = now.into_iter().find(|container| before.is(container));
        let container = match found {
            Some(container) => container,
            None => self.make_again(before, site).await?,
        };
        if container.restart_policy != before.restart_policy {
            let set = SetRestart {
                id: container.id.clone(),
                service: self.service.clone(),
                from: container.restart_policy.clone(),
                to: before.restart_policy.clone(),
            };
            site.docker.set_restart(&set).await?;
        }
        if before.running && !container.is_up() {
            let (service, image) = (self.service.clone(), before.image.clone());
            site.docker.start(&Start { id: container.id, service, image }).await?;
        } else if !before.running && container.is_up() {
            site.docker
                .stop(&Stop { id: container.id, service: self.service.clone(), timeout: None })
                .await?;
        }
        Ok(())
    }

    async fn make_again(&self, before: &ContainerBefore, site: Operate<'_>) -> Result<Container, Failure> {
        let lost = |what: &str| {
            let text =
                format!("the container `{}` of `{}` cannot be made again: {what}", before.name, self.service);
            Failure::new("cannot_recreate", text).hint(format!(
                "make it by hand from the image `{}`, without starting it: `{} up --no-start --no-deps {}`",
                before.image,
                by_hand_with(&site.site.project, tag(&before.image)),
                self.service
            ))
        };
        let file =
            site.files.read(&before.definition).await?.ok_or_else(|| lost("its definition was not kept"))?;
        let definition = String::from_utf8(file.bytes).map_err(|_| lost("its kept definition is damaged"))?;
        let request = Recreate {
            snapshot: Snapshot { definition: Secret::new(definition) },
            service: self.service.clone(),
            image: before.image.clone(),
        };
        let id = site.docker.recreate(&request).await?;
        site.docker.container(&id).await?.ok_or_else(|| lost("it is gone again"))
    }
}

/// So many lines of a container's log are kept. Where logs do not rotate they have the gigabytes of a year, and whoever
/// keeps them here does it while the site is down: what a run can have to do with is at the end.
const KEPT_LINES: usize = 200_000;

/// The log of a container, kept in the run's folder, and said in it where older lines are not. A log that is there
/// already is longer only if more was said since, so it is written again. One that the engine cannot read, as after a
/// power cut, or that has no room on the disk, holds up nobody: the site may be down meanwhile.
pub(super) async fn keep_log(container: &Container, site: Operate<'_>) -> Result<(), Failure> {
    let cannot = |failure: &Failure| {
        site.tell.warn(format!("the log of `{}` cannot be kept: {failure}", container.name));
    };
    let lines = match site.docker.logs(&container.id, Some(KEPT_LINES + 1)).await {
        Ok(lines) if lines.is_empty() => return Ok(()),
        Ok(lines) => lines,
        Err(failure) => {
            cannot(&failure);
            return Ok(());
        }
    };
    let name = format!("{}-{}.log", container.name, container.short_id());
    let path = site.observe().kept().join("logs").join(name);
    match write_kept(&path, in_full(&lines).into_bytes(), "log of a container", site).await {
        Err(failure) if failure.code == "no_room" => {
            cannot(&failure);
            Ok(())
        }
        done => done,
    }
}

/// Every line with its time. One more than are kept says that there are older ones.
fn in_full(lines: &[LogLine]) -> String {
    let older = lines.len() > KEPT_LINES;
    let mut text = String::new();
    if older {
        text = format!("(the newest {KEPT_LINES} lines; older ones went with the container)\n");
    }
    for line in &lines[usize::from(older)..] {
        if let Some(at) = line.at {
            text.push_str(&at.to_string());
            text.push(' ');
        }
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

/// Writes a file of the run's kept folder: 0600 in a folder 0700.
pub(super) async fn write_kept(
    path: &std::path::Path,
    bytes: Vec<u8>,
    what: &str,
    site: Operate<'_>,
) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        let what = "folder for what the way back needs".to_owned();
        site.files.make_folder(&MakeFolder { path: folder.to_owned(), what }).await?;
    }
    // Whoever owns the state folder must be able to go back, also from what root has begun.
    let owner = site.files.owner(path.parent().unwrap_or(path)).await?.unwrap_or_default();
    let file = File { bytes, mode: 0o600, uid: owner.0, gid: OWN_GROUP };
    let expected = blake3::hash(&file.bytes).to_hex().to_string();
    site.files.write(&WriteFile { path: path.to_owned(), file, what: what.to_owned() }).await?;
    // What comes next may remove the only other copy, so this one is looked at first.
    if site.files.hash(path).await?.as_deref() == Some(expected.as_str()) {
        return Ok(());
    }
    let text = format!("`{}` was written and is not there as it was written", path.display());
    Err(Failure::new("not_kept", text).hint("nothing was removed; check the disk and type the command again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_says_that_its_older_lines_are_not_in_it() {
        let said = |count: usize| vec![LogLine { at: None, text: "x".to_owned() }; count];
        let counts = [KEPT_LINES, KEPT_LINES + 1].map(|count| {
            let text = in_full(&said(count));
            (text.starts_with("(the newest 200000 lines;"), text.matches("x\n").count())
        });
        assert_eq!(counts, [(false, KEPT_LINES), (true, KEPT_LINES)]);
    }
}
