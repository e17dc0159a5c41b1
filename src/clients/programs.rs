use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use rustix::fs::{Access, access};

use super::process::{Processes, in_words};
use crate::{
    event::{Failure, Teller, Unit},
    ports::programs::{Programs, ProgramsRead, Ran, RunProgram, SAID, last_lines, missing, not_executable},
};

/// How many lines of a program are told one by one: a screen is no place for all of a chatty one.
const TOLD: u64 = 200;

/// Programs of this host. They inherit the site's lock: one that outlives a killed uplift keeps the next run out.
pub(super) struct HostPrograms(pub(super) Processes);

#[async_trait]
impl ProgramsRead for HostPrograms {
    async fn ready(&self, program: &Path) -> Result<(), Failure> {
        if !program.exists() {
            return Err(missing(program));
        }
        if !program.is_file() || access(program, Access::EXEC_OK).is_err() {
            return Err(not_executable(program));
        }
        Ok(())
    }

    async fn ask(&self, request: &RunProgram) -> Result<Option<Ran>, Failure> {
        self.started(request, |_| {}).await.map(Some)
    }
}

#[async_trait]
impl Programs for HostPrograms {
    async fn run(&self, request: &RunProgram, tell: &Teller) -> Result<Ran, Failure> {
        let count = AtomicU64::new(0);
        let name = request.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hear = |line: &str| {
            let nth = count.fetch_add(1, Ordering::Relaxed) + 1;
            tell.progress(format!("lines that `{name}` has written"), nth, None, Unit::Items);
            match nth {
                ..=TOLD if !line.is_empty() => tell.note(format!("{name}: {line}")),
                ..=TOLD => {}
                nth if nth == TOLD + 1 => tell.note(format!("{name}: it writes more, which is not told")),
                _ => {}
            }
        };
        self.started(request, hear).await
    }
}

impl HostPrograms {
    async fn started(&self, request: &RunProgram, hear: impl Fn(&str) + Send + Sync) -> Result<Ran, Failure> {
        self.ready(&request.program).await?;
        if !request.folder.is_dir() {
            let text = format!("there is no folder `{}` to start a program in", request.folder.display());
            return Err(Failure::new("program_failed", text).hint("correct `dir` in the runbook"));
        }
        let mut program = self.0.program(&request.program).args(request.arguments.iter().cloned());
        program = program.envs(&request.variables).folder(&request.folder).input(request.input.as_bytes());
        for (name, lent) in &request.secrets {
            program = program.env(name, lent.value.reveal());
        }
        let ended = program.heard(request.timeout, SAID, hear).await.map_err(|error| {
            let text = format!("`{}` cannot be started: {error}", request.program.display());
            Failure::new("program_failed", text).hint("try it by hand")
        })?;
        let (status, said) = ended;
        let ran = |code| Ran { code, stdout: said.stdout, stderr: said.stderr };
        match status {
            None => Err(request.hangs(last_lines(&ran(-1), super::process::LINES))),
            Some(status) => match status.code() {
                Some(code) => Ok(ran(code)),
                None => Err(request.killed(&in_words(status), last_lines(&ran(-1), super::process::LINES))),
            },
        }
    }
}
