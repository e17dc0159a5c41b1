use std::{
    collections::BTreeMap,
    io::Read,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
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
            limit: Duration::from_mins(10),
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

    /// Starts it and comes back at once.
    pub fn start(&self) -> Result<Started> {
        let began = Instant::now();
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{}` cannot be started: {error}", self.line()))?;
        let stdout = Pipe::read(child.stdout.take());
        let stderr = Pipe::read(child.stderr.take());
        Ok(Started { line: self.line(), child, stdout, stderr, began })
    }

    /// Runs it to its end, whatever its exit code; killed after the limit.
    pub fn run(&self) -> Result<Ran> {
        self.start()?.wait(self.limit)
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

/// A command at work; killed when it is dropped.
#[derive(Debug)]
pub struct Started {
    line: String,
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
    began: Instant,
}

impl Started {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Whether it writes nothing any more, since it has ended.
    pub fn is_over(&self) -> bool {
        self.stdout.work.is_finished() && self.stderr.work.is_finished()
    }

    /// Sends it alone a signal by its name, e.g. `INT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        Shell::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).output().map(|_| ())
    }

    /// Waits until it has ended, and kills it after the limit. Its output ends with it: children of its own that
    /// live on and hold the pipes are not waited for.
    pub fn wait(mut self, limit: Duration) -> Result<Ran> {
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if self.began.elapsed() > limit {
                let said = format!("{}{}", self.stdout(), self.stderr());
                return Err(format!("`{}` did not end within {limit:?}\n{said}", self.line));
            }
            thread::sleep(Duration::from_millis(10));
        };
        let took = self.began.elapsed();
        self.stdout.to_its_end(Duration::from_secs(2));
        self.stderr.to_its_end(Duration::from_secs(2));
        Ok(Ran { code: status.code(), stdout: self.stdout(), stderr: self.stderr(), took })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What came out of a pipe, read on a thread of its own: two full pipes would stop a child for ever.
#[derive(Debug)]
struct Pipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    work: thread::JoinHandle<()>,
}

impl Pipe {
    fn read(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let work = thread::spawn(move || {
            let Some(mut pipe) = pipe else { return };
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let Ok(mut into) = into.lock() else { return };
                into.extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, work }
    }

    fn so_far(&self) -> String {
        self.bytes.lock().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn to_its_end(&self, limit: Duration) {
        let started = Instant::now();
        while !self.work.is_finished() && started.elapsed() < limit {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A port that nobody listens on right now. Below those that the kernel gives to clients: a client that tries a
/// silent port could be given that very port as its own, and would hear itself.
pub fn free_port() -> Result<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(7);
    for _ in 0..1000 {
        let next = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % 12_000 + 20_000;
        let port = u16::try_from(next).map_err(|error| error.to_string())?;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port is free".to_owned())
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
