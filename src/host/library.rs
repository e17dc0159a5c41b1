//! The runbooks that ship inside the binary. They are plain files in the repository, so that reading one there is
//! reading what runs.

use std::path::Path;

use super::error::HostError;
use crate::{
    event::Failure,
    ports::files::FilesRead,
    primitives::contract::suggest,
    script::{Bundle, Source},
};

/// A runbook that ships with uplift.
#[derive(Debug, Clone, Copy)]
pub struct StockRunbook {
    /// e.g. `compose/upgrade`.
    pub name: &'static str,
    pub text: &'static str,
}

const RUNBOOKS: &[StockRunbook] = &[
    StockRunbook { name: "compose/upgrade", text: include_str!("../../runbooks/compose/upgrade.rhai") },
    StockRunbook { name: "compose/rollback", text: include_str!("../../runbooks/compose/rollback.rhai") },
    StockRunbook { name: "compose/restore", text: include_str!("../../runbooks/compose/restore.rhai") },
    StockRunbook { name: "compose/backup", text: include_str!("../../runbooks/compose/backup.rhai") },
    StockRunbook { name: "compose/pull", text: include_str!("../../runbooks/compose/pull.rhai") },
    StockRunbook { name: "compose/prune", text: include_str!("../../runbooks/compose/prune.rhai") },
];

const LIBRARY: &[StockRunbook] =
    &[StockRunbook { name: "lib/checks", text: include_str!("../../runbooks/lib/checks.rhai") }];

/// All runbooks that ship with uplift.
#[must_use]
pub fn stock() -> &'static [StockRunbook] {
    RUNBOOKS
}

/// Whether `name` means a file of the operator's own.
pub(super) fn is_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("rhai"))
}

/// A stock runbook by its name, or a file by its path.
pub(super) async fn find(name: &str, files: Option<&dyn FilesRead>) -> Result<Bundle, HostError> {
    let (true, Some(files)) = (is_file(name), files) else { return bundle(name) };
    let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
    let file = files.read(&path).await?.ok_or_else(|| {
        let text = format!("there is no file `{name}`");
        HostError::Invalid(Failure::new("runbook_not_found", text).hint("list them: `uplift runbook list`"))
    })?;
    let text = String::from_utf8(file.bytes).map_err(|_| {
        HostError::Invalid(
            Failure::new("runbook_not_text", format!("`{name}` is not UTF-8 text")).hint("save it as UTF-8"),
        )
    })?;
    Ok(around(name, &text))
}

/// The stock runbook `name` with the library it imports.
fn bundle(name: &str) -> Result<Bundle, HostError> {
    stock_named(name).map(|found| around(found.name, found.text))
}

/// The runbook that ships under this name; else the nearest name as a hint.
pub fn stock_named(name: &str) -> Result<&'static StockRunbook, HostError> {
    RUNBOOKS.iter().find(|runbook| runbook.name == name).ok_or_else(|| {
        let known: Vec<_> = RUNBOOKS.iter().map(|runbook| runbook.name).collect();
        let text = format!("there is no runbook `{name}`");
        HostError::Invalid(Failure::new("runbook_not_found", text).hint(format!(
            "{} (a file of your own needs its path, e.g. `./{name}.rhai`)",
            suggest(name, &known)
        )))
    })
}

/// A runbook of the operator's own; it may import the stock library.
pub(super) fn around(name: &str, text: &str) -> Bundle {
    let source = |file: &StockRunbook| Source { name: file.name.to_owned(), text: file.text.to_owned() };
    let main = Source { name: name.to_owned(), text: text.to_owned() };
    Bundle { main, libs: LIBRARY.iter().map(source).collect() }
}
