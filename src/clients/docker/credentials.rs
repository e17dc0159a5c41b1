//! What the `docker` command would show to a registry: from its configuration, or from the helper that it names.
#![expect(clippy::disallowed_methods, reason = "the clients read Docker's own configuration")]

use std::{collections::BTreeMap, fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::{Docker as Api, auth::DockerCredentials};
use serde::Deserialize;

use super::failed::registry_of;
use crate::clients::process::Processes;

/// A helper may ask a key ring that waits for somebody: not for ever.
const HELPER: Duration = Duration::from_secs(30);
/// The name under which Docker Hub's credentials are kept.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Config {
    auths: BTreeMap<String, Login>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// Credentials for the registry of `reference`; `None` to ask without any. What cannot be read is as good as none:
/// the registry's refusal then says what to do.
pub(super) async fn of(processes: &Processes, reference: &str) -> Option<DockerCredentials> {
    let path = processes.environment.docker_config()?.join("config.json");
    let text = tokio::task::spawn_blocking(move || fs::read_to_string(path)).await.ok()?.ok()?;
    let config: Config = serde_json::from_str(&text).ok()?;
    let registry = registry_of(reference);
    let server = if registry == "docker.io" { HUB } else { registry };
    let helper = config.cred_helpers.get(registry).or(config.creds_store.as_ref());
    if let Some(helper) = helper
        && let Some(found) = from_helper(processes, helper, server).await
    {
        return Some(found);
    }
    let login = config.auths.iter().find(|(name, _)| host_of(name) == host_of(server));
    login.and_then(|(_, login)| from_config(login, server))
}

fn from_config(login: &Login, server: &str) -> Option<DockerCredentials> {
    let decoded = login.auth.as_ref().and_then(|text| {
        let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
    });
    let (user, password) = decoded.unzip();
    let found = DockerCredentials {
        username: user.or_else(|| login.username.clone()),
        password: password.or_else(|| login.password.clone()),
        identitytoken: login.identitytoken.clone().filter(|token| !token.is_empty()),
        registrytoken: login.registrytoken.clone().filter(|token| !token.is_empty()),
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    };
    // An entry without anything in it only says that a helper has the rest.
    let holds = found.username.is_some() || found.identitytoken.is_some() || found.registrytoken.is_some();
    holds.then_some(found)
}

async fn from_helper(processes: &Processes, helper: &str, server: &str) -> Option<DockerCredentials> {
    let program = processes.program(format!("docker-credential-{helper}")).args(["get"]);
    // It is the user's own program, with needs of its own: key rings, agents, profiles.
    let program = program.envs(processes.environment.all()).input(server);
    let ended = tokio::time::timeout(HELPER, program.output()).await.ok()?.ok()?;
    if !ended.status.success() {
        return None;
    }
    let found: Helped = serde_json::from_slice(&ended.stdout).ok()?;
    let mut credentials =
        DockerCredentials { serveraddress: Some(server.to_owned()), ..DockerCredentials::default() };
    if found.username == "<token>" {
        credentials.identitytoken = Some(found.secret);
    } else {
        credentials.username = Some(found.username);
        credentials.password = Some(found.secret);
    }
    Some(credentials)
}

/// `https://index.docker.io/v1/` and `index.docker.io` are one.
fn host_of(name: &str) -> &str {
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// The engine reads credentials in the alphabet of base64 for URLs, but bollard writes the other one: a password
/// whose encoding holds `+` or `/` would be taken for none at all.
pub(super) fn repaired(api: Api) -> Api {
    api.with_request_modifier(|mut request| {
        if let Some(header) = request.headers_mut().get_mut("x-registry-auth")
            && let Ok(text) = header.to_str()
            && let Ok(value) = text.replace('+', "-").replace('/', "_").parse()
        {
            *header = value;
        }
        request
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::environment::Environment;

    fn processes(config: &str) -> (tempfile::TempDir, Processes) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", folder.path().display());
        let folder_name = folder.path().to_str().unwrap().to_owned();
        let environment = Environment::default().with("DOCKER_CONFIG", folder_name).with("PATH", path);
        (folder, Processes::new(std::sync::Arc::new(environment)))
    }

    #[tokio::test]
    async fn a_login_is_found_however_its_key_is_written() {
        let config = format!(
            r#"{{"auths":{{"https://registry.example/v2/":{{"auth":"{}"}},"empty.example":{{}}}}}}"#,
            STANDARD.encode("me:pass:word")
        );
        let (_folder, processes) = processes(&config);
        let found = of(&processes, "registry.example/strata/server:1").await.unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("me"), Some("pass:word")));
        assert_eq!(of(&processes, "empty.example/a:1").await, None);
        assert_eq!(of(&processes, "other.example/a:1").await, None);
    }

    #[tokio::test]
    async fn a_helper_is_asked() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, processes) = processes(r#"{"credsStore":"fake","auths":{"registry.example":{}}}"#);
        let script = "#!/bin/sh\nread server\nprintf '{\"ServerURL\":\"%s\",\"Username\":\"<token>\",\"Secret\":\"t\"}' \"$server\"\n";
        let helper = folder.path().join("docker-credential-fake");
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let found = of(&processes, "registry.example/strata/server:1").await.unwrap();
        assert_eq!((found.identitytoken.as_deref(), found.username), (Some("t"), None));
    }
}
