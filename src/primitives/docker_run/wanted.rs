//! From what a runbook writes to what is recorded: everything that can be refused is refused here, before anything is touched.

use std::collections::BTreeMap;

use super::{DockerRun, Place, spec::Spec};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe,
        compose::{Config, PublishedPort, ServiceConfig},
        docker::{RunMount, Select},
        project::{repository, tag, task_name},
        secrets::lent,
    },
    primitives::{granted, started},
};

/// What the compose files say of the project.
#[derive(Default)]
struct Files {
    /// Real names, by their names in the files.
    volumes: BTreeMap<String, String>,
    networks: BTreeMap<String, String>,
    /// The networks of web, by their names in the files.
    web: Vec<String>,
}

fn wrong(text: impl std::fmt::Display, hint: &str) -> Failure {
    Failure::new("bad_option", format!("`docker_run`: {text}")).hint(hint)
}

impl DockerRun {
    pub(super) async fn spec(&self, site: Observe<'_>) -> Result<Spec, Refusal> {
        self.fits_together()?;
        let (files, service) = self.configured(site).await?;
        let image = match (&self.image, &service) {
            (Some(image), _) => image.clone(),
            (None, Some(service)) => self.of_service(service)?,
            (None, None) => {
                return Err(Refusal(wrong("it takes one of `image` and `service`", IMAGE_OR_SERVICE)));
            }
        };
        let of_product = |image: &str| site.site.product().any(|one| one.repository == repository(image));
        if !of_product(&image) {
            granted::image(&image, &site)?;
        } else if self.service.is_none() || self.stays {
            let text = format!(
                "`{image}` is the product's: beside it nothing of the product may stay and write to its databases"
            );
            return Err(Refusal(wrong(
                text,
                "a task of it is written `service: site::web, tag: ..., command: [...]`",
            )));
        }
        for reference in self.secrets.values() {
            lent(reference, site).await?;
        }
        let mark = blake3::hash(site.tell.address().unwrap_or_default().as_bytes()).to_hex();
        let name = self.name.clone();
        let mounts = self.mounts(&files, service.as_ref(), site).await?;
        let spec = Spec {
            name: name.unwrap_or_else(|| task_name(&site.site.project, site.run, &mark[..8])),
            digest: self.digest(&image, site).await?,
            image,
            since: site.clock.now().to_string(),
            entrypoint: self.entrypoint.clone(),
            command: self.command.clone(),
            env: self.env.clone(),
            secrets: self.secrets.clone(),
            service: self.service.clone(),
            tag: self.tag.clone(),
            networks: self.networks(&files, service.as_ref(), site).await?,
            beside: mounts
                .iter()
                .filter(|one| self.mounts.iter().any(|own| own.target == one.target))
                .cloned()
                .collect(),
            mounts,
            network: self.network.clone(),
            publish: self.ports(site).await?,
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            stays: self.stays,
        };
        let all = site.docker.containers(&Select::All).await?;
        if all.iter().any(|one| one.name == spec.name) {
            return Err(Refusal(spec.taken()));
        }
        Ok(spec)
    }

    fn fits_together(&self) -> Result<(), Refusal> {
        let texts = self.command.iter().chain(&self.entrypoint).chain(&self.undo).chain(self.env.values());
        started::named(self.env.keys(), &self.secrets, texts)?;
        let is_name = |name: &String| {
            let plain = |one: char| one.is_ascii_alphanumeric() || "_.-".contains(one);
            name.len() > 1
                && name.starts_with(|one: char| one.is_ascii_alphanumeric())
                && name.chars().all(plain)
        };
        let failure = match (&self.image, &self.service) {
            (Some(_), Some(_)) | (None, None) => {
                wrong("it takes one of `image` and `service`", IMAGE_OR_SERVICE)
            }
            (Some(_), None) if self.tag.is_some() => {
                wrong("`tag` is for a `service`", "write it into `image`, e.g. `caddy:2`")
            }
            (None, Some(_)) if self.command.is_empty() => {
                wrong("a task of a service needs a `command`", "e.g. `command: [\"bin/rails\", \"db:seed\"]`")
            }
            _ if self.stays && self.name.is_none() => wrong(
                "what `stays` needs a `name`",
                "e.g. `name: \"maintenance\"`: `docker_remove` takes it away by that",
            ),
            _ if self.name.as_ref().is_some_and(|name| !is_name(name)) => {
                wrong("`name` cannot be a container's", "use letters, digits, `_`, `.` and `-`")
            }
            _ if !self.stays && (self.name.is_some() || !self.publish.is_empty()) => {
                wrong("`name` and `publish` are for what `stays`", "add `stays: true`, or take them out")
            }
            _ if self.stays && (!self.undo.is_empty() || self.leaves_nothing || self.safe_to_repeat) => {
                wrong(
                    "`undo`, `leaves_nothing` and `safe_to_repeat` are for a task",
                    "what `stays` is taken away by itself",
                )
            }
            _ if self.leaves_nothing && !self.undo.is_empty() => {
                wrong("there is nothing for `undo` where it `leaves_nothing`", "take one of them out")
            }
            _ => return Ok(()),
        };
        Err(Refusal(failure))
    }

    /// The project as its files have it, with the service that is meant. Nobody asks for it where nothing of it is needed: a
    /// host that has lost its files may run a page.
    async fn configured(&self, site: Observe<'_>) -> Result<(Files, Option<ServiceConfig>), Failure> {
        let of_files = |place: &Place| !place.source.contains('/');
        if self.service.is_none() && self.network.is_none() && !self.mounts.iter().any(of_files) {
            return Ok((Files::default(), None));
        }
        let tag = self.tag.iter().map(|tag| ("STRATA_VERSION".to_owned(), tag.clone())).collect();
        let Config { services, volumes, networks, .. } =
            site.compose.config(&site.site.project, &tag).await?;
        let web = services.get(&site.site.web.name).map(|web| web.networks.clone()).unwrap_or_default();
        let service = match &self.service {
            None => None,
            Some(name) => Some(services.get(name).cloned().ok_or_else(|| {
                let known: Vec<_> = services.keys().map(String::as_str).collect();
                let text = format!("the compose files have no service `{name}`");
                Failure::new("no_such_service", text).hint(crate::event::suggest(name, &known))
            })?),
        };
        Ok((Files { volumes, networks, web }, service))
    }

    fn of_service(&self, service: &ServiceConfig) -> Result<String, Failure> {
        let Some(image) = &service.image else {
            return Err(wrong(
                "the service has no image: it is built",
                "build it first, and name it by `image`",
            ));
        };
        match &self.tag {
            Some(wanted) if tag(image) != wanted => {
                let text = format!("the compose files give this service `{image}`, whatever `tag` says");
                Err(wrong(text, "take `tag` out, or let the files use `${STRATA_VERSION}`"))
            }
            _ => Ok(image.clone()),
        }
    }

    /// What is brought first; nothing where the image is on the host.
    async fn digest(&self, image: &str, site: Observe<'_>) -> Result<Option<String>, Failure> {
        if site.docker.image(image).await?.is_some() {
            return Ok(None);
        }
        site.docker.remote_digest(image).await.map(Some)
    }

    async fn networks(
        &self,
        files: &Files,
        service: Option<&ServiceConfig>,
        site: Observe<'_>,
    ) -> Result<Vec<String>, Failure> {
        let real = |name: &String| files.networks.get(name).unwrap_or(name).clone();
        let wanted: Vec<_> = match self.network.as_deref() {
            None => service.into_iter().flat_map(|one| &one.networks).map(real).collect(),
            Some("project") => files.web.iter().map(real).collect(),
            Some(name) => vec![files.networks.get(name).cloned().unwrap_or_else(|| name.to_owned())],
        };
        for name in &wanted {
            if !site.docker.network(name).await? {
                let text = format!("there is no network `{name}`");
                return Err(Failure::new("network_missing", text)
                    .hint("see which there are: `docker network ls`; `project` is the one that web is on"));
            }
        }
        Ok(wanted)
    }

    async fn mounts(
        &self,
        files: &Files,
        service: Option<&ServiceConfig>,
        site: Observe<'_>,
    ) -> Result<Vec<RunMount>, Refusal> {
        let mut mounts: Vec<RunMount> = Vec::new();
        for mount in service.into_iter().flat_map(|one| &one.mounts) {
            let source = files.volumes.get(&mount.source).unwrap_or(&mount.source).clone();
            mounts.push(RunMount { source, target: mount.target.clone(), read_only: false });
        }
        for Place { source, target, read_only } in &self.mounts {
            if !target.starts_with('/') {
                return Err(Refusal(wrong(
                    format!("`{target}` is no whole path in the container"),
                    "e.g. `target: \"/srv\"`",
                )));
            }
            let source = if source.contains('/') {
                folder(source, *read_only, site).await?
            } else {
                let real = files.volumes.get(source).unwrap_or(source);
                if site.docker.volume(real).await?.is_none() {
                    let text = format!("there is no volume `{real}`");
                    return Err(Refusal(Failure::new("volume_missing", text).hint(
                        "see which there are: `docker volume ls`; a folder of the host is written with its path",
                    )));
                }
                real.clone()
            };
            mounts.retain(|one| one.target != *target);
            mounts.push(RunMount { source, target: target.clone(), read_only: *read_only });
        }
        Ok(mounts)
    }

    async fn ports(&self, site: Observe<'_>) -> Result<Vec<PublishedPort>, Refusal> {
        let mut ports = Vec::new();
        for text in &self.publish {
            let hint = "write e.g. `\"3000:80\"`, or with an address `\"127.0.0.1:3000:80\"`";
            let port = published(text).ok_or_else(|| wrong(format!("`{text}` says no port"), hint))?;
            for one in site.docker.containers(&Select::All).await?.iter().filter(|one| one.is_up()) {
                if one.ports.values().any(|known| Some(known.host_port) == port.published) {
                    let text = format!("the port of `{text}` is taken: `{}` publishes it", one.name);
                    return Err(Refusal(Failure::new("port_taken", text).hint(
                        "stop what has it in an earlier step, e.g. web by `compose_stop`, or take another port",
                    )));
                }
            }
            ports.push(port);
        }
        Ok(ports)
    }
}

const IMAGE_OR_SERVICE: &str = "e.g. `image: \"caddy:2\"`, or `service: site::web` for a task of the product";

/// A folder or file of the host: of the site folder, or granted, and none that holds uplift's own.
async fn folder(source: &str, read_only: bool, site: Observe<'_>) -> Result<String, Refusal> {
    let path = site.site.project.dir.join(source);
    granted::mount(&path, read_only, site).await?;
    if site.files.lies(&path).await?.is_none() {
        let text = format!("there is no `{}` that could be mounted", path.display());
        return Err(Refusal(
            Failure::new("folder_missing", text).hint("make it, or correct the path in the runbook"),
        ));
    }
    Ok(path.display().to_string())
}

/// `3000:80`, `127.0.0.1:3000:80`.
fn published(text: &str) -> Option<PublishedPort> {
    let (host, target) = text.rsplit_once(':')?;
    let (address, port) = host.rsplit_once(':').unwrap_or(("", host));
    let number = |text: &str| text.parse().ok().filter(|port| *port != 0);
    let plain = address.is_empty() || address.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let host_ip = address.trim_matches(['[', ']']).to_owned();
    plain.then_some(PublishedPort { host_ip, published: Some(number(port)?), target: number(target)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_says_where_it_is_published() {
        let of = |text: &str| published(text).map(|one| (one.host_ip, one.published, one.target));
        assert_eq!(of("3000:80"), Some((String::new(), Some(3000), 80)));
        assert_eq!(of("127.0.0.1:3000:80"), Some(("127.0.0.1".to_owned(), Some(3000), 80)));
        assert_eq!(of("[::1]:3000:80"), Some(("::1".to_owned(), Some(3000), 80)));
        for text in ["80", "", "a:80", "0:80", "3000:80/udp", "host:3000:80", "70000:80"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
