//! Programs of a world's host, and the variables that uplift is started with there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{state::State, world::World};
use crate::{
    event::{Failure, Teller, Unit},
    ports::{
        files::File,
        programs::{Programs, ProgramsRead, Ran, RunProgram, missing, not_executable},
        secrets::Variables,
    },
    site::{Secret, Span},
};

/// What a program does when it is started in a certain way. The first that fits counts; where none does, it ends well and
/// has done nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Does {
    /// Its arguments, all of them; whatever they are, where this is left out.
    pub args: Option<Vec<String>>,
    /// Only where there is this file.
    pub where_is: Option<PathBuf>,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// For how long it is at work: longer than it may be is for ever.
    pub takes: Option<Span>,
    /// Files that it makes (of the text `on`) and removes.
    pub makes: Vec<PathBuf>,
    pub removes: Vec<PathBuf>,
}

/// How a program was started. A secret is there by its name only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub command: String,
    pub folder: PathBuf,
    pub variables: BTreeMap<String, String>,
    pub secrets: Vec<String>,
    pub input: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tools {
    pub programs: BTreeMap<PathBuf, Vec<Does>>,
    pub started: Vec<Started>,
    #[serde(skip)]
    pub variables: BTreeMap<String, Secret>,
}

impl World {
    /// Puts a program on the host.
    pub fn put_program(&self, path: impl AsRef<Path>, does: &[Does]) {
        self.put_file(&path, "#!/bin/sh\n", 0o755);
        self.lock().tools.programs.insert(path.as_ref().to_owned(), does.to_vec());
    }

    /// How programs were started so far, in order.
    #[must_use]
    pub fn started(&self) -> Vec<Started> {
        self.lock().tools.started.clone()
    }

    /// A variable that uplift is started with.
    pub fn put_variable(&self, name: &str, value: &str) {
        self.lock().tools.variables.insert(name.to_owned(), Secret::new(value));
    }
}

impl Variables for World {
    fn variable(&self, name: &str) -> Option<Secret> {
        self.lock().tools.variables.get(name).cloned()
    }
}

impl State {
    fn program(&self, path: &Path) -> Result<(), Failure> {
        match self.disk.files.get(path) {
            Some(file) if file.mode & 0o111 != 0 => Ok(()),
            Some(_) => Err(not_executable(path)),
            None if self.disk.is_folder(path) => Err(not_executable(path)),
            None => Err(missing(path)),
        }
    }

    /// What somebody else changes on this host.
    pub(super) fn leave(&mut self, makes: &[PathBuf], removes: &[PathBuf]) -> Result<(), Failure> {
        for path in makes {
            self.disk.make_folders(path.parent().unwrap_or(Path::new("/")), 0o755);
            self.disk.put(path, File { bytes: b"on\n".to_vec(), mode: 0o644, uid: 0, gid: 0 })?;
        }
        for path in removes {
            self.disk.remove(path);
        }
        Ok(())
    }

    fn start_program(&mut self, request: &RunProgram) -> Result<Ran, Failure> {
        self.program(&request.program)?;
        self.tools.started.push(Started {
            command: request.words(),
            folder: request.folder.clone(),
            variables: request.variables.clone(),
            secrets: request.secrets.keys().cloned().collect(),
            input: request.input.clone(),
        });
        self.keeper.changed = true;
        let all = self.tools.programs.get(&request.program).cloned().unwrap_or_default();
        let fits = |does: &&Does| {
            does.args.as_ref().is_none_or(|args| *args == request.arguments)
                && does.where_is.as_ref().is_none_or(|path| self.disk.files.contains_key(path))
        };
        let does = all.iter().find(fits).cloned().unwrap_or_default();
        let takes = does.takes.map_or(Duration::ZERO, |span| span.0);
        if takes > request.timeout {
            self.pass(request.timeout);
            return Err(request.hangs(does.stderr.lines().map(str::to_owned).collect()));
        }
        self.pass(takes);
        self.leave(&does.makes, &does.removes)?;
        Ok(Ran { code: does.code, stdout: does.stdout, stderr: does.stderr })
    }
}

#[async_trait]
impl ProgramsRead for World {
    async fn ready(&self, program: &Path) -> Result<(), Failure> {
        self.look(|state| state.program(program))
    }

    async fn ask(&self, request: &RunProgram) -> Result<Option<Ran>, Failure> {
        self.look(|state| state.start_program(request)).map(Some)
    }
}

#[async_trait]
impl Programs for World {
    async fn run(&self, request: &RunProgram, tell: &Teller) -> Result<Ran, Failure> {
        self.lock().program(&request.program)?;
        let ran = self.act(&format!("run {}", request.words()), |state| state.start_program(request))?;
        let name = request.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (nth, line) in (1..).zip(ran.stdout.lines().chain(ran.stderr.lines())) {
            tell.progress(format!("lines that `{name}` has written"), nth, None, Unit::Items);
            tell.note(format!("{name}: {line}"));
        }
        Ok(ran)
    }
}
