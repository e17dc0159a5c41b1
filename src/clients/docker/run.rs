use std::collections::HashMap;

use bollard::{
    container::LogOutput,
    errors::Error,
    models::{ContainerCreateBody, HostConfig, Mount, MountType, NetworkConnectRequest, PortBinding},
    query_parameters::{CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder},
};
use futures::StreamExt as _;

use super::{EngineClient, failed, failed::is_missing, no_policy};
use crate::{
    event::Failure,
    ports::{
        compose::PublishedPort,
        docker::{DockerRead as _, RunContainer, RunMount, Said, Select, State},
        programs::SAID,
    },
};

impl EngineClient {
    pub(super) async fn ran(&self, request: &RunContainer) -> Result<String, Failure> {
        let there = self.containers(&Select::All).await?.into_iter().find(|one| one.name == request.name);
        if let Some(there) = there {
            if there.state != State::Created {
                return Ok(there.id);
            }
            // Made and never started: whoever made it was killed in between, or its port was taken.
            self.unmade(&there.id).await?;
        }
        // By its name, where that means the very same image: so that everybody sees what it is.
        let named = self.image(&request.image).await?.is_some_and(|image| image.id == request.image_id);
        if !named && self.image(&request.image_id).await?.is_none() {
            return Err(failed::not_on_host(&request.image_id));
        }
        let image = if named { &request.image } else { &request.image_id };
        let options = CreateContainerOptionsBuilder::new().name(&request.name).build();
        let made = self.api().await?.create_container(Some(options), body(request, image)).await;
        let id = made.map_err(|error| failed::begun(&error, self.answered(&error)))?.id;
        if let Err(failure) = self.joined_and_started(&id, request).await {
            // What never ran would only hold the name. Where nobody knows whether it runs it stays.
            if !failure.unknown {
                let _stays = self.unmade(&id).await;
            }
            return Err(failure);
        }
        Ok(id)
    }

    async fn joined_and_started(&self, id: &str, request: &RunContainer) -> Result<(), Failure> {
        for network in request.networks.iter().skip(1) {
            let joins = NetworkConnectRequest { container: id.to_owned(), endpoint_config: None };
            let joined = self.api().await?.connect_network(network, joins).await;
            joined.map_err(|error| self.answered(&error))?;
        }
        let started = self.api().await?.start_container(id, None).await;
        started.map_err(|error| failed::begun(&error, self.answered(&error)))
    }

    async fn unmade(&self, id: &str) -> Result<(), Failure> {
        let options = RemoveContainerOptionsBuilder::new().v(false).force(false).build();
        match self.api().await?.remove_container(id, Some(options)).await {
            Err(error) if !is_missing(&error) => Err(self.answered(&error)),
            _ => Ok(()),
        }
    }

    /// The newest of what was written, which is all that is kept in memory of one that never stopped writing.
    pub(super) async fn has_said(&self, id: &str) -> Result<Said, Failure> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20000").build();
        let mut entries = self.api().await?.logs(id, Some(options));
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(LogOutput::StdErr { message }) => keep(&mut stderr, &message),
                Ok(entry) => keep(&mut stdout, entry.as_ref()),
                Err(Error::IOError { .. }) => break,
                Err(error) if is_missing(&error) => break,
                Err(Error::DockerResponseServerError { message, .. })
                    if message.contains("does not support reading") =>
                {
                    break;
                }
                Err(error) => return Err(self.answered(&error)),
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { stdout: text(stdout), stderr: text(stderr) })
    }

    pub(super) async fn has_network(&self, name: &str) -> Result<bool, Failure> {
        match self.api().await?.inspect_network(name, None).await {
            // A network is also found by the beginning of its id.
            Ok(found) => Ok(found.name.as_deref() == Some(name)),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(self.answered(&error)),
        }
    }
}

/// The last bytes, from a whole character on.
fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    if kept.len() > SAID {
        let mut from = kept.len() - SAID;
        while from < kept.len() && kept[from] & 0xC0 == 0x80 {
            from += 1;
        }
        kept.drain(..from);
    }
}

fn body(request: &RunContainer, image: &str) -> ContainerCreateBody {
    let settings = request.settings.iter().map(|(name, value)| format!("{name}={}", value.reveal()));
    let plain = request.variables.iter().map(|(name, value)| format!("{name}={value}"));
    let secrets = request.secrets.iter().map(|(name, lent)| format!("{name}={}", lent.value.reveal()));
    let some = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    let ports = request.ports.iter().map(|port| (format!("{}/tcp", port.target), Some(vec![binding(port)])));
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: some(&request.entrypoint),
        cmd: some(&request.command),
        // Of two values the later counts.
        env: Some(settings.chain(plain).chain(secrets).collect()),
        user: request.user.clone(),
        working_dir: request.workdir.clone(),
        exposed_ports: Some(request.ports.iter().map(|port| format!("{}/tcp", port.target)).collect()),
        host_config: Some(HostConfig {
            network_mode: request.networks.first().cloned(),
            mounts: Some(request.mounts.iter().map(mount).collect()),
            port_bindings: Some(ports.collect::<HashMap<_, _>>()),
            extra_hosts: some(&request.extra_hosts),
            restart_policy: Some(no_policy()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

fn binding(port: &PublishedPort) -> PortBinding {
    PortBinding {
        host_ip: (!port.host_ip.is_empty()).then(|| port.host_ip.clone()),
        host_port: port.published.map(|published| published.to_string()),
    }
}

fn mount(mount: &RunMount) -> Mount {
    Mount {
        typ: Some(if mount.is_folder() { MountType::BIND } else { MountType::VOLUME }),
        source: Some(mount.source.clone()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_no_character_is_cut() {
        let mut kept = Vec::new();
        keep(&mut kept, "é".repeat(SAID).as_bytes());
        keep(&mut kept, b"x");
        assert!(kept.len() <= SAID && String::from_utf8(kept).unwrap().ends_with("éx"));
    }
}
