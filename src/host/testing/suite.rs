use std::{
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use serde::Serialize;
use tokio::{runtime::Handle, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{
    own::Own,
    stand::{Heard, Stand, lock},
};
use crate::{
    clients::Scratch,
    event::Failure,
    host::vendor::Pack,
    ports::files::Files,
    primitives::contract::Catalogue,
    script::{self, Tested},
};

/// Whose tests they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// They ship with uplift.
    Stock,
    /// They lie in the site's own `uplift/tests/`.
    Site,
    /// They are in a bundle of runbooks.
    Bundle,
    /// A file that was named.
    File,
}

/// What the simulated sites of some tests are given.
pub(super) struct Ground {
    /// Where the tests' own files lie.
    pub(super) files: Arc<dyn Files>,
    /// What the site has of its own.
    pub(super) own: Own,
    /// The bundle whose runbooks are on top.
    pub(super) pack: Option<Arc<Pack>>,
    pub(super) catalogue: Arc<Catalogue>,
}

/// One file of tests.
pub(super) struct Group {
    pub(super) whose: Whose,
    pub(super) tests: script::Tests,
    pub(super) ground: Arc<Ground>,
    /// The folder that it lies in.
    pub(super) folder: PathBuf,
}

/// Tests that passed the checks, ready to be run.
pub struct Suite {
    pub(super) groups: Vec<Group>,
}

/// What became of one test.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    pub test: String,
    /// The file that it stands in, and the line.
    pub file: String,
    pub line: usize,
    pub whose: Whose,
    pub passed: bool,
    pub took_ms: u64,
    /// How many simulated sites it has made.
    pub sites: usize,
    #[serde(flatten)]
    pub failing: Option<Failing>,
}

/// Why a test failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failing {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    /// Where in the file the test came to its end, as far as that is known.
    pub at: Option<script::Place>,
    pub evidence: Vec<String>,
    /// How the runs of this test ended, in a line each.
    pub runs: Vec<String>,
    /// What it has printed.
    pub printed: Vec<String>,
    /// Message, lines of the file and hint, as a terminal shows them.
    #[serde(skip)]
    pub text: String,
}

/// What became of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub passed: usize,
    pub failed: usize,
    pub took_ms: u64,
}

impl Summary {
    /// At least one was run, and none failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}

impl Suite {
    /// Every test by its file and its name, in the order in which they would be run.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.groups.iter().flat_map(|group| {
            let file = group.tests.name();
            group.tests.blocks().iter().map(move |block| (file, block.name.as_str()))
        })
    }

    /// Only the tests that have this in their names, or in the name of their file.
    #[must_use]
    pub fn only(mut self, part: &str) -> Self {
        for group in &mut self.groups {
            if !group.tests.name().contains(part) {
                group.tests.retain(|name| name.contains(part));
            }
        }
        self
    }

    /// Runs them one after the other, each on sites of its own. Nothing of this host is touched but a folder of the moment,
    /// which goes in any case. Once it is cancelled what is at work comes to an end, and nothing else is begun.
    pub async fn run(
        &self,
        cancel: &CancellationToken,
        mut tell: impl FnMut(&Proof),
    ) -> Result<Summary, Failure> {
        let folder = Folder(Arc::new(Scratch::new()?));
        let mut summary = Summary::default();
        for (at, group) in self.groups.iter().enumerate() {
            for (nth, block) in group.tests.blocks().iter().enumerate() {
                if cancel.is_cancelled() {
                    return Ok(summary);
                }
                let proof = group.prove(block, (&folder.0, format!("{at}-{nth}")), cancel).await;
                let was_stopped = cancel.is_cancelled() && !proof.passed;
                if was_stopped {
                    return Ok(summary);
                }
                summary.took_ms += proof.took_ms;
                if proof.passed {
                    summary.passed += 1;
                } else {
                    summary.failed += 1;
                }
                tell(&proof);
            }
        }
        Ok(summary)
    }
}

/// Goes also where somebody does not wait for the end: a thread that is at work yet would keep it.
struct Folder(Arc<Scratch>);

impl Drop for Folder {
    fn drop(&mut self) {
        self.0.clear();
    }
}

impl Group {
    async fn prove(
        &self,
        block: &script::Block,
        (scratch, name): (&Arc<Scratch>, String),
        cancel: &CancellationToken,
    ) -> Proof {
        let stand = Arc::new(Stand {
            ground: Arc::clone(&self.ground),
            folder: self.folder.clone(),
            scratch: Arc::clone(scratch),
            name,
            cancel: cancel.clone(),
            runtime: Handle::current(),
            sites: Mutex::default(),
            asked: AtomicUsize::default(),
            heard: Mutex::default(),
        });
        let (tests, test, catalogue) =
            (self.tests.clone(), block.name.clone(), Arc::clone(&self.ground.catalogue));
        let bench = Arc::clone(&stand);
        let work = spawn_blocking(move || script::perform_test(&tests, &test, &catalogue, bench));
        let tested = work.await.unwrap_or_else(|error| Tested {
            problem: Some(script::ScriptError::internal(&error.to_string())),
            sites: 0,
            took: std::time::Duration::ZERO,
        });
        let heard = std::mem::take(&mut *lock(&stand.heard));
        Proof {
            test: block.name.clone(),
            file: self.tests.name().to_owned(),
            line: block.line,
            whose: self.whose,
            passed: tested.problem.is_none(),
            took_ms: u64::try_from(tested.took.as_millis()).unwrap_or(u64::MAX),
            sites: tested.sites,
            failing: tested.problem.map(|problem| self.failing(&problem, heard)),
        }
    }

    fn failing(&self, problem: &script::ScriptError, heard: Heard) -> Failing {
        let failure = problem.as_failure();
        Failing {
            code: failure.code,
            message: failure.message,
            hint: failure.hint,
            at: problem.places.first().cloned(),
            evidence: failure.evidence,
            runs: heard.runs,
            printed: heard.said,
            text: problem.render(self.tests.bundle()),
        }
    }
}
