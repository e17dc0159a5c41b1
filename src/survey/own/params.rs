//! `[params]`: what parameters of runbooks are at this site where nobody says otherwise.

use std::{collections::BTreeMap, path::Path};

use toml::{Table, Value};

use super::{Own, Wrong, kind, own, section};
use crate::{event::Failure, ports::files::FilesRead};

/// By runbook, then by parameter; the values as they would be typed. Whether there is such a parameter only the runbook knows.
pub(in crate::survey) type Params = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn read(table: &Table) -> Result<Params, Wrong> {
    let Some(section) = section(table, "params")? else { return Ok(Params::new()) };
    let mut all = Params::new();
    for (runbook, values) in section {
        let Value::Table(values) = values else {
            let hint = "write the runbook above it: `[params.\"compose/upgrade\"]`";
            return Err((format!("`params.{runbook}` is not about a runbook"), hint.to_owned()));
        };
        let value = |(name, value): (&String, &Value)| Ok((name.clone(), text(runbook, name, value)?));
        all.insert(runbook.clone(), values.iter().map(value).collect::<Result<_, Wrong>>()?);
    }
    Ok(all)
}

/// The same of the site in this folder.
pub async fn params(
    dir: &Path,
    files: &dyn FilesRead,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
    let Own { params, .. } = own(dir, files).await?;
    Ok(params)
}

fn text(runbook: &str, name: &str, value: &Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(word) => Ok(word.to_string()),
        other => Err(kind(&format!("params.{runbook}.{name}"), other, "a text, a number, `true` or `false`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_they_would_be_typed() {
        let read = |text: &str| read(&text.parse().unwrap());
        let all = read(
            "[params.\"compose/prune\"]\nkeep = 5\n[params.\"compose/backup\"]\npin = true\nstorage = \"none\"",
        );
        let all = all.unwrap();
        assert_eq!(all["compose/prune"]["keep"], "5");
        assert_eq!((&*all["compose/backup"]["pin"], &*all["compose/backup"]["storage"]), ("true", "none"));
        let (why, hint) = read("[params]\npatience = \"20m\"").unwrap_err();
        assert!(why.contains("`params.patience` is not about a runbook"), "{why}");
        assert!(hint.contains("[params.\"compose/upgrade\"]"), "{hint}");
        assert!(read("[params.\"compose/prune\"]\nkeep = 1.5").unwrap_err().0.contains("cannot be"));
    }
}
