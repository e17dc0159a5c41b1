use std::{
    collections::BTreeMap,
    io::Read,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::Result;

/// A command in the making.
#[derive(Debug, Clone)]
pub struct Shell {
    program: String,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    folder: Option<PathBuf>,
    limit: Duration,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Shell {
    pub fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            env: BTreeMap::new(),
            folder: None,
            limit: Duration::from_secs(600),
        }
    }

    /// Words separated by blanks.
    pub fn args(mut self, words: &str) -> Self {
        self.arguments.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// One argument as it is.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    pub fn envs(mut self, env: &BTreeMap<String, String>) -> Self {
        self.env.extend(env.clone());
        self
    }

    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The standard library's command, for what needs more than a result.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(&self.env).stdin(Stdio::null());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Runs it to its end, whatever its exit code; killed after the limit.
    pub fn run(&self) -> Result<Ran> {
        let started = Instant::now();
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{}` cannot be started: {error}", self.line()))?;
        let out = reader(child.stdout.take());
        let err = reader(child.stderr.take());
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if started.elapsed() > self.limit {
                let _gone = child.kill();
                let _reaped = child.wait();
                return Err(format!("`{}` did not end within {:?}", self.line(), self.limit));
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = |handle: thread::JoinHandle<String>| handle.join().unwrap_or_default();
        Ok(Ran { code: status.code(), stdout: text(out), stderr: text(err), took: started.elapsed() })
    }

    /// Its standard output, trimmed; anything but exit 0 is an error with both outputs.
    pub fn output(&self) -> Result<String> {
        let ran = self.run()?;
        if ran.code == Some(0) {
            return Ok(ran.stdout.trim().to_owned());
        }
        Err(format!("`{}` ended with {:?}\n{}{}", self.line(), ran.code, ran.stdout, ran.stderr))
    }

    fn line(&self) -> String {
        format!("{} {}", self.program, self.arguments.join(" "))
    }
}

/// Reads a pipe to its end on a thread of its own: two full pipes would stop a child for ever.
fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _closed = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A port on loopback that nobody listens on right now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// Asks every 100 ms until `done`, or says what it was waiting for.
pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Result<()> {
    let started = Instant::now();
    while !done() {
        if started.elapsed() > limit {
            return Err(format!("waited {limit:?} in vain for {what}"));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
