//! Whether a savepoint can be made, and whether the server has the room.

use super::{contract::Size, pg_savepoint::Mode};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe,
        docker::{Container, Select},
        postgres::DatabaseFacts,
        project::{named, networks, surroundings},
    },
    site::Endpoint,
};

pub(super) enum Verdict {
    Room,
    /// None is made, and why.
    None(String),
}

/// What a server must have free beside the copies: it goes on writing.
const RESERVE: u64 = 512 << 20;

/// Refuses what would end in the middle; says why none is made where nobody insists on one.
pub(super) async fn judge(
    mode: Mode,
    databases: &[DatabaseFacts],
    site: Observe<'_>,
) -> Result<Verdict, Refusal> {
    if mode == Mode::Never {
        return Ok(Verdict::None("it is switched off".to_owned()));
    }
    let endpoint = &site.site.databases.endpoint;
    let names: Vec<_> = databases.iter().map(|one| one.name.clone()).collect();
    let none = |why: String| {
        match mode {
        Mode::Always => Err(Refusal(Failure::new("no_savepoint", format!("no savepoint can be made: {why}")).hint(
            "mend that, or go without: `--savepoint never` (then data goes back only by a person's decision)",
        ))),
        _ => Ok(Verdict::None(why)),
    }
    };
    let obstacles = site.postgres.obstacles(endpoint, &names).await?;
    if let Some(first) = obstacles.first() {
        return none(format!(
            "`{}` has a {}: `{}`",
            first.database,
            first.kind.replace('_', " "),
            first.name
        ));
    }
    let server = site.postgres.server(endpoint, site.site.databases.primary()).await?;
    if !server.may_create {
        return none(format!("`{}` may not create databases (`ALTER ROLE ... CREATEDB`)", endpoint.user));
    }
    let of_another =
        |one: &DatabaseFacts| Some((one.name.clone(), one.setting_of_another(&endpoint.user)?.to_owned()));
    if let Some((name, setting)) = databases.iter().find_map(of_another).filter(|_| !server.may_set_roles) {
        return none(format!(
            "`{}` may not give a copy of `{name}` what another role has there (`{setting}`); an administrator may: \
             `UPLIFT_DB_ADMIN_URL`",
            endpoint.user
        ));
    }
    let needed = databases.iter().map(|one| one.size).sum::<u64>() + RESERVE;
    match room(site).await? {
        Some(free) if free < needed => {
            none(format!("the server needs {} for it, and {} are free", Size(needed), Size(free)))
        }
        None if mode == Mode::Auto => none(
            "how much room the server has is not known (`--savepoint always` makes one all the same)"
                .to_owned(),
        ),
        _ => Ok(Verdict::Room),
    }
}

/// Free bytes where the server keeps its data: as it says itself, or of the container of this engine that it is.
async fn room(site: Observe<'_>) -> Result<Option<u64>, Failure> {
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
