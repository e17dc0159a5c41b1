//! Programs of the operator's own on the host where uplift runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{files::quote, secrets::Lent};
use crate::event::{Change, Failure, Teller, Write};

/// Bytes of each of a program's outputs that are kept: the last ones.
pub const SAID: usize = 16 << 10;

/// Starts a program. No shell reads what is here, unless it is the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunProgram {
    /// The program's whole path.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub folder: PathBuf,
    /// Besides `PATH`, `HOME`, `USER` and `LC_ALL`, which are uplift's own.
    pub variables: BTreeMap<String, String>,
    /// Variables whose values must never be seen.
    pub secrets: BTreeMap<String, Lent>,
    /// What it reads.
    pub input: String,
    /// After that it is ended with all that it has started.
    pub timeout: Duration,
}

/// A program that ended by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    /// The end of its output, at most [`SAID`] bytes, and of its error output.
    pub stdout: String,
    pub stderr: String,
}

#[async_trait]
pub trait ProgramsRead: Send + Sync {
    /// Whether it can be started: `program_missing` or `program_not_executable`.
    async fn ready(&self, program: &Path) -> Result<(), Failure>;
    /// Starts a program that changes nothing, as whoever wrote the runbook says. `None` in a rehearsal, which starts
    /// none. Fails as [`Programs::run`] does.
    async fn ask(&self, request: &RunProgram) -> Result<Option<Ran>, Failure>;
}

#[async_trait]
pub trait Programs: ProgramsRead {
    /// Starts it and waits for its end; each line that it says is told. Whatever code it ends with is an answer.
    ///
    /// Fails with `program_hangs` (nobody knows what it has done), `program_killed` (the same), `program_failed` where it
    /// cannot be started, or as [`ProgramsRead::ready`] does.
    async fn run(&self, request: &RunProgram, tell: &Teller) -> Result<Ran, Failure>;
}

impl RunProgram {
    /// The command in one line, without its secrets and what it reads.
    #[must_use]
    pub fn words(&self) -> String {
        let program = self.program.display().to_string();
        let words = std::iter::once(&program).chain(&self.arguments);
        words.map(|word| quote(word)).collect::<Vec<_>>().join(" ")
    }

    #[must_use]
    pub fn change(&self) -> Write {
        let command = self.words();
        let pairs = self.variables.iter().map(|(name, value)| format!("{name}={} ", quote(value)));
        let secrets = self.secrets.iter().map(|(name, lent)| format!("{name}=\"{}\" ", lent.from.in_shell()));
        let variables: String = pairs.chain(secrets).collect();
        let input = match self.input.as_str() {
            "" => String::new(),
            text => format!("printf %s {} | ", quote(text)),
        };
        let folder = quote(&self.folder.display().to_string());
        Write {
            shell: Some(format!("(cd {folder} && {input}{variables}{command})")),
            change: Change::Program { command },
        }
    }

    /// The program was given up.
    #[must_use]
    pub fn hangs(&self, last_lines: Vec<String>) -> Failure {
        let time = SignedDuration::try_from(self.timeout).unwrap_or_default();
        let text = format!("`{}` was still at work after {time:#}, and was ended", self.words());
        Failure::new("program_hangs", text)
            .hint("give it longer with `timeout`, and look at what it waits for")
            .evidence(last_lines)
            .unknown()
    }

    /// Somebody, or the system, has ended it.
    #[must_use]
    pub fn killed(&self, how: &str, last_lines: Vec<String>) -> Failure {
        Failure::new("program_killed", format!("`{}` was ended by {how}", self.words()))
            .hint("look who has ended it: `dmesg` tells where the system did, for want of memory")
            .evidence(last_lines)
            .unknown()
    }
}

/// There is no such program.
#[must_use]
pub fn missing(program: &Path) -> Failure {
    Failure::new("program_missing", format!("there is no program `{}`", program.display()))
        .hint("install it, or correct its path in the runbook")
}

/// There is a file, and we may not execute it.
#[must_use]
pub fn not_executable(program: &Path) -> Failure {
    Failure::new(
        "program_not_executable",
        format!("`{}` is no program that may be executed here", program.display()),
    )
    .hint(format!(
        "`ls -l {}` shows what it is; `chmod +x` makes a program of a script",
        super::files::quoted(program)
    ))
}

/// The last lines of what a program said, its error output if it has any.
#[must_use]
pub fn last_lines(ran: &Ran, count: usize) -> Vec<String> {
    let said = if ran.stderr.trim().is_empty() { &ran.stdout } else { &ran.stderr };
    let lines: Vec<_> = said.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}
