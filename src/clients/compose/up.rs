use std::collections::{BTreeMap, BTreeSet};

use super::{ComposeCommand, failed, not_started};
use crate::{
    clients::process::LINES,
    event::Failure,
    ports::{
        compose::{ComposeRead as _, Config, Up, UpReport},
        docker::{Container, Docker as _, DockerRead as _, Select, Start},
    },
};

impl ComposeCommand {
    /// Brings up some services and no other.
    ///
    /// `--no-deps` alone makes a container whose label says another configuration than a plain `up` would: compose
    /// takes the dependencies out before it computes it, and the operator's next `up` would make the container once
    /// more. So where compose says beforehand that it would leave the dependencies as they are, it makes the
    /// containers with their dependencies in sight, and the engine starts them: compose would wait for a
    /// dependency's health check, which comes after a full interval.
    pub(super) async fn upped(&self, request: &Up) -> Result<UpReport, Failure> {
        let config = self.config(&request.project, &BTreeMap::new()).await?;
        let depends = |name: &String| config.services.get(name).is_some_and(|one| !one.depends_on.is_empty());
        if request.services.iter().any(depends) && self.leaves_others(request).await? {
            self.run(request, with_dependencies(request)).await?;
            for service in started_after_what_it_needs(&config, &request.services) {
                for container in self.own(request, &service).await.map_err(Failure::unknown)? {
                    let image = container.image;
                    let start = Start { id: container.id, service: service.clone(), image };
                    self.engine.start(&start).await.map_err(Failure::unknown)?;
                }
            }
        } else {
            self.run(request, request.arguments()).await?;
        }
        let mut containers = BTreeMap::new();
        for service in &request.services {
            let own = self.own(request, service).await.map_err(Failure::unknown)?;
            self.engine.give_usual_names(&own).await.map_err(Failure::unknown)?;
            containers.insert(service.clone(), own.into_iter().map(|one| one.id).collect());
        }
        Ok(UpReport { containers })
    }

    pub(super) async fn created(&self, request: &Up) -> Result<(), Failure> {
        self.run(request, request.create_arguments()).await
    }

    async fn run(&self, request: &Up, arguments: Vec<String>) -> Result<(), Failure> {
        let done = self.docker(arguments, Some(&request.project), &BTreeMap::new()).await;
        let ended = done.map_err(|error| not_started(&error))?;
        if ended.status.success() { Ok(()) } else { Err(failed("up", &ended).unknown()) }
    }

    /// Containers of one service, oldest first.
    async fn own(&self, request: &Up, service: &str) -> Result<Vec<Container>, Failure> {
        let mut own = self.engine.containers(&Select::Project(request.project.name.clone())).await?;
        own.retain(|one| one.service() == Some(service));
        own.sort_by_key(|one| one.created);
        Ok(own)
    }

    /// Whether compose says that it would touch no container of another service. In doubt it would.
    async fn leaves_others(&self, request: &Up) -> Result<bool, Failure> {
        let known = self.engine.containers(&Select::Project(request.project.name.clone())).await?;
        let mut arguments = with_dependencies(request);
        // After `compose`, before what belongs to `up`.
        arguments.insert(1, "--dry-run".to_owned());
        let done = self.docker(arguments, Some(&request.project), &BTreeMap::new()).await;
        let said = match done {
            // More than is kept may have been said.
            Ok(ended) if ended.status.success() && ended.last_lines.len() < LINES => ended.last_lines,
            _ => return Ok(false),
        };
        Ok(touches_only(request, &known, &said))
    }
}

fn with_dependencies(request: &Up) -> Vec<String> {
    let mut arguments = request.arguments();
    arguments.retain(|word| word != "--no-deps");
    for word in &mut arguments {
        if word == "--detach" {
            "--no-start".clone_into(word);
        }
    }
    arguments
}

/// `DRY-RUN MODE -  Container strata-web-1  Running`, a line for each step.
fn touches_only(request: &Up, known: &[Container], said: &[String]) -> bool {
    let steps = said.iter().filter_map(|line| {
        let mut words = line.split(" Container ").nth(1)?.split_whitespace();
        Some((words.next()?, words.next()?))
    });
    let mut seen = BTreeSet::new();
    let fits = steps.clone().all(|(name, step)| match known.iter().find(|one| one.name == name) {
        Some(one) => {
            let is_asked = one.service().is_some_and(|own| request.services.iter().any(|asked| asked == own));
            // Not running and left alone, it is called created; a new one would be under way before.
            let left_alone = matches!(step, "Running" | "Created" | "Exists") && seen.insert(name);
            is_asked || left_alone
        }
        None => request
            .services
            .iter()
            .any(|asked| name.starts_with(&format!("{}-{asked}-", request.project.name))),
    });
    fits && steps.count() > 0
}

/// The asked services, each after those of them that it depends on.
fn started_after_what_it_needs(config: &Config, asked: &[String]) -> Vec<String> {
    fn visit(
        config: &Config,
        asked: &[String],
        name: &String,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<String>,
    ) {
        if !seen.insert(name.clone()) {
            return;
        }
        for needed in config.services.get(name).map_or(&[][..], |one| &one.depends_on) {
            visit(config, asked, needed, seen, order);
        }
        if asked.contains(name) {
            order.push(name.clone());
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for name in asked {
        visit(config, asked, name, &mut seen, &mut order);
    }
    order
}
