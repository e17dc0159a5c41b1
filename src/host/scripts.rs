//! Runbooks before any site is opened: their headers, and where the files of a site lie.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    door::{HostBuilder, SITE},
    error::HostError,
    layer::{self, Layer},
    library,
    vendor::{Pack, Shelf},
};
use crate::{clients, ports::files::Files, primitives::contract::Catalogue, script, survey::Start};

/// Files, the site's folder there, and its state folder.
type Place = (Arc<dyn Files>, PathBuf, PathBuf);

impl HostBuilder {
    /// The header of a runbook, for its flags and its help: no site is looked for.
    pub async fn header(&self, name: &str) -> Result<script::Header, HostError> {
        let bundle = self.bundle(name).await?;
        let runbook = script::Runbook::load(bundle.clone(), self.offered(), &SITE);
        let runbook = runbook.map_err(|errors| HostError::script(name, &errors, &bundle))?;
        Ok(runbook.header().clone())
    }

    /// A runbook with its files, as they are: nothing of it is understood yet.
    pub(super) async fn bundle(&self, name: &str) -> Result<script::Bundle, HostError> {
        let (files, folder) = self.own_scripts()?;
        let place = self.place()?;
        let bundles = place.as_ref().map(|(files, site, state)| Shelf { files: &**files, state, site });
        // A file of hooks is a part of the runbook whose steps it changes.
        let (folder, name) = match layer::hooks_at(Path::new(name)) {
            Some((site, runbook)) => (site, runbook),
            None => (folder, name.to_owned()),
        };
        library::find(&name, Layer { files: &*files, site: &folder, bundles, given: None }).await
    }

    /// Runbooks that are files are read somewhere else than on the site's own host.
    pub(super) fn reads_elsewhere(&self) -> bool {
        self.given_scripts().is_some()
    }

    /// The header of a runbook as it ships with uplift.
    pub fn stock_header(name: &str) -> Result<script::Header, HostError> {
        let bundle = library::stock_bundle(name)?;
        let runbook = script::Runbook::load(bundle.clone(), &Catalogue::stock(), &SITE);
        let runbook = runbook.map_err(|errors| HostError::script(name, &errors, &bundle))?;
        Ok(runbook.header().clone())
    }

    /// Names of the site's own runbooks, sorted: no site is looked for.
    pub async fn own_runbooks(&self) -> Result<Vec<String>, HostError> {
        let (files, folder) = self.own_scripts()?;
        Ok(Layer { files: &*files, site: &folder, bundles: None, given: None }.names().await?)
    }

    /// Where runbooks that are files lie, and the folder that has the site's own.
    pub(super) fn own_scripts(&self) -> Result<(Arc<dyn Files>, PathBuf), HostError> {
        let folder = self.start().dir.clone().unwrap_or_default();
        Ok(match (self.given_scripts(), self.given_ports()) {
            (Some(scripts), _) => scripts.clone(),
            (None, Some(ports)) => (Arc::clone(&ports.files), folder),
            (None, None) => (clients::real()?.0.files, folder),
        })
    }

    pub(super) fn own_files(&self) -> Result<Arc<dyn Files>, HostError> {
        Ok(self.own_scripts()?.0)
    }

    /// The bundle that is installed at the site that this builder was told.
    pub(super) async fn shipped(&self) -> Result<Option<Pack>, HostError> {
        let Some((files, site, state)) = self.place()? else { return Ok(None) };
        Ok(Shelf { files: &*files, state: &state, site: &site }.installed().await?)
    }

    /// The bundle that is installed at the site in this folder.
    pub(super) async fn shipped_in(&self, site: &Path) -> Result<Option<Pack>, HostError> {
        let (files, state) = (self.own_files()?, Start::in_folder(site).state().unwrap_or_default());
        Ok(Shelf { files: &*files, state: &state, site }.installed().await?)
    }

    /// Where the site itself lies, if this builder was told: its files, its folder and its state folder.
    fn place(&self) -> Result<Option<Place>, HostError> {
        let (Some(site), Some(state)) = (self.start().dir.clone(), self.start().state()) else {
            return Ok(None);
        };
        let files = match self.given_ports() {
            Some(ports) => Arc::clone(&ports.files),
            None => clients::real()?.0.files,
        };
        Ok(Some((files, site, state)))
    }
}
