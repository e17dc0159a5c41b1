//! The one place that starts other programs.
//!
//! Each gets a cleaned environment, no input, and a process group of its own: a Ctrl-C at the terminal is for uplift,
//! which decides what becomes of its children. A child inherits the descriptor of the site's lock, so that one which
//! outlives a killed uplift keeps the next run out. Nothing outlives the future that started it.
#![expect(clippy::disallowed_methods, reason = "this is where programs are started")]

mod heard;
mod lines;

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use command_fds::CommandFdExt as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::environment::Environment;

/// How many of a program's last lines are kept to show why it failed.
pub(super) const LINES: usize = 40;
/// Longer lines are cut: a program that never ends its line must not fill the memory.
const LINE: usize = 2000;

/// Starts programs, and holds what they inherit.
#[derive(Clone)]
pub(super) struct Processes {
    pub(super) environment: Arc<Environment>,
    lent: Arc<Mutex<Option<OwnedFd>>>,
}

/// A program about to be started.
pub(super) struct Program {
    command: Command,
    inherited: Vec<OwnedFd>,
    input: Option<Vec<u8>>,
}

/// A program that ended by itself.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// Last lines of what it said on its error output, oldest first.
    pub(super) last_lines: Vec<String>,
}

/// A program at work. Dropping it ends the program and all that it started in turn.
pub(super) struct Running {
    child: Child,
    group: Group,
    stderr: Option<tokio::process::ChildStderr>,
}

/// Kills a process group when it is dropped: the `docker` command runs compose as a child of its own, which would
/// go on alone.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Processes {
    pub(super) fn new(environment: Arc<Environment>) -> Self {
        Self { environment, lent: Arc::default() }
    }

    /// From now on children inherit this descriptor.
    pub(super) fn lend(&self, lock: OwnedFd) {
        *self.lent.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
    }

    /// Children inherit nothing any more.
    pub(super) fn take_back(&self) {
        *self.lent.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// `program` is looked for in `PATH` unless it is a path.
    pub(super) fn program(&self, program: impl AsRef<Path>) -> Program {
        let mut program = self.apart(program);
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        program.inherited.extend(lent.as_ref().and_then(|lock| lock.try_clone().ok()));
        program
    }

    /// A program that has nothing to do with the site: it inherits no part of the lock, and whatever becomes of it, the
    /// next run can begin.
    pub(super) fn apart(&self, program: impl AsRef<Path>) -> Program {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(self.environment.plain());
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        Program { command, inherited: Vec::new(), input: None }
    }
}

impl Program {
    pub(super) fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments.into_iter().map(Into::into));
        self
    }

    pub(super) fn envs(mut self, variables: &BTreeMap<String, String>) -> Self {
        self.command.envs(variables);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    pub(super) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// A descriptor that it gets under the number that it has here.
    pub(super) fn inherit(mut self, descriptor: OwnedFd) -> Self {
        self.inherited.push(descriptor);
        self
    }

    /// What it reads, instead of nothing.
    pub(super) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Starts it with its output in a pipe.
    pub(super) fn start(mut self) -> io::Result<(Running, ChildStdout)> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.input.is_some() {
            self.command.stdin(Stdio::piped());
        }
        self.command.preserved_fds(std::mem::take(&mut self.inherited));
        let mut child = self.command.spawn()?;
        let group = Group::of(&child);
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
        let stderr = child.stderr.take();
        Ok((Running { child, group, stderr }, stdout))
    }

    /// Starts it with input and output in pipes.
    pub(super) fn start_fed(mut self) -> io::Result<(Running, ChildStdin, ChildStdout)> {
        self.input = Some(Vec::new());
        let (mut running, out) = self.start()?;
        let input = running.child.stdin.take().ok_or_else(|| io::Error::other("it has no input"))?;
        Ok((running, input, out))
    }

    /// Runs it to its end.
    pub(super) async fn output(mut self) -> io::Result<Ended> {
        let input = self.input.clone();
        self.command.stdout(Stdio::piped());
        let (mut running, mut out) = self.start()?;
        let stdin = running.child.stdin.take();
        let feed = async move {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // One that does not care for its input may have ended already.
                let _closed = stdin.write_all(&input).await;
            }
        };
        let read = async {
            let mut stdout = Vec::new();
            out.read_to_end(&mut stdout).await.map(|_| stdout)
        };
        let ((), stdout, ended) = tokio::join!(feed, read, running.end());
        let (status, last_lines) = ended?;
        Ok(Ended { status, stdout: stdout?, last_lines })
    }

    /// Runs it to its own end, without what it writes to its output; `None` if it was still at work after `limit` and was
    /// ended with all that it had started. What it leaves behind in good order goes on, and is not waited for.
    pub(super) async fn within(mut self, limit: Duration) -> io::Result<Option<(ExitStatus, Vec<String>)>> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.command.preserved_fds(std::mem::take(&mut self.inherited));
        let mut child = self.command.spawn()?;
        let mut group = Group::of(&child);
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let input = self.input.take().unwrap_or_default();
        let feed = tokio::spawn(async move {
            if let Some(mut stdin) = stdin {
                let _closed = stdin.write_all(&input).await;
            }
        });
        let mut lines = tokio::spawn(async move {
            match stderr {
                Some(stderr) => last_lines(stderr).await,
                None => Vec::new(),
            }
        });
        let ended = tokio::time::timeout(limit, child.wait()).await;
        feed.abort();
        let Ok(status) = ended else {
            lines.abort();
            return Ok(None);
        };
        let status = status?;
        // Its number may now be another's.
        group.0 = None;
        // Whoever goes on in the background may hold its error output open for ever.
        let said = tokio::time::timeout(LAST_WORDS, &mut lines).await;
        lines.abort();
        Ok(Some((status, said.ok().and_then(Result::ok).unwrap_or_default())))
    }
}

/// For how long the last lines of a program are waited for that has ended.
const LAST_WORDS: Duration = Duration::from_millis(250);

impl Running {
    /// Waits for its end; gives the last lines of its error output.
    pub(super) async fn end(&mut self) -> io::Result<(ExitStatus, Vec<String>)> {
        let lines = match self.stderr.take() {
            Some(stderr) => last_lines(stderr).await,
            None => Vec::new(),
        };
        let status = self.child.wait().await?;
        // Its number may now be another's.
        self.group.0 = None;
        Ok((status, lines))
    }
}

/// The last lines of a pipe that is read to its end.
async fn last_lines(pipe: impl AsyncRead + Unpin) -> Vec<String> {
    let mut reader = BufReader::new(pipe);
    let (mut kept, mut line) = (VecDeque::new(), Vec::new());
    while lines::next(&mut reader, &mut line).await.is_ok_and(|more| more) {
        let text = lines::text(&line);
        if text.is_empty() {
            continue;
        }
        kept.push_back(text);
        if kept.len() > LINES {
            kept.pop_front();
        }
    }
    kept.into()
}

/// How a program ended, in words: `exit code 1`, `signal 9`.
pub(super) fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, path::PathBuf};

    use super::*;

    fn processes() -> Processes {
        let path = std::env::var("PATH").unwrap_or_default();
        let environment = Environment::default().with("PATH", path).with("HOME", "/nowhere");
        Processes::new(Arc::new(environment.with("STRATA_VERSION", "9.9.9")))
    }

    async fn said(processes: &Processes, script: &str) -> String {
        let ended = processes.program("sh").args(["-c", script]).output().await.unwrap();
        assert!(ended.status.success(), "{:?}", ended.last_lines);
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn a_child_sees_what_it_needs_and_no_more() {
        let processes = processes();
        let known =
            said(&processes, "env | cut -d= -f1 | grep -v -e ^_ -e PWD -e SHLVL -e OLDPWD | sort").await;
        assert_eq!(known.split_whitespace().collect::<Vec<_>>(), ["HOME", "LC_ALL", "PATH"]);
        assert_eq!(said(&processes, "cat | wc -c").await, "0", "there is no input");
        let own = rustix::process::getpgrp().as_raw_nonzero().to_string();
        let group = said(&processes, "cut -d' ' -f5 /proc/$$/stat").await;
        assert_ne!(group, own, "a Ctrl-C at the terminal is not for it");
    }

    #[tokio::test]
    async fn a_lent_descriptor_reaches_children_of_children_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("children.lock")).unwrap();
        let processes = processes();
        let holds = async || said(&processes, "sh -c 'ls -l /proc/self/fd'").await.contains("children.lock");
        assert!(!holds().await);
        processes.lend(file.into());
        assert!(holds().await);
        processes.take_back();
        assert!(!holds().await);
    }

    #[tokio::test]
    async fn what_a_dropped_child_started_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 473 & echo $! > {0}.new; mv {0}.new {0}; wait", pids.display());
        let mut running = Box::pin(processes().program("sh").args(["-c".to_owned(), script]).output());
        let grandchild = loop {
            let _still = tokio::time::timeout(Duration::from_millis(10), &mut running).await;
            if let Ok(text) = fs::read_to_string(&pids) {
                break PathBuf::from("/proc").join(text.trim());
            }
        };
        assert!(grandchild.exists());
        drop(running);
        for _ in 0..200 {
            if fs::read_to_string(grandchild.join("stat")).map_or(true, |stat| stat.contains(") Z ")) {
                return;
            }
            let _pause = tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
        }
        panic!("it still runs");
    }
}
