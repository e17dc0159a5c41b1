//! A task from its begin to its end: whatever happens to uplift meanwhile, its container goes on and can be found again.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Outcome,
    spec::{Spec, There},
};
use crate::{
    event::{Failure, Unit},
    ports::{
        Observe, Operate,
        clock::since,
        docker::{Container, Said, State},
        programs::{Ran, last_lines},
    },
    primitives::{
        as_before::write_kept,
        contract::{Span, to_bytes},
        started,
    },
};

/// How often it is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What is noted of a task.
#[derive(Debug, PartialEq)]
pub(super) enum Noted {
    Nothing,
    Begun,
    /// It has ended well.
    Ended(Box<Outcome>),
}

impl Noted {
    /// `note` is where the outcome is.
    pub(super) async fn look(note: &Path, site: Observe<'_>) -> Result<Self, Failure> {
        let ended = site.files.read(note).await?;
        if let Some(outcome) = ended.and_then(|file| serde_json::from_slice(&file.bytes).ok()) {
            return Ok(Self::Ended(outcome));
        }
        let begun = site.files.size(&begun(note)).await?.is_some();
        Ok(if begun { Self::Begun } else { Self::Nothing })
    }
}

fn begun(note: &Path) -> PathBuf {
    note.with_extension("begun")
}

pub(super) struct Task<'a> {
    pub spec: &'a Spec,
    pub timeout: Span,
    pub codes: &'a [i32],
    pub note: &'a Path,
}

impl Task<'_> {
    pub(super) fn words(&self) -> String {
        words(self.spec)
    }

    /// To its end, and away with its container.
    pub(super) async fn done(&self, site: Operate<'_>) -> Result<Outcome, Failure> {
        let container = match self.spec.there(site.observe()).await? {
            There::Foreign => return Err(self.spec.taken()),
            There::Ours(there) if there.started.is_some() => *there,
            There::Ours(_) | There::Nothing => {
                write_kept(&begun(self.note), b"{}\n".to_vec(), "note that a task has begun", site).await?;
                let id = self.spec.run(site).await?;
                site.docker.container(&id).await?.ok_or_else(|| self.gone())?
            }
        };
        let ended = self.ended(container, site).await?;
        let said = site.docker.said(&ended.id).await?;
        let took = ended.started.map_or(Duration::ZERO, |started| since(site.clock, started));
        if ended.state == State::Created {
            let text = format!("the container of `{}` was made and does not start", self.words());
            return Err(
                Failure::new("engine_failed", text).hint("see what the engine says: `journalctl -u docker`")
            );
        }
        // In a rehearsal nobody knows how it ends.
        let code = ended.exit_code.map(|code| i32::try_from(code).unwrap_or(-1));
        if let Some(code) = code.filter(|code| !self.codes.contains(code)) {
            let failure = self.failed(code, ended.oom_killed, &said, site);
            self.spec.take_away(&ended, site).await?;
            return Err(failure);
        }
        let clean = |text: &str| site.scrubber.scrub(text);
        let outcome = Outcome {
            container: self.spec.name.clone(),
            image: self.spec.image.clone(),
            command: self.words(),
            code,
            stdout: clean(&said.stdout),
            stderr: clean(&said.stderr),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        // First how it ended, then away: in between it must not look as if it had never run.
        write_kept(self.note, to_bytes(&outcome)?, "outcome of a task", site).await?;
        self.spec.take_away(&ended, site).await?;
        Ok(outcome)
    }

    async fn ended(&self, mut container: Container, site: Operate<'_>) -> Result<Container, Failure> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        while container.is_up() {
            let at_work = container.started.map_or(Duration::ZERO, |started| since(site.clock, started));
            if at_work >= self.timeout.0 {
                return Err(self.hangs(&container, site).await?);
            }
            let last = site.docker.logs(&container.id, Some(1)).await.ok().and_then(|mut lines| lines.pop());
            let last = last.map(|line| format!(": {}", site.scrubber.scrub(&line.text))).unwrap_or_default();
            let what = format!("`{}` is at work{last}", self.words());
            site.tell.progress(what, millis(at_work), Some(millis(self.timeout.0)), Unit::Milliseconds);
            site.clock.sleep(PAUSE).await;
            container = site.docker.container(&container.id).await?.ok_or_else(|| self.gone())?;
        }
        Ok(container)
    }

    async fn hangs(&self, container: &Container, site: Operate<'_>) -> Result<Failure, Failure> {
        let said = site.docker.said(&container.id).await?;
        self.spec.take_away(container, site).await?;
        let text = format!("`{}` was still at work after {}, and was stopped", self.words(), self.timeout);
        Ok(Failure::new("container_hangs", text)
            .hint(
                "give it longer with `timeout`, and look at what it waits for; its log is kept with the run",
            )
            .evidence(last(&said, site)))
    }

    fn failed(&self, code: i32, killed: bool, said: &Said, site: Operate<'_>) -> Failure {
        let memory = if killed { ": the system has ended it for want of memory" } else { "" };
        Failure::new("container_failed", format!("`{}` ended with exit code {code}{memory}", self.words()))
            .hint("mend what its last lines say; exit codes that are fine stand in `codes`")
            .evidence(last(said, site))
    }

    fn gone(&self) -> Failure {
        let text = format!("the container of `{}` is gone: somebody has removed it", self.words());
        Failure::new("container_missing", text).hint("see who did: `docker events --since 10m`").unknown()
    }
}

pub(super) fn words(spec: &Spec) -> String {
    let words: Vec<_> = spec.entrypoint.iter().chain(&spec.command).cloned().collect();
    if words.is_empty() { spec.image.clone() } else { started::line(&words) }
}

/// The last lines show why it failed.
fn last(said: &Said, site: Operate<'_>) -> Vec<String> {
    const SHOWN: usize = 12;
    let ran = Ran { code: 0, stdout: said.stdout.clone(), stderr: said.stderr.clone() };
    last_lines(&ran, SHOWN).into_iter().map(|line| site.scrubber.scrub(&line)).collect()
}
