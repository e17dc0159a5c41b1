//! Files that a runbook of the operator's own imports, from the folder that it lies in.

use std::path::Path;

use super::error::HostError;
use crate::{event::Failure, ports::files::FilesRead, script::Source};

/// No more than anybody would write; a circle is found later, with its place.
const MOST: usize = 64;

/// The files that `text` and what it imports name, as far as they lie below the folder of `main`. Those that do not may
/// ship with uplift.
pub(super) async fn beside(main: &Path, text: &str, files: &dyn FilesRead) -> Result<Vec<Source>, HostError> {
    let Some(folder) = main.parent() else { return Ok(Vec::new()) };
    let mut found: Vec<Source> = Vec::new();
    let mut asked: Vec<String> = Vec::new();
    let mut next = imported(text);
    while let Some(name) = next.pop() {
        if asked.contains(&name) || asked.len() >= MOST {
            continue;
        }
        asked.push(name.clone());
        let Some(file) = files.read(&folder.join(format!("{name}.rhai"))).await? else { continue };
        let text = String::from_utf8(file.bytes).map_err(|_| {
            let failure = Failure::new("runbook_not_text", format!("`{name}.rhai` is not UTF-8 text"));
            HostError::Invalid(failure.hint("save it as UTF-8"))
        })?;
        next.extend(imported(&text));
        found.push(Source { name, text });
    }
    Ok(found)
}

/// Names of imports that are written out and lead to no other folder. A name in a comment is looked for too, and does no
/// harm.
fn imported(text: &str) -> Vec<String> {
    let names = text.split("import").skip(1).filter_map(|rest| {
        let name = rest.trim_start().strip_prefix('"')?.split_once('"')?.0;
        let plain = |part: &str| {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
            !part.is_empty() && part.chars().all(fits)
        };
        name.split('/').all(plain).then(|| name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::imported;

    #[test]
    fn only_plain_names_are_looked_for() {
        let text = "import \"lib/a\" as a;\nimport  \"b\";\nimport \"../c\" as c; import \"/d\"; import x; import \"e.rhai\";";
        assert_eq!(imported(text), ["lib/a", "b"]);
    }
}
