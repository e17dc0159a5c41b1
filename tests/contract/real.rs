//! The real clients on a stand-in site: the same behaviours as the world, and what only the real thing can do wrong.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "these tests look at the site from outside of the ports, and say what takes long"
)]

mod aside;
mod beside;
mod connections;
mod containers;
mod dumps;
mod images;
mod moves;
mod processes;
mod trees;

use std::path::PathBuf;

use uplift::{
    Host, Start,
    clients::{self, Environment, Hands},
    ports::{Ports, notices::Notice},
    sim::{Answers, Does, Notifier},
    site::{Notify, Secret, Site},
};

use super::{
    ALL, Fixture, notices, programs,
    requests::{self, Service},
};
use crate::lab::{Images, Registry, Shape, Stack, Tools};

/// A stand-in site with the real clients on it. Taken away when it is dropped.
struct Real {
    stack: Stack,
    registry: Registry,
    environment: Environment,
    ports: Ports,
    hands: Hands,
    site: Site,
}

impl Real {
    async fn start() -> Self {
        let brought = tokio::task::spawn_blocking(|| {
            let tools = Tools::bring()?;
            let images = Images::bring(&tools)?;
            let registry = Registry::start(&tools, &images)?;
            registry.push("1.0.0")?;
            registry.push("1.1.0")?;
            let stack = Stack::start(&tools, &images, &registry, Shape::Present, "1.0.0")?;
            // As an operator's `up -d` makes it, without the wait for the health check's first interval.
            stack.compose("up --no-start job")?;
            tools.docker().arg("start").arg(format!("{}-job-1", stack.project())).output()?;
            stack.wait_up()?;
            Ok::<_, String>((tools, registry, stack))
        });
        let (tools, registry, stack) = brought.await.unwrap().unwrap();
        let environment = Environment::of_process();
        let environment =
            tools.env.iter().fold(environment, |known, (name, value)| known.with(name, value.clone()));
        let (ports, hands) = clients::real_in(environment.clone()).unwrap();
        let host = Host::at(Start::in_folder(stack.dir())).ports(ports.clone()).open().await.unwrap();
        let site = host.site().clone();
        hands.set_password(site.secrets["DB_PASSWORD"].clone());
        std::fs::create_dir_all(stack.dir().join("scratch")).unwrap();
        Self { stack, registry, environment, ports, hands, site }
    }
}

impl Real {
    /// The same site through other variables.
    fn ports_in(&self, environment: Environment) -> Ports {
        let (ports, hands) = clients::real_in(environment).unwrap();
        hands.set_password(self.site.secrets["DB_PASSWORD"].clone());
        ports
    }

    fn docker(&self, words: &str) -> String {
        self.stack.tools().docker().args(words).output().unwrap()
    }
}

impl Fixture for Real {
    fn ports(&self) -> Ports {
        self.ports.clone()
    }

    fn site(&self) -> Site {
        self.site.clone()
    }

    fn scratch(&self) -> PathBuf {
        self.stack.dir().join("scratch")
    }

    fn other_tag(&self) -> String {
        "1.1.0".to_owned()
    }

    fn owner(&self) -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn with_wrong_password(&self) -> Ports {
        let (ports, hands) = clients::real_in(self.environment.clone()).unwrap();
        hands.set_password(Secret::new("another"));
        ports
    }

    fn notifier(&self, does: Notifier) -> Notify {
        notices::on_disk(&self.scratch(), does)
    }

    fn program(&self, does: &Does) -> PathBuf {
        programs::on_disk(&self.scratch(), does)
    }

    fn service(&self, answers: &[Answers]) -> Service {
        requests::listening(answers)
    }

    fn told(&self) -> Vec<Notice> {
        notices::told_on_disk(&self.scratch())
    }
}

/// One site serves them all, because each leaves it as it was: bringing one up takes long.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_clients_behave_as_the_world() {
    let mut fixture = Real::start().await;
    let mut broken = Vec::new();
    for behaviour in ALL {
        let started = std::time::Instant::now();
        let attempt = tokio::spawn(async move {
            (behaviour.run)(&fixture).await;
            fixture
        });
        match attempt.await {
            Ok(back) => fixture = back,
            // What a broken behaviour leaves behind would break the next ones.
            Err(panic) => {
                broken.push(format!("`{}`: {panic}", behaviour.name));
                fixture = Real::start().await;
            }
        }
        eprintln!("contract: `{}` took {:.1?}", behaviour.name, started.elapsed());
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
