//! What can be said of a runbook before it runs: no site is looked for.

use serde::Serialize;

use super::{
    door::{HostBuilder, SITE},
    error::HostError,
    library,
};
use crate::{
    event::Failure,
    script::{self, Bundle, Finding, Severity},
};

/// A runbook that was looked through.
#[derive(Debug, Clone, Serialize)]
pub struct Checkup {
    /// As it was named.
    pub runbook: String,
    /// Steps that are written in it.
    pub steps: usize,
    /// Calls of primitives that are written in it and in what it imports.
    pub calls: usize,
    /// Tests that are written in it, where it is a file of tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<usize>,
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a runbook, or likely is. Lines and columns count from 1; columns are characters.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    pub severity: Severity,
    pub file: String,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    /// Message, lines of the file and hint, as a terminal shows them.
    #[serde(skip)]
    pub text: String,
}

impl Checkup {
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    #[must_use]
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}

impl HostBuilder {
    /// Looks a runbook through, a stock one by name or a file by its path (ending in `.rhai`): everything that can be
    /// known without running it, errors and warnings. A file that is not there is a problem too.
    pub async fn check(&self, name: &str) -> Result<Checkup, HostError> {
        let bundle = match self.bundle(name).await {
            Ok(bundle) => bundle,
            Err(HostError::Invalid(failure)) => return Ok(not_read(name, &failure)),
            Err(error) => return Err(error),
        };
        if library::is_file(name) && script::holds_tests(&bundle.main.text) {
            let bundle = match self.test_file(name).await {
                Ok(bundle) => bundle,
                Err(HostError::Invalid(failure)) => return Ok(not_read(name, &failure)),
                Err(error) => return Err(error),
            };
            let examined = script::examine_tests(bundle.clone(), self.offered());
            let problems = examined.findings.iter().map(|finding| problem(finding, &bundle)).collect();
            let tests = Some(examined.blocks.len());
            return Ok(Checkup { runbook: name.to_owned(), steps: 0, calls: 0, tests, problems });
        }
        let examined = script::examine(bundle.clone(), self.offered(), &SITE);
        Ok(Checkup {
            runbook: name.to_owned(),
            steps: examined.steps,
            calls: examined.calls,
            tests: None,
            problems: examined.findings.iter().map(|finding| problem(finding, &bundle)).collect(),
        })
    }
}

fn problem(finding: &Finding, bundle: &Bundle) -> Problem {
    let place = finding.what.places.first();
    Problem {
        severity: finding.severity,
        file: place.map_or_else(|| bundle.main.name.clone(), |place| place.file.clone()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        code: finding.what.code.clone(),
        message: finding.what.message.clone(),
        hint: finding.what.hint.clone(),
        text: finding.render(bundle),
    }
}

fn not_read(name: &str, failure: &Failure) -> Checkup {
    let mut text = format!("error: {}", failure.message);
    if let Some(hint) = &failure.hint {
        text.extend(["\n  = help: ", hint]);
    }
    let problem = Problem {
        severity: Severity::Error,
        file: name.to_owned(),
        line: None,
        column: None,
        code: failure.code.clone(),
        message: failure.message.clone(),
        hint: failure.hint.clone(),
        text,
    };
    Checkup { runbook: name.to_owned(), steps: 0, calls: 0, tests: None, problems: vec![problem] }
}
