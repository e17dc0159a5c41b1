//! Where a site keeps the bundle that is installed, and the one before it: `vendor/` in the state folder. Which of the files
//! counts stands in one small file, so that an installation is there whole or not at all.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    is_plain,
    pack::{LARGEST, Pack},
};
use crate::{
    event::Failure,
    ports::files::{File, Files, FilesRead, MakeFolder, OWN_GROUP, Remove, WriteFile},
    site::Shipped,
    survey,
};

const FOLDER: &str = "vendor";
const NOTE: &str = "installed.json";
const FORMAT: u32 = 1;

const ANEW: &str =
    "go back to what ships with uplift: `uplift runbook revert --stock`, then install the bundle again";

/// What is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    format: u32,
    pub(super) installed: Option<Slot>,
    /// What was installed before, for the way back.
    pub(super) previous: Option<Slot>,
    /// The newest version that was ever installed, by name: also what was gone back from is never followed by an older one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) newest: BTreeMap<String, Version>,
    /// What was signed in that one, by name: another content never has the same version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) contents: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slot {
    pub(super) shipped: Shipped,
    /// BLAKE3 of the file, in hex.
    blake3: String,
    /// The same of what is signed in it: who signs twice makes two files.
    pub(super) content: String,
}

#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

impl Note {
    pub(super) fn of(installed: Option<Slot>, previous: Option<Slot>) -> Self {
        Self { format: FORMAT, installed, previous, newest: BTreeMap::new(), contents: BTreeMap::new() }
    }

    /// It in the place of `before`: what was ever installed is known on.
    pub(super) fn after(mut self, before: &Self) -> Self {
        self.newest.clone_from(&before.newest);
        self.contents.clone_from(&before.contents);
        for Slot { shipped: Shipped { name, version, .. }, content, .. } in
            before.installed.iter().chain(&self.installed)
        {
            let newest = self.newest.entry(name.clone()).or_insert_with(|| version.clone());
            if *newest <= *version {
                newest.clone_from(version);
                self.contents.insert(name.clone(), content.clone());
            }
        }
        self
    }

    /// Nothing is installed, and there is nothing to go back to.
    pub(super) fn is_empty(&self) -> bool {
        self.format == FORMAT && self.installed.is_none() && self.previous.is_none()
    }

    /// Stands for one that cannot be read.
    pub(super) fn damaged() -> Self {
        Self { format: 0, ..Self::of(None, None) }
    }
}

impl Slot {
    pub(super) fn of(pack: &Pack, bytes: &[u8]) -> Self {
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        Self { shipped: pack.shipped.clone(), blake3, content: pack.hash.clone() }
    }

    /// The name holds plain letters only, which was proved where it was read.
    fn file(&self) -> String {
        format!("{}-{}.bundle", self.shipped.name, self.shipped.version)
    }
}

/// One site's bundles.
#[derive(Clone, Copy)]
pub(in crate::host) struct Shelf<'a> {
    pub(in crate::host) files: &'a dyn FilesRead,
    pub(in crate::host) state: &'a Path,
    /// The folder that has `uplift.toml`.
    pub(in crate::host) site: &'a Path,
}

impl Shelf<'_> {
    /// The bundle that is installed, its signature proved again. What is damaged is refused, never passed over.
    pub(in crate::host) async fn installed(&self) -> Result<Option<Pack>, Failure> {
        match self.note().await?.installed {
            Some(slot) => self.read(&slot).await.map(|(pack, _)| Some(pack)),
            None => Ok(None),
        }
    }

    pub(super) async fn note(&self) -> Result<Note, Failure> {
        let path = self.folder().join(NOTE);
        let Some(file) = self.files.read(&path).await? else {
            let bundles = self.files.list(&self.folder()).await?;
            if !bundles.iter().any(|name| name.ends_with(".bundle")) {
                return Ok(Note::of(None, None));
            }
            let text = format!(
                "`{}`, which says what bundle is installed, is gone, and bundles are there",
                path.display()
            );
            return Err(Failure::new("bundle_damaged", text).hint(ANEW));
        };
        let damaged = |why: String| {
            let text =
                format!("`{}`, which says what bundle is installed, cannot be read: {why}", path.display());
            Failure::new("bundle_damaged", text).hint(ANEW)
        };
        let read = serde_json::from_slice(&file.bytes);
        let Versioned { format } = read.map_err(|error| damaged(error.to_string()))?;
        if format > FORMAT {
            let text =
                format!("`{}` has format {format}, and this uplift reads format {FORMAT}", path.display());
            return Err(
                Failure::new("bundle_format_newer", text).hint("a newer uplift wrote it: use that one here")
            );
        }
        let note: Note = serde_json::from_slice(&file.bytes).map_err(|error| damaged(error.to_string()))?;
        match note.installed.iter().chain(&note.previous).find(|slot| !is_plain(&slot.shipped.name)) {
            Some(slot) => Err(damaged(format!("`{}` is no name", slot.shipped.name))),
            None => Ok(note),
        }
    }

    /// The bundle of a slot with its bytes.
    pub(super) async fn read(&self, slot: &Slot) -> Result<(Pack, Vec<u8>), Failure> {
        let path = self.folder().join(slot.file());
        let shipped = &slot.shipped;
        let named = |failure: Failure| {
            let text = format!("the installed bundle {shipped}, `{}`: {}", path.display(), failure.message);
            Failure { message: text, ..failure }
        };
        let damaged =
            |why: &str| {
                named(Failure::new("bundle_damaged", why).hint(
                    "install it again: `uplift runbook install FILE`, or go back: `uplift runbook revert`",
                ))
            };
        let size = self.files.size(&path).await?.ok_or_else(|| damaged("the file is gone"))?;
        if size > LARGEST {
            return Err(damaged("it is larger than any bundle"));
        }
        let file = self.files.read(&path).await?.ok_or_else(|| damaged("the file is gone"))?;
        if blake3::hash(&file.bytes).to_hex().as_str() != slot.blake3 {
            return Err(damaged("it is no longer what was installed"));
        }
        let trusted = survey::trusted(self.site, self.files).await?;
        let pack = Pack::read(&file.bytes, &trusted).map_err(named)?;
        Ok((pack, file.bytes))
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.state.join(FOLDER)
    }

    /// Puts `new`, a file and what it is, beside what is there, and then says in one step what counts from now on. What
    /// nothing names any more goes.
    pub(super) async fn put(
        &self,
        files: &dyn Files,
        new: Option<(&Slot, &[u8])>,
        note: &Note,
    ) -> Result<(), Failure> {
        let folder = self.folder();
        let what = "installed bundle of runbooks".to_owned();
        files.make_folder(&MakeFolder { path: folder.clone(), what: what.clone() }).await?;
        let (uid, _) = files.owner(&folder).await?.unwrap_or_default();
        let write = |name: String, bytes: Vec<u8>| {
            let file = File { bytes, mode: 0o600, uid, gid: OWN_GROUP };
            WriteFile { path: folder.join(name), file, what: what.clone() }
        };
        // A bundle without a note is one whose note is gone. Whoever is killed in the middle leaves none such.
        if files.size(&folder.join(NOTE)).await?.is_none() {
            let nothing = serde_json::to_vec_pretty(&Note::of(None, None))
                .map_err(|error| Failure::inside("bundle_damaged", error.to_string()))?;
            files.write(&write(NOTE.to_owned(), nothing)).await?;
        }
        if let Some((slot, bytes)) = new {
            files.write(&write(slot.file(), bytes.to_vec())).await?;
        }
        let text = serde_json::to_vec_pretty(note)
            .map_err(|error| Failure::inside("bundle_damaged", error.to_string()))?;
        files.write(&write(NOTE.to_owned(), text)).await?;
        let kept: Vec<_> = note.installed.iter().chain(&note.previous).map(Slot::file).collect();
        for name in files.list(&folder).await? {
            if name.ends_with(".bundle") && !kept.contains(&name) {
                files.remove(&Remove { path: folder.join(name), what: what.clone() }).await?;
            }
        }
        Ok(())
    }
}
