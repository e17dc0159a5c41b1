//! The backup sets of a site, and those that lie anywhere else.

use std::path::{Path, PathBuf};

use super::{
    door::{Host, HostBuilder},
    error::HostError,
};
use crate::{
    backups::{self, Eyes, Level, Listed, Standing, Verification},
    clients,
    event::{Failure, Teller},
    journal::new_run_id,
    ports::Ports,
    primitives::{contract::suggest, old_runs_go},
};

/// A folder of backup sets. It is read without a look at the site: a set must be found and proved also where the engine
/// is down, and on a machine that has never seen the site.
pub struct Sets {
    ports: Ports,
    folder: PathBuf,
}

/// What a look at all of a set has found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Proved {
    pub set: String,
    pub path: PathBuf,
    pub verified: Verification,
    /// Why the finding could not be noted beside the set.
    pub not_noted: Option<Failure>,
}

impl HostBuilder {
    /// The sets of the site whose folder this builder was told, without opening the site; `None` if it was told none.
    #[must_use]
    pub fn sets(&self) -> Option<Result<Sets, HostError>> {
        Some(self.sets_in(&backups::folder_in(&self.start().state()?)))
    }

    /// The sets that lie in a folder, of whatever site.
    pub fn sets_in(&self, folder: &Path) -> Result<Sets, HostError> {
        let ports = match self.given_ports() {
            Some(ports) => ports.clone(),
            None => clients::real()?.0,
        };
        Ok(Sets { ports, folder: folder.to_owned() })
    }
}

impl Host {
    /// The backup sets of this site.
    #[must_use]
    pub fn sets(&self) -> Sets {
        Sets { ports: self.0.ports.clone(), folder: backups::folder(&self.0.site) }
    }

    /// Loads every dump of a set into databases of their own on the site's server, counts, and drops them.
    pub async fn try_restore(&self, set: &Listed, trial: &str) -> Result<u64, HostError> {
        let (site, tell) = (&self.0.site, Teller::silent());
        let site = self.0.ports.operate(site, trial, &tell);
        Ok(backups::try_restore(set.sound()?, &set.path, site).await?)
    }

    /// Drops what a trial restore that was stopped has left on the server.
    pub async fn drop_trial(&self, set: &Listed, trial: &str) -> Result<(), HostError> {
        let (site, tell) = (&self.0.site, Teller::silent());
        Ok(backups::drop_trial(set.sound()?, self.0.ports.operate(site, trial, &tell)).await?)
    }

    /// A name for a trial restore.
    #[must_use]
    pub fn new_trial(&self) -> String {
        new_run_id(self.now())
    }
}

impl Host {
    /// Whether `backup prune` would remove something of the state folder: of these sets, or of what runs have left.
    pub async fn has_old(&self, sets: &[Listed]) -> Result<bool, HostError> {
        let (site, tell) = (&self.0.site, Teller::silent());
        if backups::judge(sets, self.now(), backups::KEEP).iter().any(|judged| judged.goes) {
            return Ok(true);
        }
        Ok(old_runs_go(self.0.ports.observe(site, "status", &tell)).await?)
    }
}

impl Sets {
    /// All sets, newest first.
    pub async fn all(&self) -> Result<Vec<Listed>, HostError> {
        Ok(backups::list(&*self.ports.files, &self.folder).await?)
    }

    /// Whether the folder in which they are looked for is there.
    pub async fn is_there(&self) -> Result<bool, HostError> {
        let (Some(above), Some(name)) = (self.folder.parent(), self.folder.file_name()) else {
            return Ok(true);
        };
        Ok(self.ports.files.list(above).await?.contains(&name.to_string_lossy().into_owned()))
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.ports.clock.now()
    }

    /// The newest one that was finished, whatever it is worth: that is what a person means who names none.
    pub async fn newest(&self) -> Result<Listed, HostError> {
        let newest = self.all().await?.into_iter().find(|set| set.standing != Standing::Incomplete);
        newest.ok_or_else(|| {
            let text = format!("there is no finished backup in `{}`", self.folder.display());
            HostError::Invalid(Failure::new("no_such_set", text).hint("make one: `uplift backup create`"))
        })
    }

    /// One set by its name, or by the beginning or end of its name if only one has it.
    pub async fn one(&self, name: &str) -> Result<Listed, HostError> {
        let all = self.all().await?;
        if let Some(set) = all.iter().find(|set| set.set == name) {
            return Ok(set.clone());
        }
        let like: Vec<_> =
            all.iter().filter(|set| set.set.starts_with(name) || set.set.ends_with(name)).collect();
        if let [set] = like.as_slice() {
            return Ok((*set).clone());
        }
        let known: Vec<_> = all.iter().map(|set| set.set.as_str()).collect();
        Err(HostError::Invalid(match like.len() {
            0 => backups::no_such(name, &self.folder, &known),
            n => {
                let text = format!("`{name}` may mean {n} backups");
                Failure::new("no_such_set", text).hint(suggest(name, &known))
            }
        }))
    }

    /// Reads all of a set, and notes beside it what was found.
    pub async fn verify(&self, set: &Listed) -> Result<Proved, HostError> {
        let tell = Teller::silent();
        let Ports { files, postgres, trees, clock, .. } = &self.ports;
        let eyes =
            Eyes { files: &**files, postgres: &**postgres, trees: &**trees, clock: &**clock, tell: &tell };
        let manifest = set.sound()?;
        match backups::prove(manifest, &set.path, eyes).await {
            Ok(verified) => {
                let not_noted = self.note(set, Some(verified.level), None).await.err();
                let (set, path) = (set.set.clone(), set.path.clone());
                Ok(Proved { set, path, verified, not_noted })
            }
            Err(failure) => {
                if ["set_damaged", "not_proved"].contains(&failure.code.as_str()) {
                    // What is wrong is told either way.
                    let _not_noted = self.note(set, None, Some(failure.message.clone())).await;
                }
                Err(failure.into())
            }
        }
    }

    /// Notes that a set was restored and counted; why not, if that cannot be written.
    pub async fn note_restored(&self, set: &Listed) -> Result<(), Failure> {
        self.note(set, Some(Level::Restored), None).await
    }

    async fn note(&self, set: &Listed, level: Option<Level>, failure: Option<String>) -> Result<(), Failure> {
        backups::note(&set.path, self.now(), level, failure, &*self.ports.files).await
    }
}
