use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    event::Failure,
    ports::compose::{Config, ConfiguredMount, PublishedPort, ServiceConfig},
    site::Secret,
};

#[derive(Deserialize)]
struct Whole {
    #[serde(default)]
    name: String,
    #[serde(default)]
    services: BTreeMap<String, Service>,
    #[serde(default)]
    volumes: BTreeMap<String, Option<Named>>,
    #[serde(default)]
    networks: BTreeMap<String, Option<Named>>,
}

/// A volume or a network.
#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

/// Their real names, by their names in the file.
fn real_names(all: BTreeMap<String, Option<Named>>) -> BTreeMap<String, String> {
    let real = |(key, one): (String, Option<Named>)| {
        let name = one.and_then(|one| one.name).unwrap_or_else(|| key.clone());
        (key, name)
    };
    all.into_iter().map(real).collect()
}

#[derive(Deserialize)]
struct Service {
    image: Option<String>,
    #[serde(default)]
    environment: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    command: Option<Words>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
    #[serde(default)]
    volumes: Option<Vec<Mount>>,
    healthcheck: Option<Healthcheck>,
    restart: Option<String>,
    scale: Option<u64>,
    deploy: Option<Deploy>,
    stop_grace_period: Option<String>,
    #[serde(default)]
    depends_on: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    profiles: Option<Vec<String>>,
    #[serde(default)]
    networks: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    extra_hosts: Option<ExtraHosts>,
}

/// Compose has printed them in two ways over the years.
#[derive(Deserialize)]
#[serde(untagged)]
enum ExtraHosts {
    Lines(Vec<String>),
    ByName(BTreeMap<String, String>),
}

impl ExtraHosts {
    /// As the engine keeps them: `NAME:ADDRESS`. Compose writes `=` where the address may hold colons.
    fn lines(self) -> Vec<String> {
        match self {
            Self::Lines(lines) => lines.into_iter().map(|line| line.replacen('=', ":", 1)).collect(),
            Self::ByName(all) => all.into_iter().map(|(name, address)| format!("{name}:{address}")).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    List(Vec<String>),
    One(String),
}

#[derive(Deserialize)]
struct Port {
    #[serde(default)]
    host_ip: String,
    published: Option<Value>,
    target: u16,
    protocol: Option<String>,
}

/// Compose takes a restart policy from here too, and rather from here; the number of containers rather from `scale`.
#[derive(Deserialize)]
struct Deploy {
    replicas: Option<u64>,
    restart_policy: Option<DeployRestart>,
}

#[derive(Deserialize)]
struct DeployRestart {
    condition: Option<String>,
    max_attempts: Option<u64>,
}

impl DeployRestart {
    /// As the engine calls it.
    fn policy(&self) -> String {
        match (self.condition.as_deref().unwrap_or("any"), self.max_attempts) {
            ("none", _) => "no".to_owned(),
            ("on-failure", Some(most)) => format!("on-failure:{most}"),
            ("any", _) => "always".to_owned(),
            (other, _) => other.to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Mount {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    source: String,
    target: String,
}

#[derive(Deserialize)]
struct Healthcheck {
    #[serde(default)]
    disable: bool,
    test: Option<Words>,
}

/// Reads what `docker compose config --format json` printed.
pub(super) fn read(printed: &[u8]) -> Result<Config, Failure> {
    // Compose doubles every dollar in the text as a whole, so that it could be read as a compose file again.
    let text = String::from_utf8_lossy(printed).replace("$$", "$");
    // The parser's words may quote a value, and every value may be a secret: only the place is told.
    let whole: Whole = serde_json::from_str(&text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::new(
            "compose_failed",
            format!("`docker compose config` printed what cannot be read: {place}"),
        )
        .hint("see it: `docker compose config --format json`")
    })?;
    let services = whole.services.into_iter().map(|(name, service)| (name, service.shown()));
    let (volumes, networks) = (real_names(whole.volumes), real_names(whole.networks));
    Ok(Config { name: whole.name, services: services.collect(), volumes, networks })
}

impl Service {
    fn shown(self) -> ServiceConfig {
        let environment = self.environment.unwrap_or_default().into_iter();
        let mounts = self.volumes.unwrap_or_default().into_iter().map(|mount| ConfiguredMount {
            kind: mount.kind,
            source: mount.source,
            target: mount.target,
        });
        let is_tcp = |port: &Port| port.protocol.as_deref().is_none_or(|name| name == "tcp");
        let replicas = self.scale.or(self.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1);
        let deployed = self.deploy.and_then(|deploy| deploy.restart_policy).map(|policy| policy.policy());
        let ports = self.ports.unwrap_or_default().into_iter().filter(is_tcp).map(|port| PublishedPort {
            host_ip: port.host_ip,
            published: port.published.and_then(|port| text(&port)?.parse().ok()),
            target: port.target,
        });
        ServiceConfig {
            image: self.image,
            // A name without a value means that the variable is taken away.
            environment: environment
                .filter_map(|(name, value)| Some((name, Secret::new(text(&value)?))))
                .collect(),
            command: self.command.map(Words::list).unwrap_or_default(),
            ports: ports.collect(),
            mounts: mounts.collect(),
            replicas,
            has_healthcheck: self.healthcheck.is_some_and(Healthcheck::asks),
            restart: deployed
                .or(self.restart)
                .filter(|word| !word.is_empty())
                .unwrap_or_else(|| "no".to_owned()),
            stop_grace: self.stop_grace_period.as_deref().and_then(duration),
            depends_on: self.depends_on.unwrap_or_default().into_keys().collect(),
            profiles: self.profiles.unwrap_or_default(),
            networks: self.networks.unwrap_or_default().into_keys().collect(),
            extra_hosts: self.extra_hosts.map(ExtraHosts::lines).unwrap_or_default(),
        }
    }
}

impl Words {
    fn list(self) -> Vec<String> {
        match self {
            Self::List(words) => words,
            Self::One(words) => words.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

impl Healthcheck {
    fn asks(self) -> bool {
        let test = self.test.map(Words::list).unwrap_or_default();
        !self.disable && test.first().is_none_or(|word| word != "NONE")
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Go's way of writing a time: `1m30s`.
fn duration(text: &str) -> Option<Duration> {
    let time: jiff::SignedDuration = text.parse().ok()?;
    time.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compose_prints_is_read() {
        let printed = r#"{
            "name": "strata",
            "services": {"web": {
                "image": "registry.example/strata:1.0.0", "command": null, "entrypoint": null,
                "environment": {"A": "pa$$w$$$$d", "B": null, "C": "1"},
                "depends_on": {"db": {"condition": "service_started", "required": true}},
                "ports": [{"mode": "ingress", "target": 80, "published": "3000", "protocol": "tcp", "host_ip": "127.0.0.1"},
                          {"mode": "ingress", "target": 81, "protocol": "tcp"}],
                "volumes": [{"type": "volume", "source": "strata_storage", "target": "/rails/storage", "volume": {}}],
                "healthcheck": {"test": ["CMD", "true"], "interval": "30s"},
                "restart": "unless-stopped", "stop_grace_period": "1m30s",
                "networks": {"default": null, "backend": {"aliases": ["app"]}},
                "extra_hosts": ["one=::1", "two:10.0.0.2"]
            }, "job": {"command": ["./bin/jobs"], "healthcheck": {"disable": true}, "extra_hosts": {"one": "::1"}}},
            "volumes": {"strata_storage": {"name": "strata_strata_storage"}, "other": null},
            "networks": {"default": {"name": "strata_default", "ipam": {}}, "backend": {"name": "shared", "external": true}}
        }"#;
        let config = read(printed.as_bytes()).unwrap();
        let web = &config.services["web"];
        assert_eq!(web.environment["A"].reveal(), "pa$w$$d");
        assert_eq!(web.environment.keys().collect::<Vec<_>>(), ["A", "C"]);
        let published: Vec<_> = web.ports.iter().map(|port| (port.target, port.published)).collect();
        assert_eq!(published, [(80, Some(3000)), (81, None)]);
        assert_eq!((web.has_healthcheck, web.stop_grace), (true, Some(Duration::from_secs(90))));
        assert_eq!(web.depends_on, ["db"]);
        let job = &config.services["job"];
        assert_eq!((job.command.as_slice(), job.restart.as_str()), (&["./bin/jobs".to_owned()][..], "no"));
        assert!(!job.has_healthcheck);
        assert_eq!(config.volumes["strata_storage"], "strata_strata_storage");
        assert_eq!(web.networks, ["backend", "default"]);
        assert_eq!(
            (&*config.networks["backend"], &*config.networks["default"]),
            ("shared", "strata_default")
        );
        assert_eq!(
            (web.extra_hosts.join(" "), job.extra_hosts.join(" ")),
            ("one:::1 two:10.0.0.2".into(), "one:::1".into())
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let failure = read(br#"{"services": {"web": {"environment": "secret-value"}}}"#).unwrap_err();
        assert!(!format!("{failure:?}").contains("secret-value"), "{failure:?}");
    }
}
