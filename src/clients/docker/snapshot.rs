use std::collections::BTreeMap;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointIpamConfig, EndpointSettings, HostConfig,
    MountPoint, MountType,
};
use serde::{Deserialize, Serialize};

use crate::{event::Failure, ports::docker::Snapshot, site::Secret};

/// The version of [`Definition`] that is written.
const FORMAT: u32 = 1;

/// All that makes a container what it is, and nothing that time did to it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Definition {
    format: u32,
    pub(super) name: String,
    /// What it runs, whatever its image's name means today.
    pub(super) image_id: String,
    /// As the engine takes it, networks left out.
    pub(super) body: ContainerCreateBody,
    /// By name.
    pub(super) networks: BTreeMap<String, EndpointSettings>,
}

impl Definition {
    pub(super) fn of(found: ContainerInspectResponse) -> Result<Self, Failure> {
        let broken = |error: serde_json::Error| {
            Failure::inside("not_recordable", format!("the container cannot be recorded: {error}"))
        };
        let id = found.id.unwrap_or_default();
        let config = serde_json::to_value(found.config.unwrap_or_default()).map_err(broken)?;
        let mut body: ContainerCreateBody = serde_json::from_value(config).map_err(broken)?;
        let short = id.get(..12).unwrap_or(&id).to_owned();
        // Without a name of its own, a container is called by its id: the next one by the next id.
        body.hostname = body.hostname.filter(|name| *name != short);
        let mut host = found.host_config.unwrap_or_default();
        attach(&mut host, found.mounts.as_deref().unwrap_or_default());
        let mode = host.network_mode.clone().unwrap_or_default();
        body.host_config = Some(host);
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        // These modes are no networks that one could join.
        let joins = !(mode == "host" || mode == "none" || mode.starts_with("container:"));
        let networks = networks.into_iter().filter(|_| joins);
        Ok(Self {
            format: FORMAT,
            name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            image_id: found.image.unwrap_or_default(),
            body,
            networks: networks.map(|(name, at)| (name, endpoint(at, &short))).collect(),
        })
    }

    pub(super) fn recorded(&self) -> Result<Snapshot, Failure> {
        let text = serde_json::to_string(self).map_err(|error| {
            Failure::inside("not_recordable", format!("the container cannot be recorded: {error}"))
        })?;
        Ok(Snapshot { definition: Secret::new(text) })
    }

    pub(super) fn read(snapshot: &Snapshot) -> Result<Self, Failure> {
        // The parser's words may quote what it read, and that holds secrets.
        let damaged = || {
            Failure::new("snapshot_unreadable", "the kept definition of the container cannot be read").hint(
                "bring it back from a copy of the run's folder in `.uplift/kept`, and type the command again",
            )
        };
        let known: Self = serde_json::from_str(snapshot.definition.reveal()).map_err(|_| damaged())?;
        if known.format > FORMAT {
            return Err(damaged().hint("it was written by a newer uplift: use that one"));
        }
        Ok(known)
    }

    /// The network that it is born into.
    pub(super) fn first_network(&self) -> Option<&str> {
        let mode = self.body.host_config.as_ref()?.network_mode.as_deref()?;
        let name = if mode == "default" { "bridge" } else { mode };
        self.networks.contains_key(name).then_some(name)
    }

    /// Made from the same definition, networks aside. What a run changes on its way does not count: whether it is
    /// started again, and by which name its image was asked for.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let still = |one: &Self| {
            let mut body = one.body.clone();
            body.image = None;
            if let Some(host) = &mut body.host_config {
                host.restart_policy = None;
            }
            // As a value, because the engine lists what it keeps in maps in another order every time.
            serde_json::to_value(body).ok()
        };
        self.name == other.name && self.image_id == other.image_id && still(self) == still(other)
    }
}

/// Names the volumes that the engine made by itself: they are attached again as they are, never made anew.
fn attach(host: &mut HostConfig, mounted: &[MountPoint]) {
    let mut binds = host.binds.take().unwrap_or_default();
    for point in mounted.iter().filter(|point| point.typ.as_deref() == Some("volume")) {
        let (Some(name), Some(target)) = (&point.name, &point.destination) else { continue };
        let listed = host.mounts.iter_mut().flatten().find(|mount| mount.target.as_ref() == Some(target));
        if let Some(mount) = listed {
            if mount.typ == Some(MountType::VOLUME) && mount.source.as_ref().is_none_or(String::is_empty) {
                mount.source = Some(name.clone());
            }
        } else if !binds.iter().any(|bind| bind.split(':').nth(1) == Some(target)) {
            let mode = if point.rw == Some(false) { "ro" } else { "rw" };
            binds.push(format!("{name}:{target}:{mode}"));
        }
    }
    binds.sort();
    host.binds = (!binds.is_empty()).then_some(binds);
}

/// What was asked for of a connection, without what the engine made of it.
fn endpoint(at: EndpointSettings, short_id: &str) -> EndpointSettings {
    let kept = |config: &EndpointIpamConfig| *config != EndpointIpamConfig::default();
    let mut aliases = at.aliases.unwrap_or_default();
    aliases.retain(|alias| alias != short_id);
    EndpointSettings {
        ipam_config: at.ipam_config.filter(kept),
        links: at.links.filter(|links| !links.is_empty()),
        aliases: (!aliases.is_empty()).then_some(aliases),
        driver_opts: at.driver_opts.filter(|options| !options.is_empty()),
        gw_priority: at.gw_priority.filter(|priority| *priority != 0),
        ..EndpointSettings::default()
    }
}
