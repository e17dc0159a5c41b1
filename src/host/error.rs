use crate::{
    event::{ExitClass, Failure},
    journal::JournalError,
    script::ScriptError,
};

/// Why the door stays shut. Nothing was changed in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The site cannot be found, read or operated.
    #[error(transparent)]
    Site(Failure),
    /// A runbook, parameter or setting is wrong.
    #[error(transparent)]
    Invalid(Failure),
    /// A runbook does not pass the checks; every problem is shown with its source lines.
    #[error("`{runbook}` cannot be run")]
    Runbook { runbook: String, problems: Vec<String> },
    #[error(transparent)]
    Journal(JournalError),
    /// An earlier run has to be ended first.
    #[error("run `{run}` of {runbook} is not finished ({state})")]
    Unfinished { run: String, runbook: String, state: String },
    #[error("the site is no longer as it was when the plan was made")]
    Stale { changes: Vec<String> },
    #[error("there is no run to {0}: none was ever made here")]
    NoRun(&'static str),
}

impl HostError {
    #[must_use]
    pub fn exit(&self) -> ExitClass {
        match self {
            Self::Site(failure) if ["several_sites", "settings_invalid"].contains(&failure.code.as_str()) => {
                ExitClass::Invalid
            }
            // Another machine has the lock in the database.
            Self::Site(failure) if failure.code == "site_held" => ExitClass::Held,
            Self::Site(_) | Self::Stale { .. } => ExitClass::Refused,
            Self::Invalid(_) | Self::Runbook { .. } | Self::NoRun(_) => ExitClass::Invalid,
            Self::Journal(error) => error.exit(),
            Self::Unfinished { .. } => ExitClass::Unfinished,
        }
    }

    /// The reason as the stable code, message, hint and evidence that `-o json` and the screen show.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let own = |code: &str| Failure::new(code, self.to_string());
        match self {
            Self::Site(failure) | Self::Invalid(failure) => failure.clone(),
            Self::Runbook { problems, .. } => own("runbook_invalid")
                .evidence(problems.iter().cloned())
                .hint("mend these lines, and look at it with `--dry-run` first"),
            Self::Journal(error) => error.into(),
            Self::Unfinished { run, .. } => own("run_unfinished").hint(format!(
                "go on with `uplift resume {run}`, or take it back with `uplift rollback {run}`"
            )),
            Self::Stale { changes } => own("plan_stale")
                .evidence(changes.iter().cloned())
                .hint("type it again without `--plan` to see the plan of now; nothing was changed"),
            Self::NoRun(_) => {
                own("no_run").hint("if this is not the site that you mean, name its folder: `-C DIR`")
            }
        }
    }
}

impl From<Failure> for HostError {
    fn from(failure: Failure) -> Self {
        Self::Site(failure)
    }
}

impl From<JournalError> for HostError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl HostError {
    pub(super) fn script(runbook: &str, errors: &[ScriptError], bundle: &crate::script::Bundle) -> Self {
        let problems = errors.iter().map(|error| error.render(bundle)).collect();
        Self::Runbook { runbook: runbook.to_owned(), problems }
    }
}
