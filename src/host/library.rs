//! The runbooks that ship inside the binary. They are plain files in the repository, so that reading one there is
//! reading what runs.

use crate::{
    event::Failure,
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

const RUNBOOKS: &[StockRunbook] =
    &[StockRunbook { name: "compose/upgrade", text: include_str!("../../runbooks/compose/upgrade.rhai") }];

const LIBRARY: &[StockRunbook] =
    &[StockRunbook { name: "lib/checks", text: include_str!("../../runbooks/lib/checks.rhai") }];

/// All runbooks that ship with uplift.
#[must_use]
pub fn stock() -> &'static [StockRunbook] {
    RUNBOOKS
}

/// The stock runbook `name` with the library it imports.
pub(super) fn bundle(name: &str) -> Result<Bundle, Failure> {
    let Some(found) = RUNBOOKS.iter().find(|runbook| runbook.name == name) else {
        let known: Vec<_> = RUNBOOKS.iter().map(|runbook| runbook.name).collect();
        let text = format!("there is no runbook `{name}`");
        return Err(Failure::new("runbook_not_found", text).hint(format!(
            "{}; a file of your own needs its path, e.g. `./{name}.rhai`",
            suggest(name, &known)
        )));
    };
    Ok(around(found.name, found.text))
}

/// A runbook of the operator's own; it may import the stock library.
pub(super) fn around(name: &str, text: &str) -> Bundle {
    let source = |file: &StockRunbook| Source { name: file.name.to_owned(), text: file.text.to_owned() };
    let main = Source { name: name.to_owned(), text: text.to_owned() };
    Bundle { main, libs: LIBRARY.iter().map(source).collect() }
}
