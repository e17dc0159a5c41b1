use semver::Version;

use crate::{
    event::Failure,
    ports::{compose::ComposeRead, docker::DockerRead},
};

/// The oldest engine that uplift was tried on.
pub const MINIMUM_ENGINE: Version = Version::new(20, 10, 0);
/// The oldest compose that reads files as uplift expects.
pub const MINIMUM_COMPOSE: Version = Version::new(2, 20, 0);

/// Refuses by name every platform that uplift has not been tried on. Gives engine and compose versions.
pub async fn supported(
    docker: &dyn DockerRead,
    compose: &dyn ComposeRead,
) -> Result<(String, String), Failure> {
    let engine = docker.engine().await?;
    if engine.kind.contains("Podman") {
        return Err(refused("podman", "Podman").hint("use Docker Engine 20.10 or newer"));
    }
    if engine.kind.contains("Desktop") {
        return Err(refused("docker_desktop", "Docker Desktop").hint("use Docker Engine on a Linux host"));
    }
    if !engine.local {
        return Err(refused("engine_remote", "a Docker Engine on another machine")
            .hint("run uplift on that machine, and unset `DOCKER_HOST`"));
    }
    if engine.rootless {
        return Err(
            refused("engine_rootless", "a rootless Docker Engine").hint("use the engine of the system")
        );
    }
    let version = lenient(&engine.version);
    if version.as_ref().is_none_or(|version| *version < MINIMUM_ENGINE) {
        let text = format!("Docker Engine {} is older than {MINIMUM_ENGINE}", engine.version);
        return Err(Failure::new("engine_old", text).hint("upgrade Docker Engine first"));
    }
    let compose = compose.version().await?;
    if compose < MINIMUM_COMPOSE {
        let text = format!("docker compose {compose} is older than {MINIMUM_COMPOSE}");
        return Err(Failure::new("compose_old", text).hint("upgrade the package `docker-compose-plugin`"));
    }
    Ok((engine.version, compose.to_string()))
}

fn refused(code: &str, what: &str) -> Failure {
    Failure::new(code, format!("{what} is not supported: uplift has not been tried on it"))
}

/// Distributions add to versions what semver does not know: `20.10.24+dfsg1`, `2.26.1-4`.
fn lenient(text: &str) -> Option<Version> {
    let digits: String =
        text.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let mut parts = digits.split('.').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    Some(Version::new(next()?, next().unwrap_or(0), next().unwrap_or(0)))
}
