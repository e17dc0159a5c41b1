//! Commands of a world that are told of runs, and chats.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{state::State, world::World};
use crate::{
    event::Failure,
    ports::notices::{GiveNotice, Notice, Notices, NoticesRead, PostNotice, missing, not_executable},
    site::{Notify, Occasion},
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub notifiers: BTreeMap<PathBuf, Notifier>,
    /// What commands were started with, whatever they made of it.
    pub given: Vec<Notice>,
    /// Lines that were posted to chats.
    #[serde(default)]
    pub posted: Vec<String>,
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

    /// What chats were told so far.
    #[must_use]
    pub fn posted(&self) -> Vec<String> {
        self.lock().told.posted.clone()
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

impl State {
    fn give(&mut self, request: &GiveNotice) -> Result<(), Failure> {
        let path = self.notifier(&request.to, &request.notice.folder)?;
        self.told.given.push(request.notice.clone());
        self.keeper.changed = true;
        match self.told.notifiers.get(&path).copied().unwrap_or_default() {
            Notifier::Takes => Ok(()),
            Notifier::Fails => Err(request.failed("exit code 3", vec!["the room is closed".to_owned()])),
            Notifier::Hangs => Err(request.hangs()),
        }
    }

    fn post(&mut self, request: &PostNotice) -> Result<(), Failure> {
        let reply = self.ask(&request.request())?;
        self.told.posted.push(request.text.clone());
        request.heard(&reply)
    }
}

/// What the host tells is no write of the site's: it counts as none, and no fault is in its way. What a runbook tells is.
#[async_trait]
impl Notices for World {
    async fn give(&self, request: &GiveNotice) -> Result<(), Failure> {
        match request.notice.event {
            Occasion::Message => {
                self.act(&format!("tell {}", request.to.program()), |state| state.give(request))
            }
            _ => self.look(|state| state.give(request)),
        }
    }

    async fn post(&self, request: &PostNotice) -> Result<(), Failure> {
        match request.event {
            Occasion::Message => {
                self.act(&format!("tell {}", request.to.shown()), |state| state.post(request))
            }
            _ => self.look(|state| state.post(request)),
        }
    }
}
