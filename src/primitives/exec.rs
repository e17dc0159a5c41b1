use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    contract::{Back, Effect, Found, Left, Span, Undone, WhenUnknown},
    left_behind::left_or_asked,
    started::{Line, failed, line, may_start, named, placed},
};
use crate::{
    event::{Failure, Refusal},
    ports::{
        Observe, Operate,
        clock::since,
        programs::{Ran, RunProgram},
        secrets::{Lent, lent},
    },
    site::Reference,
};

/// Run a program on the host where uplift runs.
///
/// It needs a grant: `exec = ["/usr/local/bin/haproxyctl"]` under `[grants]` in `uplift.toml`. It gets `PATH`, `HOME`,
/// `USER` and `LC_ALL=C` of uplift's environment and nothing else but what is given here. What it writes is told line by
/// line. Whatever it starts in the background keeps the site held for as long as that lives: let a service manager start it.
///
/// Undo: `undo` is run, a command that is recorded before this one starts. Without one what the program has done stays, and the
/// plan says so.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exec {
    /// The program's path (a relative one is from the site folder) and its arguments. No shell reads them.
    #[serde(default)]
    pub command: Vec<String>,
    /// Instead of a command: a text that `/bin/sh -c` reads, which needs the grant for `/bin/sh`.
    #[serde(default)]
    pub shell: Option<String>,
    /// Variables, by name.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables that hold secrets, each with where the secret is: `env:NAME`, `file:PATH`, `setting:NAME`.
    #[serde(default)]
    pub secrets: BTreeMap<String, Reference>,
    /// The folder that it starts in, from the site folder, which it is where none is given.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// What it reads.
    #[serde(default)]
    pub stdin: String,
    /// After that it is ended, with all that it has started: nobody knows then what it has done.
    #[serde(default = "a_minute")]
    pub timeout: Span,
    /// Exit codes that mean it went well.
    #[serde(default = "zero")]
    pub codes: Vec<i32>,
    /// A command that changes nothing and tells whether it was done: exit code 0 if so, 1 if not, any other if it cannot
    /// tell. Asked where nobody knows, and before it is taken back. A text is read by `/bin/sh -c`.
    #[serde(default)]
    pub probe: Line,
    /// The command that takes it back. It is recorded beforehand, and has to end well also where there is nothing, or only
    /// half of it, to take back. A text is read by `/bin/sh -c`.
    #[serde(default)]
    pub undo: Line,
    /// It leaves nothing that would have to be taken back.
    #[serde(default)]
    pub leaves_nothing: bool,
    /// Where nobody knows what it has done it may be run again.
    #[serde(default)]
    pub safe_to_repeat: bool,
}

fn a_minute() -> Span {
    Span(Duration::from_mins(1))
}

fn zero() -> Vec<i32> {
    vec![0]
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Intent {
    /// Whole path of the program, and its arguments; the same of the others.
    command: Vec<String>,
    folder: PathBuf,
    env: BTreeMap<String, String>,
    secrets: BTreeMap<String, Reference>,
    stdin: String,
    timeout: Span,
    codes: Vec<i32>,
    probe: Option<Vec<String>>,
    undo: Option<Vec<String>>,
    leaves_nothing: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// What was run, as a shell would read it.
    pub command: String,
    /// How it ended. `()` if a look has shown that it was done, and nobody has heard it.
    pub code: Option<i32>,
    /// The last 16 KiB of its output, without secrets.
    pub stdout: String,
    /// The same of its error output.
    pub stderr: String,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

impl Effect for Exec {
    const NAME: &'static str = "exec";
    type Intent = Intent;
    type Outcome = Outcome;

    fn example() -> Self {
        let words = |what: &str| ["/usr/local/bin/haproxyctl", what, "web"].map(str::to_owned).to_vec();
        Self {
            command: words("drain"),
            shell: None,
            env: BTreeMap::from([("BACKEND".to_owned(), "strata".to_owned())]),
            secrets: BTreeMap::from([(
                "HAPROXY_TOKEN".to_owned(),
                Reference::Variable("HAPROXY_TOKEN".to_owned()),
            )]),
            dir: None,
            stdin: String::new(),
            timeout: a_minute(),
            codes: zero(),
            probe: Line::Command(words("is-drained")),
            undo: Line::Command(words("enable")),
            leaves_nothing: false,
            safe_to_repeat: false,
        }
    }

    fn when_unknown(&self) -> WhenUnknown {
        match (self.probe.is_empty(), self.safe_to_repeat) {
            (false, _) => WhenUnknown::Probe,
            (true, true) => WhenUnknown::Repeat,
            (true, false) => WhenUnknown::Ask,
        }
    }

    async fn intend(&self, site: Observe<'_>) -> Result<Intent, Refusal> {
        let command = self.words()?;
        let dir = &site.site.project.dir;
        let mut programs = Vec::new();
        for words in
            [command, self.probe.words(), self.undo.words()].into_iter().filter(|words| !words.is_empty())
        {
            let words = placed(&words, dir)?;
            may_start(Path::new(&words[0]), site).await?;
            programs.push(words);
        }
        for reference in self.secrets.values() {
            lent(reference, site).await?;
        }
        let mut programs = programs.into_iter();
        let intent = Intent {
            command: programs.next().unwrap_or_default(),
            folder: self.dir.as_ref().map_or_else(|| dir.clone(), |own| dir.join(own)),
            env: self.env.clone(),
            secrets: self.secrets.clone(),
            stdin: self.stdin.clone(),
            timeout: self.timeout,
            codes: self.codes.clone(),
            probe: if self.probe.is_empty() { None } else { programs.next() },
            undo: if self.undo.is_empty() { None } else { programs.next() },
            leaves_nothing: self.leaves_nothing,
        };
        Ok(intent)
    }

    fn summary(intent: &Intent) -> String {
        format!("run `{}`", line(&intent.command))
    }

    fn result(outcome: &Outcome) -> String {
        let how =
            outcome.code.map_or_else(|| "was run".to_owned(), |code| format!("ended with exit code {code}"));
        format!("`{}` {how}", outcome.command)
    }

    fn undo_summary(intent: &Intent) -> String {
        match &intent.undo {
            Some(undo) => format!("run `{}`", line(undo)),
            None if intent.leaves_nothing => "the runbook says that it leaves nothing behind".to_owned(),
            None => "uplift cannot take it back: what it has done stays".to_owned(),
        }
    }

    fn only_adds(intent: &Intent) -> bool {
        intent.leaves_nothing
    }

    fn unheard(intent: &Intent) -> Option<Outcome> {
        Some(unheard(intent))
    }

    async fn probe(intent: &Intent, site: Observe<'_>) -> Result<Found<Outcome>, Failure> {
        let Some(probe) = &intent.probe else {
            return Ok(Found::CannotTell("the runbook names no `probe` that could tell".to_owned()));
        };
        let request = intent.request(probe, site).await?;
        let words = request.words();
        Ok(match site.programs.ask(&request).await {
            Ok(Some(Ran { code: 0, .. })) => Found::Applied(unheard(intent)),
            Ok(Some(Ran { code: 1, .. })) => Found::NotApplied,
            Ok(Some(ran)) => {
                Found::CannotTell(format!("`{words}` cannot tell: it ended with exit code {}", ran.code))
            }
            Ok(None) => Found::CannotTell(format!("only `{words}` can tell, and a plan starts no program")),
            Err(failure) => Found::CannotTell(failure.message),
        })
    }

    async fn execute(intent: &Intent, site: Operate<'_>) -> Result<Outcome, Failure> {
        let started = site.clock.now();
        // One that leaves nothing was ended with all that it had started: nothing of it is in doubt.
        let known =
            |failure: Failure| Failure { unknown: failure.unknown && !intent.leaves_nothing, ..failure };
        let ran = run(intent, &intent.command, site).await.map_err(known)?;
        if !intent.codes.contains(&ran.code) {
            return Err(failed(&intent.command, &ran, site));
        }
        let took_ms = u64::try_from(since(site.clock, started).as_millis()).unwrap_or(u64::MAX);
        let clean = |text: &str| site.scrubber.scrub(text);
        let command = line(&intent.command);
        Ok(Outcome {
            command,
            code: Some(ran.code),
            stdout: clean(&ran.stdout),
            stderr: clean(&ran.stderr),
            took_ms,
        })
    }

    async fn undo(intent: &Intent, back: &Back<'_>, site: Operate<'_>) -> Result<Undone, Failure> {
        let command = line(&intent.command);
        if intent.leaves_nothing {
            return Ok(Undone::nothing("it leaves nothing behind, as the runbook says"));
        }
        // A command that takes it back ends well also where there is nothing to take back, so it is run in any case: exit
        // code 1 is also what a probe ends with that is broken.
        let Some(undo) = &intent.undo else {
            if let Ok(Found::NotApplied) = Self::probe(intent, site.observe()).await {
                return Ok(Undone::nothing("the runbook's `probe` says that nothing of it is there"));
            }
            let what = format!("left as it is: uplift cannot take `{command}` back");
            return Ok(Undone::Restored { what, left: vec![Left::Programs] });
        };
        left_or_asked(back, (&command, Left::Programs), async {
            let ran = run(intent, undo, site).await?;
            if ran.code == 0 { Ok(format!("ran `{}`", line(undo))) } else { Err(failed(undo, &ran, site)) }
        })
        .await
    }
}

impl Exec {
    /// What is to be started, once it is clear that it can be meant.
    fn words(&self) -> Result<Vec<String>, Refusal> {
        let wrong = |text: &str, hint: &str| Refusal(Failure::new("bad_option", text).hint(hint));
        if self.leaves_nothing && !self.undo.is_empty() {
            let hint = "take one of them out";
            return Err(wrong("`exec`: there is nothing for `undo` where it `leaves_nothing`", hint));
        }
        let (probe, undo) = (self.probe.words(), self.undo.words());
        let texts = self.command.iter().chain(&probe).chain(&undo).chain(self.env.values());
        named(self.env.keys(), &self.secrets, texts.chain(&self.shell).chain([&self.stdin]))?;
        match (&self.shell, self.command.is_empty()) {
            (None, false) => Ok(self.command.clone()),
            (Some(text), true) => Ok(Line::Shell(text.clone()).words()),
            _ => {
                let hint = "e.g. `command: [\"/usr/local/bin/haproxyctl\", \"drain\", \"web\"]`";
                Err(wrong("`exec` takes one of `command` and `shell`", hint))
            }
        }
    }
}

impl Intent {
    async fn request(&self, words: &[String], site: Observe<'_>) -> Result<RunProgram, Failure> {
        let mut secrets: BTreeMap<String, Lent> = BTreeMap::new();
        for (name, reference) in &self.secrets {
            secrets.insert(name.clone(), lent(reference, site).await?);
        }
        let is_main = *words == *self.command;
        Ok(RunProgram {
            program: words.first().map(PathBuf::from).unwrap_or_default(),
            arguments: words.iter().skip(1).cloned().collect(),
            folder: self.folder.clone(),
            variables: self.env.clone(),
            secrets,
            // It is for the command itself.
            input: if is_main { self.stdin.clone() } else { String::new() },
            timeout: self.timeout.0,
        })
    }
}

/// Nobody has heard how it ended.
fn unheard(intent: &Intent) -> Outcome {
    let (command, said) = (line(&intent.command), String::new());
    Outcome { command, code: None, stdout: said.clone(), stderr: said, took_ms: 0 }
}

async fn run(intent: &Intent, words: &[String], site: Operate<'_>) -> Result<Ran, Failure> {
    let request = intent.request(words, site.observe()).await?;
    site.programs.run(&request, site.tell).await
}
