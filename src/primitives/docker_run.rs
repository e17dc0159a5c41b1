pub(super) mod spec;
mod task;
mod wanted;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    spec::{Spec, There, note_of},
    task::{Noted, Task, words},
};
use super::{
    as_before::write_kept,
    contract::{Back, Effect, Found, Left, Span, Undone, WhenUnknown, to_bytes},
};
use crate::{
    event::{Failure, Refusal},
    ports::{Observe, Operate},
    site::Reference,
};

/// Run a container of the site's own: a task to its end, or what stays until it is taken away.
///
/// An image needs a grant: `images = ["caddy:2"]` under `[grants]` in `uplift.toml`. A task of the product (`service: site::web`, and
/// its `tag`) needs none: it gets the settings, volumes and networks that the compose files give that service, and neither its
/// name there nor its ports. An image that is not on the host is pulled first, in no plan. The engine starts none of
/// these again by itself. A task's container is removed when it has ended; its whole log is kept with the run. Where uplift
/// was killed meanwhile, the task goes on, and is waited for when the run does.
///
/// Undo: a task that is at work is stopped, and `undo` is run, a command for another container like it, recorded beforehand. Without
/// one what the task has done stays, but for what a `pg_savepoint` before it brings back; the plan says so. What stays is
/// removed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DockerRun {
    /// The image with its tag, e.g. `caddy:2`.
    #[serde(default)]
    pub image: Option<String>,
    /// Instead of an image: a service of the compose files, whose image, settings, volumes and networks it gets.
    #[serde(default)]
    pub service: Option<String>,
    /// The release whose image that is; where it is left out, the one of the env file.
    #[serde(default)]
    pub tag: Option<String>,
    /// The command and its arguments; the image's own where there is none. No shell reads them.
    #[serde(default)]
    pub command: Vec<String>,
    /// What the command is given to, instead of the image's own.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Variables, by name.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables that hold secrets, each with where the secret is: `env:NAME`, `file:PATH`, `setting:NAME`.
    #[serde(default)]
    pub secrets: BTreeMap<String, Reference>,
    /// `project` for the networks that web is on, or a network's name; where it is left out, those of `service`, or the
    /// engine's own.
    #[serde(default)]
    pub network: Option<String>,
    /// What is mounted in it.
    #[serde(default)]
    pub mounts: Vec<Place>,
    /// The user that it runs as, `NAME`, `UID` or `UID:GID`.
    #[serde(default)]
    pub user: Option<String>,
    /// The folder in the container that it starts in.
    #[serde(default)]
    pub workdir: Option<String>,
    /// For how long a task may be at work; then it is stopped, which is a failure.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
    /// Exit codes that mean it went well.
    #[serde(default = "zero")]
    pub codes: Vec<i32>,
    /// The command that takes a task back, in a container like it. It has to end well also where there is nothing, or
    /// only half of it, to take back.
    #[serde(default)]
    pub undo: Vec<String>,
    /// The task leaves nothing that would have to be taken back.
    #[serde(default)]
    pub leaves_nothing: bool,
    /// Where nobody knows how the task has ended it may be run again.
    #[serde(default)]
    pub safe_to_repeat: bool,
    /// It has no end that is waited for: it is there until `docker_remove` takes it away, or the run is taken back.
    #[serde(default)]
    pub stays: bool,
    /// The container's name, where it stays.
    #[serde(default)]
    pub name: Option<String>,
    /// Ports of the host, where it stays: `"3000:80"`, `"127.0.0.1:3000:80"`.
    #[serde(default)]
    pub publish: Vec<String>,
}

/// A volume, or a folder or file of the host.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// A volume by its name in the compose files or its real one, or a path: one from the site folder, or a whole one that
    /// `files` under `[grants]` grants.
    pub source: String,
    /// The path in the container.
    pub target: String,
    /// Nothing can be written there.
    #[serde(default)]
    pub read_only: bool,
}

fn ten_minutes() -> Span {
    Span(Duration::from_mins(10))
}

fn zero() -> Vec<i32> {
    vec![0]
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    spec: Spec,
    timeout: Span,
    codes: Vec<i32>,
    undo: Option<Vec<String>>,
    leaves_nothing: bool,
    /// What is noted of it.
    note: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// The container's name.
    pub container: String,
    /// Its image.
    pub image: String,
    /// What was run.
    pub command: String,
    /// How the task ended. `()` for what stays.
    pub code: Option<i32>,
    /// The last 16 KiB of the task's output, without secrets.
    pub stdout: String,
    /// The same of its error output.
    pub stderr: String,
    /// Milliseconds that the task took.
    pub took_ms: u64,
}

impl Effect for DockerRun {
    const NAME: &'static str = "docker_run";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        Self {
            image: Some("caddy:2".to_owned()),
            service: None,
            tag: None,
            command: ["caddy", "file-server", "--root", "/srv"].map(str::to_owned).to_vec(),
            entrypoint: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            network: None,
            mounts: vec![Place {
                source: "uplift/page".to_owned(),
                target: "/srv".to_owned(),
                read_only: true,
            }],
            user: None,
            workdir: None,
            timeout: ten_minutes(),
            codes: zero(),
            undo: Vec::new(),
            leaves_nothing: false,
            safe_to_repeat: false,
            stays: true,
            name: Some("maintenance".to_owned()),
            publish: vec!["8080:80".to_owned()],
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        if self.safe_to_repeat { WhenUnknown::Repeat } else { WhenUnknown::Probe }
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let spec = self.spec(site).await?;
        let note = if self.stays {
            note_of(&spec.name, site)
        } else {
            site.kept().join("tasks").join(format!("{}.json", spec.name))
        };
        Ok(Intent {
            spec,
            timeout: self.timeout,
            codes: self.codes.clone(),
            undo: (!self.undo.is_empty()).then(|| self.undo.clone()),
            leaves_nothing: self.leaves_nothing,
            note,
        })
    }

    fn summary(intent: &Intent) -> String {
        let Spec { image, name, stays, .. } = &intent.spec;
        let first = if intent.spec.digest.is_some() { " (pulled first)" } else { "" };
        if *stays {
            format!("run `{name}` from `{image}`{first} until it is taken away")
        } else {
            let beside = intent.spec.beside_the_service();
            format!("run `{}` in a container of `{image}`{first}{beside}", words(&intent.spec))
        }
    }

    fn result(outcome: &Outcome) -> String {
        let Outcome { container, image, command, code, .. } = outcome;
        match code {
            Some(code) => format!("`{command}` ended with exit code {code}"),
            None => format!("`{container}` runs from `{image}`"),
        }
    }

    fn undo_summary(intent: &Intent) -> String {
        match &intent.undo {
            _ if intent.spec.stays => format!("remove `{}`", intent.spec.name),
            Some(undo) => format!("run `{}` in a container like it", super::started::line(undo)),
            None if intent.leaves_nothing => "the runbook says that it leaves nothing behind".to_owned(),
            None if intent.spec.service.is_some() => {
                "uplift cannot take it back: what it has done stays, but for what a savepoint before it brings back".to_owned()
            }
            None => "uplift cannot take it back: what it has done stays".to_owned(),
        }
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let there = intent.spec.there(site).await?;
        if intent.spec.stays {
            return Ok(match there {
                There::Ours(one) if one.is_up() && site.files.size(&intent.note).await?.is_some() => {
                    Found::Applied(intent.stands())
                }
                There::Ours(_) => Found::Partial("its container is there and does not run yet".to_owned()),
                There::Nothing | There::Foreign => Found::NotApplied,
            });
        }
        Ok(match (there, Noted::look(&intent.note, site).await?) {
            (There::Ours(one), _) => Found::Partial(format!("its container `{}` is there", one.name)),
            (_, Noted::Ended(outcome)) => Found::Applied(*outcome),
            (_, Noted::Begun) => Found::CannotTell(
                "it was begun, and its container is gone: nobody knows how it ended".to_owned(),
            ),
            (_, Noted::Nothing) => Found::NotApplied,
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        if intent.spec.stays {
            return intent.stay(site).await;
        }
        if let Found::Applied(outcome) = Self::probe(intent, site.observe()).await? {
            return Ok(outcome);
        }
        intent.task().done(site).await
    }

    async fn undo(intent: &Intent, _: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let spec = &intent.spec;
        let removed = match spec.there(site.observe()).await? {
            There::Ours(one) => {
                spec.take_away(&one, site).await?;
                true
            }
            There::Nothing | There::Foreign => false,
        };
        if spec.stays {
            return Ok(if removed {
                Undone::restored(format!("removed `{}`", spec.name))
            } else {
                Undone::nothing("nothing of that name that the run has made is there")
            });
        }
        if !removed && Noted::look(&intent.note, site.observe()).await? == Noted::Nothing {
            return Ok(Undone::nothing("the task was not begun"));
        }
        if intent.leaves_nothing {
            return Ok(Undone::restored("it leaves nothing behind, as the runbook says"));
        }
        let Some(undo) = &intent.undo else {
            let what = format!("left as it is: uplift cannot take `{}` back", words(spec));
            return Ok(Undone::Restored { what, left: vec![Left::Programs] });
        };
        let back = Spec { name: format!("{}-undo", spec.name), command: undo.clone(), ..spec.clone() };
        let note = intent.note.with_extension("undo.json");
        let task = Task { spec: &back, timeout: intent.timeout, codes: &[0], note: &note };
        task.done(site).await.map_err(|failure| Failure { unknown: false, ..failure })?;
        Ok(Undone::restored(format!("ran `{}`", task.words())))
    }
}

impl Intent {
    fn task(&self) -> Task<'_> {
        Task { spec: &self.spec, timeout: self.timeout, codes: &self.codes, note: &self.note }
    }

    fn stands(&self) -> Outcome {
        Outcome {
            container: self.spec.name.clone(),
            image: self.spec.image.clone(),
            command: words(&self.spec),
            code: None,
            stdout: String::new(),
            stderr: String::new(),
            took_ms: 0,
        }
    }

    async fn stay(&self, site: Operate<'_>) -> Result<Outcome, Failure> {
        match self.spec.there(site.observe()).await? {
            There::Foreign => return Err(self.spec.taken()),
            There::Ours(one) if !one.is_up() && one.started.is_some() => {
                // It has run and ended: what an earlier attempt left tells nothing of this one.
                self.spec.take_away(&one, site).await?;
            }
            There::Ours(_) | There::Nothing => {}
        }
        // By this note `docker_remove` knows it for one of this run.
        write_kept(&self.note, to_bytes(&self.spec)?, "note of a container that stays", site).await?;
        self.spec.stand(site).await?;
        Ok(self.stands())
    }
}
