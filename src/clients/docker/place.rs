#![expect(clippy::disallowed_methods, reason = "the clients read Docker's own configuration")]

use std::{fs, path::Path};

use bollard::models::{SystemInfo, SystemVersion};
use serde::Deserialize;

use crate::{clients::environment::Environment, event::Failure, ports::docker::Engine};

const SOCKET: &str = "unix:///var/run/docker.sock";

/// Where the `docker` command would look for its engine here and now.
pub(super) struct Place {
    /// As `DOCKER_HOST` takes it, e.g. `unix:///var/run/docker.sock`.
    pub(super) address: String,
    /// Who says so, in words; `None` where nobody does.
    pub(super) said_by: Option<String>,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(rename = "currentContext")]
    context: Option<String>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

impl Place {
    /// In the order of the `docker` command: `DOCKER_HOST`, `DOCKER_CONTEXT`, the context that was chosen last.
    pub(super) fn of(environment: &Environment) -> Self {
        if let Some(host) = environment.get("DOCKER_HOST") {
            return Self { address: host.to_owned(), said_by: Some("`DOCKER_HOST`".to_owned()) };
        }
        let config = environment.docker_config();
        let chosen = environment.get("DOCKER_CONTEXT").map(str::to_owned).or_else(|| {
            let text = fs::read_to_string(config.as_ref()?.join("config.json")).ok()?;
            serde_json::from_str::<Settings>(&text).ok()?.context
        });
        let chosen = chosen.filter(|name| !name.is_empty() && name != "default");
        match chosen.and_then(|name| Some((host_of(config.as_deref()?, &name)?, name))) {
            Some((address, name)) => Self { address, said_by: Some(format!("the docker context `{name}`")) },
            None => Self { address: SOCKET.to_owned(), said_by: None },
        }
    }

    /// The socket's path, if it is one of this host.
    pub(super) fn socket(&self) -> Option<&str> {
        self.address
            .strip_prefix("unix://")
            .or_else(|| self.address.starts_with('/').then_some(&*self.address))
    }

    /// An engine on another machine: nothing is asked there, because uplift refuses it anyway.
    pub(super) fn unasked() -> Engine {
        Engine {
            version: String::new(),
            api_version: String::new(),
            root: String::new(),
            rootless: false,
            kind: "Docker Engine".to_owned(),
            local: false,
        }
    }

    pub(super) fn elsewhere(&self) -> Failure {
        let by = self.said_by.as_deref().unwrap_or("nobody");
        Failure::new("engine_remote", format!("{by} names an engine that is not on this host"))
            .hint("run uplift on that machine; here: `unset DOCKER_HOST; docker context use default`")
    }
}

/// The address that a context keeps. Its folder is named after a hash: they are few, so all are looked at.
fn host_of(config: &Path, name: &str) -> Option<String> {
    let folders = fs::read_dir(config.join("contexts/meta")).ok()?;
    folders.filter_map(Result::ok).find_map(|folder| {
        let text = fs::read_to_string(folder.path().join("meta.json")).ok()?;
        let context: Context = serde_json::from_str(&text).ok()?;
        (context.name == name).then_some(context.endpoints.docker?.host).flatten()
    })
}

/// The engine as it says it is.
pub(super) fn engine(version: &SystemVersion, info: &SystemInfo) -> Engine {
    let components = version.components.iter().flatten().map(|one| one.name.as_str());
    let is_podman = components.chain(version.platform.iter().map(|one| one.name.as_str()));
    let is_podman = is_podman.into_iter().any(|name| name.contains("Podman"));
    let system = info.operating_system.as_deref().unwrap_or_default();
    let platform = version.platform.as_ref().map_or("", |platform| platform.name.as_str());
    let kind = if is_podman {
        "Podman Engine"
    } else if system.contains("Docker Desktop") || platform.contains("Docker Desktop") {
        "Docker Desktop"
    } else {
        "Docker Engine"
    };
    let options = info.security_options.iter().flatten();
    Engine {
        version: version.version.clone().unwrap_or_default(),
        api_version: version.api_version.clone().unwrap_or_default(),
        root: info.docker_root_dir.clone().unwrap_or_default(),
        rootless: options.into_iter().any(|option| option.contains("rootless")),
        kind: kind.to_owned(),
        local: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_host_wins_and_may_be_remote() {
        for (host, socket) in [
            ("unix:///run/user/1000/docker.sock", Some("/run/user/1000/docker.sock")),
            ("ssh://root@elsewhere", None),
            ("tcp://127.0.0.1:2375", None),
        ] {
            let place = Place::of(&Environment::default().with("DOCKER_HOST", host));
            assert_eq!((place.socket(), place.address.as_str()), (socket, host));
        }
        let place = Place::of(&Environment::default());
        assert_eq!(place.socket(), Some("/var/run/docker.sock"));
    }

    #[test]
    fn the_chosen_context_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("contexts/meta/abc");
        fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://far","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        fs::write(folder.path().join("config.json"), r#"{"currentContext":"far"}"#).unwrap();
        let environment = Environment::default().with("DOCKER_CONFIG", folder.path().to_str().unwrap());
        assert_eq!(Place::of(&environment).address, "ssh://far");
        assert_eq!(Place::of(&environment.with("DOCKER_CONTEXT", "default")).address, SOCKET);
    }
}
