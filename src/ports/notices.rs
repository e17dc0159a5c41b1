//! Telling a command of the operator's own that a run begins, asks, or has ended.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    event::Failure,
    site::{Notify, Occasion},
};

/// What is told, as one JSON object on the command's standard input. The fields are an interface: none goes, and none
/// changes its meaning, without another number in `notice`. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The version of this format.
    pub notice: u32,
    pub event: Occasion,
    pub at: Timestamp,
    /// The site's name and folder, and the host that it is on.
    pub site: String,
    pub folder: PathBuf,
    pub host: String,
    pub run: String,
    pub runbook: String,
    /// As it was typed: the command that has begun the run, or has taken it up again.
    pub command: String,
    /// Who typed it: user and host.
    pub by: String,
    /// When the run began.
    pub started: Timestamp,
    /// An earlier command has begun the run.
    pub again: bool,
    /// How it ended, in the words of `-o json`: `done`, `taken_back`, `needs_person`. Not at the start.
    pub result: Option<String>,
    /// The exit code of the command line. Not at the start.
    pub exit: Option<u8>,
    /// The stable name of the reason, where it failed.
    pub code: Option<String>,
    /// One line for people.
    pub message: String,
    /// For how long each service was away, in milliseconds; of one that is away yet, so far.
    pub away_ms: BTreeMap<String, u64>,
    /// Services that are away yet, and since when.
    pub away_since: BTreeMap<String, Timestamp>,
    /// What can be typed next on that host.
    pub next: Vec<String>,
}

impl Notice {
    /// The version that this uplift writes.
    pub const FORMAT: u32 = 1;

    /// The same as environment variables, for commands that read no JSON. No flag of uplift's has such a name.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        let exit = self.exit.map(|exit| exit.to_string()).unwrap_or_default();
        let pairs = [
            ("NOTICE_EVENT", self.event.as_str()),
            ("NOTICE_SITE", &self.site),
            ("NOTICE_FOLDER", &self.folder.display().to_string()),
            ("NOTICE_HOST", &self.host),
            ("NOTICE_RUN", &self.run),
            ("NOTICE_RESULT", self.result.as_deref().unwrap_or_default()),
            ("NOTICE_EXIT", &exit),
            ("NOTICE_TEXT", &self.message),
        ];
        // A variable cannot hold what ends a text.
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.replace('\0', " "))).collect()
    }
}

/// Gives a notice to a command.
#[derive(Debug, Clone, PartialEq)]
pub struct GiveNotice {
    pub to: Notify,
    pub notice: Notice,
}

#[async_trait]
pub trait NoticesRead: Send + Sync {
    /// Whether the command can be started from the site's folder: `notifier_missing` or `notifier_not_executable`.
    async fn ready(&self, to: &Notify, folder: &Path) -> Result<(), Failure>;
}

#[async_trait]
pub trait Notices: NoticesRead {
    /// Starts the command and waits for its end, no longer than it may last: after that it is ended with all that it has
    /// started. It inherits nothing of the site's lock. Fails with `notifier_failed` or `notifier_hangs`, or as
    /// [`NoticesRead::ready`] does.
    async fn give(&self, request: &GiveNotice) -> Result<(), Failure>;
}

impl GiveNotice {
    /// The command has ended otherwise than well.
    #[must_use]
    pub fn failed(&self, how: &str, last_lines: Vec<String>) -> Failure {
        let text = format!("`{}` ended with {how}", self.to.program());
        Failure::new("notifier_failed", text).evidence(last_lines)
    }

    /// The command was given up.
    #[must_use]
    pub fn hangs(&self) -> Failure {
        let text = format!(
            "`{}` was still at work after {:#}, and was ended",
            self.to.program(),
            SignedDuration::try_from(self.to.timeout).unwrap_or_default()
        );
        Failure::new("notifier_hangs", text)
    }
}

/// There is no such command.
#[must_use]
pub fn missing(program: &str) -> Failure {
    let place = if program.contains('/') { "" } else { " in `PATH`" };
    Failure::new("notifier_missing", format!("there is no `{program}`{place}")).hint(HINT)
}

/// There is a file, and we may not execute it.
#[must_use]
pub fn not_executable(path: &Path) -> Failure {
    let text = format!("`{}` is no program that may be executed here", path.display());
    Failure::new("notifier_not_executable", text).hint(HINT)
}

const HINT: &str = "correct `command` under `[notify]` in `uplift.toml`";
