//! Telling a command of the operator's own, or a chat, that a run begins, asks, or has ended, and what its runbook says on
//! the way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Observe,
    requests::{Address, Host, Reply, SendRequest},
    secrets::lent,
};
use crate::{
    event::{Change, Failure, Write},
    site::{Grants, Notify, Occasion, Site},
};

/// How a run began, and who works on it now.
#[derive(Debug, Clone)]
pub struct Begun {
    pub started: Timestamp,
    pub runbook: String,
    /// As it was typed: what has begun the run, or has taken it up again.
    pub command: String,
    /// Who typed it: user and host.
    pub by: String,
    pub host: String,
    /// An earlier command has begun the run.
    pub again: bool,
}

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

    /// What every notice of a run says.
    #[must_use]
    pub fn of(event: Occasion, at: Timestamp, (site, run): (&Site, &str), begun: &Begun) -> Self {
        Self {
            notice: Self::FORMAT,
            event,
            at,
            site: site.name.clone(),
            folder: site.project.dir.clone(),
            host: begun.host.clone(),
            run: run.to_owned(),
            runbook: begun.runbook.clone(),
            command: begun.command.clone(),
            by: begun.by.clone(),
            started: begun.started,
            again: begun.again,
            result: None,
            exit: None,
            code: None,
            message: String::new(),
            away_ms: BTreeMap::new(),
            away_since: BTreeMap::new(),
            next: Vec::new(),
        }
    }

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

/// Posts a line for people to a chat, as `{"text": ...}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostNotice {
    pub to: Address,
    pub event: Occasion,
    pub text: String,
    pub timeout: Duration,
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
    /// Fails with `webhook_refused`, or as [`super::requests::Requests::send`] does.
    async fn post(&self, request: &PostNotice) -> Result<(), Failure>;
}

/// Why nobody, or not everybody, would be told by these settings. The chat's address is learned as a secret.
pub async fn untold(to: &Notify, site: Observe<'_>) -> Vec<Failure> {
    let mut why = Vec::new();
    if !to.command.is_empty() {
        why.extend(site.notices.ready(to, &site.site.project.dir).await.err());
    }
    why.extend(PostNotice::by(to, Occasion::Start, "", site).await.err());
    why
}

/// Tells everybody whom the settings name; what could not be told to whom.
pub async fn tell_all(to: &Notify, notice: Notice, through: &dyn Notices, site: Observe<'_>) -> Vec<Failure> {
    let mut why = Vec::new();
    let post = PostNotice::by(to, notice.event, &notice.message, site).await;
    if !to.command.is_empty() {
        why.extend(through.give(&GiveNotice { to: to.clone(), notice }).await.err());
    }
    match post {
        Ok(Some(post)) => why.extend(through.post(&post).await.err()),
        Ok(None) => {}
        Err(failure) => why.push(failure),
    }
    why
}

impl PostNotice {
    /// To the chat of the settings, if they name one.
    async fn by(
        to: &Notify,
        event: Occasion,
        text: &str,
        site: Observe<'_>,
    ) -> Result<Option<Self>, Failure> {
        let Some(reference) = &to.webhook else { return Ok(None) };
        let address = Address::Hidden(lent(reference, site).await?);
        let post = Self { to: address, event, text: text.to_owned(), timeout: to.timeout };
        if post.host().is_none() {
            let text = format!("the webhook of `[notify]` cannot be told: {reference} holds no address");
            return Err(Failure::new("webhook_unfit", text)
                .hint("it is the one that the chat gives out, `https://...`"));
        }
        Ok(Some(post))
    }

    #[must_use]
    pub fn host(&self) -> Option<Host> {
        Host::of(self.to.reveal())
    }

    /// Its own host is granted by whoever has named it.
    #[must_use]
    pub fn request(&self) -> SendRequest {
        let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
        SendRequest {
            method: "POST".to_owned(),
            address: self.to.clone(),
            headers: headers.into(),
            lent: BTreeMap::new(),
            bearer: None,
            body: Some(serde_json::json!({ "text": self.text }).to_string()),
            timeout: self.timeout,
            grants: Grants { http: self.host().iter().map(Host::as_granted).collect(), ..Grants::default() },
        }
    }

    /// Chats answer with 200 or 204, and with a word of why where they do not take it.
    pub fn heard(&self, reply: &Reply) -> Result<(), Failure> {
        if (200..300).contains(&reply.status) {
            return Ok(());
        }
        let chat = match &self.to {
            Address::Hidden(lent) => format!("the chat in {}", lent.from),
            Address::Plain(url) => format!("the chat at `{url}`"),
        };
        let text = format!("{chat} answered with {}", reply.status);
        let said = reply.body.lines().find(|line| !line.trim().is_empty());
        let failure = Failure::new("webhook_refused", text)
            .hint("look whether the webhook is still there, and takes `{\"text\": ...}`");
        Err(failure.evidence(said.map(|line| line.chars().take(SHOWN).collect())))
    }

    #[must_use]
    pub fn change(&self) -> Write {
        let change = Change::Told { to: self.to.shown(), text: self.text.clone() };
        Write { change, shell: self.request().change().shell }
    }
}

/// How much of an answer is told.
const SHOWN: usize = 200;

impl GiveNotice {
    #[must_use]
    pub fn change(&self) -> Write {
        let (to, text) = (self.to.program().to_owned(), self.notice.message.clone());
        Write { change: Change::Told { to, text }, shell: None }
    }

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
