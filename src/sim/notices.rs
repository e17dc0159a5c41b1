//! Commands of a world that are told of runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{state::State, world::World};
use crate::{
    event::Failure,
    ports::notices::{GiveNotice, Notice, Notices, NoticesRead, missing, not_executable},
    site::Notify,
};

/// What a command does with what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notifier {
    #[default]
    Takes,
    /// Ends with exit code 3 and says `the room is closed`.
    Fails,
    /// Never ends by itself.
    Hangs,
}

/// Who was told what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Told {
    pub notifiers: BTreeMap<PathBuf, Notifier>,
    /// What commands were started with, whatever they made of it.
    pub given: Vec<Notice>,
}

impl World {
    /// Puts a command that can be told of runs.
    pub fn put_notifier(&self, path: impl AsRef<Path>, notifier: Notifier) {
        self.put_file(&path, "#!/bin/sh\n", 0o755);
        self.lock().told.notifiers.insert(path.as_ref().to_owned(), notifier);
    }

    /// What commands were told of runs so far.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        self.lock().told.given.clone()
    }
}

/// Where a program is looked for that is named without a path.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

impl State {
    /// The command's own file.
    fn notifier(&self, to: &Notify, folder: &Path) -> Result<PathBuf, Failure> {
        let program = to.program();
        let places = if program.contains('/') { vec![folder] } else { PATH.map(Path::new).to_vec() };
        let found = places.iter().map(|place| place.join(program)).find(|path| self.disk.exists(path));
        let path = found.ok_or_else(|| missing(program))?;
        match self.disk.files.get(&path) {
            Some(file) if file.mode & 0o111 != 0 => Ok(path),
            _ => Err(not_executable(&path)),
        }
    }
}

#[async_trait]
impl NoticesRead for World {
    async fn ready(&self, to: &Notify, folder: &Path) -> Result<(), Failure> {
        self.look(|state| state.notifier(to, folder).map(drop))
    }
}

/// No write of the site's: it counts as none, and no fault is in its way.
#[async_trait]
impl Notices for World {
    async fn give(&self, request: &GiveNotice) -> Result<(), Failure> {
        self.look(|state| {
            let path = state.notifier(&request.to, &request.notice.folder)?;
            state.told.given.push(request.notice.clone());
            state.keeper.changed = true;
            match state.told.notifiers.get(&path).copied().unwrap_or_default() {
                Notifier::Takes => Ok(()),
                Notifier::Fails => Err(request.failed("exit code 3", vec!["the room is closed".to_owned()])),
                Notifier::Hangs => Err(request.hangs()),
            }
        })
    }
}
