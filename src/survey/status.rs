use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    event::{Failure, moment},
    ports::{
        Observe,
        compose::by_hand,
        docker::{Container, Select, State},
        http::Probe,
        postgres::{Kept, KeptDatabase},
        project::{is_task, run_of},
    },
    site::Service,
};

/// How a site is now. What could not be read is a line of `unread`, with its fix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub site: String,
    pub folder: String,
    /// The tag that the settings ask for.
    pub version: String,
    /// How `docker compose` is called for the site by hand.
    pub compose: String,
    pub services: Vec<ServiceStatus>,
    /// What differs between the containers and the files, and who else runs on the databases; a sentence each.
    #[serde(default)]
    pub differs: Vec<String>,
    /// What to type about the differences, in words.
    #[serde(default)]
    pub way: Option<String>,
    /// Containers in which a run tries, or was trying, a release where no user reaches it.
    #[serde(default)]
    pub trials: Vec<TrialStatus>,
    pub database: Option<String>,
    pub storage: String,
    /// Bytes free where the state folder is.
    pub free: Option<u64>,
    /// Databases on the server, and folders of uploaded files, that uplift has made and keeps for a while.
    pub kept: Vec<KeptStatus>,
    /// The vendor's bundle by whose runbooks it is upgraded, if one is installed; filled in by whoever knows where that lies.
    pub bundle: Option<String>,
    pub unread: Vec<Failure>,
}

/// One database that uplift keeps, or one folder of uploaded files, with its path for a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStatus {
    pub name: String,
    /// In words: `savepoint of ...`.
    pub what: String,
    pub owner: String,
    /// `None` for uploaded files, and for a database whose mark cannot be read.
    pub kind: Option<Kept>,
    /// The run that has made it, where that is known.
    pub run: Option<String>,
    pub bytes: u64,
    /// When it was made and until when it is kept, RFC 3339 in UTC; `None` if its mark cannot be read.
    pub made: Option<String>,
    pub expires: Option<String>,
}

/// One container of the product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub service: String,
    pub image: String,
    pub digest: Option<String>,
    /// In words: `up since ...`, `exited with 1`.
    pub state: String,
    pub running: bool,
    /// Where it stands still: what starts it, or shows why, e.g. `start it: COMMAND` in words.
    pub next: Option<String>,
    /// When its container was started last, if ever.
    pub started: Option<Timestamp>,
    /// For web: what `/up` answers, in words.
    pub health: Option<String>,
}

/// The container of a trial, or of a task of a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialStatus {
    pub name: String,
    pub run: String,
    pub image: String,
    /// It is a task's.
    #[serde(default)]
    pub task: bool,
    /// In words, as for a service.
    pub state: String,
}

/// Reads everything that can be read.
pub async fn status(site: Observe<'_>) -> Status {
    let mut unread = Vec::new();
    let (mut services, mut trials) = (Vec::new(), Vec::new());
    match site.docker.containers(&Select::Project(site.site.project.name.clone())).await {
        Ok(containers) => {
            for service in site.site.product() {
                services.extend(of_service(service, &containers, site).await);
            }
            trials = trials_of(site).await.map_err(|failure| unread.push(failure)).unwrap_or_default();
        }
        Err(failure) => unread.push(failure),
    }
    let database = match database(site).await {
        Ok(text) => Some(text),
        Err(failure) => {
            unread.push(failure);
            None
        }
    };
    let mut all_kept = match database {
        Some(_) => kept(site).await.map_err(|failure| unread.push(failure)).unwrap_or_default(),
        None => Vec::new(),
    };
    all_kept.extend(
        super::put_aside::uploads(site).await.map_err(|failure| unread.push(failure)).unwrap_or_default(),
    );
    let free = site.files.space(&site.site.state).await.map(|space| space.free);
    let storage = match &site.site.storage {
        crate::site::Storage::Local { volume, path } if volume.is_empty() => {
            format!("nothing is mounted at `{path}`: uploaded files lie in the container, and go with it")
        }
        crate::site::Storage::Local { volume, .. } => format!("volume `{volume}`"),
        crate::site::Storage::Object { kind } => format!("object storage `{kind}`"),
    };
    Status {
        site: site.site.name.clone(),
        folder: site.site.project.dir.display().to_string(),
        version: site.site.version.clone(),
        compose: by_hand(&site.site.project),
        services,
        differs: Vec::new(),
        way: None,
        trials,
        database,
        storage,
        free: free.map_err(|failure| unread.push(failure)).ok(),
        kept: all_kept,
        bundle: None,
        unread,
    }
}

async fn of_service(service: &Service, containers: &[Container], site: Observe<'_>) -> Vec<ServiceStatus> {
    let mut found = Vec::new();
    for container in containers.iter().filter(|one| one.service() == Some(service.name.as_str())) {
        let image = site.docker.image(&container.image_id).await.ok().flatten();
        let health =
            if service.name == site.site.web.name { Some(health(container, site).await) } else { None };
        found.push(ServiceStatus {
            service: service.name.clone(),
            image: container.image.clone(),
            digest: image.and_then(|image| image.digest_in(&service.repository).map(str::to_owned)),
            state: state(container, site.clock.now()),
            running: container.is_running(),
            next: next(container, service, other_release(container, service, containers, site), site),
            started: container.started,
            health,
        });
    }
    if found.is_empty() {
        found.push(ServiceStatus {
            service: service.name.clone(),
            image: format!("{}:{}", service.repository, service.tag),
            digest: None,
            state: "has no container".to_owned(),
            running: false,
            next: Some(format!(
                "make it: `{} up -d --no-deps {}`",
                by_hand(&site.site.project),
                service.name
            )),
            started: None,
            health: None,
        });
    }
    found
}

/// Compose counts them with no service.
async fn trials_of(site: Observe<'_>) -> Result<Vec<TrialStatus>, Failure> {
    let all = site.docker.containers(&Select::All).await?;
    let shown = |one: &Container| {
        Some(TrialStatus {
            run: run_of(one, &site.site.project)?.to_owned(),
            task: is_task(one, &site.site.project),
            name: one.name.clone(),
            image: one.image.clone(),
            state: state(one, site.clock.now()),
        })
    };
    Ok(all.iter().filter_map(shown).collect())
}

async fn health(container: &Container, site: Observe<'_>) -> String {
    let Some(probe) = Probe::up(site.site, container) else { return "`/up` cannot be asked".to_owned() };
    match site.http.probe(&probe).await {
        Ok(answer) if answer.status == 200 => "`/up` answers 200".to_owned(),
        Ok(answer) => format!("`/up` answers {}", answer.status),
        Err(_) => "`/up` does not answer".to_owned(),
    }
}

/// How the state of a service begins that is started again and again.
pub const KEEPS_DYING: &str = "KEEPS DYING";

/// The state of a container in words.
pub(super) fn state(container: &Container, now: Timestamp) -> String {
    let started = container.started.map(moment).unwrap_or_default();
    match container.state {
        State::Paused => return "paused".to_owned(),
        _ if container.is_up() && container.dies_often(now) => {
            return format!("{KEEPS_DYING}: `docker logs --tail 50 {}`", container.name);
        }
        _ => {}
    }
    match (container.is_running(), container.exit_code) {
        (true, _) if container.restarts > 0 => {
            let times = if container.restarts == 1 { "time" } else { "times" };
            format!("up since {started}, restarted {} {times}", container.restarts)
        }
        (true, _) => format!("up since {started}"),
        (false, Some(code)) if container.started.is_some() => format!("stopped, exit code {code}"),
        _ => "created, never started".to_owned(),
    }
}

/// Of a container that is not from the image that the files ask for: whether web is.
fn other_release(
    container: &Container,
    service: &Service,
    all: &[Container],
    site: Observe<'_>,
) -> Option<bool> {
    let asked = |service: &Service| format!("{}:{}", service.repository, service.tag);
    let web = &site.site.web;
    let brought = |one: &Container| one.service() == Some(web.name.as_str()) && one.image == asked(web);
    (container.image != asked(service)).then(|| all.iter().any(brought))
}

/// What to type where it stands still.
fn next(container: &Container, service: &Service, other: Option<bool>, site: Observe<'_>) -> Option<String> {
    let (compose, service) = (by_hand(&site.site.project), &service.name);
    let start = match other {
        None => Some(format!("start it: `{compose} start {service}`")),
        // As it is it would run the older release beside the newer.
        Some(true) => Some(format!("make it as the files say: `{compose} up -d --no-deps {service}`")),
        // A release that nobody has brought yet is brought by an upgrade.
        Some(false) => None,
    };
    match (container.state, container.exit_code) {
        (State::Paused, _) => Some(format!("let it go on: `docker unpause {}`", container.name)),
        // Ended as it was told to, or killed because it did not.
        (State::Exited, Some(0 | 137 | 143)) if !container.oom_killed => start,
        (State::Created, _) => start,
        (State::Exited | State::Dead, _) => {
            Some(format!("see why: `docker logs --tail 50 {}`", container.name))
        }
        (State::Running | State::Restarting | State::Removing, _) => None,
    }
}

async fn kept(site: Observe<'_>) -> Result<Vec<KeptStatus>, Failure> {
    let databases = &site.site.databases;
    let names: Vec<_> = databases.all.iter().map(|one| one.name.clone()).collect();
    let kept = site.postgres.kept(&databases.endpoint, &names).await?;
    let shown = |one: KeptDatabase| {
        let mark = one.mark.as_ref();
        let what = mark.map(|mark| format!("{} of `{}`", mark.kind.in_words(), mark.of));
        KeptStatus {
            what: what.unwrap_or_else(|| "named as if uplift had made it, but without its mark".to_owned()),
            kind: mark.map(|mark| mark.kind),
            run: mark.map(|mark| mark.run.clone()),
            made: mark.map(|mark| mark.made.clone()),
            expires: mark.map(|mark| mark.expires.clone()),
            name: one.name,
            owner: one.owner,
            bytes: one.size,
        }
    };
    Ok(kept.into_iter().map(shown).collect())
}

async fn database(site: Observe<'_>) -> Result<String, Failure> {
    let databases = &site.site.databases;
    let server = site.postgres.server(&databases.endpoint, databases.primary()).await?;
    let versions = site.postgres.schema_versions(&databases.endpoint, databases.primary()).await?;
    let newest = versions.unwrap_or_default().pop().unwrap_or_else(|| "none".to_owned());
    let endpoint = &databases.endpoint;
    let detour = endpoint.detour().map(|route| format!(" ({route})")).unwrap_or_default();
    Ok(format!(
        "PostgreSQL {} at {}:{}{detour}, newest migration {newest}",
        server.major(),
        endpoint.host,
        endpoint.port
    ))
}
