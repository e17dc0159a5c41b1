//! The `docker compose` command.

mod aside;
mod config;
mod said;
mod up;

use std::{collections::BTreeMap, io};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{
    docker::{EngineClient, port_taken},
    process::{Ended, Processes, Program, in_words},
};
use crate::{
    event::Failure,
    ports::compose::{Compose, ComposeRead, Config, RunAside, Up, UpReport, by_hand, project_arguments},
    site::Project,
};

const INSTALL: &str = "install the plugin: `sudo apt install docker-compose-plugin` (from Docker's packages)";

/// Compose, as a child of ours for each question.
pub(super) struct ComposeCommand {
    processes: Processes,
    engine: EngineClient,
    /// Asked once: it is another program's start, a tenth of a second, and nobody exchanges that program in our middle.
    version: OnceCell<semver::Version>,
}

impl ComposeCommand {
    pub(super) fn new(processes: Processes, engine: EngineClient) -> Self {
        Self { processes, engine, version: OnceCell::new() }
    }

    /// `docker` with `arguments`, under a cleaned environment: what an operator's shell happens to have set must not
    /// change what a project's files say.
    async fn docker(
        &self,
        arguments: Vec<String>,
        project: Option<&Project>,
        overrides: &BTreeMap<String, String>,
    ) -> io::Result<Ended> {
        self.program(arguments, project).envs(overrides).output().await
    }

    /// The same with something to read.
    async fn fed(
        &self,
        arguments: Vec<String>,
        project: &Project,
        overrides: &BTreeMap<String, String>,
        input: String,
    ) -> io::Result<Ended> {
        self.program(arguments, Some(project)).envs(overrides).input(input).output().await
    }

    fn program(&self, arguments: Vec<String>, project: Option<&Project>) -> Program {
        let environment = &self.processes.environment;
        let mut program = self.processes.program("docker").args(arguments).envs(&environment.proxies());
        if let Some(config) = environment.docker_config() {
            program = program.env("DOCKER_CONFIG", config);
        }
        if let Some(project) = project
            && project.dir.is_dir()
        {
            program = program.folder(&project.dir);
        }
        // Compose speaks to the engine that everything else here speaks to, whatever context is chosen.
        program.env("DOCKER_HOST", self.engine.address())
    }

    async fn ask_version(&self) -> Result<semver::Version, Failure> {
        let words = ["compose", "version", "--short"].map(str::to_owned).to_vec();
        let ended = match self.docker(words, None, &BTreeMap::new()).await {
            Ok(ended) if ended.status.success() => ended,
            _ => return Err(self.missing().await),
        };
        let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        version(&said).ok_or_else(|| {
            let text = format!("`docker compose` does not say its version, but `{said}`");
            Failure::new("compose_missing", text).hint(INSTALL)
        })
    }

    /// Why there is no compose to run.
    async fn missing(&self) -> Failure {
        let old = self.processes.program("docker-compose").args(["--version"]).output().await;
        let old = old.ok().filter(|ended| ended.status.success());
        let said = old.map(|ended| String::from_utf8_lossy(&ended.stdout).trim().to_owned());
        match said {
            Some(said) if major(&said) == Some(1) => {
                let text = "only the old `docker-compose` is here, which reads files in another way";
                Failure::new("compose_v1", text).hint(INSTALL).evidence([said])
            }
            _ => Failure::new("compose_missing", "there is no `docker compose`").hint(INSTALL),
        }
    }
}

#[async_trait]
impl ComposeRead for ComposeCommand {
    async fn version(&self) -> Result<semver::Version, Failure> {
        self.version.get_or_try_init(|| self.ask_version()).await.cloned()
    }

    async fn config(
        &self,
        project: &Project,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Config, Failure> {
        let mut words = project_arguments(project);
        words.extend(["config", "--format", "json"].map(str::to_owned));
        let ended = match self.docker(words, Some(project), overrides).await {
            Ok(ended) => ended,
            Err(error) => return Err(not_started(&error)),
        };
        if !ended.status.success() {
            return Err(unread(&ended, project).await);
        }
        config::read(&ended.stdout)
    }
}

#[async_trait]
impl Compose for ComposeCommand {
    async fn up(&self, request: &Up) -> Result<UpReport, Failure> {
        self.upped(request).await
    }

    async fn create(&self, request: &Up) -> Result<(), Failure> {
        self.created(request).await
    }

    async fn run_aside(&self, request: &RunAside) -> Result<String, Failure> {
        self.ran_aside(request).await
    }
}

/// Compose says why, and it is nothing that is known here.
const FAILED: &str = "compose_failed";

fn not_started(error: &io::Error) -> Failure {
    Failure::new("compose_missing", format!("`docker` cannot be started: {error}")).hint(INSTALL)
}

/// The files are wrong. Nobody knows yet which of their values are secrets.
async fn unread(ended: &Ended, project: &Project) -> Failure {
    let failure = failed("config", ended);
    if failure.code != FAILED {
        return failure;
    }
    let scrubber = said::scrubber(project).await;
    let lines = said::without_values(&ended.last_lines);
    let why = if lines.is_empty() { in_words(ended.status) } else { lines.join("; ") };
    let text = scrubber.scrub(&format!("`docker compose config` failed: {why}"));
    let hint = format!("correct that; `{} config --quiet` says it until it is right", by_hand(project));
    Failure::new(FAILED, text).hint(hint)
}

fn failed(verb: &str, ended: &Ended) -> Failure {
    let said = said::without_values(&ended.last_lines);
    let why = said.last().cloned().unwrap_or_else(|| in_words(ended.status));
    let text = format!("`docker compose {verb}` failed: {why}");
    if why.contains("no space left on device") {
        return Failure::new("no_room", text).hint("make room: `docker system df`").evidence(said);
    }
    if let Some(failure) = port_taken(&why) {
        return failure;
    }
    // The last line is in the sentence already.
    let lines = if said.len() > 1 { said } else { Vec::new() };
    Failure::new(FAILED, text).hint("mend what it says, and type the command again").evidence(lines)
}

/// Distributions add to versions what would make them older: `2.26.1-4`.
fn version(said: &str) -> Option<semver::Version> {
    let number: String = said
        .trim_start_matches('v')
        .chars()
        .take_while(|letter| letter.is_ascii_digit() || *letter == '.')
        .collect();
    let mut parts = number.split('.').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    Some(semver::Version::new(next()?, next()?, next().unwrap_or(0)))
}

/// The first number in a sentence such as `docker-compose version 1.29.2, build unknown`.
fn major(said: &str) -> Option<u64> {
    said.split_whitespace().find_map(version).map(|version| version.major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_however_they_are_decorated() {
        for (said, expected) in [
            ("2.26.1", Some((2, 26, 1))),
            ("v2.26.1", Some((2, 26, 1))),
            ("2.26.1-4", Some((2, 26, 1))),
            ("5.0", Some((5, 0, 0))),
            ("dev", None),
        ] {
            let found = version(said).map(|found| (found.major, found.minor, found.patch));
            assert_eq!(found, expected, "{said}");
        }
        assert_eq!(major("docker-compose version 1.29.2, build unknown"), Some(1));
        assert_eq!(major("Docker Compose version v2.26.1"), Some(2));
    }
}
