//! A host that has nothing yet: the configuration of a backup set, so that there is a site to restore.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{door::HostBuilder, error::HostError};
use crate::{
    backups::{self, ConfigFile},
    clients,
    event::Failure,
    ports::{
        compose::other_than_plain,
        files::{File, Files, MakeFolder, Remove, WriteFile},
    },
    site::Project,
};

/// What [`HostBuilder::settle`] found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    pub written: Vec<PathBuf>,
    /// They were there, byte for byte as in the set.
    pub there: Vec<PathBuf>,
    /// How compose is to be told which project this is; `None` where the set does not say it.
    pub project: Option<Project>,
}

impl Settled {
    /// How `docker compose` is called for this project, where its own choice would be another one.
    #[must_use]
    pub fn compose(&self) -> Option<String> {
        self.project.as_ref().and_then(other_than_plain)
    }
}

impl HostBuilder {
    /// Writes the configuration of the set in `folder` into `dir`, where there is no site. A file that is there and is
    /// other than in the set is refused, and then none is written; so it can be begun again. `only_look` writes nothing.
    pub async fn settle(&self, folder: &Path, dir: &Path, only_look: bool) -> Result<Settled, HostError> {
        let real = if self.given_ports().is_none() { Some(clients::real()?.0) } else { None };
        let ports = self.given_ports().or(real.as_ref()).ok_or(HostError::NoRun("restore"))?;
        let files = &*ports.files;
        let set = backups::find(files, folder).await?;
        let manifest = set.fit()?;
        if manifest.config.is_empty() {
            let text = format!("the set `{}` holds no configuration", manifest.set);
            let hint = "write `.env` and the compose file by hand, then restore without `--into`";
            return Err(HostError::Site(Failure::new("set_lacks_config", text).hint(hint)));
        }
        let project = manifest.project_in(dir);
        let mut settled = Settled { written: Vec::new(), there: Vec::new(), project };
        let mut writes = Vec::new();
        for (path, one) in manifest.places(dir, &[])? {
            match files.hash(&path).await? {
                Some(hash) if hash == one.blake3 => settled.there.push(path),
                Some(_) => return Err(HostError::Site(other(&path))),
                None => {
                    writes.push(written(one, folder, path.clone(), files).await?);
                    settled.written.push(path);
                }
            }
        }
        if !only_look {
            all_or_none(&writes, dir, files).await?;
        }
        Ok(settled)
    }
}

/// Half a configuration would be taken for a site: what was written goes again where the next cannot be.
async fn all_or_none(writes: &[WriteFile], dir: &Path, files: &dyn Files) -> Result<(), Failure> {
    for (at, request) in writes.iter().enumerate() {
        let Err(mut failure) = write(request, dir, files).await else { continue };
        // The one that failed may be there all the same; none of them was before.
        for done in &writes[..=at] {
            let remove = Remove { path: done.path.clone(), what: done.what.clone() };
            if let Err(stays) = files.remove(&remove).await {
                failure.evidence.push(format!("written before that, and still there: {stays}"));
            }
        }
        return Err(failure);
    }
    Ok(())
}

async fn write(request: &WriteFile, dir: &Path, files: &dyn Files) -> Result<(), Failure> {
    let parent = request.path.parent().unwrap_or(dir).to_owned();
    if files.list(&parent).await?.is_empty() {
        let what = "folder of the site".to_owned();
        files.make_folder(&MakeFolder { path: parent, what }).await?;
    }
    files.write(request).await
}

async fn written(
    one: &ConfigFile,
    folder: &Path,
    path: PathBuf,
    files: &dyn Files,
) -> Result<WriteFile, Failure> {
    let from = folder.join(&one.file);
    let stored = files.read(&from).await?;
    let stored = stored.filter(|file| blake3::hash(&file.bytes).to_hex().as_str() == one.blake3);
    let stored = stored.ok_or_else(|| {
        Failure::new("set_damaged", format!("`{}` is not what was written", from.display()))
            .hint("take another set: `uplift backup list`")
    })?;
    let file = File { bytes: stored.bytes, mode: one.mode, uid: one.uid, gid: one.gid };
    Ok(WriteFile { path, file, what: "configuration of the set".to_owned() })
}

fn other(path: &Path) -> Failure {
    let text = format!("`{}` is there and is other than in the set", path.display());
    Failure::new("config_there", text)
        .hint("restore without `--into` onto the site that is there, or name an empty folder")
}
