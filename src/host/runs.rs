use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    door::{Host, HostBuilder},
    error::HostError,
    past::{self, Shown},
    points::TIDIES,
    telling::Telling,
};
use crate::{
    clients,
    journal::{Folder, Holder, Kind, Reader, RunRow, RunState},
    ports::{Ports, files::FilesRead},
    survey::{self, Footprint},
};

/// What the state folder of a site tells about its runs.
///
/// It is read without a look at the site: that a run is unfinished must be told also when the engine, compose or
/// the database is down.
pub struct Runs {
    state: PathBuf,
    reader: Option<Reader>,
    /// None in a build without the real world.
    ports: Option<Ports>,
}

/// What a run has left beside its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leavings {
    /// The folder of what its way back needs.
    pub kept: PathBuf,
    pub kept_gone: bool,
    pub log: PathBuf,
    pub log_gone: bool,
}

/// One change that going back would reach, in the order in which it would be reached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Undoing {
    pub address: String,
    /// What was done.
    pub did: String,
    /// What taking it back would do.
    pub back: String,
}

/// Who types, as the journal names people: user and host.
#[must_use]
pub fn who() -> String {
    clients::who().to_string()
}

impl HostBuilder {
    /// The record of the folder that this builder was told, without opening the site; `None` if it was told none.
    #[must_use]
    pub fn runs(&self) -> Option<Result<Runs, HostError>> {
        let ports = self.given_ports().cloned().or_else(|| Some(clients::real().ok()?.0));
        Some(Runs::open(&self.start().state()?, ports))
    }
}

impl Host {
    /// The record of this site's runs.
    pub fn runs(&self) -> Result<Runs, HostError> {
        Runs::open(&self.0.site.state, Some(self.0.ports.clone()))
    }

    /// What going back from `run` would take back, last first. Only reads the record.
    pub fn way_back(&self, run: &str) -> Result<Vec<Undoing>, HostError> {
        let Shown { calls, .. } = self.show(Some(run))?;
        let begun = calls
            .into_iter()
            .rev()
            .filter(|call| call.kind == Kind::Effect && call.intent.is_some() && call.state.to_take_back());
        let back = begun.map(|call| {
            let kept = self.0.catalogue.get(&call.verb).and_then(|verb| verb.kept());
            let words = kept.and_then(|kept| {
                kept.undo_summary(call.version, call.intent.clone().unwrap_or_default()).ok()
            });
            let back = words.unwrap_or_else(|| format!("this uplift does not know `{}`", call.verb));
            Undoing { address: call.address, did: call.summary, back }
        });
        Ok(back.collect())
    }

    /// What time it is for this site.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.ports.clock.now()
    }
}

impl Runs {
    fn open(state: &Path, ports: Option<Ports>) -> Result<Self, HostError> {
        let reader = match Folder::find(state) {
            Some(folder) => Reader::open(&folder)?,
            None => None,
        };
        Ok(Self { state: state.to_owned(), reader, ports })
    }

    /// All runs, newest first.
    pub fn all(&self) -> Result<Vec<RunRow>, HostError> {
        self.reader.as_ref().map_or_else(|| Ok(Vec::new()), |reader| Ok(reader.runs()?))
    }

    /// So many of the newest runs, newest first.
    pub fn newest(&self, count: u32) -> Result<Vec<RunRow>, HostError> {
        self.reader.as_ref().map_or_else(|| Ok(Vec::new()), |reader| Ok(reader.newest(count)?))
    }

    /// The newest run that was taken back and has left something of the site as it made it, unless one has exchanged the
    /// containers since.
    pub fn partly_taken_back(&self) -> Result<Option<RunRow>, HostError> {
        let Some(reader) = &self.reader else { return Ok(None) };
        for run in reader.runs()? {
            // What a removal has removed is no state of the site.
            if !run.left().is_empty() && run.runbook != TIDIES {
                return Ok(Some(run));
            }
            let is_over = matches!(run.state, RunState::Done | RunState::Closed);
            if is_over && reader.called(&run.id, "compose_up")? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// How many runs are recorded.
    pub fn count(&self) -> Result<usize, HostError> {
        self.reader.as_ref().map_or(Ok(0), |reader| Ok(reader.count()?))
    }

    /// The run that has to be ended before another can begin, or that is at work right now.
    pub fn unfinished(&self) -> Result<Option<RunRow>, HostError> {
        self.reader.as_ref().map_or(Ok(None), |reader| Ok(reader.unfinished()?))
    }

    /// One run with all its calls. `run` may be the beginning or the end of an id; `None` is the newest.
    pub fn show(&self, run: Option<&str>) -> Result<Shown, HostError> {
        past::shown(self.reader.as_ref().ok_or(HostError::NoRun("show"))?, run)
    }

    /// Names of the backups that runs have made and verified, newest first, wherever they are by now.
    pub fn backups_made(&self) -> Result<Vec<String>, HostError> {
        let Some(reader) = &self.reader else { return Ok(Vec::new()) };
        let mut made = Vec::new();
        for run in reader.runs()? {
            if !reader.called(&run.id, "backup")? {
                continue;
            }
            let calls = reader.entries(&run.id)?;
            let outcomes = calls.iter().rev().filter(|call| call.verb == "backup");
            made.extend(outcomes.filter_map(|call| {
                let value = call.attempts.iter().rev().find_map(|one| one.value.as_ref())?;
                let path = value.get("path")?.as_str()?;
                Some(Path::new(path).file_name()?.to_string_lossy().into_owned())
            }));
        }
        Ok(made)
    }

    /// Who works on the site now, as far as the kernel shows it.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.reader.as_ref().and_then(Reader::holder)
    }

    /// Where a run has kept what its way back needs, and whether that is there yet; where its log is. What cannot be looked at
    /// is taken to be there.
    pub async fn left(&self, run: &str) -> Leavings {
        let (kept, log) = (self.state.join("kept").join(run), self.log(run));
        Leavings { kept_gone: self.is_gone(&kept).await, log_gone: self.is_gone(&log).await, kept, log }
    }

    async fn is_gone(&self, path: &Path) -> bool {
        match &self.ports {
            Some(ports) => matches!(ports.files.lies(path).await, Ok(None)),
            None => false,
        }
    }

    /// What uplift itself takes of the disk; `None` where nobody can look.
    pub async fn footprint(&self) -> Option<Footprint> {
        survey::footprint(&*self.ports.as_ref()?.files, &self.state).await.ok()?
    }

    /// What a run tells while it works.
    #[must_use]
    pub fn telling(&self, run: &str) -> Telling {
        let files = self.ports.as_ref().map(|ports| Arc::clone(&ports.files) as Arc<dyn FilesRead>);
        Telling::new(files, self.log(run))
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        Some(self.ports.as_ref()?.clock.now())
    }

    /// Where the log of a run lies.
    #[must_use]
    pub fn log(&self, run: &str) -> PathBuf {
        log_of(&self.state, run)
    }
}

/// Every event of a run, as JSON lines.
pub(super) fn log_of(state: &Path, run: &str) -> PathBuf {
    state.join("logs").join(format!("{run}.jsonl"))
}
