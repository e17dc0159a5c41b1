//! Definitions for editors: what a runbook can call, as the language's own tools read it.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::{
    door::{HostBuilder, SITE},
    error::HostError,
    reference::Described,
};
use crate::script::{self, WordKind};

/// Colours `step`, `on`, `together` and `with` in editors that read `TextMate` grammars.
const GRAMMAR: &str = include_str!("../../docs/editors/uplift.injection.tmLanguage.json");

impl HostBuilder {
    /// Writes the definitions into a folder that is there, and replaces those of before. Gives the paths.
    pub async fn define(&self, folder: &Path) -> Result<Vec<PathBuf>, HostError> {
        let all = self.reference(None)?;
        let texts = vec![
            ("uplift.d.rhai".to_owned(), calls(&all)),
            ("site.d.rhai".to_owned(), site()),
            ("tests.d.rhai".to_owned(), tests()),
            ("uplift.injection.tmLanguage.json".to_owned(), GRAMMAR.to_owned()),
        ];
        self.publish(folder, texts).await
    }
}

fn calls(all: &[Described]) -> String {
    let mut text = "module static;\n".to_owned();
    for one in all {
        text.push('\n');
        for paragraph in &one.what {
            let _ = writeln!(text, "/// {paragraph}\n///");
        }
        for option in &one.options {
            let initial = match &option.initial {
                Some(initial) => format!(", `{initial}` if left out"),
                None if option.needed => ", needed".to_owned(),
                None => String::new(),
            };
            let _ = writeln!(text, "/// - `{}` ({}{initial}): {}", option.name, option.kind, option.what);
        }
        if let Some(undo) = &one.undo {
            let _ = writeln!(text, "///\n/// Undo: {undo}");
        }
        let _ = writeln!(text, "///\n/// ```rhai\n/// {}\n/// ```", one.example);
        let _ = writeln!(text, "fn {}(options: Map) -> Map;", one.name);
        if one.options.iter().all(|option| !option.needed) {
            let _ = writeln!(text, "\n/// The same, with all options left out.\nfn {}() -> Map;", one.name);
        }
    }
    text.push_str("\n/// Ends the run, or the `try` around it, as a failure of the runbook's own: `e.code`, `e.message`.\n");
    text.push_str("fn fail(code: String, message: String) -> ();\n");
    text.push_str("\n/// What an earlier call of this run has given, by its address: `outcome(\"prepare/backup#1\").path`.\n");
    text.push_str("fn outcome(address: String) -> ?;\n");
    text
}

/// What only files of tests have.
fn tests() -> String {
    let mut text = "module static;\n".to_owned();
    for word in script::test_words() {
        let place = match word.kind {
            WordKind::Function => "",
            WordKind::Call => "a call of a simulated site: ",
            // No function: an editor knows them by this name only.
            WordKind::Seen | WordKind::OfRun | WordKind::OfPlan => continue,
        };
        for form in word.forms {
            let _ = write!(text, "\n/// {place}{}.\nfn {form} -> ?;\n", word.what);
        }
    }
    text
}

fn site() -> String {
    let mut text = "module site;\n".to_owned();
    for name in SITE {
        let _ = write!(text, "\nconst {name};\n");
    }
    text
}
