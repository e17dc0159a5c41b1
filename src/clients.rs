//! The ports on the real world. Only this module names an engine's library, starts processes, opens sockets and
//! writes files.

#[cfg(feature = "docker")]
mod clock;
#[cfg(feature = "docker")]
mod compose;
#[cfg(feature = "docker")]
mod docker;
#[cfg(feature = "docker")]
mod download;
mod environment;
#[cfg(feature = "docker")]
mod files;
#[cfg(feature = "docker")]
mod hands;
#[cfg(feature = "docker")]
mod hashed;
#[cfg(feature = "docker")]
mod http;
#[cfg(feature = "docker")]
mod notices;
#[cfg(feature = "docker")]
mod postgres;
#[cfg(feature = "docker")]
mod process;
#[cfg(feature = "docker")]
mod programs;
#[cfg(feature = "docker")]
mod requests;
mod scratch;
#[cfg(feature = "docker")]
mod tls;
#[cfg(feature = "docker")]
mod trees;
mod who;
#[cfg(not(feature = "docker"))]
mod without;
mod world_file;

#[cfg(feature = "docker")]
pub use download::download;
pub use environment::Environment;
#[cfg(feature = "docker")]
pub use hands::Hands;
pub use scratch::Scratch;
pub use who::{Who, who};
#[cfg(not(feature = "docker"))]
pub use without::{Hands, download};
pub use world_file::{KeptWorld, read_text, read_world};

use crate::{event::Failure, ports::Ports};

/// The real world, as this process finds it.
pub fn real() -> Result<(Ports, Hands), Failure> {
    real_in(Environment::of_process())
}

/// The real world, as a process with these variables would find it. Asks nothing yet: an engine that does not answer
/// is a failure of the first question.
#[cfg(feature = "docker")]
pub fn real_in(environment: Environment) -> Result<(Ports, Hands), Failure> {
    use std::sync::Arc;

    let environment = Arc::new(environment);
    let processes = process::Processes::new(Arc::clone(&environment));
    let engine = docker::EngineClient::new(processes.clone());
    let elsewhere = Arc::new(requests::Elsewhere::new(&environment)?);
    let postgres = postgres::PostgresClient::new(processes.clone());
    let ports = Ports {
        docker: Arc::new(engine.clone()),
        compose: Arc::new(compose::ComposeCommand::new(processes.clone(), engine)),
        postgres: Arc::new(postgres.clone()),
        files: Arc::new(files::HostFiles),
        trees: Arc::new(trees::HostTrees),
        http: Arc::new(http::WebClient::new()?),
        clock: Arc::new(clock::HostClock),
        notices: Arc::new(notices::NoticeCommand {
            processes: processes.clone(),
            elsewhere: elsewhere.clone(),
        }),
        programs: Arc::new(programs::HostPrograms(processes.clone())),
        requests: elsewhere,
        variables: environment,
        outside: crate::ports::Outside::default(),
        scrubber: crate::site::Scrubber::default(),
    };
    Ok((ports, Hands::new(processes, postgres)))
}

/// The real world is not in this build.
#[cfg(not(feature = "docker"))]
pub fn real_in(_environment: Environment) -> Result<(Ports, Hands), Failure> {
    Err(Failure::new("built_without", "this uplift was built without `docker`")
        .hint("build it with `--features docker`"))
}
