use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{
    channel::oneshot,
    future::{Either, join_all, select},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    as_before::ServiceBefore,
    contract::{Back, Effect, Found, Undone, WhenUnknown},
    held_restarts,
};
use crate::{
    event::{Failure, Refusal, Unit},
    ports::{
        Observe, Operate,
        clock::{Clock, since},
        compose::by_hand,
        docker::{Container, Select, Stop},
        http::Probe,
        project::{of_service, repository},
    },
};

/// Stop services, in the order given, each with its own stop timeout.
///
/// One is told to stop once the one before it has stopped, or once that may take no longer than it.
///
/// Containers that the compose files no longer name, but that run the product's image (an old `worker` after its
/// service was renamed), stop too: they would go on with the old code against the new database. Others are told and
/// left alone.
///
/// Undo: what ran is started again, and web is waited for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ComposeStop {
    /// Names of services, e.g. `[site::job, site::web]`.
    pub services: Vec<String>,
    /// Whether nothing may start them again before `compose_up` does, not even a daemon that is itself started again:
    /// their restart policies are `no` until then. For as long as databases are copied or moved.
    #[serde(default)]
    pub hold: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    services: Vec<ServiceBefore>,
    #[serde(default)]
    hold: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Services that were stopped, in this order.
    pub stopped: Vec<String>,
    /// When each was told to stop, RFC 3339 in UTC; empty where that is not known.
    #[serde(default)]
    pub told: BTreeMap<String, String>,
}

impl Effect for ComposeStop {
    const NAME: &'static str = "compose_stop";
    const LEAVES_DATA: bool = true;
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self { services: vec!["web".to_owned()], hold: true }
    }

    fn when_unknown(&self) -> WhenUnknown {
        WhenUnknown::Repeat
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        self.all_of_the_product(site).await?;
        let mut names = orphans(site).await?;
        for service in &self.services {
            if !site.site.services.contains(service) {
                let known =
                    site.site.services.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let failure =
                    Failure::new("no_such_service", format!("this project has no service `{service}`"));
                return Err(Refusal(failure.hint(format!("its services: {known}"))));
            }
            if !names.contains(service) {
                names.push(service.clone());
            }
        }
        let mut services = Vec::new();
        for name in names {
            services.push(ServiceBefore::look(&name, site).await?);
        }
        Ok(Intent { services, hold: self.hold })
    }

    fn summary(intent: &Intent) -> String {
        let names: Vec<_> = intent.services.iter().map(|before| format!("`{}`", before.service)).collect();
        let held = if intent.hold { ", and keep them from being started" } else { "" };
        format!("stop {}{held}", names.join(", then "))
    }

    fn result(outcome: &Outcome) -> String {
        let names: Vec<_> = outcome.stopped.iter().map(|name| format!("`{name}`")).collect();
        format!("{} stopped", names.join(" and "))
    }

    fn undo_summary(_: &Intent) -> String {
        "start again what ran".to_owned()
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let (mut left, mut begun) = (0, 0);
        for before in &intent.services {
            for container in of_service(site.docker, &site.site.project, &before.service).await? {
                let held = intent.hold && held_restarts::is_held(&container);
                left += usize::from(container.is_up() || intent.hold && !held);
                begun += usize::from(!container.is_up() || held);
            }
        }
        Ok(match (left, begun) {
            (0, _) => Found::Applied(outcome(intent)),
            (_, 0) => Found::NotApplied,
            _ => Found::Partial(format!("{left} containers still run, or could be started again")),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        for before in intent.services.iter().rev() {
            before.keep(site).await?;
        }
        if intent.hold {
            held_restarts::hold(&intent.services, site).await?;
        }
        let told = stop_all(&intent.services, site).await?;
        Ok(Outcome { told, ..outcome(intent) })
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        // Where they were to be held first and none is, no stop was sent.
        if !intent.hold || any_held(&intent.services, site.observe()).await? {
            still_stopping(&intent.services, site.observe()).await?;
        }
        let mut started = Vec::new();
        // Last stopped, first started: web before the service that needs it.
        for before in intent.services.iter().rev() {
            if !before.is_so(site.observe()).await? {
                before.restore(site).await?;
                started.push(format!("`{}`", before.service));
            }
        }
        if started.is_empty() {
            return Ok(Undone::nothing("everything runs that ran before"));
        }
        until_web_answers(site).await;
        Ok(Undone::restored(format!("started {} again", started.join(", "))))
    }
}

impl ComposeStop {
    /// A further service of the product's image, a second worker, would go on with the old code on whatever becomes of
    /// the databases.
    async fn all_of_the_product(&self, site: Observe<'_>) -> Result<(), Refusal> {
        let own = |name: &str| site.site.product().any(|service| service.name == name);
        for container in site.docker.containers(&Select::Project(site.site.project.name.clone())).await? {
            let Some(service) = container.service() else { continue };
            let named = own(service) || self.services.iter().any(|name| name == service);
            let same = repository(&container.image) == site.site.web.repository;
            if same && !named && container.is_up() && site.site.services.iter().any(|name| name == service) {
                let text = format!(
                    "`{service}` runs the product's image too, and would go on beside what is done here"
                );
                return Err(Refusal(Failure::new("more_services", text).hint(format!(
                    "stop it for as long as this takes: `{} stop {service}`; or name it in a runbook of your own, where \
                     services are stopped and started",
                    by_hand(&site.site.project)
                ))));
            }
        }
        Ok(())
    }
}

/// What is taken back next may send users to web again, e.g. a balancer that was told of the stop: web answers first, where
/// it does so at all. Whether the site is as it was is judged at the end.
async fn until_web_answers(site: Operate<'_>) {
    if site.clock.takes_for_granted("web answers again") {
        return;
    }
    let started = site.clock.now();
    loop {
        let web = of_service(site.docker, &site.site.project, &site.site.web.name).await.unwrap_or_default();
        let Some(probe) = web.iter().find_map(|container| Probe::up(site.site, container)) else { return };
        let passed = since(site.clock, started);
        let up = web.iter().any(Container::is_running);
        if !up || passed > BOOT || site.http.probe(&probe).await.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        site.tell.progress("waiting until web answers again".to_owned(), millis, None, Unit::Milliseconds);
        site.clock.sleep(Duration::from_secs(1)).await;
    }
}

/// Longer than a release needs that has nothing to migrate.
const BOOT: Duration = Duration::from_mins(2);

/// How long a container may take to stop, in seconds.
fn time(container: &Container) -> u64 {
    container.stop_timeout.unwrap_or(10).min(DAY)
}

const DAY: u64 = 24 * 60 * 60;

/// What a service waits for before it is told to stop.
struct Ahead {
    told: oneshot::Receiver<()>,
    /// Sent once it has stopped; dropped where it could not be.
    ended: oneshot::Receiver<()>,
    /// How long it may take, in seconds.
    time: u64,
}

impl Ahead {
    /// Whether whoever may take `own` seconds is to be told now: not if the one before could not be stopped.
    async fn wait(self, own: u64, clock: &dyn Clock) -> bool {
        let rest = Duration::from_secs(self.time.saturating_sub(own));
        self.told.await.is_ok()
            && !matches!(select(self.ended, clock.sleep(rest)).await, Either::Left((Err(_), _)))
    }
}

/// One is told to stop once the one before it has, or once that may take no longer than it: web must not be away for
/// all of the time that a worker needs to end its jobs, nor a worker for the time that web needs after it. Gives the
/// moment at which each was told.
async fn stop_all(
    services: &[ServiceBefore],
    site: Operate<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut work = Vec::new();
    let mut earlier: Option<Ahead> = None;
    for before in services {
        let service = &before.service;
        let mut containers = of_service(site.docker, &site.site.project, service).await?;
        containers.retain(Container::is_up);
        let own = containers.iter().map(time).max().unwrap_or_default();
        let ((tell, told), (end, ended)) = (oneshot::channel(), oneshot::channel());
        let ahead = earlier.replace(Ahead { told, ended, time: own });
        work.push(async move {
            if let Some(ahead) = ahead
                && !ahead.wait(own, site.clock).await
            {
                return Ok(None);
            }
            let at = site.clock.now().to_string();
            let _nobody_behind = tell.send(());
            let stop = async |container: Container| {
                site.docker.stop(&Stop { id: container.id, service: service.clone(), timeout: None }).await
            };
            for stopped in join_all(containers.into_iter().map(stop)).await {
                stopped?;
            }
            let _nobody_behind = end.send(());
            Ok::<_, Failure>(Some((service.clone(), at)))
        });
    }
    // All of them to their end: what has begun to stop is not left alone.
    let told: Result<Vec<_>, _> = join_all(work).await.into_iter().collect();
    Ok(told?.into_iter().flatten().collect())
}

async fn any_held(services: &[ServiceBefore], site: Observe<'_>) -> Result<bool, Failure> {
    for before in services {
        let now = of_service(site.docker, &site.site.project, &before.service).await?;
        if now.iter().any(held_restarts::is_held) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The engine goes on with a stop whose client is gone: what is up yet may go down in a moment.
async fn still_stopping(services: &[ServiceBefore], site: Observe<'_>) -> Result<(), Failure> {
    let mut waited = Duration::ZERO;
    loop {
        let (mut longest, mut of) = (Duration::ZERO, String::new());
        for before in services.iter().filter(|before| before.containers.iter().any(|one| one.running)) {
            let all = of_service(site.docker, &site.site.project, &before.service).await?;
            let own = |one: &&Container| one.is_up() && before.containers.iter().any(|old| old.id == one.id);
            let times = all.iter().filter(own).map(|one| Duration::from_secs(time(one).min(LONGEST) + 1));
            if let Some(time) = times.max().filter(|time| *time > longest) {
                (longest, of) = (time, before.service.clone());
            }
        }
        if waited >= longest {
            return Ok(());
        }
        let what = format!("whether `{of}` goes on stopping");
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        site.tell.progress(what, millis(waited), Some(millis(longest)), Unit::Milliseconds);
        site.clock.sleep(LOOK).await;
        waited += LOOK;
    }
}

/// A stop that goes on without its uplift is waited for so long, in seconds: one without an end may never have been begun.
const LONGEST: u64 = 60 * 60;

const LOOK: Duration = Duration::from_millis(500);

fn outcome(intent: &Intent) -> Outcome {
    let stopped = intent.services.iter().map(|before| before.service.clone()).collect();
    Outcome { stopped, told: BTreeMap::new() }
}

/// Services that run the product's image and that no compose file names any more.
async fn orphans(site: Observe<'_>) -> Result<Vec<String>, Failure> {
    let containers = site.docker.containers(&Select::Project(site.site.project.name.clone())).await?;
    let mut ours = Vec::new();
    let mut others = BTreeSet::new();
    for container in containers {
        let Some(service) = container.service().map(str::to_owned) else { continue };
        if site.site.services.contains(&service) || !container.is_up() {
            continue;
        }
        if repository(&container.image) == site.site.web.repository {
            if !ours.contains(&service) {
                ours.push(service);
            }
        } else {
            others.insert(service);
        }
    }
    for service in others {
        site.tell
            .warn(format!("`{service}` is no service of the compose files any more; it is left running"));
    }
    Ok(ours)
}
