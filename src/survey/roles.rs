//! Which service of a project is web, and which is the background worker.

use super::own;
use crate::{
    event::{Failure, suggest},
    ports::{
        compose::{Config, ServiceConfig},
        project::{repository, tag},
    },
    site::Service,
};

const WEB: [&str; 4] = ["web", "strata", "app", "server"];
pub(super) const JOB: [&str; 4] = ["job", "jobs", "worker", "workers"];

type Entry<'a> = (&'a String, &'a ServiceConfig);

/// The product's services: as `uplift.toml` names them, else recognised by name, command and image.
pub(super) fn roles(config: &Config, said: &own::Named) -> Result<(Service, Option<Service>), Failure> {
    let web = match &said.web {
        Some(name) => called(config, "web", name)?,
        // Whoever calls web itself the worker is told that, and not that there is no web.
        None => likely_web(config, said.job.as_deref()).or_else(|_| likely_web(config, None))?,
    };
    let image = repository(web.1.image.as_deref().unwrap_or_default());
    let same = |one: &ServiceConfig| one.image.as_deref().is_some_and(|other| repository(other) == image);
    let job = match &said.job {
        None => likely_job(config, web.0, same),
        Some(name) => {
            let job = called(config, "job", name)?;
            if job.0 == web.0 || !same(job.1) {
                return Err(no_worker(name, web.0));
            }
            Some(job)
        }
    };
    Ok((of(web.0, web.1), job.map(|(name, service)| of(name, service))))
}

/// The service that somebody has named.
fn called<'a>(config: &'a Config, role: &str, name: &str) -> Result<Entry<'a>, Failure> {
    let found = config.services.get_key_value(name).ok_or_else(|| {
        let known: Vec<_> = config.services.keys().map(String::as_str).collect();
        let text = format!("`services.{role}` is `{name}`, and the compose files have no such service");
        not_there(&text, suggest(name, &known))
    })?;
    if found.1.image.is_none() {
        let text = format!("`services.{role}` is `{name}`, which has no `image`");
        return Err(not_there(&text, "name the service that runs the product's image"));
    }
    Ok(found)
}

fn no_worker(name: &str, web: &str) -> Failure {
    let text = format!("`services.job` is `{name}`, which does not run the image of `{web}` beside it");
    not_there(&text, "name the service that works on the product's jobs, or leave the line out")
}

fn not_there(text: &str, hint: impl Into<String>) -> Failure {
    Failure::new("settings_invalid", format!("`uplift.toml`: {text}")).hint(hint)
}

/// `job` is not it.
fn likely_web<'a>(config: &'a Config, job: Option<&str>) -> Result<Entry<'a>, Failure> {
    // A proxy in front may be called `web` too: what runs the product comes before what is called like it.
    let place = |name: &String| WEB.iter().position(|known| known == name).unwrap_or(WEB.len());
    let likely = |(name, one): &Entry| (!runs_strata(one), place(name), !prepares(one), one.ports.is_empty());
    let looks_like_web = |(name, one): &Entry| {
        let serves = WEB.contains(&name.as_str()) || !one.ports.is_empty() || prepares(one);
        one.image.is_some() && is_strata(one) && !runs_jobs(one) && serves && job != Some(name.as_str())
    };
    config.services.iter().filter(looks_like_web).min_by_key(likely).ok_or_else(|| {
        let known: Vec<_> = config.services.keys().map(|name| format!("`{name}`")).collect();
        let text = "no service of these compose files looks like Strata's web";
        Failure::new("no_web_service", text).hint(format!(
            "go to the site folder, or name it with `-C DIR`; if one of these is it, say so in `uplift.toml`, `web = \
             \"NAME\"` under `[services]`: {}",
            known.join(", ")
        ))
    })
}

/// What runs jobs on web's image, or is called like that.
fn likely_job<'a>(config: &'a Config, web: &str, same: impl Fn(&ServiceConfig) -> bool) -> Option<Entry<'a>> {
    let could = |(name, one): &Entry| name.as_str() != web && same(one);
    let runs = config.services.iter().find(|one| runs_jobs(one.1) && could(one));
    let called = || JOB.iter().find_map(|name| config.services.get_key_value(*name)).filter(could);
    runs.or_else(called)
}

fn of(name: &str, service: &ServiceConfig) -> Service {
    let image = service.image.as_deref().unwrap_or_default();
    let url = service.ports.first().and_then(|port| {
        let host =
            if ["", "0.0.0.0", "::"].contains(&port.host_ip.as_str()) { "127.0.0.1" } else { &port.host_ip };
        Some(format!("http://{host}:{}", port.published?))
    });
    Service {
        name: name.to_owned(),
        repository: repository(image).to_owned(),
        tag: tag(image).to_owned(),
        url,
    }
}

fn runs_jobs(service: &ServiceConfig) -> bool {
    let typed = service.environment.get("STRATA_PROCESS_TYPE").is_some_and(|kind| kind.reveal() == "worker");
    typed || service.command.iter().any(|word| word.ends_with("bin/jobs"))
}

fn prepares(service: &ServiceConfig) -> bool {
    service.environment.get("STRATA_RUN_DB_PREPARE").is_some_and(|value| value.reveal() == "true")
}

fn runs_strata(service: &ServiceConfig) -> bool {
    service.image.as_deref().is_some_and(|image| image.contains("strata"))
}

/// An image from a mirror may be called anything; the product's settings are still its own.
fn is_strata(service: &ServiceConfig) -> bool {
    runs_strata(service) || service.environment.keys().any(|name| name.starts_with("STRATA_"))
}
