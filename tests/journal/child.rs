//! Another process: this test binary once more, with a part to play in one test.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

const PART: &str = "UPLIFT_TEST_PART";
const STATE: &str = "UPLIFT_TEST_STATE";

/// The part to play and the state folder to play it in, where this process was begun for that.
pub(super) fn part() -> Option<(String, PathBuf)> {
    Some((std::env::var(PART).ok()?, std::env::var_os(STATE)?.into()))
}

/// Says something to the test that began this process.
pub(super) fn say(word: &str) {
    println!("\nsays: {word}");
}

/// Waits to be killed.
pub(super) fn wait() -> ! {
    loop {
        std::thread::sleep(Duration::from_mins(1));
    }
}

pub(super) struct Player {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    /// Begins `test` (named below `journal`) in a part, through the command `by` if it is not empty.
    pub(super) fn begin(by: &[&OsStr], test: &str, part: &str, state: &Path) -> Self {
        let this = std::env::current_exe().unwrap();
        let name = format!("journal::{test}");
        let rest = [this.as_os_str(), "--exact".as_ref(), name.as_ref(), "--nocapture".as_ref()];
        let mut words = by.iter().copied().chain(rest);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .env(PART, part)
            .env(STATE, state)
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next thing that it says; `None` when it has ended.
    pub(super) fn hear(&mut self) -> Option<String> {
        self.lines.by_ref().find_map(|line| Some(line.ok()?.strip_prefix("says: ")?.to_owned()))
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; true if it was a good one.
    pub(super) fn ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
