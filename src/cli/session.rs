use std::{
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{
    arguments::{Common, Output},
    signals::Signals,
    stage::Stage,
    trouble::Trouble,
};
use crate::{
    event::{ExitClass, Failure, Question},
    host::{Host, HostBuilder, HostError, Runs, Scrubber, ServiceStatus, Sets, Settled, Start, Status},
    report::{self, Lines, Loudness, Paper},
};

/// What every command works with.
pub(super) struct Session {
    pub(super) common: Common,
    pub(super) stage: Stage,
    pub(super) signals: Signals,
    /// The command as it was typed, for the record.
    pub(super) command: String,
    /// The program with what names the site, as it has to be typed here.
    pub(super) typed: String,
    scrubber: Scrubber,
    /// The configuration of a backup set was written for this command.
    pub(super) settled: Option<Settled>,
}

/// How often a question is put to somebody who misspells the answer.
const TRIES: usize = 3;

/// What makes a folder a site.
const MARKS: [&str; 5] =
    ["uplift.toml", "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

impl Session {
    pub(super) fn new(common: Common, words: &[OsString], stage: Stage, signals: Signals) -> Self {
        let rest = words.iter().skip(1).map(|word| quoted(&word.to_string_lossy()));
        let command = std::iter::once("uplift".to_owned()).chain(rest).collect::<Vec<_>>().join(" ");
        let typed = typed(&common, words);
        Self { common, stage, signals, command, typed, scrubber: Scrubber::default(), settled: None }
    }

    pub(super) fn json(&self) -> bool {
        self.common.output == Output::Json
    }

    pub(super) fn loudness(&self) -> Loudness {
        match (self.common.quiet, self.common.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            _ => Loudness::Normal,
        }
    }

    /// For people who watch.
    pub(super) fn paper(&self) -> Paper {
        let mut paper = self.stage.paper();
        paper.hide(&self.scrubber);
        paper.name_site(&self.typed);
        paper
    }

    /// For people who asked for data.
    pub(super) fn sheet(&self) -> Paper {
        let mut paper = self.stage.sheet();
        paper.hide(&self.scrubber);
        paper.name_site(&self.typed);
        paper
    }

    /// For programs.
    pub(super) fn lines(&self) -> Lines {
        let mut lines = self.stage.lines();
        lines.hide(&self.scrubber);
        lines
    }

    pub(super) fn start(&self) -> Start {
        start(&self.common)
    }

    /// The files that this command has written before there was a run.
    pub(super) fn written(&self) -> &[PathBuf] {
        self.settled.as_ref().map_or(&[], |settled| &settled.written)
    }

    fn builder(&self) -> HostBuilder {
        let builder = (self.stage.host)(self.start());
        match &self.settled {
            Some(settled) => builder.after(settled),
            None => builder,
        }
    }

    /// Finds the site. From now on its secrets are taken out of everything that is shown.
    pub(super) async fn open(&mut self) -> Result<Host, Trouble> {
        let host = self.unless_stopped(self.builder().open()).await??;
        self.scrubber = host.scrubber().clone();
        Ok(host)
    }

    /// Work that only looks, ended by the first signal: an engine or a server may take minutes not to answer.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            () = self.signals.wanted(1) => Err(Trouble::interrupted()),
            done = work => Ok(done),
        }
    }

    /// How the site is now, whatever it was when it was opened.
    pub(super) async fn fresh_status(&self) -> Option<Status> {
        let host = self.builder().open().await.ok()?;
        Some(host.status().await)
    }

    /// What runs in the folder although the site cannot be opened.
    pub(super) async fn containers(&self) -> Vec<ServiceStatus> {
        self.unless_stopped(self.builder().containers()).await.unwrap_or_default()
    }

    /// The record of the site's runs, without the site if its folder is known.
    pub(super) async fn runs(&mut self) -> Result<Runs, Trouble> {
        match self.folder_runs() {
            Some(runs) => Ok(runs?),
            None => Ok(self.open().await?.runs()?),
        }
    }

    /// The site's backups, without the site if its folder is known.
    pub(super) async fn sets(&mut self) -> Result<Sets, Trouble> {
        match self.folder_sets() {
            Some(sets) => Ok(sets?),
            None => Ok(self.open().await?.sets()),
        }
    }

    pub(super) fn folder_sets(&self) -> Option<Result<Sets, HostError>> {
        (self.stage.host)(self.start()).sets()
    }

    /// Backups that lie in a folder, of whatever site.
    pub(super) fn sets_in(&self, folder: &Path) -> Result<Sets, Trouble> {
        Ok((self.stage.host)(self.start()).sets_in(folder)?)
    }

    pub(super) fn folder_runs(&self) -> Option<Result<Runs, HostError>> {
        (self.stage.host)(self.start()).runs()
    }

    /// Says first that a run is at work, or that one waits for somebody.
    pub(super) fn banner(&self, runs: &Runs) {
        if let Ok(Some(run)) = runs.unfinished()
            && !self.json()
        {
            let calls = runs.show(Some(&run.id)).map(|shown| shown.calls).unwrap_or_default();
            let holder = runs.holder();
            let open = report::Open { holder: holder.as_ref(), ..report::Open::of(&run, &calls) };
            report::not_over(&mut self.paper(), &open, &self.typed);
        }
    }

    /// Fails by name where a question could not be asked; to be called before anything else.
    pub(super) fn may_ask(&self) -> Result<(), Trouble> {
        if self.common.yes || self.stage.answer.is_some() {
            return Ok(());
        }
        let text = "there is no terminal to ask on, and `--yes` was not given";
        let hint =
            "add `-y` (or set `UPLIFT_YES=1`) to go without a question, or look first with `--dry-run`";
        Err(Trouble::new(Failure::new("no_terminal", text).hint(hint), ExitClass::Invalid))
    }

    /// Asks for a yes. Nothing was changed if it does not come.
    pub(super) async fn ask(&self, question: &str) -> Result<(), Trouble> {
        if self.common.yes {
            return Ok(());
        }
        let Some(answer) = self.stage.answer.clone() else { return self.may_ask() };
        self.paper().ask(&format!("{question} [y/N]"));
        let line = tokio::task::spawn_blocking(move || answer());
        let line = tokio::select! {
            () = self.signals.wanted(1) => {
                self.paper().blank();
                return Err(Trouble::interrupted());
            }
            line = line => line.ok().flatten(),
        };
        if let Some("y" | "Y" | "yes") = line.as_deref() {
            return Ok(());
        }
        let failure = Failure::new("declined", "not begun: the answer was not `y`");
        Err(Trouble::new(failure, ExitClass::Interrupted))
    }

    /// Asks for a password, which is not shown while it is typed. `variable` brings it where nobody can be asked.
    pub(super) async fn password(&self, question: &str, variable: &str) -> Result<String, Trouble> {
        let Some(answer) = self.stage.answer.clone() else {
            let text = format!("there is no terminal to ask on, and `{variable}` is not set");
            let failure =
                Failure::new("no_terminal", text).hint(format!("put the password into `{variable}`"));
            return Err(Trouble::new(failure, ExitClass::Invalid));
        };
        self.paper().ask(question);
        let unseen = Unseen::begin();
        let line = tokio::task::spawn_blocking(move || answer());
        let line = tokio::select! {
            () = self.signals.wanted(1) => None,
            line = line => line.ok().flatten(),
        };
        drop(unseen);
        self.paper().blank();
        line.ok_or_else(Trouble::interrupted)
    }

    /// Asks which of the choices it is to be; `None` if nobody is there, or the answer is none of them. `--yes` is no
    /// answer to this.
    pub(super) async fn choose(&self, question: &Question) -> Result<Option<String>, Trouble> {
        let (Some(answer), false) = (self.stage.answer.clone(), self.json()) else { return Ok(None) };
        let words: Vec<_> = question.choices.iter().map(|choice| choice.key.clone()).collect();
        for _ in 0..TRIES {
            self.paper().ask(&format!("which? [{}]", words.join("/")));
            let answer = answer.clone();
            let line = tokio::task::spawn_blocking(move || answer());
            let line = tokio::select! {
                () = self.signals.wanted(1) => None,
                line = line => line.ok().flatten(),
            };
            match line {
                Some(line) if words.contains(&line) => return Ok(Some(line)),
                Some(line) if !line.is_empty() => {
                    self.paper().paragraph(0, &format!("`{line}` is none of `{}`", words.join("`, `")));
                }
                _ => break,
            }
        }
        Ok(None)
    }
}

/// A terminal that does not show what is typed, for as long as this is there.
struct Unseen(Termios);

impl Unseen {
    /// `None` where nobody types at a terminal.
    fn begin() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &unseen).ok()?;
        Some(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // Nothing better is left to do with a terminal that is gone.
        let _gone = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Where the site is, by what was typed.
pub(super) fn start(common: &Common) -> Start {
    let absolute = |dir: &Path| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let dir = common.site.clone().or_else(here);
    Start {
        dir: dir.as_deref().map(absolute),
        project: common.project.clone(),
        state: common.state.as_deref().map(absolute),
    }
}

/// The current folder, if it holds a site.
fn here() -> Option<PathBuf> {
    let dir = std::env::current_dir().ok()?;
    MARKS.iter().any(|mark| dir.join(mark).is_file()).then_some(dir)
}

/// What must be typed again in the next command: flags, not variables, because those are still there.
fn typed(common: &Common, words: &[OsString]) -> String {
    let mut text = "uplift".to_owned();
    let was_typed = |short: &str, long: &str| was_typed(words, short, long);
    let path = |path: &Path| quoted(&path.display().to_string());
    if let Some(file) = &common.simulate {
        // A simulated site has no other name.
        if was_typed("", "--simulate") {
            let _ = write!(text, " --simulate {}", path(file));
        }
        return text;
    }
    if let Some(site) = common.site.as_deref().filter(|_| was_typed("C", "--site")) {
        let _ = write!(text, " -C {}", path(site));
    }
    if let Some(project) = common.project.as_deref().filter(|_| was_typed("", "--project")) {
        let _ = write!(text, " --project {}", quoted(project));
    }
    if let Some(state) = common.state.as_deref().filter(|_| was_typed("", "--state")) {
        let _ = write!(text, " --state {}", path(state));
    }
    text
}

/// Whether a flag was typed, not taken from its variable.
pub(super) fn was_typed(words: &[OsString], short: &str, long: &str) -> bool {
    words.iter().skip(1).any(|word| {
        let word = word.to_string_lossy();
        // Short flags may stand in one word: `-yC DIR`.
        let among = word.starts_with('-') && !word.starts_with("--") && word.contains(short);
        word.starts_with(long) || (!short.is_empty() && among)
    })
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
