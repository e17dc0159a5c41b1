//! How much room the database server has.

use super::{
    Observe,
    docker::{Container, Select},
    project::{named, networks, surroundings},
};
use crate::{event::Failure, site::Endpoint};

/// Free bytes where the server keeps its data: as it says itself, or of the container of this engine that it is.
pub async fn server_room(site: Observe<'_>) -> Result<Option<u64>, Failure> {
    let endpoint = &site.site.databases.endpoint;
    if let Some(free) = site.postgres.room(endpoint).await? {
        return Ok(Some(free));
    }
    let containers = site.docker.containers(&Select::All).await?;
    let from = surroundings(&containers, &site.site.project.name, &site.site.web.name);
    let by_name = named(&containers, &networks(&from), &endpoint.host).into_iter().map(|(one, ..)| one);
    let by_address = containers.iter().filter(|one| is_at(one, endpoint));
    let Some(server) = by_name.chain(by_address).find(|one| one.is_running()) else { return Ok(None) };
    let data = server
        .mounts
        .iter()
        .filter(|mount| mount.target.contains("postgres"))
        .max_by_key(|mount| mount.target.len());
    let path = match data {
        Some(mount) if mount.kind == "volume" => site.docker.volume(&mount.source).await?,
        Some(mount) => Some(mount.source.clone()),
        None => Some(site.docker.engine().await?.root),
    };
    match path {
        Some(path) => Ok(Some(site.files.space(path.as_ref()).await?.free)),
        None => Ok(None),
    }
}

/// The container listens where the databases are reached: by an address of its own, or by a published port.
fn is_at(container: &Container, endpoint: &Endpoint) -> bool {
    let own = container.networks.values().any(|address| *address == endpoint.host);
    own || container.ports.iter().any(|(inside, binding)| {
        let everywhere = ["", "0.0.0.0", "::"].contains(&binding.host_ip.as_str());
        *inside == 5432
            && binding.host_port == endpoint.port
            && (everywhere || binding.host_ip == endpoint.host)
    })
}
