//! Packing, installing, going back: what a command does with bundles.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::{getegid, geteuid};

use super::{
    Pack, Shelf,
    exchange::exchange,
    fits, folder,
    pack::{Content, LARGEST},
    shelf::{Note, Slot},
    signature::{KeyFile, SigningKey},
};
use crate::{
    clients,
    event::Failure,
    host::{
        door::{Host, HostBuilder},
        error::HostError,
        layer::Layer,
    },
    journal::{Folder, Holder, Lock},
    ports::{
        Ports,
        files::{File, Files, WriteFile},
    },
    primitives::contract::Catalogue,
    site::{Exchange, Shipped},
    survey,
};

/// A folder that has passed the checks and can be signed.
pub struct Packed {
    content: Content,
    files: Arc<dyn Files>,
}

/// What an installation, or the way back from one, would change.
pub struct Offer {
    /// `None`: it is there already.
    pub exchange: Option<Exchange>,
    /// What the change was decided on.
    seen: Note,
    then: Note,
    bytes: Option<Vec<u8>>,
    /// The bundle that it would bring.
    pack: Option<Pack>,
}

impl Offer {
    pub(in crate::host) fn pack(&self) -> Option<&Pack> {
        self.pack.as_ref()
    }
}

/// The bundles of one site. The engine and the databases are not asked: procedures must be mended also while they are down.
pub struct Bundles {
    pub(super) ports: Ports,
    pub(super) site: PathBuf,
    pub(super) state: PathBuf,
    pub(super) scripts: (Arc<dyn Files>, PathBuf),
    pub(super) catalogue: Arc<Catalogue>,
}

impl HostBuilder {
    /// Reads a folder that is to become a bundle, and checks all of it. No site is looked for.
    pub async fn packed(&self, dir: &Path) -> Result<Packed, HostError> {
        let files = self.own_files()?;
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let content = folder::content(&dir, &*files).await.map_err(HostError::Invalid)?;
        content.bytes().map_err(HostError::Invalid)?;
        fits::whole(&Pack::unsigned(content.clone()), self.offered()).map_err(HostError::Invalid)?;
        Ok(Packed { content, files })
    }

    /// The file of a secret key.
    pub async fn key(&self, path: &Path) -> Result<KeyFile, HostError> {
        folder::key(path, &*self.own_files()?).await.map_err(HostError::Invalid)
    }

    /// The bundles of the site whose folder this builder was told, without opening the site; `None` if it was told none.
    #[must_use]
    pub fn bundles(&self) -> Option<Result<Bundles, HostError>> {
        let (site, state) = (self.start().dir.clone()?, self.start().state()?);
        let made = || {
            let ports = match self.given_ports() {
                Some(ports) => ports.clone(),
                None => clients::real()?.0,
            };
            let scripts = self.own_scripts()?;
            let catalogue = Arc::new(self.offered().clone());
            Ok(Bundles { ports, site, state, scripts, catalogue })
        };
        Some(made())
    }
}

impl Host {
    /// The bundles of this site.
    #[must_use]
    pub fn bundles(&self) -> Bundles {
        let inner = &self.0;
        Bundles {
            ports: inner.ports.clone(),
            site: inner.site.project.dir.clone(),
            state: inner.site.state.clone(),
            scripts: inner.scripts.clone(),
            catalogue: Arc::clone(&inner.catalogue),
        }
    }
}

impl Packed {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.content.manifest.name
    }

    #[must_use]
    pub fn version(&self) -> String {
        self.content.manifest.version.to_string()
    }

    /// What it would be on a site, and where the files of its maker lie.
    pub(in crate::host) fn pack(&self) -> (Pack, Arc<dyn Files>) {
        (Pack::unsigned(self.content.clone()), Arc::clone(&self.files))
    }

    /// Names of the files in it.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        self.content.files.iter().map(|file| file.name.clone()).collect()
    }

    /// Writes it to `to`: signed, or without a key only what is to be signed. A file that is no bundle is not replaced.
    pub async fn write(&self, key: Option<&SigningKey>, to: &Path) -> Result<PathBuf, HostError> {
        let text = match key {
            Some(key) => self.content.signed(key)?,
            None => self.content.bytes()?,
        };
        let path = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
        if let Some(there) = self.files.read(&path).await?
            && !there.bytes.starts_with(text.as_bytes().get(..24).unwrap_or_default())
        {
            let text = format!("`{}` is there already, and is no bundle", path.display());
            return Err(HostError::Invalid(
                Failure::new("pack_there", text).hint("name another file with `--out`"),
            ));
        }
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let file = File { bytes: text.into_bytes(), mode: 0o644, uid, gid };
        self.files
            .write(&WriteFile { path: path.clone(), file, what: "bundle of runbooks".to_owned() })
            .await?;
        Ok(path)
    }
}

impl Bundles {
    /// Looks at a bundle: a file, or an address that begins with `https://`. Nothing is changed.
    pub async fn offer(&self, source: &str) -> Result<Offer, HostError> {
        let bytes = self.bytes(source).await?;
        let trusted = survey::trusted(&self.site, &*self.ports.files).await?;
        let pack = Pack::read(&bytes, &trusted)
            .map_err(|failure| Failure { message: format!("`{source}`: {}", failure.message), ..failure })?;
        fits::whole(&pack, &self.catalogue)?;
        let seen = self.shelf().note().await?;
        let slot = Slot::of(&pack, &bytes);
        let (mut from, mut notes) = (None, Vec::new());
        let mut previous = None;
        if let Some(there) = &seen.installed {
            follows(&there.shipped, &pack.shipped)?;
            match self.shelf().read(there).await {
                Ok((there, _)) => from = Some(there),
                // What is to be mended by this must not stand in its way.
                Err(failure) => {
                    notes.push(format!("{failure}; so the changes are told from what ships with uplift"));
                }
            }
            let same_version = there.shipped.version == pack.shipped.version;
            match &from {
                Some(from) if same_version && from.hash == pack.hash => {
                    return Ok(Offer { exchange: None, then: seen.clone(), seen, bytes: None, pack: None });
                }
                None if same_version && there.content == pack.hash => previous.clone_from(&seen.previous),
                _ if same_version => return Err(other_content(&pack.shipped).into()),
                Some(_) => previous = Some(there.clone()),
                None => previous.clone_from(&seen.previous),
            }
        }
        let known = (seen.newest.get(&pack.shipped.name), seen.contents.get(&pack.shipped.name));
        if matches!(known, (Some(version), Some(content)) if *version == pack.shipped.version && *content != pack.hash)
        {
            return Err(other_content(&pack.shipped).into());
        }
        if let Some(newest) =
            seen.newest.get(&pack.shipped.name).filter(|newest| pack.shipped.version < **newest)
        {
            let text = format!(
                "the bundle {} is older than {newest}, which was installed here before",
                pack.shipped
            );
            let failure = Failure::new("bundle_older", text);
            return Err(failure
                .hint("take a newer one: what was mended since would be lost without a word")
                .into());
        }
        let mut change = exchange(self.layer(), (from.as_ref(), Some(&pack)), &self.catalogue).await?;
        change.notes.splice(0..0, notes);
        let then = Note::of(Some(slot), previous).after(&seen);
        Ok(Offer { exchange: Some(change), seen, then, bytes: Some(bytes), pack: Some(pack) })
    }

    /// Looks at the way back: to the bundle before this one, else, or with `to_stock`, to what ships with uplift.
    pub async fn back(&self, to_stock: bool) -> Result<Offer, HostError> {
        let seen = match self.shelf().note().await {
            Err(failure) if to_stock && failure.code == "bundle_damaged" => Note::damaged(),
            other => other?,
        };
        if seen.is_empty() {
            let text = "no bundle is installed: the runbooks are those that ship with uplift";
            return Err(HostError::Invalid(
                Failure::new("no_bundle", text).hint("`uplift runbook list` names them"),
            ));
        }
        let (mut from, mut notes) = (None, Vec::new());
        match self.shelf().installed().await {
            Ok(pack) => from = pack,
            Err(failure) => {
                notes.push(format!("{failure}; so the changes are told from what ships with uplift"));
            }
        }
        let target = seen.previous.clone().filter(|_| !to_stock);
        let to = match &target {
            Some(slot) => Some(self.shelf().read(slot).await.map_err(|failure| {
                failure.hint("go back to what ships with uplift: `uplift runbook revert --stock`")
            })?),
            None => None,
        };
        let to = to.map(|(pack, _)| pack);
        let mut change = exchange(self.layer(), (from.as_ref(), to.as_ref()), &self.catalogue).await?;
        change.from = seen.installed.as_ref().map(|slot| slot.shipped.clone());
        change.notes.splice(0..0, notes);
        let then = Note::of(target, None).after(&seen);
        Ok(Offer { exchange: Some(change), seen, then, bytes: None, pack: None })
    }

    /// Does what was offered, under the site's lock. Runs have their own copy of what they began with, so that none is
    /// touched by it; and while one is at work this waits for nobody, and is refused.
    pub async fn take(&self, offer: &Offer, command: &str) -> Result<(), HostError> {
        let folder = Folder::prepare(&self.state)?;
        let clients::Who { user, host } = clients::who();
        let holder = Holder {
            run: String::new(),
            command: command.to_owned(),
            user,
            host,
            since: self.ports.clock.now(),
            pid: 0,
            space: String::new(),
        };
        let _lock = Lock::take(&folder, holder)?;
        let now = match self.shelf().note().await {
            Err(failure) if offer.seen == Note::damaged() && failure.code == "bundle_damaged" => {
                Note::damaged()
            }
            other => other?,
        };
        if now != offer.seen {
            let text = "another bundle was installed, or taken away, since this was looked at";
            return Err(Failure::new("bundle_meanwhile", text)
                .hint("type it again to see what it changes now")
                .into());
        }
        let new = offer.then.installed.as_ref().zip(offer.bytes.as_deref());
        Ok(self.shelf().put(&*self.ports.files, new, &offer.then).await?)
    }

    /// What of a runbook would run here: its text, and whose it is.
    pub async fn shown(&self, name: &str) -> Result<(String, Option<Shipped>, bool), HostError> {
        let layer = self.layer();
        let pack = self.shelf().installed().await?;
        let found = crate::host::library::find_with(name, layer, pack.as_ref()).await?;
        let own = layer.runbook(name).await?.is_some();
        let shipped = pack.filter(|pack| !own && pack.file(name).is_some()).map(|pack| pack.shipped);
        Ok((found.main.text, shipped, own))
    }

    /// Which bundle is installed.
    pub async fn installed(&self) -> Result<Option<(Shipped, Vec<String>)>, HostError> {
        let pack = self.shelf().installed().await?;
        Ok(pack.map(|pack| (pack.shipped.clone(), pack.runbooks().map(str::to_owned).collect())))
    }

    /// Where the site's own scripts lie.
    pub(in crate::host) fn own_scripts(&self) -> (&Arc<dyn Files>, &Path) {
        (&self.scripts.0, &self.scripts.1)
    }

    /// What runbooks can call.
    pub(in crate::host) fn offered(&self) -> &Catalogue {
        &self.catalogue
    }

    pub(super) fn shelf(&self) -> Shelf<'_> {
        Shelf { files: &*self.ports.files, state: &self.state, site: &self.site }
    }

    pub(super) fn layer(&self) -> Layer<'_> {
        let (files, folder) = &self.scripts;
        Layer { files: &**files, site: folder, bundles: Some(self.shelf()), given: None }
    }

    async fn bytes(&self, source: &str) -> Result<Vec<u8>, Failure> {
        if source.contains("://") {
            return clients::download(source, LARGEST).await;
        }
        let (files, _) = &self.scripts;
        let path = std::path::absolute(source).unwrap_or_else(|_| source.into());
        let missing = || {
            Failure::new("bundle_missing", format!("there is no file `{source}`"))
                .hint("name a file that ends in `.bundle`, or an address that begins with `https://`")
        };
        let size = files.size(&path).await?.ok_or_else(missing)?;
        if size > LARGEST {
            return Err(super::pack::too_large(&format!("`{source}`"), "4 MiB"));
        }
        Ok(files.read(&path).await?.ok_or_else(missing)?.bytes)
    }
}

/// One bundle at a time, and never an older one: what was mended in the newer would be lost without a word.
fn follows(there: &Shipped, new: &Shipped) -> Result<(), Failure> {
    if there.name != new.name {
        let text =
            format!("the bundle {there} is installed, and {new} is another one: a site has one at a time");
        return Err(Failure::new("bundle_other", text)
            .hint("take that one away first: `uplift runbook revert --stock`"));
    }
    if new.version < there.version {
        let text = format!("the bundle {new} is older than {}, which is installed", there.version);
        return Err(Failure::new("bundle_older", text).hint("the way back is `uplift runbook revert`"));
    }
    Ok(())
}

fn other_content(shipped: &Shipped) -> Failure {
    let text =
        format!("the bundle {shipped} is installed with other content than this one of the same version");
    Failure::new("bundle_same_version", text)
        .hint("ask who has made it: what is changed gets a version of its own. The way back is `uplift runbook revert`")
}
