//! Which service of a project is web, and which is the background worker.

use crate::{
    event::Failure,
    ports::{
        compose::{Config, ServiceConfig},
        project::{repository, tag},
    },
    site::Service,
};

const WEB: [&str; 4] = ["web", "strata", "app", "server"];
pub(super) const JOB: [&str; 4] = ["job", "jobs", "worker", "workers"];

/// The product's services, recognised by name, command and image.
pub(super) fn roles(config: &Config) -> Result<(Service, Option<Service>), Failure> {
    let named = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| config.services.get_key_value(*name))
            .filter(|(_, one)| one.image.is_some())
    };
    // A proxy in front may be called `web` too: what runs the product comes before what is called like it.
    let place = |name: &String| WEB.iter().position(|known| known == name).unwrap_or(WEB.len());
    let likely = |(name, one): &(&String, &ServiceConfig)| {
        (!runs_strata(one), place(name), !prepares(one), one.ports.is_empty())
    };
    let looks_like_web = |(name, one): &(&String, &ServiceConfig)| {
        let serves = WEB.contains(&name.as_str()) || !one.ports.is_empty() || prepares(one);
        one.image.is_some() && is_strata(one) && !runs_jobs(one) && serves
    };
    let web = config.services.iter().filter(looks_like_web).min_by_key(likely);
    let Some((web_name, web)) = web else {
        let known: Vec<_> = config.services.keys().map(|name| format!("`{name}`")).collect();
        let text = "no service of these compose files looks like Strata's web";
        return Err(Failure::new("no_web_service", text).hint(format!(
            "go to the site folder, or name it with `-C DIR`; their services: {}",
            known.join(", ")
        )));
    };
    let image = repository(web.image.as_deref().unwrap_or_default()).to_owned();
    let same =
        |service: &ServiceConfig| service.image.as_deref().is_some_and(|other| repository(other) == image);
    let job = config
        .services
        .iter()
        .find(|(name, service)| *name != web_name && runs_jobs(service) && same(service))
        .or_else(|| named(&JOB).filter(|(name, service)| *name != web_name && same(service)));
    Ok((of(web_name, web), job.map(|(name, service)| of(name, service))))
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
