use serde::Serialize;

use super::{error::ScriptError, source::Bundle};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is certainly wrong: the runbook is not run.
    Error,
    /// It is likely not what was meant, and stops nothing.
    Warning,
}

/// Something that is to be said of a script before it is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    pub what: ScriptError,
}

impl Finding {
    pub(super) fn error(what: ScriptError) -> Self {
        Self { severity: Severity::Error, what }
    }

    pub(super) fn warning(what: ScriptError) -> Self {
        Self { severity: Severity::Warning, what }
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// As a terminal without colour shows it.
    #[must_use]
    pub fn render(&self, bundle: &Bundle) -> String {
        match self.severity {
            Severity::Error => self.what.render(bundle),
            Severity::Warning => self.what.render_warning(bundle),
        }
    }
}
