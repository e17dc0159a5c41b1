use std::collections::BTreeMap;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum as Status, EndpointSettings, HealthStatusEnum,
    MountPoint, PortMap, RestartPolicy, RestartPolicyNameEnum as Policy,
};
use jiff::Timestamp;

use super::no_policy;
use crate::{
    event::Failure,
    ports::docker::{Binding, Container, Mount, State},
    site::Secret,
};

/// The variables that it was made with.
pub(super) fn environment(lines: Option<Vec<String>>) -> BTreeMap<String, Secret> {
    let lines = lines.unwrap_or_default();
    let pair =
        |line: &String| line.split_once('=').map(|(name, value)| (name.to_owned(), Secret::new(value)));
    lines.iter().filter_map(pair).collect()
}

/// What is shown of a container.
pub(super) fn shown(found: ContainerInspectResponse) -> Result<Container, Failure> {
    let id = found.id.unwrap_or_default();
    let unclear = |what: &str| {
        let text = format!("the engine says nothing of the {what} of the container `{id}`");
        Failure::new("engine_failed", text).hint(format!("see what it says: `docker inspect {id}`"))
    };
    let config = found.config.unwrap_or_default();
    let host = found.host_config.unwrap_or_default();
    let network = found.network_settings.unwrap_or_default();
    let status = found.state.ok_or_else(|| unclear("state"))?;
    let state = state(status.status).ok_or_else(|| unclear("state"))?;
    let created = found.created.as_deref().and_then(time).ok_or_else(|| unclear("age"))?;
    let health = status.health.and_then(|health| health.status).and_then(health_word);
    let networks: BTreeMap<_, _> = network.networks.unwrap_or_default().into_iter().collect();
    let name = found.name.unwrap_or_default().trim_start_matches('/').to_owned();
    let aliases = networks.iter().map(|(network, at)| (network.clone(), aliases(&name, at)));
    let aliases = aliases.collect();
    let has_ended = matches!(state, State::Exited | State::Dead | State::Restarting);
    Ok(Container {
        name,
        image_id: found.image.unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        created,
        started: status.started_at.as_deref().and_then(time),
        state,
        exit_code: status.exit_code.filter(|_| has_ended),
        oom_killed: status.oom_killed.unwrap_or_default(),
        restarts: found.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
        health,
        command: config.cmd.unwrap_or_default(),
        restart_policy: policy_word(host.restart_policy.as_ref()),
        stop_timeout: config.stop_timeout.map(stop_timeout),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        mounts: mounts(found.mounts.unwrap_or_default()),
        ports: ports(network.ports.filter(|ports| !ports.is_empty()).or(host.port_bindings).as_ref()),
        networks: networks.into_iter().map(|(name, at)| (name, at.ip_address.unwrap_or_default())).collect(),
        aliases,
        extra_hosts: host.extra_hosts.unwrap_or_default(),
        id,
    })
}

/// What the engine's name server answers to on a network: the container's own name is among it.
fn aliases(name: &str, at: &EndpointSettings) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    let told = at.aliases.iter().chain(&at.dns_names).flatten();
    for alias in told {
        if !all.contains(alias) {
            all.push(alias.clone());
        }
    }
    all
}

/// A time of the engine; its zero time means never.
fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

fn state(status: Option<Status>) -> Option<State> {
    Some(match status? {
        Status::CREATED => State::Created,
        Status::RUNNING => State::Running,
        Status::PAUSED => State::Paused,
        Status::RESTARTING => State::Restarting,
        Status::REMOVING => State::Removing,
        Status::EXITED => State::Exited,
        Status::DEAD => State::Dead,
        _ => return None,
    })
}

fn health_word(health: HealthStatusEnum) -> Option<String> {
    let word = match health {
        HealthStatusEnum::STARTING => "starting",
        HealthStatusEnum::HEALTHY => "healthy",
        HealthStatusEnum::UNHEALTHY => "unhealthy",
        _ => return None,
    };
    Some(word.to_owned())
}

/// `no`, `always`, `unless-stopped`, `on-failure[:N]`.
pub(super) fn policy_word(policy: Option<&RestartPolicy>) -> String {
    let retries = policy.and_then(|policy| policy.maximum_retry_count).filter(|count| *count > 0);
    match (policy.and_then(|policy| policy.name), retries) {
        (Some(Policy::ALWAYS), _) => "always".to_owned(),
        (Some(Policy::UNLESS_STOPPED), _) => "unless-stopped".to_owned(),
        (Some(Policy::ON_FAILURE), None) => "on-failure".to_owned(),
        (Some(Policy::ON_FAILURE), Some(count)) => format!("on-failure:{count}"),
        _ => "no".to_owned(),
    }
}

/// The same word, read back.
pub(super) fn policy(word: &str) -> Result<RestartPolicy, Failure> {
    let unknown = || {
        Failure::new("bad_restart_policy", format!("`{word}` is no restart policy"))
            .hint("use one of `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:N`")
    };
    let (name, count) = word.split_once(':').map_or((word, None), |(name, count)| (name, Some(count)));
    let named = |name| RestartPolicy { name: Some(name), maximum_retry_count: None };
    let policy = match name {
        "no" | "" => no_policy(),
        "always" => named(Policy::ALWAYS),
        "unless-stopped" => named(Policy::UNLESS_STOPPED),
        "on-failure" => {
            let count = count.map(str::parse::<i64>).transpose().map_err(|_| unknown())?;
            return Ok(RestartPolicy { maximum_retry_count: count, ..named(Policy::ON_FAILURE) });
        }
        _ => return Err(unknown()),
    };
    if count.is_some() { Err(unknown()) } else { Ok(policy) }
}

fn mounts(found: Vec<MountPoint>) -> Vec<Mount> {
    let shown = |point: MountPoint| {
        let kind = point.typ.unwrap_or_default();
        let source = if kind == "volume" { point.name } else { point.source };
        Mount { kind, source: source.unwrap_or_default(), target: point.destination.unwrap_or_default() }
    };
    let mut mounts: Vec<_> = found.into_iter().map(shown).collect();
    // The engine gives them in another order every time.
    mounts.sort_by(|left, right| left.target.cmp(&right.target));
    mounts
}

fn ports(found: Option<&PortMap>) -> BTreeMap<u16, Binding> {
    let mut ports = BTreeMap::new();
    for (name, bindings) in found.into_iter().flatten() {
        let Some(port) = name.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else { continue };
        // The first that has a port: one published on every address has a second line for IPv6.
        let bound = bindings.iter().flatten().find_map(|one| {
            let host_port = one.host_port.as_ref()?.parse().ok().filter(|port| *port != 0)?;
            Some(Binding { host_ip: one.host_ip.clone().unwrap_or_default(), host_port })
        });
        if let Some(binding) = bound {
            ports.insert(port, binding);
        }
    }
    ports
}

/// Below 0 the engine never kills it: waited for as long as anything is.
fn stop_timeout(seconds: i64) -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    u64::try_from(seconds).unwrap_or(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_is_never_killed_is_waited_for() {
        assert_eq!((stop_timeout(0), stop_timeout(3), stop_timeout(-1)), (0, 3, 86_400));
    }

    #[test]
    fn policies_are_read_back_as_they_are_shown() {
        for word in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(policy_word(Some(&policy(word).unwrap())), word);
        }
        for word in ["never", "always:3", "on-failure:x"] {
            assert_eq!(policy(word).unwrap_err().code, "bad_restart_policy");
        }
    }
}
