use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use super::{
    error::HostError,
    layer::{self, Layer},
    library,
    past::{self, Shown},
    points::Recorded,
    runbook::Runbook,
    settle::Settled,
    vendor::{Pack, Shelf, served, untold},
    words,
};
use crate::{
    clients,
    event::Teller,
    journal::{Folder, Reader, RunRow},
    ports::{Outside, Port, Ports, compose::by_hand, files::Files, points::Points},
    primitives::{self, contract::Catalogue},
    script,
    site::{Notify, Project, Scrubber, Site},
    survey::{self, KeptStatus, ServiceStatus, Start, Status},
};

/// What a host is made of, before it looks for its site.
pub struct HostBuilder {
    start: Start,
    catalogue: Catalogue,
    ports: Option<Ports>,
    outside: Outside,
    recorded: Option<Project>,
    scripts: Option<(Arc<dyn Files>, PathBuf)>,
    pack: Option<Arc<Pack>>,
}

impl HostBuilder {
    /// Other primitives than the stock ones, or more: `Catalogue::stock().effect::<Mine>()`.
    #[must_use]
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Another world than the real one, e.g. [`crate::sim::World::ports`].
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = Some(ports);
        self
    }

    /// Where runbooks that are files are read, if that is not the site's own host, and the folder there whose `uplift/` has
    /// what the site adds and changes, if that is not the site's own.
    #[must_use]
    pub fn scripts(mut self, files: Arc<dyn Files>, folder: PathBuf) -> Self {
        self.scripts = Some((files, folder));
        self
    }

    /// A bundle whose runbooks are on top, whatever is installed.
    pub(super) fn with_pack(mut self, pack: Arc<Pack>) -> Self {
        self.pack = Some(pack);
        self
    }

    /// A port of the embedder's own, for primitives of the embedder's own.
    #[must_use]
    pub fn port<P: Port>(mut self, read: Arc<P::Read>, write: Arc<P::Write>) -> Self {
        self.outside = self.outside.with::<P>(read, write);
        self
    }

    /// After the configuration of a set was written: how compose was told the project then counts for as long as the
    /// site has no container that tells it.
    #[must_use]
    pub fn after(mut self, settled: &Settled) -> Self {
        self.recorded.clone_from(&settled.project);
        self
    }

    pub(super) fn start(&self) -> &Start {
        &self.start
    }

    /// The ports of another world than the real one.
    pub(super) fn given_ports(&self) -> Option<&Ports> {
        self.ports.as_ref()
    }

    /// What runbooks can call.
    pub(super) fn offered(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Where runbooks that are files lie, if that was said.
    pub(super) fn given_scripts(&self) -> Option<&(Arc<dyn Files>, PathBuf)> {
        self.scripts.as_ref()
    }

    /// What runs in the folder although the site cannot be opened, e.g. because its compose file cannot be read.
    pub async fn containers(self) -> Vec<ServiceStatus> {
        match self.ports.or_else(|| Some(clients::real().ok()?.0)) {
            Some(ports) => survey::containers(&ports, &self.start).await,
            None => Vec::new(),
        }
    }

    /// Looks for the site. Changes nothing and takes no lock.
    pub async fn open(self) -> Result<Host, HostError> {
        let (mut ports, hands) = if let Some(ports) = self.ports {
            (ports, None)
        } else {
            let (ports, hands) = clients::real()?;
            (ports, Some(hands))
        };
        let site = survey::find(&ports, &self.start, self.recorded.as_ref()).await?;
        let record = Arc::new(Recorded { state: site.state.clone() });
        ports.outside = ports.outside.and(self.outside).with::<Points>(record.clone(), record);
        // What primitives learn on their way is taken out of everything too.
        let scrubber = ports.scrubber.clone();
        for secret in site.secrets.values() {
            scrubber.learn(secret);
        }
        for secret in hands.iter().flat_map(clients::Hands::secrets) {
            scrubber.learn(&secret);
        }
        if let (Some(hands), Some(password)) = (&hands, site.secrets.get("DB_PASSWORD")) {
            hands.set_password(password.clone());
        }
        for secret in site.notify.iter().flat_map(Notify::secrets) {
            scrubber.learn(&secret);
        }
        let catalogue = Arc::new(self.catalogue);
        let typed = words::typed(&site, self.start.project.as_deref());
        let own = || (Arc::clone(&ports.files), site.project.dir.clone());
        let scripts = self.scripts.unwrap_or_else(own);
        let (site, pack) = (Arc::new(site), self.pack);
        Ok(Host(Arc::new(Inner { ports, hands, site, scrubber, catalogue, typed, scripts, pack })))
    }
}

/// One site, ready to be planned for, changed and looked at. Cheap to clone.
///
/// Everything that only looks (plans, the record, [`Host::status`]) takes no lock and makes no file. A run holds the site until
/// it ends; a second one is refused meanwhile.
///
/// ```
/// use uplift::{Host, Start, World};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), uplift::HostError> {
/// let world = World::strata();
/// let host = Host::at(Start::in_folder("/srv/strata")).ports(world.ports()).open().await?;
/// assert_eq!((host.site().name.as_str(), host.site().version.as_str()), ("strata", "1.0.0"));
///
/// let status = host.status().await;
/// assert!(status.unread.is_empty() && status.differs.is_empty());
/// assert!(host.history()?.is_empty() && host.unfinished()?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) ports: Ports,
    /// Handles on the real world; none on a simulated one.
    pub(super) hands: Option<clients::Hands>,
    pub(super) site: Arc<Site>,
    pub(super) scrubber: Scrubber,
    pub(super) catalogue: Arc<Catalogue>,
    /// The program with what names this site, as it can be typed in any folder of this host.
    pub(super) typed: String,
    /// Where runbooks that are files are read, and the folder that has the site's own.
    pub(super) scripts: (Arc<dyn Files>, PathBuf),
    /// The bundle that is taken for the installed one.
    pub(super) pack: Option<Arc<Pack>>,
}

impl Host {
    /// Begins with where the site is; [`HostBuilder::open`] finds it.
    #[must_use]
    pub fn at(start: Start) -> HostBuilder {
        HostBuilder {
            start,
            catalogue: Catalogue::stock(),
            ports: None,
            outside: Outside::default(),
            recorded: None,
            scripts: None,
            pack: None,
        }
    }

    #[must_use]
    pub fn site(&self) -> &Site {
        &self.0.site
    }

    /// Takes the site's secrets out of text that is about to be shown.
    #[must_use]
    pub fn scrubber(&self) -> &Scrubber {
        &self.0.scrubber
    }

    /// Loads and checks a runbook: a stock one by name, or a file by its path (ending in `.rhai`).
    pub async fn runbook(&self, name: &str, given: &BTreeMap<String, String>) -> Result<Runbook, HostError> {
        let pack = self.layer().shipped().await?;
        let bundle = library::find_with(name, self.layer(), pack.as_ref()).await?;
        let script = self.check(&bundle)?;
        let own = library::own_names(self.layer(), pack.as_ref()).await?;
        let given = self.with_settings(name, &library::known(&own), (script.header(), given))?;
        self.settings_of_others(name, &library::known(&own), pack.as_ref()).await?;
        let params =
            script.header().validate(&given).map_err(|failure| HostError::Invalid(failure.as_failure()))?;
        let version = &self.0.site.version;
        let mut told = Vec::new();
        if let Some(pack) = &pack {
            served(pack, script.header(), &params, version)?;
            told = untold(pack, version, params.get("to").and_then(Value::as_str));
        }
        self.learn_from_set(&params).await;
        let changed = layer::changes(&script, pack.as_ref());
        Ok(Runbook { host: self.clone(), script, params, changed, told })
    }

    /// What the site adds and changes.
    pub(super) fn layer(&self) -> Layer<'_> {
        let (files, folder) = &self.0.scripts;
        let Site { state, project, .. } = &*self.0.site;
        let bundles = Shelf { files: &*self.0.ports.files, state, site: &project.dir };
        Layer { files: &**files, site: folder, bundles: Some(bundles), given: self.0.pack.as_deref() }
    }

    /// Parses and checks; every problem is found before anything runs.
    pub(super) fn check(&self, bundle: &script::Bundle) -> Result<Arc<script::Runbook>, HostError> {
        let members: Vec<String> = match script_site(&self.0.site) {
            Value::Object(map) => map.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        let runbook = script::Runbook::load(bundle.clone(), &self.0.catalogue, &members);
        runbook.map(Arc::new).map_err(|errors| HostError::script(&bundle.main.name, &errors, bundle))
    }

    /// How `docker compose` is called for this site by hand.
    #[must_use]
    pub fn compose_by_hand(&self) -> String {
        by_hand(&self.0.site.project)
    }

    /// What the site is like now. Each source that cannot be read is a line of it, not a failure.
    pub async fn status(&self) -> Status {
        let tell = Teller::silent();
        let site = self.0.ports.observe(&self.0.site, "status", &tell);
        let mut status = survey::status(site).await;
        match self.layer().shipped().await {
            Ok(pack) => status.bundle = pack.map(|pack| pack.shipped.to_string()),
            Err(failure) => status.unread.push(failure),
        }
        if let Ok(Some(open)) = self.unfinished() {
            // The way back of that run needs them, or its way on.
            let name = format!("_{}", open.id.replace('-', "_"));
            for kept in status.kept.iter_mut().filter(|one| one.run.is_none() && one.name.ends_with(&name)) {
                kept.what =
                    format!("a database that run {} needs, which is not over: do not touch it", open.id);
            }
            let needed = |kept: &&mut KeptStatus| kept.kind.is_none() && kept.run.as_ref() == Some(&open.id);
            for kept in status.kept.iter_mut().filter(needed) {
                kept.what = format!(
                    "uploaded files that run {} needs, which is not over: do not remove them",
                    open.id
                );
            }
        }
        match primitives::drift(site).await {
            Ok((differs, way)) => {
                // What the files say leads to no database: applied, it would take the site down.
                let unreached = status.database.is_none() && !differs.is_empty();
                let first = "correct what is UNREAD first: the files may be wrong, and applying them would take the site down";
                status.way = if unreached { Some(first.to_owned()) } else { way };
                status.differs = differs;
            }
            Err(failure) if failure.code == "databases_shared" => {
                (status.differs, status.way) = (vec![failure.message], failure.hint);
            }
            Err(failure) if status.unread.iter().any(|told| told.message == failure.message) => {}
            Err(failure) => status.unread.push(failure),
        }
        status
    }

    /// All runs, newest first.
    pub fn history(&self) -> Result<Vec<RunRow>, HostError> {
        match self.reader()? {
            Some(reader) => Ok(reader.runs()?),
            None => Ok(Vec::new()),
        }
    }

    /// The run that has to be ended before another can begin, or that is at work right now.
    pub fn unfinished(&self) -> Result<Option<RunRow>, HostError> {
        match self.reader()? {
            Some(reader) => Ok(reader.unfinished()?),
            None => Ok(None),
        }
    }

    /// One run with all its calls. `run` may be the beginning of an id; `None` is the newest.
    pub fn show(&self, run: Option<&str>) -> Result<Shown, HostError> {
        let reader = self.reader()?.ok_or(HostError::NoRun("show"))?;
        past::shown(&reader, run)
    }

    pub(super) fn reader(&self) -> Result<Option<Reader>, HostError> {
        match Folder::find(&self.0.site.state) {
            Some(folder) => Ok(Reader::open(&folder)?),
            None => Ok(None),
        }
    }
}

/// The names that [`script_site`] has: a runbook can be checked against them before any site is known.
pub(super) const SITE: [&str; 13] = [
    "name",
    "path",
    "project",
    "compose",
    "web",
    "job",
    "services",
    "hosts",
    "version",
    "digest",
    "storage",
    "databases",
    "settings",
];

/// What a script reads as `site::`.
pub(super) fn script_site(site: &Site) -> Value {
    let storage = serde_json::to_value(&site.storage).unwrap_or(Value::Null);
    let databases: Vec<_> = site.databases.all.iter().map(|database| database.name.clone()).collect();
    json!({
        "name": site.name,
        "path": site.path.as_str(),
        "project": site.project.name,
        "compose": by_hand(&site.project),
        "web": site.web.name,
        "job": site.job.as_ref().map(|job| job.name.clone()),
        "services": site.services,
        "hosts": site.hosts,
        "version": site.version,
        "digest": site.digest,
        "storage": storage,
        "databases": databases,
        "settings": site.settings,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_runbook_is_checked_against_the_names_that_it_will_find() {
        let site = script_site(&crate::sim::World::strata().site());
        let found: BTreeSet<_> = site.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, BTreeSet::from(SITE));
    }
}
