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
const JOB: [&str; 4] = ["job", "jobs", "worker", "workers"];

/// The product's services, recognised by name, command and image.
pub(super) fn roles(config: &Config) -> Result<(Service, Option<Service>), Failure> {
    let named = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| config.services.get_key_value(*name))
            .filter(|(_, one)| one.image.is_some())
    };
    let looks_like_web = |service: &ServiceConfig| {
        is_strata(service) && !runs_jobs(service) && (!service.ports.is_empty() || prepares(service))
    };
    let web = named(&WEB)
        .filter(|(_, one)| !runs_jobs(one))
        .or_else(|| config.services.iter().find(|(_, service)| looks_like_web(service)));
    let Some((web_name, web)) = web else {
        let known: Vec<_> = config.services.keys().map(|name| format!("`{name}`")).collect();
        let text = "no service of these compose files looks like Strata's web";
        return Err(
            Failure::new("no_web_service", text).hint(format!("their services: {}", known.join(", ")))
        );
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

fn is_strata(service: &ServiceConfig) -> bool {
    service.image.as_deref().is_some_and(|image| image.contains("strata"))
        || service.environment.keys().any(|name| name.starts_with("STRATA_"))
}
